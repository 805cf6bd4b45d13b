"""What is asked from another node, and from which."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.elsewhere import concerns_dns, concerns_proxies, second_look
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Wishes, make_plan
from kubectl_svcprobe.probe.results import PathResult, join
from kubectl_svcprobe.probe.ways import find_paths
from tests.unit.cases import named

#: Endpoints on node-1 and node-2 of three nodes.
SNAPSHOT = named("healthy-clusterip").snapshot()
WITH_NODE_PORTS = named("healthy-nodeport").snapshot()


def results(snapshot: Snapshot = SNAPSHOT, **failing: Outcome) -> tuple[PathResult, ...]:
    """What a pod saw: everything answers but what is named by kind, or as the endpoint of a node (`on_node_2`)."""
    probes = make_plan(snapshot, find_paths(snapshot), Wishes()).from_vantage(Vantage.POD)
    observations = []
    for probe in probes:
        path = probe.path
        names = [path.kind.name.lower()]
        names += [f"on_{path.node.replace('-', '_')}"] if path.kind is PathKind.ENDPOINT else []
        outcome = next((failing[name] for name in names if name in failing), Outcome.ANSWERED)
        observations += [Observation(probe.id, attempt, outcome) for attempt in range(probe.attempts)]
    return join(probes, observations)


def asked(found: tuple[PathResult, ...], here: str = "node-1", snapshot: Snapshot = SNAPSHOT) -> list[tuple[str, str]]:
    look = second_look(snapshot, found, here)
    return [(probe.path.kind.value, probe.path.node or probe.path.host) for probe in look.probes] if look else []


def node_of(found: tuple[PathResult, ...], here: str = "node-1", snapshot: Snapshot = SNAPSHOT) -> str:
    look = second_look(snapshot, found, here)
    return look.node if look else ""


def without(*names: str) -> Snapshot:
    """The same nodes, but for one."""
    return replace(SNAPSHOT, nodes=tuple(n for n in SNAPSHOT.nodes if n.meta.name not in names))


def test_where_all_is_well_nothing_is_asked() -> None:
    assert second_look(SNAPSHOT, results(), "node-1") is None
    assert not concerns_proxies(results())
    assert not concerns_dns(results())


def test_a_cluster_ip_that_fails_though_the_endpoints_answer_and_how_kube_proxy_is_on_both_nodes() -> None:
    found = results(cluster_ip=Outcome.REFUSED)
    assert concerns_proxies(found)
    assert node_of(found) == "node-2"
    assert asked(found) == [
        ("Control", "kubernetes.default.svc"),
        ("Control", "10.96.0.1"),
        ("ClusterIP", "10.96.10.20"),
        ("ProxyHealth", "node-1"),
        ("ProxyHealth", "node-2"),
    ]


def test_the_numbers_are_its_own() -> None:
    found = results(cluster_ip=Outcome.REFUSED)
    look = second_look(SNAPSHOT, found, "node-1")
    assert look is not None
    assert not {r.probe.id for r in found} & {probe.id for probe in look.probes}
    assert len({probe.id for probe in look.probes}) == len(look.probes)
    assert {probe.vantage for probe in look.probes} == {Vantage.OTHER_NODE}


@pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.REFUSED])
def test_where_an_endpoint_fails_too_it_is_no_matter_of_the_proxy(outcome: Outcome) -> None:
    found = results(cluster_ip=outcome, on_node_1=Outcome.REFUSED, on_node_2=Outcome.REFUSED)
    assert not concerns_proxies(found)
    assert second_look(SNAPSHOT, found, "node-1") is None


def test_a_silent_endpoint_is_asked_from_its_own_node() -> None:
    found = results(on_node_2=Outcome.TIMED_OUT)
    assert node_of(found) == "node-2"
    assert ("Endpoint", "node-2") in asked(found)
    assert "ProxyHealth" not in dict(asked(found))


def test_an_endpoint_that_refuses_is_there() -> None:
    assert second_look(SNAPSHOT, results(on_node_2=Outcome.REFUSED), "node-1") is None


def test_silence_on_the_pod_s_own_node_is_no_matter_of_the_way() -> None:
    found = results(on_node_1=Outcome.TIMED_OUT, on_node_2=Outcome.TIMED_OUT)
    assert second_look(SNAPSHOT, found, "node-1") is None
    assert node_of(found, here="node-3") == "node-1"


def test_a_node_without_an_endpoint_will_do_and_without_any_other_node_nothing_is_asked() -> None:
    found = results(cluster_ip=Outcome.TIMED_OUT)
    assert node_of(found, snapshot=without("node-2")) == "node-3"
    assert second_look(without("node-2", "node-3"), found, "node-1") is None
    assert second_look(SNAPSHOT, found, "") is None


def test_only_a_ready_node_that_runs_linux() -> None:
    def marked(node: Node) -> Node:
        labels = {**node.meta.labels, "kubernetes.io/os": "windows" if node.meta.name == "node-2" else "linux"}
        return replace(node, meta=replace(node.meta, labels=labels))

    nodes = tuple(map(marked, SNAPSHOT.nodes))
    assert node_of(results(cluster_ip=Outcome.TIMED_OUT), snapshot=replace(SNAPSHOT, nodes=nodes)) == "node-3"


def test_a_node_port_that_fails_is_asked_from_elsewhere() -> None:
    found = results(WITH_NODE_PORTS, node_port=Outcome.TIMED_OUT)
    kinds = [kind for kind, _ in asked(found, snapshot=WITH_NODE_PORTS)]
    assert kinds.count("NodePort") == 3
    assert concerns_proxies(found)


def test_a_name_that_is_not_found_is_a_matter_of_the_dns() -> None:
    assert concerns_dns(results(dns=Outcome.DNS_FAILED))
