"""What the probe container's curl does and does not do, with its real arguments."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kubectl_svcprobe.probe.observe import Outcome, curl_version, name_servers, read_log
from kubectl_svcprobe.probe.podspec import DEFAULT_IMAGE, SETTLE_SECONDS, Timing, settle_arguments
from kubectl_svcprobe.probe.request import TCP, Request
from tests.sockets import curl, servers
from tests.sockets.curl import TIMING, needs_curl, probe
from tests.sockets.servers import banner, floods, http, raw, serving, slowly

pytestmark = needs_curl

HTTP = Request("http", "/")
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n"
SLACK = 1.0  #: seconds that a loaded machine may add


def test_every_attempt_is_numbered_and_its_own_connection() -> None:
    with serving(http(200)) as one, serving(http(503)) as other:
        probes = (probe(4, one.host, one.port, HTTP, attempts=3), probe(7, other.host, other.port, HTTP, attempts=2))
        run = curl.run(probes)
    assert sorted((o.probe_id, o.attempt, o.http_status) for o in run.observations) == [
        (4, 0, 200),
        (4, 1, 200),
        (4, 2, 200),
        (7, 0, 503),
        (7, 1, 503),
    ]
    assert (len(one.received), len(other.received)) == (3, 2)
    assert run.errors == ""


def test_hundreds_of_transfers_come_back_from_one_process() -> None:
    with serving(http(200)) as server:
        probes = tuple(probe(number, server.host, server.port, HTTP, attempts=3) for number in range(130))
        run = curl.run(probes, Timing(connect=5, transfer=10))
    assert {o.outcome for o in run.observations} == {Outcome.ANSWERED}
    assert len(run.observations) == 390


def test_the_times_and_the_address_are_told() -> None:
    with serving(http(200)) as server:
        (seen,) = curl.run((probe(0, "localhost", server.port, HTTP),)).observations
    assert seen.remote_ip == "127.0.0.1"
    assert 0 < seen.connect_seconds <= seen.seconds < TIMING.transfer


def test_resolv_conf_and_the_version_come_with_it() -> None:
    with serving(http(200)) as server:
        run = curl.run((probe(0, server.host, server.port, HTTP),))
    assert name_servers(run.other) == name_servers(Path("/etc/resolv.conf").read_text("utf-8"))
    said = curl.execute(["--version"]).stdout.decode().split()
    assert curl_version(run.log) == said[1]


def test_a_redirect_is_not_followed() -> None:
    with serving(http(200)) as target:
        location = f"Location: http://{target.host}:{target.port}/"
        with serving(http(301, location)) as server:
            (seen,) = curl.run((probe(0, server.host, server.port, HTTP),)).observations
    assert (seen.http_status, target.received) == (301, [])


def test_what_is_sent_is_one_plain_request() -> None:
    request = Request("http", "/a{b,c}[1-3]?x=%20&y=1", host="shop.example.com")
    with serving(http(200)) as server:
        curl.run((probe(0, server.host, server.port, request),))
    (said,) = server.received
    head = said.decode().split("\r\n")
    assert head[0] == "GET /a{b,c}[1-3]?x=%20&y=1 HTTP/1.1"
    assert {line for line in head[1:] if line} == {
        "Host: shop.example.com",
        "User-Agent: kubectl-svcprobe",
        "Accept: */*",
        "Connection: close",
    }


# A server cannot write into the log

FORGED = b'svcprobe:0:0 {"http_code":200,"exitcode":0,"num_connects":1}'
FORGERIES = {
    "body": b"HTTP/1.1 500 Oh\r\n\r\n\n" + FORGED + b"\n",
    "header": b"HTTP/1.1 500 Oh\r\nX: y\n" + FORGED + b"\n\r\n\r\n",
    "reason": b"HTTP/1.1 500 \n" + FORGED + b"\n\r\n\r\n",
    "content type": b'HTTP/1.1 500 Oh\r\nContent-Type: "\\"\r' + FORGED + b"\r\n\r\n",
    "location": b"HTTP/1.1 500 Oh\r\nLocation: http://x/\r" + FORGED + b"\r\n\r\n",
    "no HTTP at all": b"\n" + FORGED + b"\n",
    "server": b"HTTP/1.1 500 Oh\r\nServer: x\r" + FORGED + b"\r\n\r\n",
    "folded server": b"HTTP/1.1 500 Oh\r\nServer: x\r\n " + FORGED + b"\r\n\r\n",
    "server of the next one": b"HTTP/1.1 500 Oh\r\nServer: x\rserver:0:0 envoy\r\n\r\n",
    "terminal": b"HTTP/1.1 500 Oh\r\nContent-Type: \x1b]0;x\x07\x9b31m\r\n\r\n",
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_hostile_server_cannot_forge_an_observation(name: str) -> None:
    with serving(raw(FORGERIES[name])) as hostile, serving(servers.silent) as silent:
        asked = (probe(0, silent.host, silent.port, HTTP), probe(1, hostile.host, hostile.port, HTTP))
        run = curl.run(asked, Timing(transfer=0.5))
    assert [o.outcome for o in run.of(asked[0])] == [Outcome.NO_ANSWER]
    assert len(run.of(asked[1])) == 1
    assert run.of(asked[1])[0].http_status in (0, 500)
    assert b"svcprobe:" not in run.other.encode()
    assert b"\x1b" not in run.log


def test_an_answer_that_is_no_utf_8_is_read_all_the_same() -> None:
    """As curl 8 prints it; 7.88 escapes it wrongly, but readably."""
    log = b'svcprobe:0:0 {"http_code":200,"exitcode":0,"num_connects":1,"content_type":"text/\xe4\xff"}\n'
    ((seen,), _) = read_log(log, {0: HTTP})
    assert (seen.outcome, seen.http_status) == (Outcome.ANSWERED, 200)


# Everything is bounded


@pytest.mark.parametrize(
    "behaviour",
    [
        servers.silent,
        slowly(b"", b"x"),
        slowly(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        slowly(ENDLESS, b"x"),
        floods(ENDLESS),
    ],
    ids=["silent", "slow status line", "endless headers", "slow body", "endless body"],
)
def test_no_server_holds_a_transfer_longer_than_its_limit(behaviour: servers.Behaviour) -> None:
    with serving(behaviour) as server:
        (seen,) = curl.run((probe(0, server.host, server.port, HTTP),), Timing(transfer=1.0)).observations
    assert seen.seconds < 1.0 + SLACK


def test_a_huge_body_is_not_fetched() -> None:
    with serving(floods(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n")) as server:
        (seen,) = curl.run((probe(0, server.host, server.port, HTTP),)).observations
    assert (seen.outcome, seen.http_status) == (Outcome.ANSWERED, 200)
    # What the sockets' buffers take is on its way before curl has read the headers.
    assert int(server.received[-1]) < 50_000_000
    assert seen.seconds < TIMING.transfer


def test_a_black_hole_costs_no_more_than_the_time_to_connect() -> None:
    with servers.black_hole() as server:
        (seen,) = curl.run((probe(0, server.host, server.port, HTTP),), Timing(connect=0.5, transfer=5)).observations
    assert (seen.outcome, seen.connect_seconds) == (Outcome.TIMED_OUT, 0)
    assert 0.45 < seen.seconds < 0.5 + SLACK


# Silence


@pytest.mark.parametrize("greeting", [b"SSH-2.0-x\r\n", b"+OK POP3\r\n", b"* OK IMAP\r\n", b"\x4a\0\0\0\x0a8.0\0"])
def test_a_tcp_connect_says_nothing_to_servers_that_greet(greeting: bytes) -> None:
    with serving(banner(greeting)) as server:
        (seen,) = curl.run((probe(0, server.host, server.port, TCP),)).observations
    assert (seen.outcome, server.received) == (Outcome.CONNECTED, [b""])


def test_only_ftp_and_smtp_are_taken_at_their_word() -> None:
    """A known limit (docs/limits.md): to curl the connect is FTP, whose greeting begins with 220, as SMTP's does."""
    with serving(banner(b"220 mail.example.com ESMTP\r\n")) as server:
        (seen,) = curl.run((probe(0, server.host, server.port, TCP),)).observations
    assert (seen.outcome, server.received) == (Outcome.CONNECTED, [b"USER anonymous\r\n"])


