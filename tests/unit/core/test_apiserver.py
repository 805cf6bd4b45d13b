"""What an answer through the API server means, and what is not sent through it."""

from __future__ import annotations

import json

import pytest

from kubectl_svcprobe.access.seam import Forwarded, Proxied
from kubectl_svcprobe.probe.apiserver import NO_ENDPOINT, forwarded, plan, proxied
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.request import Request
from tests.unit.cases import named

PROBE = Probe(1, ExposurePath(PathKind.SERVICE_PROXY, "services/web", 80), Vantage.API_SERVER, Request("http"))
JSON = {"content-type": "application/json"}


def status(code: int, reason: str, message: str) -> Proxied:
    body = {"kind": "Status", "reason": reason, "message": message, "code": code}
    return Proxied(code, JSON, json.dumps(body).encode())


#: What a real API server (1.35) says, and what it means.
OWN_WORDS = [
    (
        403,
        "Forbidden",
        'services "web" is forbidden: User "j" cannot get resource "services/proxy"',
        "not-run",
        "forbidden",
    ),
    (503, "ServiceUnavailable", 'no endpoints available for service "web"', "unreachable", NO_ENDPOINT),
    (
        503,
        "ServiceUnavailable",
        "error trying to reach service: dial tcp 10.1.1.1:9: connect: connection refused",
        "refused",
        "",
    ),
    (503, "ServiceUnavailable", "error trying to reach service: dial tcp 10.1.1.1:9: i/o timeout", "timed-out", ""),
    (503, "ServiceUnavailable", "error trying to reach service: EOF", "no-answer", "closed"),
    (503, "ServiceUnavailable", "error trying to reach service: something new", "unreachable", "something new"),
]


@pytest.mark.parametrize(("code", "reason", "message", "outcome", "detail"), OWN_WORDS)
def test_the_api_servers_own_words_are_told_from_the_applications(
    code: int, reason: str, message: str, outcome: str, detail: str
) -> None:
    seen = proxied(PROBE, 0, status(code, reason, message), 0.01)
    assert (seen.outcome.value, seen.http_status) == (outcome, 0)
    assert detail in seen.detail


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Proxied(200, {}, b""), Outcome.ANSWERED),
        (Proxied(302, {"location": "http://elsewhere/"}, b""), Outcome.ANSWERED),
        (Proxied(403, JSON, b'{"kind": "Status", "reason": "Forbidden", "message": "not you"}'), Outcome.ANSWERED),
        (Proxied(404, JSON, b"[1"), Outcome.ANSWERED),
        (Proxied(503, {"content-type": "text/html"}, b"no endpoints available for service"), Outcome.HTTP_ERROR),
    ],
)
def test_whatever_else_comes_is_the_applications(answer: Proxied, outcome: Outcome) -> None:
    seen = proxied(PROBE, 0, answer, 0.01)
    assert (seen.outcome, seen.http_status) == (outcome, answer.status)


@pytest.mark.parametrize(
    ("came", "outcome"),
    [
        (Forwarded(b"HTTP/1.1 200 "), Outcome.ANSWERED),
        (Forwarded(b"HTTP/1.1 502 "), Outcome.HTTP_ERROR),
        (Forwarded(b"SSH-2.0-x"), Outcome.CONNECTED),
        (Forwarded(b"", "dial tcp4 127.0.0.1:9: connect: connection refused"), Outcome.REFUSED),
        (Forwarded(b"", "no such pod"), Outcome.NOT_RUN),
        (Forwarded(b"", is_ended=True), Outcome.NO_ANSWER),
        (Forwarded(b""), Outcome.TIMED_OUT),
    ],
)
def test_what_comes_back_through_a_forwarded_port(came: Forwarded, outcome: Outcome) -> None:
    assert forwarded(PROBE, 0, came, 0.01).outcome is outcome


@pytest.mark.parametrize("path", ["/../../../secrets/x", "/a/%2e%2e/b", "/a/..%2fb", "/a/%252e%252e/b"])
def test_a_path_that_would_lead_to_another_object_is_not_sent(path: str) -> None:
    made = plan(named("SVC907-503").snapshot(), 1, path)
    assert PathKind.SERVICE_PROXY not in {probe.path.kind for probe in made.probes}
    assert [u.kind for u in made.unprobed] == [PathKind.SERVICE_PROXY]


def test_a_database_gets_no_http_through_it_either() -> None:
    made = plan(named("SVC906-a-database").snapshot(), 1)
    assert {probe.path.kind for probe in made.probes} == {PathKind.PORT_FORWARD}
    assert "HTTP/1.1 only" in made.unprobed[0].reason
