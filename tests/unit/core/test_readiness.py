"""Why a pod is not ready, in one clause, the most telling first; and who keeps a Service."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe.describe import endpoint_facts, node_facts, path_facts, pod_facts, service_facts
from kubectl_svcprobe.facts.model import Condition, LoadBalancerIngress, Meta, ObjectRef, ServicePort
from kubectl_svcprobe.facts.node import Event
from kubectl_svcprobe.facts.readiness import why_not_ready
from kubectl_svcprobe.facts.snapshot import Snapshot, Unread
from kubectl_svcprobe.facts.workload import ContainerStatus, Pod
from kubectl_svcprobe.ownership import kept_by
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.plan import ProbePlan, Unprobed
from kubectl_svcprobe.probe.results import join
from kubectl_svcprobe.report import PathFacts
from tests.unit.core.build import (
    balancer,
    endpoint,
    node,
    path,
    piece,
    pod,
    probe,
    ready,
    result,
    seen,
    service,
    snapshot,
)

RUNNING = ContainerStatus("web", state="running", ready=True)
NOT_READY = ContainerStatus("web", state="running")


def waiting(reason: str, message: str = "", **fields: Any) -> ContainerStatus:
    return ContainerStatus("web", state="waiting", reason=reason, message=message, **fields)


def ended(code: int, reason: str = "Error", **fields: Any) -> ContainerStatus:
    return ContainerStatus("web", state="terminated", reason=reason, exit_code=code, **fields)


def unready(*statuses: ContainerStatus, **fields: Any) -> Pod:
    return pod(statuses=statuses, **{"conditions": ready("False"), **fields})


GATE = Condition("Ready", "False", "ReadinessGatesNotReady", 'gate "x/y" is not "True"')
UNSCHEDULABLE = Condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available.")

REASONS = [
    ("a lost node", unready(NOT_READY, node="down"), "its node down is not ready"),
    (
        "a lost node comes before all else",
        pod(meta=Meta("shop", "web-1", deleted="T"), node="down"),
        "its node down is not ready",
    ),
    ("deletion", unready(waiting("X"), meta=Meta("shop", "web-1", deleted="T")), "it is being deleted"),
    ("its end", unready(phase="Succeeded"), "it has finished: Succeeded"),
    ("its end, with a reason", unready(phase="Failed", reason="Evicted"), "it has finished: Evicted"),
    ("no node yet", unready(node=""), "it waits for a node"),
    (
        "no node at all",
        unready(node="", conditions={"PodScheduled": UNSCHEDULABLE}),
        "no node takes it: 0/3 nodes are available",
    ),
    (
        "no node, and no word",
        unready(node="", conditions={"PodScheduled": Condition("PodScheduled", "False")}),
        "it waits for a node",
    ),
    (
        "crashing",
        unready(waiting("CrashLoopBackOff", restarts=7, last_reason="Error", last_exit_code=2)),
        "container web keeps ending with exit code 2 (7 restarts)",
    ),
    (
        "crashing for want of memory",
        unready(waiting("CrashLoopBackOff", restarts=3, last_reason="OOMKilled", last_exit_code=137)),
        "container web keeps ending: out of memory (OOMKilled) (3 restarts)",
    ),
    ("crashing, nobody knows how", unready(waiting("CrashLoopBackOff")), "container web keeps ending (0 restarts)"),
    (
        "an image",
        unready(waiting("ImagePullBackOff", "Back-off pulling image")),
        "container web: ImagePullBackOff: Back-off pulling image",
    ),
    (
        "a missing secret",
        unready(waiting("CreateContainerConfigError")),
        "container web cannot be made: CreateContainerConfigError",
    ),
    ("being made", unready(waiting("ContainerCreating")), "it is still starting"),
    ("waiting for init containers", unready(waiting("PodInitializing")), "it is still starting"),
    ("waiting without a word", unready(waiting("")), "it is still starting"),
    ("no status at all", unready(), "it is still starting"),
    ("ended", unready(ended(137)), "container web ended with exit code 137, killed"),
    (
        "ended well, though it should run",
        unready(ended(0, "Completed")),
        "container web ended with exit code 0, as if its work were done",
    ),
    ("killed for want of memory", unready(ended(137, "OOMKilled")), "container web ended: out of memory (OOMKilled)"),
    ("an init container that failed", unready(ended(1, is_init=True)), "init container web ended with exit code 1"),
    (
        "an init container that is done",
        unready(ended(0, "Completed", is_init=True), NOT_READY),
        "container web runs, but its readiness probe has not succeeded",
    ),
    (
        "an init container that runs",
        unready(ContainerStatus("web", state="running", is_init=True)),
        "init container web is still running",
    ),
    (
        "a sidecar that runs",
        unready(ContainerStatus("proxy", state="running", ready=True, is_init=True), NOT_READY),
        "container web runs, but its readiness probe has not succeeded",
    ),
    (
        "its readiness probe",
        unready(RUNNING, NOT_READY),
        "container web runs, but its readiness probe has not succeeded",
    ),
    ("nothing that it says", unready(RUNNING), "it is not ready yet"),
    ("only some run", unready(RUNNING, waiting("ContainerCreating")), "it is still starting"),
    (
        "a readiness gate",
        unready(RUNNING, conditions={"Ready": GATE}),
        'a readiness gate is not met: gate "x/y" is not "True"',
    ),
]


@pytest.mark.parametrize(("of", "expected"), [c[1:] for c in REASONS], ids=[c[0] for c in REASONS])
def test_why_a_pod_is_not_ready(of: Pod, expected: str) -> None:
    assert why_not_ready(of, snapshot(nodes=(node("node-1"), node("down", is_ready=False)))) == expected


def event(message: str, last: str, name: str = "web-1", reason: str = "Unhealthy") -> Event:
    return Event(ObjectRef("Pod", "shop", name), "Warning", reason, message, last=last)


def test_the_latest_word_of_its_own_readiness_probe_says_more() -> None:
    events = (
        event("Readiness probe failed: old", "T1"),
        event("Readiness probe failed: statuscode: 503\nand more", "T3"),
        event("Readiness probe failed: older", "T2"),
        event("Liveness probe failed: x", "T4"),
        event("Readiness probe failed: of another pod", "T5", name="web-2"),
        event("Readiness probe failed: another reason", "T6", reason="ProbeWarning"),
    )
    of = unready(NOT_READY)
    assert why_not_ready(of, snapshot(pod_events=events)) == "Readiness probe failed: statuscode: 503"
    only = (event("Readiness probe failed: ", "T1"),)
    assert why_not_ready(of, snapshot(pod_events=only)) == "Readiness probe failed"


# the facts of the report

OWNERS = [
    ("nobody", Meta("", ""), ""),
    ("Helm", Meta("", "", annotations={"meta.helm.sh/release-name": "shop"}), "Helm release shop"),
    (
        "Argo CD",
        Meta("", "", annotations={"argocd.argoproj.io/tracking-id": "shop:/Service:shop/web"}),
        "Argo CD application shop",
    ),
    ("Flux", Meta("", "", labels={"kustomize.toolkit.fluxcd.io/name": "apps"}), "Flux Kustomization apps"),
    ("Flux, by Helm", Meta("", "", labels={"helm.toolkit.fluxcd.io/name": "shop"}), "Flux HelmRelease shop"),
    ("an owner", Meta("", "", controller=ObjectRef("Gateway", "shop", "edge")), "gateway/edge"),
]


@pytest.mark.parametrize(("meta", "expected"), [c[1:] for c in OWNERS], ids=[c[0] for c in OWNERS])
def test_who_would_revert_an_edit_by_hand(meta: Meta, expected: str) -> None:
    assert kept_by(meta) == expected


def test_no_service_has_no_facts_but_its_name() -> None:
    facts = service_facts(Snapshot("shop", "web", "T"))
    assert (facts.namespace, facts.name, facts.exists, facts.ports) == ("shop", "web", False, ())
    assert endpoint_facts(Snapshot("shop", "web", "T")) == ()
    assert node_facts(Snapshot("shop", "web", "T")) == ()


def test_a_port_s_request_is_said_with_its_sign_and_none_for_sctp() -> None:
    ports = (ServicePort(80, 8080, "http"), ServicePort(53, 53, "dns", "UDP"), ServicePort(9, 9, "m3ua", "SCTP"))
    facts = service_facts(snapshot(service(*ports)), "/x")
    assert [port.request for port in facts.ports] == [
        "GET /x (the port's name http)",
        "DNS query over UDP (the port is one of DNS)",
        "",
    ]
    assert [(port.name, port.protocol, port.port, port.target_port) for port in facts.ports] == [
        ("http", "TCP", 80, 8080),
        ("dns", "UDP", 53, 53),
        ("m3ua", "SCTP", 9, 9),
    ]


def test_a_load_balancer_s_facts() -> None:
    of = balancer(
        load_balancer_class="x/y",
        load_balancer_ip="9.9.9.9",
        load_balancer_source_ranges=("10.0.0.0/8",),
        health_check_node_port=31999,
        allocate_node_ports=False,
    )
    facts = service_facts(snapshot(of)).load_balancer
    assert facts is not None
    assert (facts.pending, facts.class_name, facts.requested_ip) == (True, "x/y", "9.9.9.9")
    assert (facts.source_ranges, facts.health_check_node_port) == (("10.0.0.0/8",), 31999)
    assert facts.allocates_node_ports is False
    assert service_facts(snapshot(service())).load_balancer is None


def test_an_address_s_facts() -> None:
    ingress = LoadBalancerIngress("1.2.3.4", "", "VIP", ("80/TCP: x/y",))
    of = service(type="LoadBalancer", load_balancer_ingress=(ingress,))
    facts = service_facts(snapshot(of)).load_balancer
    assert facts is not None
    assert [(i.ip, i.hostname, i.ip_mode, i.errors) for i in facts.ingress] == [
        ("1.2.3.4", "", "VIP", ("80/TCP: x/y",))
    ]
    assert not facts.pending


def test_events_are_told_in_their_order() -> None:
    facts = service_facts(snapshot(events=(event("second", "T2"), event("first", "T1"))))
    assert [(e.message, e.about) for e in facts.events] == [("first", "pod/web-1"), ("second", "pod/web-1")]


def test_pods_are_told_by_name_and_say_why_they_are_not_ready() -> None:
    restarted = ContainerStatus("web", state="running", ready=True, restarts=2)
    pods = (
        pod("c", statuses=(restarted, restarted)),
        unready(NOT_READY, meta=Meta("shop", "b")),
        pod("a", meta=Meta("shop", "a", deleted="T")),
    )
    facts = pod_facts(snapshot(pods=pods))
    assert [(p.name, p.ready, p.terminating, p.restarts) for p in facts] == [
        ("a", True, True, 0),
        ("b", False, False, 0),
        ("c", True, False, 4),
    ]
    assert [p.why_not_ready for p in facts] == [
        "it is being deleted",
        "container web runs, but its readiness probe has not succeeded",
        "",
    ]


def test_endpoints_are_told_port_by_port() -> None:
    of = snapshot(
        None,
        piece(endpoint("10.0.0.1", "web-1", node="node-1", zone="a"), endpoint("10.0.0.2", ready=False, serving=True)),
    )
    facts = endpoint_facts(of)
    assert [(e.address, e.port, e.pod, e.node, e.zone, e.slice) for e in facts] == [
        ("10.0.0.1", 8080, "web-1", "node-1", "a", "web-a"),
        ("10.0.0.2", 8080, "", "", "", "web-a"),
    ]
    assert [(e.ready, e.serving, e.terminating) for e in facts] == [(True, True, False), (False, True, False)]


def test_nodes_are_told_where_there_are_node_ports() -> None:
    nodes = (node("node-1", "192.168.7.11", external="198.51.100.1"),)
    assert node_facts(snapshot(nodes=nodes)) == ()
    (facts,) = node_facts(snapshot(balancer(), nodes=nodes))
    assert (facts.name, facts.ready, facts.internal_ips) == ("node-1", True, ("192.168.7.11",))
    assert facts.external_ips == ("198.51.100.1",)
    refused = (Unread("Node", "nodes", "forbidden", ""),)
    pods = (pod(node="node-9", host_ips=("192.168.7.19",)),)
    assert [n.name for n in node_facts(snapshot(balancer(), pods=pods, unread=refused))] == ["node-9"]


def test_paths_are_told_in_the_order_of_a_packet_s_way_and_what_was_not_tried_too() -> None:
    here = probe(2, path(PathKind.NODE_PORT, "192.168.7.11", 30080, subject="node-1", node="node-1"), Vantage.HERE)
    results = (
        result(here, Outcome.ANSWERED),
        result(probe(0), Outcome.REFUSED),
        result(probe(1, path(PathKind.ENDPOINT, "10.0.0.1", 8080, subject="web-1", node="node-1")), Outcome.ANSWERED),
        result(probe(3, path(PathKind.CONTROL)), Outcome.ANSWERED),
    )
    plan = ProbePlan(unprobed=(Unprobed(PathKind.DNS, "web:80", "because", Vantage.POD),))
    facts = path_facts(snapshot(), results, plan)
    assert [(p.kind, p.vantage, p.outcome) for p in facts] == [
        ("Endpoint", "probe pod", "answered"),
        ("ClusterIP", "probe pod", "refused"),
        ("DNS", "probe pod", "not-run"),
        ("NodePort", "this machine", "answered"),
    ]
    assert (facts[0].target, facts[0].subject, facts[0].node) == ("10.0.0.1:8080", "web-1", "node-1")
    assert facts[2] == PathFacts(
        kind="DNS",
        target="web:80",
        subject="",
        node="",
        port_name="",
        vantage="probe pod",
        request="",
        offered=True,
        outcome="not-run",
        http_status=0,
        attempts=0,
        succeeded=0,
        milliseconds=0.0,
        detail="because",
    )


def test_a_path_s_attempts_are_counted_and_its_time_is_in_milliseconds() -> None:
    named = ServicePort(80, 8080, "http")
    observations = [
        *seen(0, Outcome.ANSWERED, status=200, seconds=0.01234),
        *seen(0, Outcome.TIMED_OUT),
        *seen(0, Outcome.NOT_RUN),
    ]
    (facts,) = path_facts(snapshot(service(named)), join([probe(0, path(of=named))], observations), ProbePlan())
    assert (facts.attempts, facts.succeeded, facts.milliseconds) == (2, 1, 12.3)
    assert (facts.http_status, facts.outcome, facts.detail) == (200, "intermittent", "1 of 2 timed out")
    assert (facts.port_name, facts.request, facts.offered, facts.expected) == ("http", "GET /", True, "")


def test_a_failure_that_is_expected_says_why() -> None:
    unready_endpoint = result(probe(0, path(PathKind.ENDPOINT, is_offered=False)), Outcome.REFUSED)
    (facts,) = path_facts(snapshot(), (unready_endpoint,), ProbePlan())
    assert (facts.offered, facts.expected) == (False, "not ready")
