"""The same requests from this machine: what they send, what they ignore, and that they end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kubectl_svcprobe.probe.localrun import NO_IPV6, LocalRun, try_once
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.podspec import Timing
from kubectl_svcprobe.probe.request import Request
from kubectl_svcprobe.probe.underway import GRACE_SECONDS
from tests.sockets import servers
from tests.sockets.curl import TIMING, probe
from tests.sockets.servers import floods, http, serving, slowly

HTTP = Request("http", "/")


def test_every_attempt_comes_back() -> None:
    with serving(http(200)) as one, serving(http(503)) as other:
        probes = (probe(4, one.host, one.port, HTTP, attempts=3), probe(7, other.host, other.port, HTTP, attempts=2))
        run = LocalRun(probes, TIMING)
        seen = run.observations()
        run.close()
    assert [(o.probe_id, o.attempt, o.http_status) for o in seen] == [
        (4, 0, 200),
        (4, 1, 200),
        (4, 2, 200),
        (7, 0, 503),
        (7, 1, 503),
    ]


def test_nothing_to_ask_is_nothing_to_wait_for() -> None:
    run = LocalRun((), TIMING)
    assert run.observations() == []
    run.close()


def test_what_is_sent() -> None:
    request = Request("http", "/a{b,c}[1-3]?x=%20&y=1", host="shop.example.com")
    with serving(http(200)) as server:
        seen = try_once(probe(0, server.host, server.port, request), 0, TIMING)
    assert seen.outcome is Outcome.ANSWERED
    head = server.received[0].decode().split("\r\n")
    assert head[0].startswith("GET /a")
    assert head[0].endswith("?x=%20&y=1 HTTP/1.1")
    assert {"Host: shop.example.com", "User-Agent: kubectl-svcprobe", "Connection: close"} <= set(head)


@pytest.mark.parametrize("scheme", ["http", "tcp", "udp"])
def test_an_address_of_ipv6_is_not_tried_where_this_machine_has_no_route_to_it(scheme: str) -> None:
    nowhere = "fe80::1"  # of a link, and nobody says of which (RFC 4007, section 6)
    seen = try_once(probe(0, nowhere, 80, Request(scheme, "/")), 0, TIMING)
    assert (seen.outcome, seen.detail) == (Outcome.NOT_RUN, NO_IPV6)


def test_a_redirect_is_not_followed() -> None:
    with serving(http(200)) as target, serving(http(301, f"Location: http://{target.host}:{target.port}/")) as server:
        seen = try_once(probe(0, server.host, server.port, HTTP), 0, TIMING)
    assert (seen.http_status, target.received) == (301, [])


def test_neither_proxy_nor_netrc_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login jane password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(http(200)) as server, servers.refusing() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{proxy.host}:{proxy.port}")
        seen = try_once(probe(0, server.host, server.port, HTTP), 0, TIMING)
    assert seen.outcome is Outcome.ANSWERED
    assert b"Authorization" not in server.received[0]


def test_a_body_is_not_fetched() -> None:
    with serving(floods(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
        seen = try_once(probe(0, server.host, server.port, HTTP), 0, TIMING)
    assert (seen.http_status, seen.outcome) == (200, Outcome.ANSWERED)
    assert int(server.received[-1]) < 50_000_000  # what the sockets' buffers took


@pytest.mark.parametrize(
    "behaviour",
    [slowly(b"", b"x"), slowly(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 5)],
    ids=["status line", "headers"],
)
def test_an_answer_letter_by_letter_is_not_waited_for(behaviour: servers.Behaviour) -> None:
    """Each letter comes within the socket's limit, and yet the whole has to end."""
    timing = Timing(connect=0.2, transfer=0.3)
    with serving(behaviour) as server:
        started = time.monotonic()
        run = LocalRun((probe(3, server.host, server.port, HTTP),), timing)
        (seen,) = run.observations()
        took = time.monotonic() - started
        run.close()
    assert seen.probe_id == 3
    assert seen.outcome in (Outcome.NOT_RUN, Outcome.CONNECTED)
    assert took < 0.5 + GRACE_SECONDS + 1.0
