"""Every kind of server, asked by curl as in the probe pod and by this program as from the user's machine: one table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from kubectl_svcprobe.probe.localrun import try_once
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.request import TCP, Request
from tests.sockets import curl, servers
from tests.sockets.certificates import certificates
from tests.sockets.curl import TIMING, needs_curl, probe
from tests.sockets.servers import Server, banner, floods, http, raw, serving, slowly

HTTP = Request("http", "/")
HTTPS = Request("https", "/")
H2C = Request("h2c", "/")

ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
SSH = b"SSH-2.0-OpenSSH_9.2\r\n"
NO_ROUTE = "255.255.255.255"  #: a TCP connection to it fails at once, on any machine


@dataclass(frozen=True)
class Case:
    """A server, how it is asked, and what that comes to: in the pod, and here where that differs."""

    server: contextlib.AbstractContextManager[Server]
    request: Request
    outcome: Outcome
    status: int = 0
    here: Outcome | None = None
    why: str = ""  #: for a difference


def _tls(behaviour: servers.Behaviour) -> contextlib.AbstractContextManager[Server]:
    return serving(behaviour, pair=certificates().stranger)


def cases() -> dict[str, Case]:
    return {
        "200": Case(serving(http(200)), HTTP, Outcome.ANSWERED, 200),
        "404": Case(serving(http(404)), HTTP, Outcome.ANSWERED, 404),
        "redirect": Case(serving(http(302, "Location: http://127.0.0.1:1/")), HTTP, Outcome.ANSWERED, 302),
        "500": Case(serving(http(500)), HTTP, Outcome.HTTP_ERROR, 500),
        "503": Case(serving(http(503)), HTTP, Outcome.HTTP_ERROR, 503),
        "IPv6": Case(serving(http(200), host="::1"), HTTP, Outcome.ANSWERED, 200),
        "silent": Case(serving(servers.silent), HTTP, Outcome.NO_ANSWER),
        "closes after reading": Case(serving(servers.closes_after_reading), HTTP, Outcome.NO_ANSWER),
        "resets": Case(serving(servers.resets), HTTP, Outcome.RESET),
        "refuses": Case(servers.refusing(), HTTP, Outcome.REFUSED),
        "black hole": Case(servers.black_hole(), HTTP, Outcome.TIMED_OUT),
        "no such name": Case(_named("x.invalid"), HTTP, Outcome.DNS_FAILED),
        "no route": Case(
            _named(NO_ROUTE), HTTP, Outcome.REFUSED, here=Outcome.UNREACHABLE, why="curl has one exit code for both"
        ),
        "TLS, self-signed": Case(_tls(http(200)), HTTPS, Outcome.ANSWERED, 200),
        "TLS, asked in plain": Case(_tls(http(200)), HTTP, Outcome.RESET),
        "plain, asked by TLS": Case(serving(http(200)), HTTPS, Outcome.TLS_FAILED),
        "silent, asked by TLS": Case(serving(servers.silent), HTTPS, Outcome.NO_ANSWER),
        "HTTP/2 only": Case(
            serving(servers.http2_only),
            H2C,
            Outcome.ANSWERED,
            200,
            here=Outcome.CONNECTED,
            why="requests has no HTTP/2",
        ),
        "HTTP/2 only, asked by HTTP/1": Case(serving(servers.http2_only), HTTP, Outcome.CONNECTED),
        "HTTP/0.9": Case(serving(raw(b"hello\n")), HTTP, Outcome.CONNECTED),
        "SSH, asked by HTTP": Case(serving(banner(SSH)), HTTP, Outcome.CONNECTED),
        "slow body": Case(serving(slowly(ENDLESS, b"x")), HTTP, Outcome.ANSWERED, 200),
        "endless body": Case(serving(floods(ENDLESS)), HTTP, Outcome.ANSWERED, 200),
        "huge body": Case(serving(floods(_announced(10**12))), HTTP, Outcome.ANSWERED, 200),
        "many headers": Case(
            serving(http(200, *(f"X-{n}: {n}" for n in range(300)))),
            HTTP,
            Outcome.ANSWERED,
            200,
            here=Outcome.CONNECTED,
            why="Python's http.client reads 100 headers at most",
        ),
        "not UTF-8": Case(serving(http(200, "Content-Type: text/\xe4\xff")), HTTP, Outcome.ANSWERED, 200),
        "TCP": Case(serving(servers.silent), TCP, Outcome.CONNECTED),
        "TCP to HTTP": Case(serving(http(200)), TCP, Outcome.CONNECTED),
        "TCP to SSH": Case(serving(banner(SSH)), TCP, Outcome.CONNECTED),
        "TCP, closes at once": Case(serving(servers.closes_at_once), TCP, Outcome.CONNECTED),
        "TCP refused": Case(servers.refusing(), TCP, Outcome.REFUSED),
        "TCP to a black hole": Case(servers.black_hole(), TCP, Outcome.TIMED_OUT),
    }


def _announced(length: int) -> bytes:
    return ENDLESS.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % length)


@contextlib.contextmanager
def _named(host: str) -> Iterator[Server]:
    yield Server(host, 80)


@dataclass(frozen=True)
class Table:
    """All cases, asked at the same time."""

    servers: dict[str, Server]
    in_pod: dict[str, Observation]
    here: dict[str, Observation]


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    with contextlib.ExitStack() as stack:
        running: dict[str, Server] = {}
        probes: dict[str, Probe] = {}
        for number, (name, case) in enumerate(cases().items()):
            running[name] = stack.enter_context(case.server)
            probes[name] = probe(number, running[name].host, running[name].port, case.request)
        pool = stack.enter_context(ThreadPoolExecutor(len(probes)))
        asked = {name: pool.submit(try_once, p, 0, TIMING) for name, p in probes.items()}
        in_pod = curl.run(tuple(probes.values())) if curl.CURL else None
        yield Table(
            running,
            {name: observed for name, p in probes.items() if in_pod for observed in in_pod.of(p)},
            {name: future.result() for name, future in asked.items()},
        )


@needs_curl
@pytest.mark.parametrize("name", cases())
def test_in_the_pod(table: Table, name: str) -> None:
    expected, seen = cases()[name], table.in_pod[name]
    assert (seen.outcome, seen.http_status) == (expected.outcome, expected.status), seen


@pytest.mark.parametrize("name", cases())
def test_from_here(table: Table, name: str) -> None:
    expected, seen = cases()[name], table.here[name]
    assert seen.outcome == (expected.here or expected.outcome), seen
    assert seen.http_status == (0 if expected.here else expected.status)


@needs_curl
@pytest.mark.parametrize("name", [name for name, case in cases().items() if case.here is None])
def test_both_say_the_same_words(table: Table, name: str) -> None:
    """So that a report does not read as if two things had gone wrong. What TLS libraries add is their own."""
    details = [observed[name].detail.split(" (")[0] for observed in (table.in_pod, table.here)]
    assert details[0] == details[1]


@needs_curl
def test_a_difference_has_a_reason(table: Table) -> None:
    for name, case in cases().items():
        assert bool(case.why) == (table.in_pod[name].outcome is not table.here[name].outcome), name


@needs_curl
def test_closing_at_once_is_an_answer_of_neither_kind() -> None:
    """Whether the client sees the end or a reset is a race, on every machine."""
    with serving(servers.closes_at_once) as server:
        asked = probe(0, server.host, server.port, HTTP)
        seen = [*curl.run((asked,)).observations, try_once(asked, 0, TIMING)]
    assert {o.outcome for o in seen} <= {Outcome.NO_ANSWER, Outcome.RESET}
    assert len(seen) == 2


@pytest.mark.parametrize("name", [name for name, case in cases().items() if not case.request.is_http])
def test_a_silent_connect_is_silent(table: Table, name: str) -> None:
    assert b"".join(table.servers[name].received) == b""
