"""Which ways in a Service has, which are tried from where, how often, and why the others are not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubectl_svcprobe.facts.model import Meta, Service, ServicePort
from kubectl_svcprobe.facts.policy import LabelSelector, NetworkPolicy
from kubectl_svcprobe.facts.snapshot import Snapshot, Unread
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.plan import MAX_ENDPOINTS, MAX_NODES, ProbePlan, Unprobed, Wishes, make_plan
from kubectl_svcprobe.probe.request import LOOKUP
from kubectl_svcprobe.probe.ways import find_paths
from tests.unit.core.build import balancer, endpoint, node, piece, pod, service, snapshot

OURS = {"app.kubernetes.io/managed-by": "kubectl-svcprobe"}
NODE_PORT = ServicePort(80, 8080, node_port=30080)


def plan(of: Snapshot, **wishes: Any) -> ProbePlan:
    return make_plan(of, find_paths(of), Wishes(**{"no_pod_reason": "--no-probe", **wishes}))


def tried(made: ProbePlan, vantage: Vantage | None = None) -> list[str]:
    return [f"{p.path.kind.value} {p.path.target}" for p in made.probes if vantage in (None, p.vantage)]


def paths(of: Snapshot) -> list[str]:
    return [f"{p.kind.value} {p.target}" for p in find_paths(of)]


# the ways in


def test_all_ways_in_of_a_service_that_has_them_all() -> None:
    of = snapshot(
        balancer("203.0.113.10", cluster_ips=("10.96.0.7", "fd00::7"), external_ips=("203.0.113.9",)),
        piece(endpoint("10.244.1.5", "web-1", node="node-1")),
        nodes=(node("node-1", "192.168.7.11", external="198.51.100.1"),),
    )
    assert paths(of) == [
        "Endpoint 10.244.1.5:8080",
        "ClusterIP 10.96.0.7:80",
        "ClusterIP [fd00::7]:80",
        "DNS web:80",
        "DNS web.shop.svc:80",
        "DNS web.shop.svc.cluster.local:80",
        "NodePort 192.168.7.11:30080",
        "NodePort 198.51.100.1:30080",
        "LoadBalancer 203.0.113.10:80",
        "ExternalIP 203.0.113.9:80",
    ]


def test_where_there_is_no_service_there_is_no_way_in() -> None:
    assert find_paths(Snapshot("shop", "web", "")) == ()


def test_an_alias_is_asked_by_its_names_and_by_the_name_that_it_is_for() -> None:
    names = ["web", "web.shop.svc", "web.shop.svc.cluster.local"]
    alias = service(type="ExternalName", external_name="db.example.com.", cluster_ips=())
    bare = snapshot(replace(alias, ports=()))
    assert paths(bare) == [*(f"DNS {name}" for name in names), "ExternalName db.example.com"]
    port = ServicePort(5432, 5432, "db")
    of = snapshot(service(port, type="ExternalName", external_name="db.example.com", cluster_ips=()))
    assert paths(of) == [*(f"DNS {name}:5432" for name in names), "ExternalName db.example.com:5432"]


def test_without_a_port_a_name_is_only_looked_up() -> None:
    alias = service(type="ExternalName", external_name="db.example.com", cluster_ips=())
    made = plan(snapshot(replace(alias, ports=())))
    assert {p.request for p in made.probes if p.path.kind is not PathKind.CONTROL} == {LOOKUP}


def test_each_family_has_its_own_names_where_there_are_two() -> None:
    dual = snapshot(service(ip_families=("IPv4", "IPv6")), piece(endpoint("10.0.0.1")))
    asked = [(p.host, p.family) for p in find_paths(dual) if p.kind is PathKind.DNS]
    assert asked[:2] == [("web", "IPv4"), ("web.shop.svc", "IPv4")]
    assert asked[3:5] == [("web", "IPv6"), ("web.shop.svc", "IPv6")]


def test_the_name_of_a_headless_service_leads_to_the_pods_own_port() -> None:
    headless = service(cluster_ips=(), is_headless=True)
    assert paths(snapshot(headless, piece(endpoint("10.0.0.1"), port=8080)))[1] == "DNS web:8080"
    assert paths(snapshot(headless))[0] == "DNS web:80"


def test_endpoints_without_a_port_and_of_finished_pods_are_no_way_in() -> None:
    finished = pod("web-1", phase="Succeeded")
    slices = piece(endpoint("10.0.0.1", "web-1"), endpoint("10.0.0.2", "web-2"))
    of = snapshot(None, slices, piece(endpoint("10.0.0.3"), port=0, called="web-b"), pods=(finished,))
    assert [p.host for p in find_paths(of) if p.kind is PathKind.ENDPOINT] == ["10.0.0.2"]


def test_an_endpoint_that_gets_no_traffic_is_not_offered() -> None:
    of = snapshot(None, piece(endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=False, serving=False)))
    assert [(p.host, p.is_offered) for p in find_paths(of)[:2]] == [("10.0.0.1", True), ("10.0.0.2", False)]


def test_an_endpoint_s_path_knows_its_pod_and_node() -> None:
    of = snapshot(None, piece(endpoint("10.0.0.1", "web-1", node="node-1"), endpoint("10.0.0.2")))
    first, second = find_paths(of)[:2]
    assert (first.subject, first.node) == ("web-1", "node-1")
    assert (second.subject, second.node) == ("10.0.0.2", "")


# what is tried


def healthy(of: Service | None = None, **fields: Any) -> Snapshot:
    slices = piece(endpoint("10.244.1.5", "web-1", node="node-1"))
    return snapshot(of, slices, **{"nodes": (node("node-1", "192.168.7.11"), node("node-2", "192.168.7.12")), **fields})


def test_the_pod_tries_all_and_this_machine_what_is_outside() -> None:
    made = plan(healthy(balancer("203.0.113.10", external_ips=("203.0.113.9",))))
    outside = [
        "NodePort 192.168.7.11:30080",
        "NodePort 192.168.7.12:30080",
        "LoadBalancer 203.0.113.10:80",
        "ExternalIP 203.0.113.9:80",
    ]
    inside = ["Endpoint 10.244.1.5:8080", "ClusterIP 10.96.0.7:80"]
    names = ["DNS web:80", "DNS web.shop.svc:80", "DNS web.shop.svc.cluster.local:80"]
    controls = ["Control kubernetes.default.svc:443"]
    assert tried(made, Vantage.POD) == [*inside, *names, *outside, *controls]
    assert tried(made, Vantage.HERE) == outside
    assert [probe.id for probe in made.probes] == list(range(len(made.probes)))
    assert made.unprobed == ()


def test_what_leads_to_any_of_several_endpoints_is_tried_three_times() -> None:
    made = plan(healthy(balancer("203.0.113.10")))
    attempts = {probe.path.kind: probe.attempts for probe in made.probes}
    assert attempts == {
        PathKind.ENDPOINT: 1,
        PathKind.CLUSTER_IP: 3,
        PathKind.DNS: 3,
        PathKind.NODE_PORT: 3,
        PathKind.LOAD_BALANCER: 3,
        PathKind.CONTROL: 1,
    }


def test_the_control_is_the_kubernetes_service_by_name_and_by_its_first_address() -> None:
    kubernetes = Service(Meta("default", "kubernetes"), cluster_ips=("10.96.0.1", "fd00::1"))
    made = plan(healthy(kubernetes=kubernetes))
    controls = [p for p in made.probes if p.path.kind is PathKind.CONTROL]
    assert [p.path.target for p in controls] == ["kubernetes.default.svc:443", "10.96.0.1:443"]
    assert {str(p.request) for p in controls} == {"HTTPS GET /version"}
    assert {p.path.subject for p in controls} == {"service/kubernetes"}
    assert {p.vantage for p in controls} == {Vantage.POD}


def test_only_a_vantage_s_own_probes() -> None:
    made = plan(healthy(balancer("203.0.113.10")))
    cut = made.only(made.probes[:2])
    assert cut.probes == made.probes[:2]
    assert {p.vantage for p in made.from_vantage(Vantage.HERE)} == {Vantage.HERE}


def test_no_service_has_an_empty_plan() -> None:
    assert make_plan(Snapshot("shop", "web", ""), (), Wishes()) == ProbePlan((), (), settle=False)


def test_the_name_of_a_headless_service_leads_to_the_first_of_several_ports() -> None:
    headless = service(cluster_ips=(), is_headless=True)
    of = snapshot(headless, piece(endpoint("10.0.0.1")), piece(endpoint("10.0.0.2"), port=8081, called="web-b"))
    assert next(p.target for p in find_paths(of) if p.kind is PathKind.DNS) == "web:8080"


# why not


def reasons(made: ProbePlan) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for u in made.unprobed:
        found.setdefault(u.reason, set()).add(f"{u.kind.value}{' here' if u.vantage is Vantage.HERE else ''}")
    return found


def test_without_a_pod_only_this_machine_tries_and_no_control_is_needed() -> None:
    made = plan(healthy(service(NODE_PORT)), from_pod=False)
    assert tried(made) == ["NodePort 192.168.7.11:30080", "NodePort 192.168.7.12:30080"]
    assert reasons(made) == {"--no-probe": {"Endpoint", "ClusterIP", "DNS", "NodePort"}}


def test_not_from_here() -> None:
    made = plan(healthy(service(NODE_PORT)), from_here=False)
    assert tried(made, Vantage.HERE) == []
    assert reasons(made) == {"--no-from-here": {"NodePort here"}}


def test_neither() -> None:
    made = plan(healthy(service(NODE_PORT)), from_here=False, from_pod=False)
    assert made.probes == ()
    assert reasons(made)["--no-from-here"] == {"NodePort here"}


@pytest.mark.parametrize(("protocol", "why"), [("UDP", "curl cannot"), ("SCTP", "not probed")])
def test_what_is_not_tcp_is_not_tried_from_a_pod(protocol: str, why: str) -> None:
    port = ServicePort(53, 53, "dns", protocol)
    of = snapshot(service(port), piece(endpoint("10.0.0.1"), port=53, name="dns", protocol=protocol))
    made = plan(of)
    assert made.probes == ()
    assert reasons(made) == {f"{protocol}: {why}": {"Endpoint", "ClusterIP", "DNS"}}


def test_nothing_behind_it() -> None:
    made = plan(snapshot(service(NODE_PORT), nodes=(node("node-1"),)))
    assert made.probes == ()
    assert reasons(made) == {"nothing is behind it": {"ClusterIP", "DNS", "NodePort", "NodePort here"}}


def test_endpoints_that_are_not_ready_are_tried_for_what_they_tell() -> None:
    made = plan(snapshot(None, piece(endpoint("10.0.0.1", ready=False, serving=False))))
    assert tried(made) == ["Endpoint 10.0.0.1:8080", "Control kubernetes.default.svc:443"]
    assert reasons(made) == {"nothing is behind it": {"ClusterIP", "DNS"}}


def test_unread_endpoints_are_not_none() -> None:
    made = plan(snapshot(unread=(Unread("EndpointSlice", "endpointslices in shop", "forbidden", ""),)))
    assert tried(made)[0] == "ClusterIP 10.96.0.7:80"


def test_a_node_that_is_not_ready() -> None:
    nodes = (node("node-1", "192.168.7.11"), node("node-2", is_ready=False))
    made = plan(healthy(service(NODE_PORT), nodes=nodes))
    assert tried(made, Vantage.HERE) == ["NodePort 192.168.7.11:30080"]
    assert reasons(made) == {"node-2 is not ready": {"NodePort", "NodePort here"}}


def test_a_node_with_an_external_address_is_tried_from_here_by_that_one_without_a_word() -> None:
    nodes = (node("node-1", "192.168.7.11", external="198.51.100.1"), node("node-2", "192.168.7.12"))
    made = plan(healthy(service(NODE_PORT), nodes=nodes))
    assert tried(made, Vantage.HERE) == ["NodePort 198.51.100.1:30080", "NodePort 192.168.7.12:30080"]
    assert "NodePort 192.168.7.11:30080" in tried(made, Vantage.POD)
    assert made.unprobed == ()


def test_what_a_service_offers_in_name_only() -> None:
    assert plan(healthy(balancer())).unprobed == (Unprobed(PathKind.LOAD_BALANCER, "<pending>", "it has no address"),)


# bounds


def endpoints_tried(made: ProbePlan) -> list[str]:
    return [p.path.subject for p in made.probes if p.path.kind is PathKind.ENDPOINT]


def test_at_most_fifty_endpoints_a_port_and_the_rest_is_counted() -> None:
    many = [endpoint(f"10.0.{n // 200}.{n % 200}", f"web-{n:04}") for n in range(1250)]
    made = plan(snapshot(None, piece(*many)))
    assert endpoints_tried(made) == [f"web-{n:04}" for n in range(MAX_ENDPOINTS)]
    assert made.unprobed == (Unprobed(PathKind.ENDPOINT, "1,200 more", "50 of 1,250 endpoints are tried"),)


def test_exactly_as_many_as_the_bound_are_all_tried() -> None:
    many = [endpoint(f"10.0.0.{n}", f"web-{n:02}") for n in range(MAX_ENDPOINTS)]
    made = plan(snapshot(None, piece(*many)))
    assert len(endpoints_tried(made)) == MAX_ENDPOINTS
    assert made.unprobed == ()


def test_the_bound_is_for_each_port() -> None:
    ports = (ServicePort(80, 8080, "a"), ServicePort(81, 8081, "b"))
    many = [endpoint(f"10.0.0.{n}", f"web-{n:02}") for n in range(60)]
    both = piece(*many, port=8080, name="a")
    both = replace(both, ports=(*both.ports, replace(both.ports[0], name="b", port=8081)))
    made = plan(snapshot(service(*ports), both))
    assert len(endpoints_tried(made)) == 2 * MAX_ENDPOINTS
    assert [u.reason for u in made.unprobed] == ["50 of 60 endpoints are tried"] * 2


def test_the_suspicious_are_tried_first() -> None:
    of = snapshot(
        None,
        piece(
            endpoint("10.0.0.1", "a-fine", node="up"),
            endpoint("10.0.0.2", "b-not-ready", node="up", ready=False, serving=False),
            endpoint("10.0.0.3", "c-on-lost-node", node="down"),
            endpoint("10.0.0.4", "d-on-unknown-node", node="unknown"),
        ),
        nodes=(node("up"), node("down", is_ready=False)),
    )
    assert endpoints_tried(plan(of)) == ["c-on-lost-node", "b-not-ready", "a-fine", "d-on-unknown-node"]


def nodes_tried(made: ProbePlan) -> list[str]:
    found = [p.path.node for p in made.probes if p.path.kind is PathKind.NODE_PORT and p.vantage is Vantage.POD]
    return list(dict.fromkeys(found))


def test_at_most_eight_nodes_with_endpoints_and_without_in_turn() -> None:
    nodes = tuple(node(f"node-{n:02}", f"192.168.7.{n}") for n in range(20))
    occupied = [endpoint(f"10.0.0.{n}", node=f"node-{n:02}") for n in range(10, 20)]
    made = plan(snapshot(service(NODE_PORT), piece(*occupied), nodes=nodes))
    assert nodes_tried(made) == [f"node-{n:02}" for n in (0, 1, 2, 3, 10, 11, 12, 13)]
    assert Unprobed(PathKind.NODE_PORT, "12 more", "8 of 20 nodes are tried") in made.unprobed


def test_nodes_are_taken_from_all_zones_in_turn() -> None:
    zones = ["a"] * 10 + ["b"] * 2 + ["c"]
    nodes = tuple(node(f"node-{n:02}", f"192.168.7.{n}", zone) for n, zone in enumerate(zones))
    everywhere = [endpoint(f"10.0.0.{n}", node=n_.meta.name) for n, n_ in enumerate(nodes)]
    made = plan(snapshot(service(NODE_PORT), piece(*everywhere), nodes=nodes))
    assert nodes_tried(made) == [f"node-{n:02}" for n in (0, 1, 2, 3, 4, 10, 11, 12)]


def test_an_endpoint_that_is_not_ready_occupies_no_node() -> None:
    nodes = tuple(node(f"node-{n}", f"192.168.7.{n}") for n in range(MAX_NODES + 2))
    leaving = endpoint("10.0.0.1", node="node-0", ready=False, serving=False)
    occupied = [endpoint(f"10.0.0.{n}", node=f"node-{n}") for n in range(4, 10)]
    made = plan(snapshot(service(NODE_PORT), piece(leaving, *occupied), nodes=nodes))
    assert nodes_tried(made) == [f"node-{n}" for n in (0, 1, 2, 3, 4, 5, 6, 7)]


def test_eight_nodes_are_all_tried() -> None:
    nodes = tuple(node(f"node-{n}", f"192.168.7.{n}") for n in range(MAX_NODES))
    made = plan(snapshot(service(NODE_PORT), piece(endpoint("10.0.0.1", node="node-1")), nodes=nodes))
    assert len(nodes_tried(made)) == MAX_NODES
    assert made.unprobed == ()


# a pod that waits first


def policy(labels: dict[str, str], *types: str) -> NetworkPolicy:
    return NetworkPolicy(Meta("shop", "p"), LabelSelector(labels), frozenset(types))


SETTLE = [
    ("no policy", (), False),
    ("on what leaves the probe pod", (policy({}, "Egress"),), True),
    ("on what leaves other pods", (policy({"app": "web"}, "Egress"),), False),
    ("on what enters the Service's pods", (policy({"app": "web"}, "Ingress"),), True),
    ("on what enters other pods", (policy({"app": "db"}, "Ingress"),), False),
    ("on what enters the probe pod", (policy(OURS, "Ingress"),), False),
]


@pytest.mark.parametrize(("policies", "expected"), [c[1:] for c in SETTLE], ids=[c[0] for c in SETTLE])
def test_a_policy_at_either_end_asks_for_a_pod_that_waits(policies: tuple[NetworkPolicy, ...], expected: bool) -> None:
    assert plan(healthy(pods=(pod(),), policies=policies)).settle is expected


def test_the_user_s_path_is_asked_for_everywhere() -> None:
    made = plan(healthy(service(NODE_PORT)), path="/x")
    assert {str(p.request) for p in made.probes if p.path.kind is not PathKind.CONTROL} == {"GET /x"}
