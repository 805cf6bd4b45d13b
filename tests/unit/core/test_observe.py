"""The decode table: curl's exit code, its connections and its message, and what that means.

The JSON is what `curl -w '%{json}'` of 7.88 and 8.x wrote in a lab, cut down to the fields that are read.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe.probe.observe import (
    Observation,
    Outcome,
    cluster_domain,
    curl_version,
    decode,
    name_servers,
    read_log,
    search_domains,
)
from kubectl_svcprobe.probe.request import TCP, Request

HTTP = Request("http")
HTTPS = Request("https")
NOT_HTTP = "it speaks, but not HTTP"
SILENT = "silent once connected"
RESET = "reset once connected"

#: What came back: exit code, connections, HTTP status, other fields; and what it means.
BY_HTTP: list[tuple[str, int, int, int, dict[str, Any], Outcome, str]] = [
    ("200", 0, 1, 200, {}, Outcome.ANSWERED, ""),
    ("200 on a connection used again", 0, 0, 200, {}, Outcome.ANSWERED, ""),
    ("404 is an answer", 0, 1, 404, {}, Outcome.ANSWERED, ""),
    ("499 is one", 0, 1, 499, {}, Outcome.ANSWERED, ""),
    ("500 is the application's own", 0, 1, 500, {}, Outcome.HTTP_ERROR, ""),
    ("503", 0, 1, 503, {}, Outcome.HTTP_ERROR, ""),
    ("a stream that does not end has answered", 28, 1, 200, {}, Outcome.ANSWERED, ""),
    ("a body that is cut off has answered", 18, 1, 200, {}, Outcome.ANSWERED, ""),
    ("a body that is too large has answered", 63, 1, 200, {}, Outcome.ANSWERED, ""),
    ("refused, at once", 7, 0, 0, {"time_total": 0.0004}, Outcome.REFUSED, ""),
    ("refused, on a slow network", 7, 0, 0, {"time_total": 0.9}, Outcome.REFUSED, ""),
    ("no neighbour: ARP takes three seconds", 7, 0, 0, {"time_total": 3.06}, Outcome.UNREACHABLE, "no route"),
    ("reset right after the handshake", 7, 1, 0, {}, Outcome.RESET, RESET),
    ("a dropped SYN", 28, 0, 0, {"errormsg": "Connection timed out after 2002 milliseconds"}, Outcome.TIMED_OUT, ""),
    ("a dropped SYN, without a message", 28, 0, 0, {"errormsg": None}, Outcome.TIMED_OUT, ""),
    (
        "no name server",
        28,
        0,
        0,
        {"errormsg": "Resolving timed out after 2000 milliseconds"},
        Outcome.DNS_FAILED,
        "the name server did not answer",
    ),
    ("no such name", 6, 0, 0, {"errormsg": "Could not resolve host: web"}, Outcome.DNS_FAILED, "does not resolve"),
    ("accepts and is silent", 28, 1, 0, {}, Outcome.NO_ANSWER, SILENT),
    ("closes without a word", 52, 1, 0, {}, Outcome.NO_ANSWER, "closed unanswered"),
    ("resets", 56, 1, 0, {"errormsg": "Recv failure: Connection reset by peer"}, Outcome.RESET, RESET),
    ("resets while it is written to", 55, 1, 0, {}, Outcome.RESET, RESET),
    ("resets before curl counts the connection", 56, 0, 0, {}, Outcome.RESET, ""),
    ("resets so while it is written to", 55, 0, 0, {}, Outcome.RESET, ""),
    (
        "speaks HTTP/0.9, or something else",
        1,
        1,
        0,
        {"errormsg": "Received HTTP/0.9 when not allowed"},
        Outcome.CONNECTED,
        NOT_HTTP,
    ),
    ("a weird reply", 8, 1, 0, {}, Outcome.CONNECTED, NOT_HTTP),
    ("no HTTP/2", 16, 1, 0, {}, Outcome.CONNECTED, "it speaks, but not HTTP/2"),
    ("no HTTP/2 stream", 92, 1, 0, {}, Outcome.CONNECTED, "it speaks, but not HTTP/2"),
    ("nothing wrong and no status", 0, 1, 0, {}, Outcome.CONNECTED, ""),
    (
        "a scheme that this curl does not have",
        1,
        0,
        0,
        {"errormsg": 'Protocol "http" not supported'},
        Outcome.NOT_RUN,
        'curl ended with 1: Protocol "http" not supported',
    ),
    ("an option that this curl does not have", 2, 0, 0, {}, Outcome.NOT_RUN, "curl ended with 2"),
    ("an unknown code, connected", 95, 1, 0, {}, Outcome.NOT_RUN, "curl ended with 95"),
    ("nothing wrong, and nothing done", 0, 0, 0, {}, Outcome.NOT_RUN, "curl ended with 0"),
]

BY_TLS: list[tuple[str, int, int, int, dict[str, Any], Outcome, str]] = [
    (
        "wrong version number",
        35,
        1,
        0,
        {"errormsg": "TLS connect error: wrong version number"},
        Outcome.TLS_FAILED,
        "the TLS handshake failed (TLS connect error: wrong version number)",
    ),
    ("without a message", 35, 1, 0, {}, Outcome.TLS_FAILED, "the TLS handshake failed"),
    ("a certificate, though -k is set", 60, 1, 0, {}, Outcome.TLS_FAILED, "the certificate was not accepted"),
    ("a handshake that hangs", 28, 1, 0, {"errormsg": "SSL connection timeout"}, Outcome.NO_ANSWER, SILENT),
    (
        "a client certificate is wanted (TLS 1.3)",
        56,
        1,
        0,
        {"errormsg": "tlsv13 alert certificate required"},
        Outcome.TLS_FAILED,
        "it wants a client certificate (tlsv13 alert certificate required)",
    ),
    (
        "a client certificate is wanted (TLS 1.2)",
        35,
        1,
        0,
        {"errormsg": "sslv3 alert bad certificate"},
        Outcome.TLS_FAILED,
        "it wants a client certificate (sslv3 alert bad certificate)",
    ),
    ("reset in the handshake", 56, 1, 0, {"errormsg": "Connection reset by peer"}, Outcome.RESET, RESET),
    (
        "reset after the handshake",
        55,
        1,
        0,
        {"errormsg": "getpeername() failed", "time_appconnect": 0.01},
        Outcome.TLS_FAILED,
        "reset right after the TLS handshake",
    ),
]

IN_SILENCE: list[tuple[str, int, int, int, dict[str, Any], Outcome, str]] = [
    ("open and silent", 28, 1, 0, {}, Outcome.CONNECTED, ""),
    ("open, and speaks first", 8, 1, 220, {}, Outcome.CONNECTED, ""),
    ("open, and closes", 0, 1, 0, {}, Outcome.CONNECTED, ""),
    ("open, and resets", 56, 1, 0, {}, Outcome.CONNECTED, ""),
    ("refused", 7, 0, 0, {"time_total": 0.001}, Outcome.REFUSED, ""),
    ("dropped", 28, 0, 0, {}, Outcome.TIMED_OUT, ""),
    ("a status says nothing without a connection", 7, 0, 200, {"time_total": 0.001}, Outcome.REFUSED, ""),
]

TABLE = [
    *((f"http: {what}", HTTP, *rest) for what, *rest in BY_HTTP),
    *((f"https: {what}", HTTPS, *rest) for what, *rest in BY_TLS),
    *((f"tcp: {what}", TCP, *rest) for what, *rest in IN_SILENCE),
]


@pytest.mark.parametrize(
    ("request_", "code", "connects", "status", "more", "outcome", "detail"),
    [case[1:] for case in TABLE],
    ids=[str(case[0]) for case in TABLE],
)
def test_what_curl_reports_means(
    request_: Request, code: int, connects: int, status: int, more: dict[str, Any], outcome: Outcome, detail: str
) -> None:
    transfer = {"exitcode": code, "num_connects": connects, "http_code": status, **more}
    observation = decode(3, 1, transfer, request_)
    assert (observation.outcome, observation.detail) == (outcome, detail)
    assert (observation.probe_id, observation.attempt) == (3, 1)


OUTCOMES = {
    Outcome.ANSWERED: (True, False, True),
    Outcome.HTTP_ERROR: (True, False, True),
    Outcome.CONNECTED: (True, False, True),
    Outcome.RESOLVED: (True, False, False),
    Outcome.NO_ANSWER: (False, True, True),
    Outcome.RESET: (False, True, True),
    Outcome.TLS_FAILED: (False, True, True),
    Outcome.REFUSED: (False, True, False),
    Outcome.UNREACHABLE: (False, True, False),
    Outcome.TIMED_OUT: (False, True, False),
    Outcome.DNS_FAILED: (False, True, False),
    Outcome.INTERMITTENT: (False, True, False),
    Outcome.SILENT: (False, False, False),
    Outcome.NOT_RUN: (False, False, False),
}


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_is_good_bad_or_neither_and_may_have_reached_somebody(outcome: Outcome) -> None:
    assert (outcome.is_good, outcome.is_bad, outcome.reached) == OUTCOMES[outcome]


#: A transfer as curl 7.88.1 and 8.17.0 write it, newer fields included.
WHOLE = {
    "content_type": "text/html",
    "errormsg": None,
    "exitcode": 0,
    "http_code": 200,
    "http_version": "1.1",
    "local_ip": "10.244.1.9",
    "num_connects": 1,
    "proxy_ssl_verify_result": 0,
    "remote_ip": "10.244.1.5",
    "remote_port": 8080,
    "scheme": "HTTP",
    "time_appconnect": 0.000000,
    "time_connect": 0.000612,
    "time_namelookup": 0.000021,
    "time_total": 0.002143,
    "urlnum": 1,
    "xfer_id": 1,
    "curl_version": "libcurl/8.17.0 OpenSSL/3.5.4 zlib/1.3.1",
}


def test_a_whole_transfer() -> None:
    assert decode(3, 1, WHOLE, HTTP, is_retry=True) == Observation(
        probe_id=3,
        attempt=1,
        outcome=Outcome.ANSWERED,
        http_status=200,
        seconds=0.002143,
        connect_seconds=0.000612,
        lookup_seconds=0.000021,
        remote_ip="10.244.1.5",
        is_retry=True,
    )


def test_a_transfer_is_of_the_first_pod_unless_it_is_said_to_be_of_the_settled_one() -> None:
    assert not decode(3, 1, WHOLE, HTTP).is_retry
    assert not any(observation.is_retry for observation in read_log(line(0, 0), {0: HTTP})[0])


def test_a_silent_connect_is_as_slow_as_its_connection_and_has_no_status() -> None:
    observation = decode(3, 1, {**WHOLE, "exitcode": 28, "time_total": 2.0, "http_code": 220}, TCP)
    assert (observation.outcome, observation.seconds, observation.http_status) == (Outcome.CONNECTED, 0.000612, 0)


@given(
    st.dictionaries(
        st.sampled_from(["exitcode", "http_code", "num_connects", "errormsg", "time_total", "remote_ip"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.floats() | st.lists(st.integers()),
    )
)
def test_no_transfer_is_too_odd_to_be_decoded(transfer: dict[str, Any]) -> None:
    for request in (HTTP, HTTPS, TCP):
        decode(0, 0, transfer, request)


def line(number: int, attempt: int, **fields: Any) -> bytes:
    return b"svcprobe:%d:%d %s\n" % (number, attempt, json.dumps({**WHOLE, **fields}).encode())


def test_a_log_is_marked_lines_and_everything_else() -> None:
    log = b"nameserver 10.96.0.10\n\n" + line(1, 0) + b"\n" + line(0, 2, exitcode=7, num_connects=0, http_code=0)
    observations, other = read_log(log, {0: HTTP, 1: HTTP})
    assert [(o.probe_id, o.attempt, o.outcome.value) for o in observations] == [
        (1, 0, "answered"),
        (0, 2, "refused"),
    ]
    assert other == "nameserver 10.96.0.10\n\n"


def server(log: bytes) -> tuple[str, str]:
    ((seen,), _) = read_log(line(0, 0) + log, {0: HTTP})
    return seen.server, seen.proxy_error


def test_the_headers_of_proxies_are_told_with_the_answer() -> None:
    assert server(b"server:0:0 istio-envoy\t\n") == ("istio-envoy", "")
    assert server(b"server:0:0 \tendpoint 10.42.0.7:80: connection refused\n") == (
        "",
        "endpoint 10.42.0.7:80: connection refused",
    )
    assert server(b"server:0:0 %header{server}\t%header{l5d-proxy-error}\n") == ("", ""), "curl before 7.84"
    assert server(b"server:0:1 nginx\t\n") == ("", ""), "of another attempt"
    assert server(b"server:0:0 a\x1b[2J\xffb" + b"x" * 200 + b"\t\n")[0] == "a [2J b" + "x" * 73


def test_a_header_begins_no_line_of_its_own() -> None:
    observations, _ = read_log(line(0, 0) + b"server:0:0 x\r" + line(0, 1), {0: HTTP})
    assert [(o.attempt, o.server[:2]) for o in observations] == [(0, "x ")]


@pytest.mark.parametrize(
    ("fields", "hinted"),
    [
        ({"http_code": 400, "http_version": "1", "num_headers": 0}, True),
        ({"http_code": 400, "http_version": "1.1", "num_headers": 0}, False),
        ({"http_code": 400, "http_version": "1", "num_headers": 3}, False),
        ({"http_code": 404, "http_version": "1", "num_headers": 0}, False),
    ],
)
def test_a_bare_400_is_what_go_answers_in_place_of_tls(fields: dict[str, Any], hinted: bool) -> None:
    assert decode(0, 0, {**WHOLE, **fields}, HTTP).is_tls_hint is hinted
    assert not decode(0, 0, {**WHOLE, **fields}, HTTPS).is_tls_hint


def test_silence_is_told_from_an_end_without_an_answer() -> None:
    assert decode(0, 0, {**WHOLE, "exitcode": 28, "http_code": 0}, HTTP).is_silent
    assert not decode(0, 0, {**WHOLE, "exitcode": 52, "http_code": 0}, HTTP).is_silent


GARBAGE = [
    ("nothing", b"", 0),
    ("no JSON", b"svcprobe:0:0 {oops}\n", 0),
    ("a list", b"svcprobe:0:0 [1]\n", 0),
    ("half a line, as a full disk leaves it", line(0, 0)[:40], 0),
    ("a number that was not asked for", line(7, 0), 0),
    ("a page that looks like ours inside a line", b"x " + line(0, 0), 0),
    ("spaces behind", line(0, 0).rstrip() + b"  \r\n", 1),
    ("a content type that is no UTF-8", line(0, 0).replace(b"text/html", b"text/\xff\xfe"), 1),
    ("NUL and escapes", b"\x00\x1b[2J\n" + line(0, 0), 1),
]


@pytest.mark.parametrize(("log", "count"), [c[1:] for c in GARBAGE], ids=[c[0] for c in GARBAGE])
def test_garbage_in_a_log_is_no_observation(log: bytes, count: int) -> None:
    observations, _ = read_log(log, {0: HTTP}, is_retry=True)
    assert [(o.outcome, o.is_retry) for o in observations] == [(Outcome.ANSWERED, True)] * count


@given(st.binary(max_size=200))
def test_no_log_is_too_odd_to_be_read(log: bytes) -> None:
    observations, other = read_log(log + b"\n" + line(0, 0), {0: HTTP})
    assert len(observations) == 1
    assert isinstance(other, str)


@pytest.mark.parametrize(
    ("log", "version"),
    [
        (line(0, 0), "8.17.0"),
        (b'{"curl_version":"libcurl/7.88.1 OpenSSL/3.0.11"}', "7.88.1"),
        (b'{"curl_version": "libcurl/8.22.0-DEV"}', "8.22.0-DEV"),
        (b"", ""),
        (b"libcurl/8.1.0", ""),
    ],
)
def test_the_version_of_curl(log: bytes, version: str) -> None:
    assert curl_version(log) == version


RESOLV = [
    (
        "a pod's",
        "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n",
        "cluster.local",
        ("10.96.0.10",),
    ),
    ("another domain", "search shop.svc.corp.example svc.corp.example corp.example\n", "corp.example", ()),
    ("a dot at the end", "search svc.cluster.local.\n", "cluster.local", ()),
    ("the last search line counts", "search svc.a\nsearch svc.b\n", "b", ()),
    ("comments", "# search svc.a\nsearch svc.b # svc.c\nnameserver\n;x\n", "b", ()),
    ("a node's", "search example.com\nnameserver 1.1.1.1\nnameserver 8.8.8.8\n", "", ("1.1.1.1", "8.8.8.8")),
    ("nothing", "", "", ()),
]


@pytest.mark.parametrize(("text", "domain", "servers"), [c[1:] for c in RESOLV], ids=[c[0] for c in RESOLV])
def test_a_resolv_conf(text: str, domain: str, servers: tuple[str, ...]) -> None:
    assert cluster_domain(text) == domain
    assert name_servers(text) == servers


def test_the_search_list_is_in_its_order() -> None:
    assert search_domains("search a b c") == ("a", "b", "c")
