"""Through an HTTP proxy, as the environment asks."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from collections.abc import Callable

import pytest

from kubectl_svcprobe.errors import AccessError
from tests.sockets.api_stub import Answer, ApiStub, Reply
from tests.sockets.certificates import certificates
from tests.sockets.kube_access import SECRET, connected

API = "https://api.example:6443"  # a name that only the proxy knows


def tunnel_to(address: str) -> Answer:
    """Answer CONNECT, whatever the name, with a connection to `address`."""

    def answer(reply: Reply) -> None:
        host, _, port = address.partition(":")
        with contextlib.closing(socket.create_connection((host, int(port)))) as onward:
            reply.start(200)
            back = threading.Thread(target=_pump, args=(onward.recv, reply.connection.sendall))
            back.start()
            _pump(reply.connection.recv, onward.sendall)
            onward.shutdown(socket.SHUT_RDWR)
            back.join()
        reply.drop()

    return answer


def _pump(receive: Callable[[int], bytes], send: Callable[[bytes], object]) -> None:
    with contextlib.suppress(OSError):
        while data := receive(65536):
            send(data)


def test_the_request_goes_through_the_proxy_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        ApiStub(pair=certificates().other_name) as stub,
        ApiStub(tunnel_to(stub.address), tls=False) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//jane:p%40w@"))
        with connected(API) as cluster:
            cluster.raw_get("/version")
    assert stub.received[0].headers["authorization"] == f"Bearer {SECRET}"
    (connect,) = proxy.received
    assert (connect.method, connect.path) == ("CONNECT", "api.example:6443")
    assert "authorization" not in connect.headers
    password = connect.headers["proxy-authorization"].removeprefix("Basic ")
    assert base64.b64decode(password) == b"jane:p@w"


def test_the_server_behind_the_proxy_is_still_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    with ApiStub() as stub, ApiStub(tunnel_to(stub.address), tls=False) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with connected(API) as cluster, pytest.raises(AccessError, match=r"certificate is not valid for api\.example"):
            cluster.raw_get("/version")
    assert stub.received == []


def test_a_server_on_this_machine_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with ApiStub() as stub, connected(stub) as cluster:
        cluster.raw_get("/version")
    assert len(stub.received) == 1


def test_a_proxy_that_refuses_is_named_as_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with connected(API) as cluster, pytest.raises(AccessError) as error:
        cluster.raw_get("/version")
    assert str(error.value) == (
        "Unable to connect to the server: proxyconnect tcp: dial tcp 127.0.0.1:1: connect: connection refused"
    )


def test_a_proxy_that_wants_a_password_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    with ApiStub(lambda reply: reply.text(b"", 407), tls=False) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with connected(API) as cluster, pytest.raises(AccessError, match="the proxy answered: 407"):
            cluster.raw_get("/version")
