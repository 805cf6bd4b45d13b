"""Attempts put together: what a path comes to, what is asked again, and which failures are none."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe.facts.model import LoadBalancerIngress, ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.expect import is_declared, is_left_open, is_short_cut, why_expected
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult, join, late_endpoints, to_confirm, with_true_names
from tests.unit.core.build import endpoint, path, piece, probe, result, seen, service, snapshot

OK, ERROR, OPEN = Outcome.ANSWERED, Outcome.HTTP_ERROR, Outcome.CONNECTED
REFUSED, LOST, RESET, SILENT = Outcome.REFUSED, Outcome.TIMED_OUT, Outcome.RESET, Outcome.NO_ANSWER
NOT_RUN = Outcome.NOT_RUN

MIXES = [
    ("all answered", [OK, OK, OK], OK, ""),
    ("all refused", [REFUSED, REFUSED], REFUSED, ""),
    ("all failed, by majority", [LOST, REFUSED, LOST], LOST, ""),
    ("some failed", [OK, LOST, OK], Outcome.INTERMITTENT, "1 of 3 timed out"),
    ("in two ways", [OK, LOST, REFUSED], Outcome.INTERMITTENT, "2 of 3 timed out and refused"),
    ("what did not run does not count", [NOT_RUN, OK], OK, ""),
    ("nor does it make anything intermittent", [NOT_RUN, REFUSED, OK], Outcome.INTERMITTENT, "1 of 2 refused"),
    ("nothing ran", [NOT_RUN, NOT_RUN], NOT_RUN, ""),
    ("an HTTP error is the worst answer", [OK, ERROR], ERROR, "1 of 2 answered 0"),
    ("open is an answer", [OPEN, OPEN], OPEN, ""),
]


@pytest.mark.parametrize(("outcomes", "expected", "detail"), [c[1:] for c in MIXES], ids=[c[0] for c in MIXES])
def test_several_attempts_come_to(outcomes: list[Outcome], expected: Outcome, detail: str) -> None:
    found = result(probe(attempts=len(outcomes)), *outcomes)
    assert (found.outcome, found.detail) == (expected, detail)


def test_nothing_that_came_back_is_not_run_and_says_why() -> None:
    assert join([probe()], [])[0].detail == "nothing came back about it"
    found = join([probe()], [], "the probe pod did not run")[0]
    assert (found.outcome, found.detail, found.seconds, found.http_status) == (
        NOT_RUN,
        "the probe pod did not run",
        0.0,
        0,
    )
    assert join([probe()], seen(0, NOT_RUN, detail="curl ended with 2"), "other")[0].detail == "curl ended with 2"


def test_results_are_in_the_order_of_the_probes_each_with_its_own() -> None:
    probes = [probe(2), probe(0), probe(1)]
    found = join(probes, [*seen(0, OK), *seen(1, REFUSED), *seen(2, LOST), *seen(9, RESET)])
    assert [r.outcome for r in found] == [LOST, OK, REFUSED]
    assert [len(r.observations) for r in found] == [1, 1, 1]


def test_the_worst_status_is_told_and_how_often() -> None:
    found = join([probe()], [*seen(0, OK, status=200), *seen(0, ERROR, status=503), *seen(0, ERROR, status=500)])[0]
    assert (found.outcome, found.http_status, found.detail) == (ERROR, 503, "2 of 3 answered 503")
    all_of_them = join([probe()], seen(0, ERROR, ERROR, status=502))[0]
    assert (all_of_them.outcome, all_of_them.http_status, all_of_them.detail) == (ERROR, 502, "")
    redirect = join([probe()], [*seen(0, OK, status=200), *seen(0, OK, status=302)])[0]
    assert (redirect.outcome, redirect.http_status, redirect.detail) == (OK, 302, "")


def test_the_time_is_the_median_of_what_succeeded() -> None:
    observations = [*seen(0, OK, seconds=0.1), *seen(0, OK, seconds=0.3), *seen(0, LOST, seconds=5.0)]
    assert join([probe()], observations)[0].seconds == pytest.approx(0.2)


def test_a_detail_is_of_the_outcome_that_is_told() -> None:
    observations = [*seen(0, LOST), *seen(0, RESET, RESET, detail="reset once connected")]
    found = join([probe()], observations)[0]
    assert (found.outcome, found.detail) == (RESET, "reset once connected")


def test_the_settled_pod_s_word_counts_more_where_both_failed() -> None:
    found = join([probe()], [*seen(0, LOST, LOST, LOST), *seen(0, REFUSED, retry=True)])[0]
    assert found.outcome is REFUSED


EARLY = [
    ("failed at first, fine later", [LOST, LOST], [OK, OK], Outcome.INTERMITTENT, True),
    ("failed at first in part", [LOST, OK], [OK, OK], Outcome.INTERMITTENT, False),
    ("failed later in part", [LOST, LOST], [OK, LOST], Outcome.INTERMITTENT, False),
    ("failed later", [OK], [LOST], Outcome.INTERMITTENT, False),
    ("never asked again", [OK, LOST], [], Outcome.INTERMITTENT, False),
    ("always fine", [OK], [], OK, False),
    ("always failed", [LOST], [LOST], LOST, False),
]


@pytest.mark.parametrize(("first", "later", "outcome", "is_early"), [c[1:] for c in EARLY], ids=[c[0] for c in EARLY])
def test_a_new_pod_s_first_second(first: list[Outcome], later: list[Outcome], outcome: Outcome, is_early: bool) -> None:
    found = join([probe()], [*seen(0, *first), *seen(0, *later, retry=True)])[0]
    assert (found.outcome, found.failed_only_early) == (outcome, is_early)


CONTROL = probe(9, path(PathKind.CONTROL, "kubernetes.default.svc", 443))

ASKED_AGAIN = {
    Outcome.REFUSED: True,
    Outcome.TIMED_OUT: True,
    Outcome.UNREACHABLE: True,
    Outcome.DNS_FAILED: True,
    Outcome.RESET: True,
    Outcome.NO_ANSWER: False,
    Outcome.TLS_FAILED: False,
    Outcome.ANSWERED: False,
    Outcome.HTTP_ERROR: False,
    Outcome.CONNECTED: False,
    Outcome.NOT_RUN: False,
}


@pytest.mark.parametrize(("outcome", "is_asked"), ASKED_AGAIN.items())
def test_a_failure_that_youth_may_be_the_reason_of_is_asked_again_with_the_control(
    outcome: Outcome, is_asked: bool
) -> None:
    results = [result(probe(0), outcome), result(probe(1), OK), result(CONTROL, OK)]
    again = to_confirm(results, lambda r: False)
    assert [p.id for p in again] == ([0, 9] if is_asked else [])


def test_what_fails_now_and_then_is_asked_again() -> None:
    assert [p.id for p in to_confirm([result(probe(4), OK, LOST)], lambda r: False)] == [4]


def test_what_is_expected_to_fail_is_not_asked_again_nor_is_the_control_alone() -> None:
    results = [result(probe(0), LOST), result(CONTROL, LOST)]
    assert to_confirm(results, lambda r: True) == ()
    assert to_confirm(results[1:], lambda r: False) == ()


NAMES = ("web", "web.shop.svc", "web.shop.svc.cluster.local")


@pytest.mark.parametrize(
    ("domain", "kept"),
    [
        ("", ("web", "web.shop.svc.cluster.local")),
        ("cluster.local", ("web", "web.shop.svc.cluster.local")),
        ("corp.example", ("web", "web.shop.svc")),
    ],
)
def test_only_the_full_name_that_this_cluster_has_is_told(domain: str, kept: tuple[str, ...]) -> None:
    results = [result(probe(n, path(PathKind.DNS, name)), OK) for n, name in enumerate(NAMES)]
    others = [result(CONTROL, OK), result(probe(8), OK)]
    found = with_true_names([*results, *others], domain)
    assert [r.probe.path.host for r in found] == [*kept, "kubernetes.default.svc", "10.96.0.7"]


# failures that are none

NODE_PORT = ServicePort(80, 8080, node_port=30080)
LOCAL = snapshot(
    service(NODE_PORT, type="NodePort", external_traffic_policy="Local"),
    piece(endpoint("10.0.0.1", node="node-1")),
)
CLUSTER = snapshot(service(NODE_PORT, type="NodePort", external_traffic_policy="Cluster"), *LOCAL.slices)


def at_node(name: str, vantage: Vantage, *outcomes: Outcome) -> PathResult:
    to = path(PathKind.NODE_PORT, f"192.168.7.{name[-1]}", 30080, NODE_PORT, subject=name, node=name)
    return result(probe(0, to, vantage, attempts=len(outcomes)), *outcomes)


HERE, POD = Vantage.HERE, Vantage.POD
DECLARED, NO_PROOF, BEYOND = "as declared", "no proof: policy Local", "not reachable from here"

NODE_PORTS = [
    ("dropped on a node without an endpoint", LOCAL, "node-2", HERE, [LOST], DECLARED),
    ("no route is dropped too", LOCAL, "node-2", HERE, [Outcome.UNREACHABLE], DECLARED),
    ("dropped for a pod too", LOCAL, "node-2", POD, [LOST], DECLARED),
    ("refused is not dropped", LOCAL, "node-2", HERE, [REFUSED], ""),
    ("a node with an endpoint has to answer", LOCAL, "node-1", HERE, [LOST], ""),
    ("but what a pod gets there is open", LOCAL, "node-1", POD, [LOST], NO_PROOF),
    ("so is now and then", LOCAL, "node-2", POD, [OK, LOST], NO_PROOF),
    ("not for this machine", LOCAL, "node-2", HERE, [OK, LOST], ""),
    ("a pod refused is refused", LOCAL, "node-1", POD, [REFUSED], ""),
    ("policy Cluster declares nothing", CLUSTER, "node-2", POD, [LOST], ""),
    ("an answer is no failure", LOCAL, "node-2", HERE, [OK], ""),
]


@pytest.mark.parametrize(
    ("of", "name", "vantage", "outcomes", "expected"), [c[1:] for c in NODE_PORTS], ids=[c[0] for c in NODE_PORTS]
)
def test_a_failure_at_a_node_port_may_be_expected(
    of: Snapshot, name: str, vantage: Vantage, outcomes: list[Outcome], expected: str
) -> None:
    found = at_node(name, vantage, *outcomes)
    reached = at_node("node-3", HERE, OK)
    assert why_expected(of, found, [found, reached]) == expected


REACHED = [
    ("nobody answers", [[LOST], [LOST]], BEYOND),
    ("one answers", [[LOST], [OK]], ""),
    ("one answers wrongly", [[LOST], [ERROR]], ""),
    ("one refuses: there is a way", [[LOST], [REFUSED]], ""),
    ("one is silent: there is a way", [[LOST], [SILENT]], ""),
    ("one answers now and then", [[LOST], [OK, LOST]], ""),
]


@pytest.mark.parametrize(("outcomes", "expected"), [c[1:] for c in REACHED], ids=[c[0] for c in REACHED])
def test_where_no_node_is_reachable_from_here_none_is_to_blame(outcomes: list[list[Outcome]], expected: str) -> None:
    first, second = (at_node(f"node-{n}", HERE, *each) for n, each in enumerate(outcomes, 1))
    from_pod = at_node("node-2", POD, OK)
    assert why_expected(CLUSTER, first, [first, second, from_pod]) == expected


def test_a_pod_is_never_out_of_reach_of_its_own_nodes() -> None:
    found = at_node("node-1", POD, LOST)
    assert why_expected(CLUSTER, found, [found]) == ""


def test_an_endpoint_that_is_not_ready_owes_nothing() -> None:
    unready = result(probe(0, path(PathKind.ENDPOINT, is_offered=False)), REFUSED)
    assert why_expected(LOCAL, unready, [unready]) == "not ready"
    fine = result(probe(0, path(PathKind.ENDPOINT, is_offered=False)), OK)
    assert why_expected(LOCAL, fine, [fine]) == ""


def test_the_policy_is_about_node_ports_only() -> None:
    found = result(probe(0, path(PathKind.CLUSTER_IP, node="node-2")), LOST)
    assert not is_declared(LOCAL, found)
    assert not is_left_open(LOCAL, found)
    assert why_expected(LOCAL, found, [found]) == ""


BALANCED = snapshot(
    service(
        type="LoadBalancer",
        load_balancer_ingress=(
            LoadBalancerIngress("203.0.113.1"),
            LoadBalancerIngress("203.0.113.2", ip_mode="VIP"),
            LoadBalancerIngress("203.0.113.3", ip_mode="Proxy"),
            LoadBalancerIngress(hostname="a.elb.example.com"),
        ),
    )
)
SHORT_CUTS = [
    ("a load balancer's address", PathKind.LOAD_BALANCER, "203.0.113.1", POD, OK, True),
    ("one that the nodes answer for", PathKind.LOAD_BALANCER, "203.0.113.2", POD, OK, True),
    ("one that they do not", PathKind.LOAD_BALANCER, "203.0.113.3", POD, OK, False),
    ("a name", PathKind.LOAD_BALANCER, "a.elb.example.com", POD, OK, False),
    ("an external IP", PathKind.EXTERNAL_IP, "203.0.113.9", POD, OK, True),
    ("a node port", PathKind.NODE_PORT, "192.168.7.1", POD, OK, False),
    ("from this machine", PathKind.LOAD_BALANCER, "203.0.113.1", HERE, OK, False),
    ("a failure", PathKind.LOAD_BALANCER, "203.0.113.1", POD, LOST, False),
]


@pytest.mark.parametrize(
    ("kind", "host", "vantage", "outcome", "expected"), [c[1:] for c in SHORT_CUTS], ids=[c[0] for c in SHORT_CUTS]
)
def test_a_pod_s_success_at_an_outside_address_may_be_a_short_cut(
    kind: PathKind, host: str, vantage: Vantage, outcome: Outcome, expected: bool
) -> None:
    assert is_short_cut(BALANCED, result(probe(0, path(kind, host), vantage), outcome)) is expected


#: Milliseconds that endpoints keep a request waiting (a pair: by two observations), and which of them are late.
WAITS: list[tuple[str, list[Any], list[int]]] = [
    ("one of three", [2, 3, 600], [2]),
    ("one of two is nobody's neighbour", [2, 600], []),
    ("two of five", [2, 600, 3, 700, 4], [1, 3]),
    ("half of them", [2, 3, 600, 700], []),
    ("not so many times as late", [100, 110, 490], []),
    ("as many times", [100, 100, 500], [2]),
    ("not so many seconds later", [2, 3, 240], []),
    ("all", [600, 610, 620], []),
    ("late once, and not again", [2, 3, (600, 4)], []),
    ("late twice", [2, 3, (900, 600)], [2]),
]


@pytest.mark.parametrize(("waits", "late"), [c[1:] for c in WAITS], ids=[c[0] for c in WAITS])
def test_an_endpoint_that_stands_out_is_late(waits: list[Any], late: list[int]) -> None:
    found = late_endpoints(_waiting(number, wait) for number, wait in enumerate(waits))
    assert [r.probe.id for r in found] == late


def _waiting(number: int, waits: Any, **fields: Any) -> PathResult:
    times = waits if isinstance(waits, tuple) else (waits,)
    to = path(PathKind.ENDPOINT, f"10.244.1.{number}", 8080, **fields)
    found = [o for ms in times for o in seen(number, OK, status=200, first_byte_seconds=ms / 1000)]
    return join([probe(number, to)], found)[0]


def test_what_is_late_is_asked_again_and_nothing_else() -> None:
    results = [_waiting(0, 2), _waiting(1, 2), _waiting(2, 600), result(CONTROL, OK)]
    assert [p.id for p in to_confirm(results, lambda r: False)] == [2]


def test_an_endpoint_that_gets_no_traffic_may_be_late() -> None:
    assert not late_endpoints([_waiting(0, 2), _waiting(1, 2), _waiting(2, 600, is_offered=False)])


def test_a_long_way_is_no_late_answer() -> None:
    far = path(PathKind.ENDPOINT, "10.244.3.1", 8080)
    times = {"status": 200, "connect_seconds": 0.4, "first_byte_seconds": 0.41}
    assert not late_endpoints([_waiting(0, 2), _waiting(1, 2), result(probe(2, far), OK, **times)])
