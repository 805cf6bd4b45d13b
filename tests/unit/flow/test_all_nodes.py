"""`--all-nodes` from name to report, on a cluster in memory with a kubelet for each node."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe.report import Report, Verdict
from tests.fake_cluster import FakeCluster
from tests.unit.flow import objects as o
from tests.unit.flow.test_inspection import codes, inspect, probe_pods

NODES = ("node-1", "node-2", "node-3")


def node(name: str, **labels: str) -> o.Object:
    made = o.node(name)
    made["metadata"]["labels"] = labels
    made["status"]["addresses"] = [{"type": "InternalIP", "address": f"172.30.0.1{name[-1]}"}]
    return made


def cluster_of(*nodes: o.Object) -> FakeCluster:
    return FakeCluster(o.service(), o.pod(), o.endpoint_slice("devops-1"), *nodes)


class Kubelets:
    """One for each node. What a node's pods ask for is refused where its URL contains `fails[node]`; `refusing` nodes take
    no pod at all."""

    def __init__(self, cluster: FakeCluster, fails: dict[str, str], refusing: tuple[str, ...] = ()) -> None:
        self.cluster, self.refusing = cluster, refusing
        self.usual = o.Kubelet(cluster)
        self.odd = {name: o.Kubelet(cluster, refuses(part)) for name, part in fails.items()}
        self.pods: list[tuple[str, bool]] = []
        cluster.on_create = self.run

    def run(self, created: o.Object) -> None:
        name = o.wanted_node(created)
        self.pods.append((name, "initContainers" in created["spec"]))
        if name in self.refusing:
            self.cluster.update({**created, "status": {"conditions": [UNSCHEDULABLE]}})
            return
        self.odd.get(name, self.usual).run(created)


def refuses(part: str) -> o.Answer:
    return lambda url: o.refused(url) if part in url else o.answered(url)


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}


def look(cluster: FakeCluster) -> tuple[Report, list[str]]:
    report, notes = inspect(cluster, all_nodes=True)
    assert probe_pods(cluster) == []
    return report, notes


def asked_from(report: Report) -> set[str]:
    return {path.from_node for path in report.paths if path.kind == "ClusterIP"}


def test_one_pod_a_node_and_no_more_where_all_is_well() -> None:
    cluster = cluster_of(*map(node, NODES))
    kubelets = Kubelets(cluster, {})
    report, _ = look(cluster)
    assert (report.verdict, asked_from(report)) == (Verdict.OK, set(NODES))
    assert sorted(kubelets.pods) == [(name, False) for name in NODES]


def test_only_the_node_that_fails_asks_again_and_the_main_one_about_kube_proxies() -> None:
    cluster = cluster_of(*map(node, NODES))
    kubelets = Kubelets(cluster, {"node-2": "10.96.0.7"})
    report, _ = look(cluster)
    assert codes(report) == ["SVC701"]
    assert "from node-2 only" in report.summary
    again = kubelets.pods[len(NODES) :]
    assert sorted(again) == [("node-1", False), ("node-2", True)]
    assert report.probe is not None
    assert [each.node for each in report.probe.each_node if each.settled] == ["node-2"]


def test_a_node_that_takes_no_pod_is_said_and_is_not_broken() -> None:
    cluster = cluster_of(*map(node, NODES))
    Kubelets(cluster, {}, refusing=("node-3",))
    report, _ = look(cluster)
    assert (report.verdict, asked_from(report)) == (Verdict.OK, {"node-1", "node-2"})
    assert "node-3 could not be asked" in report.summary


def test_where_no_node_takes_one_nothing_can_be_told() -> None:
    cluster = cluster_of(*map(node, NODES))
    Kubelets(cluster, {}, refusing=NODES)
    report, _ = look(cluster)
    assert (report.verdict, codes(report)) == (Verdict.UNKNOWN, ["SVC902"])


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({**node("node-2"), "status": {"conditions": [{"type": "Ready", "status": "False"}]}}, "it is not ready"),
        (node("node-2", **{"kubernetes.io/os": "windows"}), "it runs no Linux pods"),
    ],
    ids=["not ready", "windows"],
)
def test_a_node_that_cannot_run_the_pod_is_not_tried(other: dict[str, Any], why: str) -> None:
    cluster = cluster_of(node("node-1"), other)
    kubelets = Kubelets(cluster, {})
    report, _ = look(cluster)
    assert {name for name, _ in kubelets.pods} == {"node-1"}
    assert report.probe is not None
    assert [(each.node, each.problem) for each in report.probe.each_node] == [("node-1", ""), ("node-2", why)]


def test_of_very_many_nodes_some_are_asked_and_the_rest_is_counted() -> None:
    names = [f"node-{number:02}" for number in range(40)]
    cluster = cluster_of(*map(node, names))
    kubelets = Kubelets(cluster, {})
    report, _ = look(cluster)
    assert report.probe is not None
    assert (len(report.probe.each_node), report.probe.unasked_nodes) == (32, 8)
    assert len(kubelets.pods) == 32


def test_a_service_with_nothing_behind_it_costs_no_pod() -> None:
    cluster = FakeCluster(o.service(), *map(node, NODES))
    kubelets = Kubelets(cluster, {})
    report, _ = look(cluster)
    assert (codes(report), kubelets.pods) == (["SVC201"], [])


def test_where_no_node_is_known_one_pod_asks_and_that_is_said() -> None:
    cluster = cluster_of({**node("node-1"), "status": {"conditions": [{"type": "Ready", "status": "False"}]}})
    kubelet = o.Kubelet(cluster)
    report, (note,) = look(cluster)
    assert (len(kubelet.pods), report.probe and report.probe.each_node) == (1, ())
    assert "node-1: it is not ready" in note
