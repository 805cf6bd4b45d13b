"""gRPC, HTTP/2 and UDP, and the certificates that both vantages are shown."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from kubectl_svcprobe.probe.certificate import read
from kubectl_svcprobe.probe.local_sockets import DNS_QUERY
from kubectl_svcprobe.probe.localrun import try_once
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.request import GRPC_PATH, Request
from tests.sockets import curl, servers
from tests.sockets.certificates import Pair, certificates
from tests.sockets.curl import TIMING, needs_curl, probe
from tests.sockets.servers import Server, http, serving

GRPC, H2C, UDP, HTTPS = Request("grpc", GRPC_PATH), Request("h2c"), Request("udp", ""), Request("https")

#: HEADERS that end the stream: `:status 200`, and `grpc-status: 12` as a literal (RFC 7541, section 6.2.2).
_FIELDS = b"\x88\x00\x0bgrpc-status\x0212"
TRAILERS_ONLY = len(_FIELDS).to_bytes(3, "big") + b"\x01\x05\0\0\0\x01" + _FIELDS


def grpc(server: Server, connection: socket.socket) -> None:
    """Answers any call with `grpc-status: 12`."""
    servers.hear(server, connection)
    connection.sendall(servers.SETTINGS + TRAILERS_ONLY)
    while connection.recv(65536):
        pass


@needs_curl
def test_a_grpc_status_is_told_by_its_number_and_name() -> None:
    with serving(grpc) as server:
        (seen,) = curl.run((probe(0, server.host, server.port, GRPC),)).observations
    assert (seen.outcome, seen.http_status, seen.grpc_status) == (Outcome.ANSWERED, 200, "12")
    assert seen.detail == "gRPC status 12 (UNIMPLEMENTED)"


@needs_curl
def test_a_server_of_http_2_that_speaks_no_grpc_is_told_apart() -> None:
    with serving(servers.http2_only) as server:
        (seen,) = curl.run((probe(0, server.host, server.port, GRPC),)).observations
    assert (seen.outcome, seen.grpc_status, seen.detail) == (Outcome.ANSWERED, "", "without a grpc-status")


@pytest.mark.parametrize("request_", [GRPC, H2C], ids=str)
def test_this_machine_greets_by_http_2_and_asks_nothing(request_: Request) -> None:
    with serving(servers.http2_only) as server:
        seen = try_once(probe(0, server.host, server.port, request_), 0, TIMING)
    assert (seen.outcome, seen.detail) == (Outcome.CONNECTED, "it speaks HTTP/2")
    assert b"".join(server.received).startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert b"health" not in b"".join(server.received)


def test_what_is_no_http_2_is_said_to_speak_something_else() -> None:
    with serving(http(200)) as server:
        seen = try_once(probe(0, server.host, server.port, H2C), 0, TIMING)
    assert (seen.outcome, seen.detail) == (Outcome.CONNECTED, "it speaks, but not HTTP/2")
    with serving(servers.silent) as server:
        assert try_once(probe(0, server.host, server.port, H2C), 0, TIMING).outcome is Outcome.NO_ANSWER
    with servers.refusing() as server:
        assert try_once(probe(0, server.host, server.port, H2C), 0, TIMING).outcome is Outcome.REFUSED


@contextlib.contextmanager
def datagrams(answer: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A server of UDP that answers one datagram, or hears it in silence."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(10)

        def serve() -> None:
            said, client = listener.recvfrom(2048)
            heard.append(said)
            if answer is not None:
                listener.sendto(answer, client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], heard
        thread.join(10)


@pytest.mark.parametrize(
    ("answer", "outcome"), [(b"pong", Outcome.ANSWERED), (b"", Outcome.ANSWERED), (None, Outcome.SILENT)]
)
def test_a_datagram_that_says_nothing_is_answered_or_not(answer: bytes | None, outcome: Outcome) -> None:
    with datagrams(answer) as (port, heard):
        seen = try_once(probe(0, "127.0.0.1", port, UDP), 0, TIMING)
    assert (seen.outcome, heard) == (outcome, [b""])
    assert not seen.outcome.is_bad


def test_a_port_of_dns_is_asked_a_question() -> None:
    with datagrams(b"x") as (port, heard):
        try_once(probe(0, "127.0.0.1", port, Request("udp", "", is_dns=True)), 0, TIMING)
    assert heard == [DNS_QUERY]


def test_nobody_there_is_a_refusal_by_icmp() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert try_once(probe(0, "127.0.0.1", port, UDP), 0, TIMING).outcome is Outcome.REFUSED


def test_an_address_that_leads_nowhere_is_no_exception() -> None:
    seen = try_once(probe(0, "no-such-name.invalid", 9, UDP), 0, TIMING)
    assert seen.outcome is Outcome.DNS_FAILED


def from_here(server: Server) -> Observation:
    return try_once(probe(0, server.host, server.port, HTTPS), 0, TIMING)


def from_the_pod(server: Server) -> Observation:
    (seen,) = curl.run((probe(0, server.host, server.port, HTTPS),)).observations
    return seen


@needs_curl
@pytest.mark.parametrize("pair", ["server", "other_name", "expired", "stranger"])
def test_both_vantages_are_shown_the_same_certificate(pair: str) -> None:
    of: Pair = getattr(certificates(), pair)
    with serving(http(200), pair=of) as server:
        here, pod = from_here(server), from_the_pod(server)
    assert here.outcome is pod.outcome is Outcome.ANSWERED
    assert here.chain[0] == pod.chain[0]
    certificate = read(here.chain[0])
    assert certificate is not None
    assert certificate.is_self_issued is (pair == "stranger")
    assert here.is_trusted is not True
    assert pod.is_trusted is not True


@needs_curl
def test_where_the_time_went() -> None:
    with serving(http(200), pair=certificates().server) as server:
        for seen in (from_here(server), from_the_pod(server)):
            assert 0 < seen.connect_seconds < TIMING.transfer
            assert 0 < seen.tls_seconds < TIMING.transfer
            assert seen.connect_seconds + seen.tls_seconds + seen.first_byte_seconds <= seen.seconds + 0.01