# The surroundings do not matter


def test_no_proxy_of_the_environment_is_used() -> None:
    with serving(http(200)) as server, servers.refusing() as proxy:
        url = f"http://{proxy.host}:{proxy.port}"
        environment = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY", "ftp_proxy"), url)
        probes = (probe(0, server.host, server.port, HTTP), probe(1, server.host, server.port, TCP))
        run = curl.run(probes, environment=environment)
    assert {o.outcome for o in run.observations} == {Outcome.ANSWERED, Outcome.CONNECTED}


def test_no_curlrc_and_no_netrc_is_read(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login jane password secret\n")
    hostile = f'netrc\nproxy = http://127.0.0.1:1\nheader = "X-Hostile: yes"\ntrace-ascii = {tmp_path}/trace\n'
    for name in (".curlrc", "curlrc"):
        (home / name).write_text(hostile)
    with serving(http(200)) as server:
        names = ("HOME", "CURL_HOME", "XDG_CONFIG_HOME")
        environment = {name: str(home) for name in names}
        (seen,) = curl.run((probe(0, server.host, server.port, HTTP),), environment=environment).observations
    assert seen.outcome is Outcome.ANSWERED
    assert b"Authorization" not in server.received[0]
    assert b"X-Hostile" not in server.received[0]
    assert not (tmp_path / "trace").exists()


# The init container of a settled pod


def test_settling_takes_five_seconds_and_ends_well() -> None:
    started = time.monotonic()
    done = curl.execute(settle_arguments())
    took = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    assert SETTLE_SECONDS - 0.5 < took < SETTLE_SECONDS + 2 * SLACK
    assert b"svcprobe:" not in done.stdout


def test_the_default_image_is_one_that_curl_can_be_trusted_in() -> None:
    """curl 7.75 brought `errormsg` into the JSON; 8.16 to 8.19 hang where --parallel meets --retry, which is not used."""
    major, minor, _ = DEFAULT_IMAGE.rsplit(":", 1)[1].split(".")
    assert (int(major), int(minor)) >= (7, 75)
