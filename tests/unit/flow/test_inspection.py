"""One Service from name to report, on a cluster in memory whose kubelet ends every pod at once."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.errors import AccessError, Forbidden, UsageError, api_error
from kubectl_svcprobe.inspection import Inspector
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.report import Confidence, Report, Verdict
from kubectl_svcprobe.run import Options, Run
from tests.fake_cluster import FakeCluster
from tests.unit.flow import objects as o


def inspect(cluster: FakeCluster, name: str = "devops", port: str = "", **options: Any) -> tuple[Report, list[str]]:
    """The report, and what was noted beside it."""
    notes: list[str] = []
    inspector = Inspector(Run(cluster, Options(**options), Kubectl(), Interrupts(), lambda text: None, notes.append))
    return inspector.inspect(o.NAMESPACE, name, port), notes


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def outcomes(report: Report) -> set[tuple[str, str]]:
    return {(path.kind, path.outcome) for path in report.paths}


def probe_pods(cluster: FakeCluster) -> list[str]:
    return [
        item["metadata"]["name"] for item in cluster.list(r.PODS) if item["metadata"]["name"].startswith("svcprobe-")
    ]


def test_a_service_that_works() -> None:
    cluster = FakeCluster(*o.healthy())
    o.Kubelet(cluster)
    report, notes = inspect(cluster)
    assert (report.verdict, codes(report), notes) == (Verdict.OK, [], [])
    assert outcomes(report) == {("Endpoint", "answered"), ("ClusterIP", "answered"), ("DNS", "answered")}
    assert report.probe is not None
    assert report.probe.node == "node-2"
    assert probe_pods(cluster) == []


def test_what_failed_is_asked_again_from_a_settled_pod_and_both_pods_are_gone() -> None:
    cluster = FakeCluster(*o.healthy())
    kubelet = o.Kubelet(cluster, lambda url: o.answered(url) if "kubernetes" in url else o.refused(url))
    report, _ = inspect(cluster)
    assert codes(report) == ["SVC403"]
    first, second = kubelet.pods
    assert "initContainers" not in first["spec"]
    assert second["spec"]["initContainers"][0]["name"] == "settle"
    assert report.probe is not None
    assert report.probe.settled
    assert probe_pods(cluster) == []


def refusing(cluster: FakeCluster) -> o.Kubelet:
    """Every pod refuses at the port that the Service leads to, and answers at others."""
    return o.Kubelet(cluster, lambda url: o.refused(url) if ":8080" in url or ":80/" in url else o.answered(url))


def test_a_port_that_refuses_and_is_open_inside_its_pod_is_on_loopback_only() -> None:
    cluster = FakeCluster(*o.healthy())
    cluster.listening["shop", "devops-1"] = {8080}
    refusing(cluster)
    report, _ = inspect(cluster)
    assert codes(report) == ["SVC405"]


def test_the_second_pod_asks_the_other_ports_too_and_they_are_no_paths_of_the_service() -> None:
    pod = o.pod()
    pod["spec"]["containers"][0]["ports"] = [{"containerPort": 3000}]
    cluster = FakeCluster(o.service(), pod, o.endpoint_slice("devops-1"), o.node())
    kubelet = refusing(cluster)
    report, _ = inspect(cluster)
    assert codes(report) == ["SVC406"]
    asked = ["10.244.1.5:3000" in " ".join(created["spec"]["containers"][0]["command"]) for created in kubelet.pods]
    assert asked == [False, True]
    assert not [path for path in report.paths if ":3000" in path.target]


def test_who_may_not_forward_ports_is_told_what_was_not_asked() -> None:
    cluster = FakeCluster(*o.healthy())
    cluster.forbid(r.PODS, subresource="portforward")
    refusing(cluster)
    report, _ = inspect(cluster)
    assert [(f.code, f.confidence) for f in report.findings] == [("SVC403", Confidence.LIKELY)]
    assert any("could not be asked" in line and "forbidden" in line for line in report.findings[0].evidence)


def test_no_port_is_forwarded_where_nothing_refuses() -> None:
    cluster = FakeCluster(*o.healthy())
    o.Kubelet(cluster)
    inspect(cluster)
    assert "pods/portforward" not in {request.resource for request in cluster.requests}


def test_what_answers_at_once_is_not_asked_again() -> None:
    cluster = FakeCluster(*o.healthy())
    kubelet = o.Kubelet(cluster)
    inspect(cluster)
    assert len(kubelet.pods) == 1


def test_an_early_failure_that_the_settled_pod_does_not_see_is_no_fault() -> None:
    cluster = FakeCluster(*o.healthy())
    kubelet = o.Kubelet(cluster)
    kubelet.answer = lambda url: o.refused(url) if len(kubelet.pods) == 1 and "10.96.0.7" in url else o.answered(url)
    report, _ = inspect(cluster)
    assert (report.verdict, codes(report)) == (Verdict.OK, ["SVC732"])


def one_node_fails(cluster: FakeCluster, pods_that_fail: int = 2) -> o.Kubelet:
    """The ClusterIP refuses the first pods, and answers the next ones."""
    kubelet = o.Kubelet(cluster)
    kubelet.answer = lambda url: (
        o.refused if "10.96.0.7" in url and len(kubelet.pods) <= pods_that_fail else o.answered
    )(url)
    return kubelet


def test_what_a_node_may_be_the_reason_of_is_asked_from_another_one() -> None:
    cluster = FakeCluster(*o.healthy(), o.node("node-2"))
    kubelet = one_node_fails(cluster)
    report, notes = inspect(cluster)
    assert (codes(report), notes) == (["SVC701"], [])
    assert [o.wanted_node(pod) for pod in kubelet.pods] == ["node-2", "node-2", "node-1"]
    assert report.probe is not None
    assert report.probe.other_node == "node-1"
    assert "node-2 only" in report.summary
    found = {(path.vantage, path.outcome) for path in report.paths if path.kind == "ClusterIP"}
    assert found == {("probe pod", "refused"), ("another node", "answered")}
    assert probe_pods(cluster) == []


def test_kube_proxy_is_asked_how_it_is_on_both_nodes_and_that_is_no_path() -> None:
    cluster = FakeCluster(*o.healthy(), o.node("node-2"))
    kubelet = one_node_fails(cluster)
    report, _ = inspect(cluster)
    asked = [word for word in kubelet.pods[-1]["spec"]["containers"][0]["command"] if ":10256/healthz" in word]
    assert asked
    assert "ProxyHealth" not in {path.kind for path in report.paths}


def test_one_pod_is_one_pod_and_waits_first() -> None:
    cluster = FakeCluster(*o.healthy(), o.node("node-2"))
    kubelet = one_node_fails(cluster)
    report, _ = inspect(cluster, one_pod=True)
    (only,) = kubelet.pods
    assert only["spec"]["initContainers"][0]["name"] == "settle"
    assert codes(report) == ["SVC701"]
    assert report.probe is not None
    assert report.probe.other_node == ""


def test_a_pod_that_may_not_run_on_the_other_node_is_noted_and_changes_no_verdict() -> None:
    cluster = FakeCluster(*o.healthy(), o.node("node-2"))
    kubelet = one_node_fails(cluster)
    run = cluster.on_create
    assert run is not None

    def refuse_the_third(created: o.Object) -> None:
        run(created)
        if len(kubelet.pods) == 2:
            cluster.forbid(r.PODS, "create")

    cluster.on_create = refuse_the_third
    report, notes = inspect(cluster)
    assert codes(report) == ["SVC701"]
    assert len(notes) == 1
    assert "could not be asked from node-1" in notes[0]


def test_no_pod_runs_where_nothing_is_behind_the_service() -> None:
    cluster = FakeCluster(o.service(), o.node())
    kubelet = o.Kubelet(cluster)
    report, _ = inspect(cluster)
    assert codes(report) == ["SVC201"]
    assert kubelet.pods == []
    assert {path.detail for path in report.paths} == {"nothing is behind it"}


def test_a_policy_on_the_pods_makes_the_first_pod_wait() -> None:
    policy = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "allow-front", "namespace": o.NAMESPACE},
        "spec": {"podSelector": {"matchLabels": {"app": "devops"}}, "ingress": []},
    }
    cluster = FakeCluster(*o.healthy(), policy)
    kubelet = o.Kubelet(cluster)
    inspect(cluster)
    assert [pod["spec"]["initContainers"][0]["name"] for pod in kubelet.pods] == ["settle"]


def test_no_probe_starts_no_pod() -> None:
    cluster = FakeCluster(*o.healthy())
    kubelet = o.Kubelet(cluster)
    report, _ = inspect(cluster, probe=False)
    assert (report.verdict, kubelet.pods, report.probe) == (Verdict.OK, [], None)


def test_a_pod_that_is_not_admitted_leaves_the_rest_of_the_report() -> None:
    cluster = FakeCluster(*o.healthy())
    cluster.forbid(r.PODS, "create")
    cluster.listening["shop", "devops-1"] = {8080}
    report, _ = inspect(cluster)
    assert (report.verdict, codes(report)) == (Verdict.UNKNOWN, ["SVC902"])
    assert report.endpoints[0].pod == "devops-1"
    assert {p.detail for p in report.paths if p.vantage == "probe pod"} == {"the probe pod did not run"}
    assert {(p.kind, p.http_status) for p in report.paths if p.vantage == "API server"} == {
        ("ServiceProxy", 200),
        ("PortForward", 200),
    }


@pytest.mark.parametrize(
    "resource",
    [r.ENDPOINT_SLICES, r.EVENTS, r.NETWORK_POLICIES, r.NODES, r.PODS],
    ids=lambda resource: str(resource.plural),
)
def test_every_read_survives_a_refusal(resource: r.Resource) -> None:
    cluster = FakeCluster(*o.healthy())
    o.Kubelet(cluster)
    cluster.forbid(resource, "list")
    report, _ = inspect(cluster)
    assert report.verdict is Verdict.OK, "the ClusterIP answered the probe pod, and that decides"
    assert [s.why.split(":")[0] for s in report.skipped if s.what.startswith(resource.plural)] == ["forbidden"]


def test_what_is_behind_a_service_is_tried_although_its_endpoints_could_not_be_read() -> None:
    cluster = FakeCluster(*o.healthy())
    o.Kubelet(cluster)
    cluster.forbid(r.ENDPOINT_SLICES, "list")
    report, _ = inspect(cluster)
    assert outcomes(report) == {("ClusterIP", "answered"), ("DNS", "answered")}


def test_the_service_itself_must_be_readable() -> None:
    cluster = FakeCluster(*o.healthy())
    cluster.forbid(r.SERVICES, "get")
    with pytest.raises(Forbidden, match="services"):
        inspect(cluster)


def test_a_server_that_fails_in_the_middle_is_unread_and_not_empty() -> None:
    cluster = FakeCluster(*o.healthy())
    o.Kubelet(cluster)
    cluster.fail(r.ENDPOINT_SLICES, "list", api_error(500, "InternalError", "etcd is away"))
    report, _ = inspect(cluster)
    assert [s.why for s in report.skipped if s.what == "endpointslices in shop"] == [
        "failed: Error from server (InternalError): etcd is away"
    ]
    assert "SVC204" not in codes(report)


def test_one_port_of_several() -> None:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "admin", "port": 81, "targetPort": 8081}]
    cluster = FakeCluster(o.service(ports=ports), o.pod(), o.endpoint_slice("devops-1"))
    for port in ("81", "admin"):
        report, _ = inspect(cluster, port=port)
        assert [p.port for p in report.service.ports] == [81]
    with pytest.raises(UsageError, match=r"no port 82; it has http \(80\), admin \(81\)"):
        inspect(cluster, port="82")


def test_a_node_that_does_not_exist_is_said_before_any_pod_is_made() -> None:
    cluster = FakeCluster(*o.healthy())
    kubelet = o.Kubelet(cluster)
    with pytest.raises(UsageError, match="there is no node node-9; there is node-1"):
        inspect(cluster, node="node-9")
    assert kubelet.pods == []


def test_a_missing_service_names_what_comes_near() -> None:
    elsewhere = o.service()
    elsewhere["metadata"]["namespace"] = "other"
    namespace = {"kind": "Namespace", "metadata": {"name": o.NAMESPACE}}
    cluster = FakeCluster(namespace, o.service("devops-lb"), o.pod(labels={"app": "devops"}), elsewhere)
    report, _ = inspect(cluster)
    assert not report.service.exists
    evidence = " ".join(report.findings[0].evidence)
    assert ("devops-lb" in evidence, "other" in evidence, "pod/devops-1" in evidence) == (True, True, True)


def test_a_missing_namespace_is_said_to_be_missing() -> None:
    report, _ = inspect(FakeCluster())
    assert report.summary == "there is no namespace shop, so no Service devops in it."


def test_a_pod_that_cannot_be_removed_is_said_with_the_command() -> None:
    cluster = FakeCluster(*o.healthy())
    o.Kubelet(cluster)
    cluster.forbid(r.PODS, "delete")
    report, notes = inspect(cluster)
    assert report.probe is not None
    assert "forbidden" in report.probe.leftover
    assert f"kubectl -n shop delete pod {report.probe.pod}" in notes[0]


def test_keep_pod_keeps_it_and_says_how_it_goes() -> None:
    cluster = FakeCluster(*o.healthy())
    o.Kubelet(cluster)
    report, notes = inspect(cluster, keep_pod=True)
    assert report.probe is not None
    assert probe_pods(cluster) == [report.probe.pod]
    assert "cleanup" in notes[0]


def test_an_unreachable_server_is_an_error_and_no_verdict() -> None:
    cluster = FakeCluster(*o.healthy())
    cluster.fail(r.SERVICES, "get", AccessError("The connection to the server was refused"))
    with pytest.raises(AccessError, match="refused"):
        inspect(cluster)
