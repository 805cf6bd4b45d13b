"""Servers that give no answer in the way they are asked, and what they say to the real curl in the other ways."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl

import pytest

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.probe.closer import Closer
from kubectl_svcprobe.probe.dialects import dialect_probes
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.observe import WANTS_CERTIFICATE, Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.request import Request
from kubectl_svcprobe.probe.results import PathResult, join
from tests.sockets import curl, servers
from tests.sockets.certificates import certificates
from tests.sockets.curl import needs_curl
from tests.sockets.servers import Behaviour, Server, http, serving

pytestmark = needs_curl

PORT = ServicePort(80, 8080)


def first_answer(server: Server, scheme: str = "http") -> PathResult:
    path = ExposurePath(PathKind.ENDPOINT, server.host, server.port, PORT)
    probes = (Probe(0, path, Vantage.POD, Request(scheme)),)
    (result,) = join(probes, curl.run(probes).observations)
    return result


def understood(server: Server, scheme: str = "http") -> set[str]:
    """The ways in which a server is asked that closed the connection at first, and those that it answers."""
    probes = dialect_probes([first_answer(server, scheme)], 1)
    assert probes
    results = join(probes, curl.run(probes).observations)
    return {str(r.probe.request) for r in Closer(dialects=results).understands(PORT)}


def closes_unless(prefix: bytes, then: Behaviour) -> Behaviour:
    """Goes on only where the client begins so, as servers do that understand nothing else."""

    def answer(server: Server, connection: socket.socket) -> None:
        if connection.recv(len(prefix), socket.MSG_PEEK) == prefix:
            then(server, connection)
        else:
            connection.recv(65536)

    return answer


def test_a_server_of_tls_that_closes_on_plain_text() -> None:
    with serving(closes_unless(servers.TLS_HANDSHAKE, tls(http(200)))) as server:
        assert understood(server) == {"HTTPS GET /"}


def tls(behaviour: Behaviour) -> Behaviour:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = certificates().stranger
    context.load_cert_chain(pair.certificate, pair.key)

    def answer(server: Server, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as wrapped:
            behaviour(server, wrapped)

    return answer


def test_a_server_of_http_2_that_closes_on_http_1() -> None:
    with serving(closes_unless(b"PRI * HTTP/2.0", servers.http2_only)) as server:
        assert understood(server) == {"H2C GET /"}


def test_a_server_that_waits_for_the_proxy_protocol() -> None:
    with serving(closes_unless(b"PROXY TCP4", http(200))) as server:
        assert understood(server) == {"PROXY GET /"}


def test_a_server_that_resets_whatever_it_is_told() -> None:
    with serving(servers.resets) as server:
        assert understood(server) == set()


def test_a_plain_server_that_calls_the_line_of_the_proxy_protocol_a_bad_request() -> None:
    def answer(server: Server, connection: socket.socket) -> None:
        if connection.recv(5, socket.MSG_PEEK) == b"PROXY":
            http(400)(server, connection)
        else:
            connection.recv(65536)

    with serving(answer) as server:
        assert understood(server) == set()


@pytest.mark.parametrize("behaviour", [servers.silent, http(200), http(400), http(503)])
def test_who_hangs_or_answers_is_not_asked_in_other_ways(behaviour: Behaviour) -> None:
    with serving(behaviour) as server:
        assert dialect_probes([first_answer(server)], 1) == ()


def test_a_server_that_wants_a_client_certificate_says_so() -> None:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = context.maximum_version = version
        pair = certificates().server
        context.load_cert_chain(pair.certificate, pair.key)
        context.load_verify_locations(certificates().authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED

        def answer(server: Server, connection: socket.socket, context: ssl.SSLContext = context) -> None:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                wrapped.recv(65536)

        with serving(answer) as server:
            result = first_answer(server, "https")
        assert result.outcome is Outcome.TLS_FAILED
        # TLS 1.2 has no alert of its own for it, and that of 1.3 may be overtaken by the connection's end.
        said = "TLS handshake failed" if version is ssl.TLSVersion.TLSv1_2 else f"{WANTS_CERTIFICATE}|right after"
        assert re.search(said, result.detail)


def test_one_family_of_two_refuses() -> None:
    """What listens on 0.0.0.0 does not serve IPv6, and an address of each is asked by itself."""
    with serving(http(200)) as server:
        paths = [ExposurePath(PathKind.ENDPOINT, host, server.port, PORT) for host in ("127.0.0.1", "::1")]
        probes = tuple(Probe(n, path, Vantage.POD, Request("http")) for n, path in enumerate(paths))
        outcomes = [r.outcome for r in join(probes, curl.run(probes).observations)]
    assert outcomes == [Outcome.ANSWERED, Outcome.REFUSED]


def test_the_servers_name_and_the_error_of_a_proxy_are_told() -> None:
    with serving(http(503, "Server: istio-envoy", "l5d-proxy-error: connection refused")) as server:
        (seen,) = first_answer(server).observations
    assert (seen.server, seen.proxy_error) == ("istio-envoy", "connection refused")
    assert not seen.is_passed_on


def test_that_a_proxy_has_it_from_the_application_is_told() -> None:
    with serving(http(503, "Server: istio-envoy", "x-envoy-upstream-service-time: 12")) as server:
        (seen,) = first_answer(server).observations
    assert (seen.server, seen.proxy_error, seen.is_passed_on) == ("istio-envoy", "", True)
