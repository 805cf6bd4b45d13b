"""What is said when the API server does not answer as it should, and that no secret is part of it."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kubectl_svcprobe.access.kubeconfig import Pem
from kubectl_svcprobe.errors import (
    AccessError,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    Unauthorized,
)
from tests.sockets.api_stub import Answer, ApiStub, Reply
from tests.sockets.certificates import certificates
from tests.sockets.kube_access import SECRET, connected

_TLS = "Unable to connect to the server: tls: failed to verify certificate: x509: "


def half_a_body(reply: Reply) -> None:
    reply.start(200, (("Content-Length", "100"),))
    reply.wfile.write(b'{"kind": ')
    reply.drop()


def half_a_chunk(reply: Reply) -> None:
    reply.start(200, (("Transfer-Encoding", "chunked"),))
    reply.wfile.write(b"64\r\n{")
    reply.drop()


def reset(reply: Reply) -> None:
    """Close with RST instead of FIN."""
    reply.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    reply.drop()


def no_http(reply: Reply) -> None:
    reply.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    reply.drop()


def echo_credentials(reply: Reply) -> None:
    reply.text(reply.headers["Authorization"].encode(), 500)


def status(code: int, reason: str, message: str) -> Answer:
    return lambda reply: reply.status_object(code, reason, message)


BROKEN: dict[str, tuple[Answer, str]] = {
    "half a body": (half_a_body, "Unable to connect to the server: unexpected EOF"),
    "half a chunk": (half_a_chunk, "Unable to connect to the server: unexpected EOF"),
    "no answer": (lambda reply: reply.drop(), "Unable to connect to the server: EOF"),
    "reset": (reset, "Unable to connect to the server: read tcp {address}: connection reset by peer"),
    "another protocol": (no_http, "Unable to connect to the server: net/http: malformed HTTP response"),
    "HTML": (
        lambda reply: reply.text(b"<html>"),
        "error: the server's answer to /version is not a JSON object; is it a Kubernetes API server?",
    ),
    "a JSON list": (
        lambda reply: reply.json([1]),
        "error: the server's answer to /version is not a JSON object; is it a Kubernetes API server?",
    ),
    "half an object": (
        lambda reply: reply.text(b'{"a": '),
        "error: the server's answer to /version is not a JSON object; is it a Kubernetes API server?",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_is_none(name: str) -> None:
    answer, line = BROKEN[name]
    with (
        ApiStub(answer, tls=False) as stub,
        connected(stub) as cluster,
        pytest.raises(AccessError) as error,
    ):
        cluster.raw_get("/version")
    assert str(error.value) == line.format(address=stub.address)
    assert len(stub.received) == 1, "asked once, without retries"


@dataclass(frozen=True)
class Refusal:
    answer: Answer
    kind: type[ApiError]
    line: str


REFUSALS = {
    "401": Refusal(
        status(401, "Unauthorized", "Unauthorized"),
        Unauthorized,
        "error: You must be logged in to the server (Unauthorized)",
    ),
    "403": Refusal(
        status(403, "Forbidden", 'pods is forbidden: User "jane" cannot list resource "pods"'),
        Forbidden,
        'Error from server (Forbidden): pods is forbidden: User "jane" cannot list resource "pods"',
    ),
    "404": Refusal(
        status(404, "NotFound", 'services "x" not found'),
        NotFound,
        'Error from server (NotFound): services "x" not found',
    ),
    "409": Refusal(
        status(409, "AlreadyExists", 'pods "x" already exists'),
        Conflict,
        'Error from server (AlreadyExists): pods "x" already exists',
    ),
    "410": Refusal(status(410, "Expired", "too old"), Gone, "Error from server (Expired): too old"),
    "422": Refusal(
        status(422, "Invalid", 'Pod "x" is invalid: spec.containers: Required value'),
        Invalid,
        'The Pod "x" is invalid: spec.containers: Required value',
    ),
    "without a reason": Refusal(status(500, "", "etcd is down"), ApiError, "Error from server: etcd is down"),
    "plain 502": Refusal(
        lambda reply: reply.text(b"<html>Bad Gateway</html>\n", 502),
        ApiError,
        'Error from server (InternalError): an error on the server ("<html>Bad Gateway</html>") '
        "has prevented the request from succeeding",
    ),
    "a long text": Refusal(
        lambda reply: reply.text(b"x" * 5000, 500),
        ApiError,
        f'Error from server (InternalError): an error on the server ("{"x" * 200}") '
        "has prevented the request from succeeding",
    ),
    "an object that is no Status": Refusal(
        lambda reply: reply.json({"kind": "Pod"}, 404),
        NotFound,
        "Error from server (NotFound): the server could not find the requested resource",
    ),
    "a redirect": Refusal(
        lambda reply: reply.text(b"", 302, (("Location", "https://login.example"),)),
        ApiError,
        "Error from server: the server responded with the status code 302 but did not return more information",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_told_as_kubectl_tells_it(name: str) -> None:
    refusal = REFUSALS[name]
    with ApiStub(refusal.answer) as stub, connected(stub) as cluster, pytest.raises(ApiError) as error:
        cluster.raw_get("/version")
    assert type(error.value) is refusal.kind
    assert str(error.value) == refusal.line
    assert len(stub.received) == 1, "asked once, without retries"


@contextlib.contextmanager
def silent_listener() -> Iterator[str]:
    """Accepts connections, as far as the kernel does that alone, and says nothing."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_silence_ends_with_the_request_timeout() -> None:
    started = time.monotonic()
    with (
        ApiStub(lambda reply: time.sleep(2)) as stub,
        connected(stub, timeout=0.3) as cluster,
        pytest.raises(AccessError, match="Unable to connect to the server: context deadline exceeded"),
    ):
        cluster.raw_get("/version")
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_that_says_nothing_ends_with_the_request_timeout(scheme: str) -> None:
    started = time.monotonic()
    with (
        silent_listener() as address,
        connected(f"{scheme}://{address}", timeout=0.3) as cluster,
        pytest.raises(AccessError, match=r"Unable to connect to the server: .*(deadline|timeout)"),
    ):
        cluster.raw_get("/version")
    assert time.monotonic() - started < 1.5


