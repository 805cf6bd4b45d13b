"""What is made of a web socket that forwards ports, and of a server that does not give one."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import time
from collections.abc import Callable

import pytest

from kubectl_svcprobe.errors import AccessError, ApiError, Forbidden
from tests.sockets.api_stub import ApiStub, Reply
from tests.sockets.kube_access import SECRET, connected

#: RFC 6455, section 1.3.
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(channel: int, content: bytes, opcode: int = 2) -> bytes:
    """An unmasked frame, as servers send them."""
    payload = bytes([channel]) + content
    length = bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + length + payload


def forwarding(*frames: bytes, stays: float = 0.0) -> Callable[[Reply], None]:
    """Switches to a web socket, sends these frames and stays for some seconds."""

    def answer(reply: Reply) -> None:
        key = reply.headers["Sec-WebSocket-Key"] + GUID
        accepted = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        words = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accepted))
        reply.start(101, (*words, ("Sec-WebSocket-Protocol", "v4.channel.k8s.io")))
        reply.wfile.write(b"".join(frames))
        reply.wfile.flush()
        reply.connection.settimeout(stays or 0.01)
        with contextlib.suppress(OSError):
            reply.connection.recv(1)
        reply.drop()

    return answer


def number(port: int) -> bytes:
    return port.to_bytes(2, "little")


OPENED = [frame(0, number(8080)), frame(1, number(8080)), frame(2, number(1)), frame(3, number(1))]
REFUSED = b"dial tcp4 127.0.0.1:1: connect: connection refused"


def forward(stub: ApiStub, timeout: float = 5.0, quiet: float = 0.1) -> dict[int, str]:
    with connected(stub) as cluster:
        return cluster.port_forward("shop", "web-1", [8080, 1], timeout=timeout, quiet=quiet)


def test_a_port_that_refuses_complains_and_one_that_is_open_does_not() -> None:
    with ApiStub(forwarding(*OPENED, frame(0, b"SSH-2.0\r\n"), frame(3, REFUSED), stays=5)) as stub:
        started = time.monotonic()
        assert forward(stub) == {1: REFUSED.decode()}
        assert time.monotonic() - started < 2
    (asked,) = stub.received
    assert asked.path == "/api/v1/namespaces/shop/pods/web-1/portforward?ports=8080&ports=1"
    assert asked.headers["authorization"] == f"Bearer {SECRET}"
    assert asked.headers["user-agent"] == "kubectl-svcprobe/1.2.3"
    assert asked.headers["sec-websocket-protocol"] == "v4.channel.k8s.io"
    assert "origin" not in asked.headers


def test_it_ends_when_every_port_has_complained() -> None:
    with ApiStub(forwarding(*OPENED, frame(1, REFUSED), frame(3, REFUSED * 4), stays=5)) as stub:
        started = time.monotonic()
        assert forward(stub, quiet=5) == {8080: REFUSED.decode(), 1: REFUSED.decode() * 4}
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "frames",
    [
        [],
        OPENED,
        [frame(9, b"abc")],
        [frame(1, b"text", opcode=1)],
        [frame(0, b"", opcode=8)],
        [b"\xff\xff"],
        [b"\x82\x00"],
    ],
    ids=["nothing", "no complaint", "a channel of nobody", "text", "the end", "no frame", "an empty one"],
)
def test_whatever_else_comes_is_no_complaint(frames: list[bytes]) -> None:
    with ApiStub(forwarding(*frames)) as stub:
        assert forward(stub, timeout=0.5) == {}


def test_a_server_that_is_silent_is_left_when_its_time_is_over() -> None:
    with ApiStub(forwarding(*OPENED, stays=5)) as stub:
        started = time.monotonic()
        assert forward(stub, timeout=0.4) == {}
        assert 0.3 < time.monotonic() - started < 2


def test_a_refusal_is_told_in_the_servers_words() -> None:
    message = 'pods "web-1" is forbidden: User "jane" cannot create resource "pods/portforward"'
    with (
        ApiStub(lambda reply: reply.status_object(403, "Forbidden", message)) as stub,
        pytest.raises(Forbidden) as error,
    ):
        forward(stub)
    assert str(error.value) == f"Error from server (Forbidden): {message}"


@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_gateway_that_knows_no_web_sockets_is_an_error_without_the_token(status: int) -> None:
    def answer(reply: Reply) -> None:
        reply.text(reply.headers["Authorization"].encode(), status)

    with ApiStub(answer) as stub, pytest.raises(ApiError) as error:
        forward(stub)
    assert error.value.status == status
    assert SECRET not in str(error.value)


def test_a_server_that_never_answers_costs_no_more_than_the_time_given() -> None:
    with ApiStub(lambda reply: time.sleep(1)) as stub:
        started = time.monotonic()
        with pytest.raises(AccessError, match="no answer within the request timeout"):
            forward(stub, timeout=0.3)
        assert time.monotonic() - started < 1


def test_nobody_there_is_said_as_always() -> None:
    with ApiStub() as stub:
        url = stub.url
    with connected(url) as cluster, pytest.raises(AccessError, match="was refused"):
        cluster.port_forward("shop", "web-1", [80], timeout=1, quiet=0.1)


def test_a_stranger_on_the_servers_port_is_not_told_the_token() -> None:
    with ApiStub() as stub, connected(stub, ca=None) as cluster, pytest.raises(AccessError, match="x509"):
        cluster.port_forward("shop", "web-1", [80], timeout=2, quiet=0.1)
    assert stub.received == []


def test_requests_are_told_of() -> None:
    told: list[tuple[str, str, int, int]] = []
    with ApiStub(forwarding(*OPENED)) as stub, connected(stub, on_request=lambda *what: told.append(what)) as cluster:
        cluster.port_forward("shop", "web-1", [8080, 1], timeout=0.3, quiet=0.1)
    assert told == [("GET", "/api/v1/namespaces/shop/pods/web-1/portforward?ports=8080&ports=1", 101, 0)]
