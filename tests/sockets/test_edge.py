"""A proxy is asked by a name of its own at its address: what it sees of that, from the probe pod's curl and from here."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.localrun import try_once
from kubectl_svcprobe.probe.observe import Observation
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.request import Request
from tests.sockets import curl
from tests.sockets.api_stub import ApiStub
from tests.sockets.curl import TIMING, needs_curl

NAME = "shop.example.test"


def by_name(stub: ApiStub, tls: bool) -> Probe:
    host, port = stub.address.split(":")
    path = ExposurePath(PathKind.INGRESS, host, int(port), authority=NAME)
    return Probe(0, path, Vantage.HERE, Request("https" if tls else "http", "/cart"))


def ask_here(probe: Probe) -> Observation:
    return try_once(probe, 0, TIMING)


def ask_by_curl(probe: Probe) -> Observation:
    return curl.run((probe,)).of(probe)[0]


@pytest.mark.parametrize("ask", [ask_here, pytest.param(ask_by_curl, marks=needs_curl)])
@pytest.mark.parametrize("tls", [False, True])
def test_a_proxy_is_asked_by_the_name_that_it_knows(ask: object, tls: bool) -> None:
    with ApiStub(tls=tls) as stub:
        probe = by_name(stub, tls)
        assert callable(ask)
        seen = ask(probe)
        (received,) = stub.received
    assert (seen.http_status, received.path) == (200, "/cart")
    assert received.headers["host"] == f"{NAME}:{probe.path.port}", (
        "as any client writes a port that is not the usual one"
    )
    assert received.server_name == (NAME if tls else "")