UNTRUSTED: dict[str, tuple[str, dict[str, Any], str]] = {
    "unknown authority": ("stranger", {}, _TLS + "certificate signed by unknown authority"),
    "expired": ("expired", {}, _TLS + "certificate has expired or is not yet valid"),
    "another name": ("other_name", {}, _TLS + "certificate is not valid for 127.0.0.1"),
    "not the name asked for": (
        "server",
        {"tls_server_name": "api.example"},
        _TLS + "certificate is not valid for api.example",
    ),
    "not of a system authority": ("server", {"ca": None}, _TLS + "certificate signed by unknown authority"),
}


@pytest.mark.parametrize("name", UNTRUSTED)
def test_a_server_that_is_not_the_right_one_is_told_nothing(name: str) -> None:
    pair, fields, line = UNTRUSTED[name]
    with (
        ApiStub(pair=getattr(certificates(), pair)) as stub,
        connected(stub, **fields) as cluster,
        pytest.raises(AccessError) as error,
    ):
        cluster.raw_get("/version")
    assert str(error.value) == line
    assert stub.received == []


def test_http_where_https_is_expected() -> None:
    with (
        ApiStub(tls=False) as stub,
        connected(f"https://{stub.address}") as cluster,
        pytest.raises(AccessError, match="server gave HTTP response to HTTPS client"),
    ):
        cluster.raw_get("/version")


NOWHERE = {
    "refused": (
        "https://127.0.0.1:1",
        "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
    ),
    "no such name": (
        "https://nosuch.invalid:6443",
        "Unable to connect to the server: dial tcp: lookup nosuch.invalid: no such host",
    ),
}


@pytest.mark.parametrize("name", NOWHERE)
def test_nobody_there(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    server, line = NOWHERE[name]
    with connected(server) as cluster, pytest.raises(AccessError) as error:
        cluster.raw_get("/version")
    assert str(error.value) == line
    assert capfd.readouterr() == ("", "")


SECRETS: dict[str, Callable[[], ApiStub]] = {
    "refused by TLS": lambda: ApiStub(pair=certificates().stranger),
    "half a body": lambda: ApiStub(half_a_body),
    "another protocol": lambda: ApiStub(no_http),
    "403": lambda: ApiStub(status(403, "Forbidden", "no")),
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_in_errors_nor_in_their_traces(name: str) -> None:
    key = Pem(data=certificates().client.key.read_bytes())
    certificate = Pem(data=certificates().client.certificate.read_bytes())
    with (
        SECRETS[name]() as stub,
        connected(stub, client_certificate=certificate, client_key=key) as cluster,
        pytest.raises(AccessError) as error,
    ):
        cluster.raw_get("/version")
    shown = "".join(traceback.format_exception(error.value)) + repr(error.value) + repr(cluster) + repr(vars(cluster))
    assert SECRET not in shown
    assert key.data.decode() not in shown


def test_a_server_that_repeats_the_token_is_not_quoted() -> None:
    with ApiStub(echo_credentials) as stub, connected(stub) as cluster, pytest.raises(ApiError) as error:
        cluster.raw_get("/version")
    assert SECRET not in str(error.value)
