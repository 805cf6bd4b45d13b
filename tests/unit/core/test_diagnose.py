"""From matches to findings, from findings to a verdict and its first line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kubectl_svcprobe.diagnose import Choice, fold, run, summary_of, verdict_of
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef, ServicePort
from kubectl_svcprobe.facts.snapshot import Unread
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.report import Confidence, Finding, Severity, Skipped, Verdict
from kubectl_svcprobe.rules import BY_CODE
from kubectl_svcprobe.rules.rule import Match, rule
from tests.unit.core.build import endpoint, node, path, piece, probe, result, service, snapshot

WEB = ObjectRef("Service", "shop", "web")


@rule("SVC201", "a-test", Severity.ERROR, reads={"Service", "Pod"}, source="")
def judges_pods(ev: Evidence) -> Iterator[Match]:
    """A rule that always finds."""
    yield Match(WEB, "web: is down for everyone: no pods.", "No pods.", ("one", "two"), ("kubectl x",))
    yield Match(WEB, "web is odd.", "Odd.", severity=Severity.INFO, brief="odd")


def test_a_match_becomes_a_finding_with_its_rule_s_code_and_severity() -> None:
    findings, skipped = run([judges_pods], Evidence(snapshot()))
    assert skipped == ()
    first, second = findings
    assert (first.code, first.name, first.severity) == ("SVC201", "a-test", Severity.ERROR)
    assert (first.subject, first.headline, first.message) == (
        "service/web",
        "web: is down for everyone: no pods.",
        "No pods.",
    )
    assert (first.evidence, first.fix, first.brief) == (("one", "two"), ("kubectl x",), "no pods")
    assert (second.severity, second.brief) == (Severity.INFO, "odd")


def test_a_rule_that_could_not_read_what_it_judges_by_is_skipped_and_listed() -> None:
    unread = (Unread("Node", "nodes", "forbidden", ""), Unread("Pod", "pods in shop", "failed", "EOF"))
    assert run([judges_pods], Evidence(snapshot(unread=unread))) == (
        (),
        (Skipped("SVC201 a-test", "pods in shop: failed"),),
    )
    findings, skipped = run([judges_pods], Evidence(snapshot(unread=unread[:1])))
    assert (len(findings), skipped) == (2, ())


def finding(code: str, severity: Severity | None = None, port: int = 0, headline: str = "") -> Finding:
    fields: dict[str, Any] = {"evidence": (), "fix": (), "message": "", "subject": "service/web"}
    found = BY_CODE[code]
    return Finding(
        code, found.name, severity or found.severity, headline=headline or f"{code} says.", port=port, **fields
    )


def folded(*findings: Finding) -> list[tuple[str, list[str]]]:
    return [(f.code, [line.split()[0] for line in f.consequences]) for f in fold(findings)]


FOLDED = [
    ("alone", ["SVC403"], [("SVC403", [])]),
    ("a consequence", ["SVC403", "SVC701"], [("SVC403", ["SVC701"])]),
    ("told before its cause", ["SVC701", "SVC703"], [("SVC703", ["SVC701"])]),
    ("a consequence of a consequence", ["SVC521", "SVC601", "SVC703"], [("SVC601", ["SVC521", "SVC703"])]),
    ("no relation", ["SVC201", "SVC701"], [("SVC201", []), ("SVC701", [])]),
    (
        "the worst first",
        ["SVC404", "SVC302", "SVC901", "SVC201"],
        [("SVC201", []), ("SVC901", []), ("SVC302", []), ("SVC404", [])],
    ),
    ("of the same severity in their order", ["SVC304", "SVC302"], [("SVC304", []), ("SVC302", [])]),
    ("nothing", [], []),
]


@pytest.mark.parametrize(("codes", "expected"), [c[1:] for c in FOLDED], ids=[c[0] for c in FOLDED])
def test_consequences_are_folded_into_their_cause(codes: list[str], expected: list[tuple[str, list[str]]]) -> None:
    assert folded(*map(finding, codes)) == expected


def test_a_consequence_keeps_its_sentence() -> None:
    found = fold([finding("SVC403"), finding("SVC701", headline="The ClusterIP fails.")])
    assert found[0].consequences == ("SVC701 The ClusterIP fails.",)


def test_a_cause_at_one_port_does_not_explain_another_port() -> None:
    assert folded(finding("SVC403", port=80), finding("SVC701", port=81)) == [("SVC403", []), ("SVC701", [])]
    assert folded(finding("SVC403", port=81), finding("SVC701", port=80)) == [("SVC403", []), ("SVC701", [])]
    assert folded(finding("SVC403", port=80), finding("SVC701", port=80)) == [("SVC403", ["SVC701"])]
    assert folded(finding("SVC403", port=80), finding("SVC732")) == [("SVC403", ["SVC732"])]
    assert folded(finding("SVC301"), finding("SVC304", port=80)) == [("SVC301", ["SVC304"])]


def test_two_causes_of_one_code_keep_their_own_consequences() -> None:
    both = [finding("SVC403", port=80), finding("SVC403", port=81), finding("SVC701", port=81)]
    assert folded(*both) == [("SVC403", []), ("SVC403", ["SVC701"])]


def test_of_one_severity_what_is_merely_possible_stands_last() -> None:
    possible = replace(finding("SVC201"), confidence=Confidence.POSSIBLE)
    likely = replace(finding("SVC302", Severity.ERROR), confidence=Confidence.LIKELY)
    found = fold([possible, likely, finding("SVC403"), finding("SVC404")])
    assert [f.code for f in found] == ["SVC302", "SVC403", "SVC201", "SVC404"]


@rule("SVC403", "a-cause", Severity.ERROR, reads=set(), explains=("SVC701",), source="")
def a_cause(ev: Evidence) -> Iterator[Match]:
    """A rule that always finds."""
    yield Match(WEB, "web refuses.", "It refuses.")


@rule("SVC701", "its-consequence", Severity.ERROR, reads=set(), source="")
def its_consequence(ev: Evidence) -> Iterator[Match]:
    """A rule that always finds."""
    yield Match(WEB, "web does not answer.", "It does not.")


@rule("SVC901", "unread", Severity.UNKNOWN, reads=set(), source="")
def unread(ev: Evidence) -> Iterator[Match]:
    """A rule that always finds."""
    yield Match(WEB, "web: could not tell.", "Could not tell.")


CHOICES = [
    ("all", Choice(), ["SVC403", "SVC901"], []),
    ("a consequence goes with its cause", Choice(skip=frozenset({"SVC403"})), ["SVC901"], ["SVC403 a-cause"]),
    ("what was folded away is no finding to skip", Choice(skip=frozenset({"SVC701"})), ["SVC403", "SVC901"], []),
    ("only the consequence", Choice(only=frozenset({"SVC701"})), ["SVC701", "SVC901"], ["all but SVC701"]),
    ("only what is not there", Choice(only=frozenset({"SVC201"})), ["SVC901"], ["all but SVC201"]),
    (
        "both",
        Choice(only=frozenset({"SVC701", "SVC403"}), skip=frozenset({"SVC901"})),
        ["SVC403"],
        ["all but SVC403 and SVC701", "SVC901 unread"],
    ),
]


@pytest.mark.parametrize(("choice", "codes", "left_out"), [c[1:] for c in CHOICES], ids=[c[0] for c in CHOICES])
def test_only_and_skip(choice: Choice, codes: list[str], left_out: list[str]) -> None:
    findings, skipped = run([a_cause, its_consequence, unread], Evidence(snapshot()), choice)
    assert ([f.code for f in findings], [s.what for s in skipped]) == (codes, left_out)


def test_nothing_found_is_no_health_where_something_was_left_out() -> None:
    left_out = (Skipped("SVC403 a-cause", "--skip"), Skipped("SVC201 x", "pods in shop: forbidden"))
    assert summary_of((), Evidence(snapshot()), left_out) == "web: nothing found; left out: SVC403 a-cause."
    assert summary_of((finding("SVC301"),), Evidence(snapshot()), left_out) == "SVC301 says."


VERDICTS = [
    ([], Verdict.OK),
    ([Severity.INFO], Verdict.OK),
    ([Severity.WARNING, Severity.INFO], Verdict.WARNING),
    ([Severity.WARNING, Severity.UNKNOWN], Verdict.UNKNOWN),
    ([Severity.UNKNOWN, Severity.ERROR], Verdict.BROKEN),
    ([Severity.INFO, Severity.WARNING, Severity.ERROR], Verdict.BROKEN),
]


@pytest.mark.parametrize(("severities", "expected"), VERDICTS)
def test_the_verdict_is_the_worst_finding_s(severities: list[Severity], expected: Verdict) -> None:
    assert verdict_of([finding("SVC201", severity) for severity in severities]) is expected


def test_severities_are_ranked_and_what_could_not_be_told_is_worse_than_a_warning() -> None:
    assert sorted(Severity, key=lambda s: s.rank) == [
        Severity.ERROR,
        Severity.UNKNOWN,
        Severity.WARNING,
        Severity.INFO,
    ]
    assert Severity.ERROR.rank == 0


# the first line

TWO = piece(endpoint("10.0.0.1"), endpoint("10.0.0.2"), endpoint("10.0.0.3", ready=False))
FROM_POD = result(probe(0), Outcome.ANSWERED)
FROM_HERE = result(probe(1, path(PathKind.NODE_PORT, "192.168.7.1", 30080), Vantage.HERE), Outcome.ANSWERED)
CONTROL = result(probe(2, path(PathKind.CONTROL)), Outcome.ANSWERED)


def summary(*results: Any, findings: tuple[Finding, ...] = (), **fields: Any) -> str:
    of = fields.pop("of", service())
    return summary_of(findings, Evidence(snapshot(of, TWO, **fields), results=results))


def test_the_worst_finding_speaks() -> None:
    assert summary(FROM_POD, findings=(finding("SVC302", headline="web limps."),)) == "web limps."


def test_information_does_not() -> None:
    assert summary(FROM_POD, findings=(finding("SVC404"),)) == "web works: every path it offers answers."


def test_what_was_tried_and_worked() -> None:
    assert summary(FROM_POD, FROM_HERE, CONTROL) == "web works: every path it offers answers."


def test_without_a_pod() -> None:
    expected = "web answers this machine, and looks right inside: 2 endpoints ready. No probe pod ran."
    assert summary(FROM_HERE) == expected


def test_without_anything() -> None:
    assert summary() == "web looks right: 2 endpoints ready. Nothing was tried."
    assert summary(CONTROL) == "web looks right: 2 endpoints ready. Nothing was tried."


def test_an_alias() -> None:
    of = service(type="ExternalName", external_name="db.example.com")
    assert summary(of=of) == "web is an alias for db.example.com; nothing was tried."


def test_ports_that_could_not_be_tried() -> None:
    ports = (ServicePort(80, 8080), ServicePort(53, 53, "a", "UDP"), ServicePort(54, 54, "b", "SCTP"))
    expected = "web works on every path that could be tried; whether 53/UDP and 54/SCTP answers is not proven."
    assert summary(FROM_POD, of=service(*ports)) == expected


OUTSIDE = {
    vantage: result(probe(5, path(PathKind.EXTERNAL_IP, "203.0.113.9"), vantage), Outcome.ANSWERED)
    for vantage in Vantage
}


def test_an_outside_address_that_only_the_pod_reached_was_not_tried_from_outside() -> None:
    expected = "web works inside the cluster; its outside address was not tried from outside."
    assert summary(FROM_POD, OUTSIDE[Vantage.POD]) == expected
    assert summary(FROM_POD, OUTSIDE[Vantage.POD], OUTSIDE[Vantage.HERE]) == "web works: every path it offers answers."


@pytest.mark.parametrize(("names", "are"), [(["node-2"], "node-2 is"), (["node-2", "node-3"], "node-2 and node-3 are")])
def test_nodes_that_could_not_be_tried(names: list[str], are: str) -> None:
    of = service(ServicePort(80, 8080, node_port=30080))
    nodes = (node("node-1"), *(node(name, is_ready=False) for name in names))
    assert summary(FROM_POD, of=of, nodes=nodes) == f"web works on every path that was tried; {are} not ready."
    assert summary(FROM_POD, nodes=nodes) == "web works: every path it offers answers."


# evidence


def test_a_pod_that_reaches_nothing_says_nothing() -> None:
    lost = result(probe(0), Outcome.TIMED_OUT)
    control = result(probe(2, path(PathKind.CONTROL)), Outcome.TIMED_OUT)
    cut_off = Evidence(snapshot(), results=(lost, control))
    assert not cut_off.vantage_is_sound
    assert cut_off.from_pod(PathKind.CLUSTER_IP) == ()
    assert cut_off.from_pod(PathKind.CONTROL) == (control,)


@pytest.mark.parametrize(
    ("outcome", "control", "is_sound"),
    [
        (Outcome.TIMED_OUT, Outcome.ANSWERED, True),
        (Outcome.TIMED_OUT, Outcome.TLS_FAILED, True),
        (Outcome.NO_ANSWER, Outcome.TIMED_OUT, True),
        (Outcome.INTERMITTENT, Outcome.TIMED_OUT, True),
        (Outcome.TIMED_OUT, Outcome.NOT_RUN, True),
        (Outcome.TIMED_OUT, Outcome.DNS_FAILED, False),
        (Outcome.NOT_RUN, Outcome.TIMED_OUT, False),
    ],
)
def test_a_vantage_is_sound_if_anybody_answered_it_or_no_control_was_tried(
    outcome: Outcome, control: Outcome, is_sound: bool
) -> None:
    first = result(probe(0), *([Outcome.ANSWERED, Outcome.TIMED_OUT] if outcome is Outcome.INTERMITTENT else [outcome]))
    results = (first, result(probe(2, path(PathKind.CONTROL)), control), FROM_HERE)
    assert Evidence(snapshot(), results=results).vantage_is_sound is is_sound


def test_results_are_found_by_kind_port_and_vantage_and_only_if_they_ran() -> None:
    other_port = ServicePort(81, 8081, "other")
    here = result(probe(1, vantage=Vantage.HERE), Outcome.ANSWERED)
    second = result(probe(3, path(of=other_port)), Outcome.ANSWERED)
    not_run = result(probe(4), Outcome.NOT_RUN)
    of = Evidence(snapshot(), results=(FROM_POD, here, second, not_run))
    assert of.from_pod(PathKind.CLUSTER_IP) == (FROM_POD, second)
    assert of.from_pod(PathKind.CLUSTER_IP, other_port) == (second,)
    assert of.from_here(PathKind.CLUSTER_IP) == (here,)
    assert of.from_pod(PathKind.DNS) == ()


def test_only_offered_endpoints_owe_an_answer() -> None:
    offered = result(probe(0, path(PathKind.ENDPOINT)), Outcome.REFUSED)
    unready = result(probe(1, path(PathKind.ENDPOINT, is_offered=False)), Outcome.REFUSED)
    of = Evidence(snapshot(), results=(offered, unready))
    assert of.offered_endpoints(path().service_port or ServicePort(0, 0)) == (offered,)


def test_another_node_is_the_first_ready_one_that_is_not_this() -> None:
    nodes = (node("node-3"), node("node-2", is_ready=False), node("node-1"))
    of = Evidence(snapshot(nodes=nodes))
    assert of.another_node("node-1") == "node-3"
    assert of.another_node("node-3") == "node-1"
    assert Evidence(snapshot()).another_node("node-1") == "OTHER-NODE"


def test_a_port_is_named_where_a_service_has_several() -> None:
    first, second = ServicePort(80, 8080, "http"), ServicePort(81, 8081)
    assert Evidence(snapshot(service(first))).part(first) == "web"
    of = Evidence(snapshot(service(first, second)))
    assert [of.part(first), of.part(second)] == ["port http of web", "port 81 of web"]
