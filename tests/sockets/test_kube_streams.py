"""Commands in containers and requests through forwarded ports by web socket, and the service proxy, against a local server."""

from __future__ import annotations

import json

import pytest

from kubectl_svcprobe.access.seam import Executed, Forwarded
from tests.sockets.api_stub import ApiStub, Reply
from tests.sockets.kube_access import connected
from tests.sockets.test_kube_forward import forwarding, frame, number

SUCCESS = frame(3, json.dumps({"status": "Success"}).encode())


def failure(code: int) -> bytes:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    status = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
    content = json.dumps(status).encode()
    return frame(3, content)


@pytest.mark.parametrize(
    ("frames", "came"),
    [
        ([frame(1, b"curl 8"), frame(1, b".1\n"), SUCCESS], Executed(b"curl 8.1\n", "", 0)),
        ([frame(2, b"no"), failure(28)], Executed(b"", "no", 28)),
        ([frame(3, b'{"status": "Failure", "message": "not found"}')], Executed(b"", "", None, "not found")),
        ([frame(3, b"[]")], Executed(b"", "", None, "it ended without a status")),
        ([frame(1, b"x" * 100), SUCCESS], Executed(b"x" * 64, "", 0)),
        ([], Executed(b"", "", None, "the connection to it ended")),
    ],
    ids=["two pieces", "exit code", "not run", "no status", "too much", "nothing"],
)
def test_a_command_is_read_to_its_end(frames: list[bytes], came: Executed) -> None:
    with ApiStub(forwarding(*frames)) as stub, connected(stub) as cluster:
        assert cluster.execute("shop", "web-1", "", ["curl", "-q"], timeout=5, limit_bytes=64) == came
    (asked,) = stub.received
    assert asked.path.endswith("/pods/web-1/exec?stdout=true&stderr=true&command=curl&command=-q")


@pytest.mark.parametrize(
    ("frames", "came"),
    [
        ([frame(0, number(80)), frame(1, number(80)), frame(0, b"HTTP/1.1 200 OK")], Forwarded(b"HTTP/1.1 200 ")),
        ([frame(0, number(80)), frame(1, number(80)), frame(1, b"refused")], Forwarded(b"", "refused")),
        ([frame(0, number(80)), frame(1, number(80)), frame(0, b"", opcode=8)], Forwarded(b"", is_ended=True)),
    ],
    ids=["answers", "complains", "closes"],
)
def test_a_request_goes_through_a_forwarded_port(frames: list[bytes], came: Forwarded) -> None:
    with ApiStub(forwarding(*frames, stays=0.5)) as stub, connected(stub) as cluster:
        assert cluster.forward_request("shop", "web-1", 80, b"GET /", timeout=5, limit_bytes=13) == came


def test_a_redirect_of_the_application_is_an_answer_and_is_not_followed() -> None:
    def answer(reply: Reply) -> None:
        reply.text(b"x" * 10_000, 302, (("Location", "/api/v1/secrets"),))

    with ApiStub(answer) as stub, connected(stub) as cluster:
        came = cluster.service_proxy("shop", "web", "https", 443, "/a?b=c", timeout=5, limit_bytes=100)
    assert (came.status, len(came.body), came.headers["location"]) == (302, 100, "/api/v1/secrets")
    assert [asked.path for asked in stub.received] == ["/api/v1/namespaces/shop/services/https:web:443/proxy/a?b=c"]
