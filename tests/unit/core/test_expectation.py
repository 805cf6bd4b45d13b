"""Traffic policies, the fallback to terminating endpoints, and hints: what each node is to do, as tables."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe.facts.dataplane import Dataplane, Proxy
from kubectl_svcprobe.facts.endpoint import Endpoint
from kubectl_svcprobe.facts.locality import local, local_nodes, near
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.expectation import Expected, expectation
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from tests.unit.core.build import endpoint, node, path, piece, service, snapshot

PORT = ServicePort(80, 8080, node_port=30080)
POD, HERE = Vantage.POD, Vantage.HERE


def at(name: str, state: str = "ready", **fields: Any) -> Endpoint:
    """An endpoint on a node: ready, `leaving` (serving while terminating), or `gone` (terminating, and not serving)."""
    conditions: dict[str, Any] = {
        "ready": {},
        "leaving": {"ready": False, "serving": True, "terminating": True},
        "gone": {"ready": False, "serving": False, "terminating": True},
        "unready": {"ready": False, "serving": False},
    }[state]
    return endpoint(f"10.0.{name[-1]}.{len(state)}", node=name, **conditions, **fields)


def both_local(*endpoints: Endpoint, proxy: Proxy = Proxy.IPTABLES) -> Snapshot:
    of = service(PORT, type="NodePort", internal_traffic_policy="Local", external_traffic_policy="Local")
    nodes = tuple(node(f"node-{n}") for n in (1, 2, 3))
    return snapshot(of, piece(*endpoints), nodes=nodes, dataplane=Dataplane(proxy))


# --- which endpoints a policy Local finds on a node (KEP-1669)

LOCALS = [
    ("a ready one", [at("node-1")], {"node-1"}),
    ("none that is not ready", [at("node-1"), at("node-2", "unready")], {"node-1"}),
    (
        "one that serves while terminating, though others are ready",
        [at("node-1"), at("node-2", "leaving")],
        {"node-1", "node-2"},
    ),
    ("not one that has stopped serving", [at("node-1"), at("node-2", "gone")], {"node-1"}),
    ("one without a node is local nowhere", [endpoint("10.0.0.9")], set()),
]


@pytest.mark.parametrize(("endpoints", "expected"), [c[1:] for c in LOCALS], ids=[c[0] for c in LOCALS])
def test_where_a_policy_local_finds_an_endpoint(endpoints: list[Endpoint], expected: set[str]) -> None:
    assert local_nodes(both_local(*endpoints), PORT) == expected


def test_a_terminating_one_gets_nothing_where_a_ready_one_is_on_its_node() -> None:
    found = local(both_local(at("node-1"), at("node-1", "leaving")), PORT, "node-1")
    assert [e.endpoint.ready for e in found] == [True]


# --- what is to be expected of a request

ONE = both_local(at("node-1"))
TWO = both_local(at("node-1"), at("node-2"))
EXPECTED = [
    # what, cluster, kind, asked node, vantage, from node, expected
    ("a pod beside the endpoint", ONE, PathKind.CLUSTER_IP, "", POD, "node-1", Expected.ANSWERS),
    ("a pod on a node without", ONE, PathKind.CLUSTER_IP, "", POD, "node-2", Expected.DROPPED),
    ("by name it is the same", ONE, PathKind.DNS, "", POD, "node-2", Expected.DROPPED),
    ("a pod of --all-nodes", ONE, PathKind.CLUSTER_IP, "", Vantage.EACH_NODE, "node-3", Expected.DROPPED),
    ("from outside, with an endpoint", ONE, PathKind.NODE_PORT, "node-1", HERE, "", Expected.ANSWERS),
    ("from outside, without", ONE, PathKind.NODE_PORT, "node-2", HERE, "", Expected.DROPPED),
    ("a pod, where all endpoints are", ONE, PathKind.NODE_PORT, "node-1", POD, "node-3", Expected.ANSWERS),
    ("a pod, at a node without", ONE, PathKind.NODE_PORT, "node-2", POD, "node-3", Expected.EITHER),
    ("a node's own pod, without", ONE, PathKind.NODE_PORT, "node-2", POD, "node-2", Expected.EITHER),
    ("a node's own pod, with", TWO, PathKind.NODE_PORT, "node-2", POD, "node-2", Expected.ANSWERS),
    ("a pod, by way of a third node", TWO, PathKind.NODE_PORT, "node-2", POD, "node-1", Expected.EITHER),
]


@pytest.mark.parametrize(
    ("of", "kind", "asked", "vantage", "from_node", "expected"), [c[1:] for c in EXPECTED], ids=[c[0] for c in EXPECTED]
)
def test_what_is_to_be_expected(
    of: Snapshot, kind: PathKind, asked: str, vantage: Vantage, from_node: str, expected: Expected
) -> None:
    found = expectation(of, path(kind, of=PORT, node=asked), vantage, from_node)
    assert found is not None
    assert found.what is expected


DATAPLANES = [
    (Proxy.IPTABLES, Expected.DROPPED),
    (Proxy.NFTABLES, Expected.DROPPED),
    (Proxy.IPVS, Expected.DROPPED),
    (Proxy.CILIUM, Expected.NO_ANSWER),
    (Proxy.UNKNOWN, Expected.NO_ANSWER),
]


@pytest.mark.parametrize(("proxy", "expected"), DATAPLANES)
def test_what_comes_instead_of_an_answer_is_the_dataplane_s(proxy: Proxy, expected: Expected) -> None:
    found = expectation(both_local(at("node-1"), proxy=proxy), path(of=PORT), POD, "node-2")
    assert found is not None
    assert found.what is expected


NOT_IN_PLAY = [
    ("both policies Cluster", snapshot(service(PORT), piece(at("node-1"))), PathKind.CLUSTER_IP, "node-2"),
    ("nothing behind it", both_local(at("node-1", "gone")), PathKind.CLUSTER_IP, "node-2"),
    ("an endpoint itself", ONE, PathKind.ENDPOINT, "node-2"),
    ("a load balancer's address", ONE, PathKind.LOAD_BALANCER, "node-2"),
    ("the node of the pod is not known", ONE, PathKind.CLUSTER_IP, ""),
]


@pytest.mark.parametrize(("of", "kind", "from_node"), [c[1:] for c in NOT_IN_PLAY], ids=[c[0] for c in NOT_IN_PLAY])
def test_otherwise_nothing_is_declared(of: Snapshot, kind: PathKind, from_node: str) -> None:
    assert expectation(of, path(kind, of=PORT), POD, from_node) is None


# --- hints


def for_zone(zone: str) -> dict[str, Any]:
    return {"for_zones": frozenset({zone})}


def for_node(name: str, zone: str) -> dict[str, Any]:
    return {"for_nodes": frozenset({name}), **for_zone(zone)}


A1, B2 = at("node-1", **for_zone("a")), at("node-2", **for_zone("b"))
N1, N2 = at("node-1", **for_node("node-1", "a")), at("node-2", **for_node("node-2", "b"))
NEAR = [
    ("its zone", [A1, B2], "node-1", "zone", {"node-1"}),
    ("its zone, from another node of it", [A1, B2], "node-3", "zone", {"node-2"}),
    ("its node before its zone", [N1, N2], "node-1", "node", {"node-1"}),
    ("its zone, where its node has none", [N1, N2], "node-3", "zone", {"node-2"}),
    ("a zone without any: all", [A1], "node-3", "", {"node-1"}),
    ("one without a hint: all", [A1, at("node-2")], "node-1", "", {"node-1", "node-2"}),
    ("no hints at all", [at("node-1"), at("node-2")], "node-1", "", {"node-1", "node-2"}),
    ("none ready, so what still serves", [at("node-1", "leaving", **for_zone("b"))], "node-1", "", {"node-1"}),
]


@pytest.mark.parametrize(("endpoints", "name", "by", "expected"), [c[1:] for c in NEAR], ids=[c[0] for c in NEAR])
def test_where_a_node_s_clients_are_sent(endpoints: list[Endpoint], name: str, by: str, expected: set[str]) -> None:
    nodes = (node("node-1", zone="a"), node("node-2", zone="b"), node("node-3", zone="b"))
    found = near(snapshot(service(PORT), piece(*endpoints), nodes=nodes), PORT, name)
    assert (found.by, {e.endpoint.node for e in found.endpoints}) == (by, expected)
