"""What else is asked where a port refuses, and what the answers mean."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import ContainerPort, HttpGet
from kubectl_svcprobe.probe.closer import CLOSED_PORT, Inside, Question, judged, other_probes, questions
from kubectl_svcprobe.probe.exposure import Vantage
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Wishes, make_plan
from kubectl_svcprobe.probe.results import PathResult, join
from kubectl_svcprobe.probe.ways import find_paths
from tests.unit.core import build as b

METRICS = (ContainerPort(8080), ContainerPort(9090, "metrics"), ContainerPort(5353, "dns", "UDP"))


def snapshot(*names: str, ports: tuple[ContainerPort, ...] = METRICS, probes: tuple[HttpGet, ...] = ()) -> Snapshot:
    pods = tuple(b.pod(name, *probes, ports=ports) for name in names)
    endpoints = [b.endpoint(f"10.244.1.{number}", name, ready=True) for number, name in enumerate(names, 1)]
    return b.snapshot(None, b.piece(*endpoints), pods=pods)


def results(found: Snapshot, outcome: Outcome = Outcome.REFUSED) -> tuple[PathResult, ...]:
    plan = make_plan(found, find_paths(found), Wishes())
    probes = plan.from_vantage(Vantage.POD)
    return join(probes, [Observation(probe.id, n, outcome) for probe in probes for n in range(probe.attempts)])


def test_the_port_itself_is_asked_inside_and_then_what_the_containers_declare_for_tcp() -> None:
    found = snapshot("web-1")
    assert questions(found, results(found)) == (Question("web-1", (8080, 9090, 80)),)


def test_the_ports_of_its_own_probes_are_asked_too() -> None:
    found = snapshot("web-1", ports=(), probes=(HttpGet(3000), HttpGet("named")))
    assert questions(found, results(found)) == (Question("web-1", (8080, 3000, 80)),)


def test_no_more_than_two_pods_and_four_other_ports_are_asked() -> None:
    found = snapshot("a", "b", "c", ports=tuple(ContainerPort(9000 + n) for n in range(9)))
    asked = questions(found, results(found))
    assert [question.pod for question in asked] == ["a", "b"]
    assert {question.ports for question in asked} == {(8080, 9000, 9001, 9002, 9003)}
    assert len(other_probes(found, results(found), 0)) == 8


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.ANSWERED, Outcome.NO_ANSWER])
def test_nothing_is_asked_where_nothing_refuses(outcome: Outcome) -> None:
    found = snapshot("web-1")
    assert questions(found, results(found, outcome)) == ()
    assert other_probes(found, results(found, outcome), 0) == ()


def test_the_inside_of_a_pod_in_its_nodes_network_is_not_its_own() -> None:
    found = snapshot("web-1")
    found = replace(found, pods=(replace(found.pods[0], is_host_network=True),))
    assert questions(found, results(found)) == ()
    assert [probe.path.port for probe in other_probes(found, results(found), 7)] == [9090, 80]


def test_an_endpoint_without_a_pod_is_not_asked() -> None:
    found = replace(snapshot("web-1"), pods=())
    assert questions(found, results(found)) == ()
    assert other_probes(found, results(found), 0) == ()


def test_other_ports_are_asked_aside_with_numbers_of_their_own_and_on_evidence() -> None:
    found = snapshot("web-1", ports=(ContainerPort(8443), ContainerPort(9090, "metrics")))
    probes = other_probes(found, results(found), 40)
    assert [(probe.id, probe.path.target, str(probe.request)) for probe in probes] == [
        (40, "10.244.1.1:8443", "HTTPS GET /"),
        (41, "10.244.1.1:9090", "TCP connect"),
        (42, "10.244.1.1:80", "GET /"),
    ]
    assert all(probe.is_aside and not probe.path.is_offered for probe in probes)


def test_a_port_that_another_port_of_the_service_leads_to_is_none_to_look_for() -> None:
    service = b.service(ServicePort(80, 8080, "http"), ServicePort(81, 9090, "metrics"))
    one = b.piece(b.endpoint("10.244.1.1", "web-1"), name="http")
    other = b.piece(b.endpoint("10.244.1.1", "web-1"), name="metrics", port=9090, called="web-b")
    found = b.snapshot(service, one, other, pods=(b.pod("web-1", ports=METRICS),))
    refused = tuple(r for r in results(found) if r.probe.path.port == 8080)
    assert questions(found, refused) == (Question("web-1", (8080, 80, 81)),)


ASKED = Question("web-1", (8080, 9090))
REFUSED = "dial tcp4 127.0.0.1: connect: connection refused"


def test_silence_means_open_where_the_closed_port_complains() -> None:
    assert judged(ASKED, {CLOSED_PORT: REFUSED, 9090: REFUSED}) == Inside("web-1", open=(8080,), closed=(9090,))


def test_silence_means_nothing_where_the_closed_port_is_silent_too() -> None:
    found = judged(ASKED, {})
    assert (found.open, found.closed) == ((), ())
    assert "no refusal came back" in found.problem


def test_another_complaint_is_told_and_neither_open_nor_closed() -> None:
    assert judged(ASKED, {CLOSED_PORT: "socat not found", 8080: "socat not found"}).problem == "socat not found"
    found = judged(ASKED, {CLOSED_PORT: REFUSED, 8080: "i/o timeout"})
    assert (found.open, found.closed, found.problem) == ((9090,), (), "")
