"""The tutorial: Services from the ground up, each step with what `kubectl svcprobe` says of it.

Everything happens in the namespace `default`, with the files in `examples/`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Namespace, Object, deployment, until
from tests.e2e.command import kubectl_svcprobe, svcprobe
from tests.lab import Lab
from tests.lab.layout import POOL, node_address

pytestmark = pytest.mark.lab

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LABEL = "app=devops"


@pytest.fixture(scope="module")
def default(lab: Lab) -> Iterator[Namespace]:
    """The namespace `default`, with nothing of this tutorial in it before and after."""
    namespace = Namespace(lab, "default")
    remove(namespace)
    yield namespace
    remove(namespace)


def remove(namespace: Namespace) -> None:
    namespace.kubectl("delete", "service,deployment", "devops", "devops-next", "devops-lb", "--ignore-not-found")
    namespace.kubectl("wait", "--for=delete", "pods", "-l", LABEL, "--timeout=60s")


@pytest.fixture
def devops(default: Namespace) -> Namespace:
    """Three pods behind the Service `devops` of type ClusterIP."""
    default.kubectl("apply", "-f", str(EXAMPLES / "deployment.yml"), "-f", str(EXAMPLES / "service.yml"))
    default.roll_out("devops")
    default.await_endpoints("devops", *addresses(default))
    return default


def addresses(namespace: Namespace) -> set[str]:
    """The pods' own addresses, without those of pods that are on their way out."""
    pods = namespace.get("pods", "-l", LABEL)["items"]
    return {pod["status"]["podIP"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def nodes(namespace: Namespace) -> set[str]:
    return {pod["spec"]["nodeName"] for pod in namespace.get("pods", "-l", LABEL)["items"]}


def test_1_pods_answer_at_their_own_addresses(devops: Namespace) -> None:
    report = svcprobe(devops.lab, "devops").report
    assert report.pods == set(devops.names("pods", "-l", LABEL))
    assert report.outcomes("Endpoint") == {f"{address}:8080": "answered" for address in addresses(devops)}
    assert all(path["vantage"] == "probe pod" and path["http_status"] == 200 for path in report.paths("Endpoint"))


def test_2_a_service_answers_at_one_address_and_its_own_port(devops: Namespace) -> None:
    answer = svcprobe(devops.lab, "devops")
    declared = devops.get("service", "devops")["spec"]
    (port,) = answer.report.json["service"]["ports"]
    assert (answer.code, answer.report.verdict, answer.report.codes) == (0, "ok", [])
    assert (port["port"], port["target_port"], port["node_port"]) == (80, 8080, 0)
    assert answer.report.outcomes("ClusterIP") == {f"{declared['clusterIP']}:80": "answered"}
    assert answer.report.outcomes("DNS") == {
        "devops:80": "answered",
        "devops.default.svc.cluster.local:80": "answered",
    }


def test_3_without_a_name_every_service_gets_a_line(devops: Namespace) -> None:
    answer = svcprobe(devops.lab)
    devops_report, kubernetes = answer.reports
    assert [r.json["service"]["name"] for r in answer.reports] == ["devops", "kubernetes"]
    assert (answer.code, devops_report.verdict, kubernetes.verdict) == (0, "ok", "ok")
    assert devops_report.json["service"]["selector"] == {"app": "devops"}
    # The API server keeps the endpoints of `kubernetes` itself: no selector, and nothing wrong with that.
    assert kubernetes.json["service"]["selector"] == {}
    assert kubernetes.ready_addresses == {"172.30.0.1"}

    header, first, second, *rest = kubectl_svcprobe(devops.lab).stdout.splitlines()
    assert header.split() == ["SERVICE", "TYPE", "ADDRESS", "PORTS", "ENDPOINTS", "STATE"]
    assert first.split() == ["devops", "ClusterIP", devops_report.json["service"]["cluster_ips"][0], "80", "3/3", "✔"]
    assert second.split() == ["kubernetes", "ClusterIP", "10.96.0.1", "443", "1/1", "✔"]
    assert rest[1].startswith("2 Services: 2 fine.")


def test_4_pods_come_and_go_and_the_service_follows(devops: Namespace) -> None:
    def follows(replicas: int) -> set[str]:
        """The report names exactly the pods there are, and all of them answer."""
        devops.roll_out("devops")
        devops.until("pods", lambda pods: len(pods) == replicas, LABEL)
        devops.await_endpoints("devops", *addresses(devops))
        answer = svcprobe(devops.lab, "devops")
        assert (answer.code, answer.report.verdict) == (0, "ok")
        assert answer.report.ready_addresses == addresses(devops)
        assert set(answer.report.outcomes("Endpoint")) == {f"{address}:8080" for address in addresses(devops)}
        assert len(answer.report.pods) == replicas
        return answer.report.ready_addresses

    three = follows(3)
    devops.kubectl("scale", "deployment", "devops", "--replicas=5")
    five = follows(5)
    assert three < five
    devops.kubectl("scale", "deployment", "devops", "--replicas=2")
    assert follows(2) < five
    lost = devops.names("pods", "-l", LABEL)[0]
    lost_address = devops.get("pod", lost)["status"]["podIP"]
    devops.kubectl("delete", "pod", lost)
    assert lost_address not in follows(2)


def test_5_a_node_goes_down_and_its_pods_come_back_elsewhere(devops: Namespace) -> None:
    before = devops.get("pods", "-l", LABEL)["items"]
    lost = next(p["spec"]["nodeName"] for p in before if p["spec"]["nodeName"] != coredns_node(devops.lab))
    gone = {p["metadata"]["name"] for p in before if p["spec"]["nodeName"] == lost}
    assert gone
    with devops.lab.broken("node", lost, wait=False):
        # Nobody has noticed yet: its endpoints are still listed as ready, and a share of the requests goes there.
        unnoticed = svcprobe(devops.lab, "devops")
        assert (unnoticed.code, unnoticed.report.verdict) == (1, "broken")
        assert unnoticed.report.codes == ["SVC731"]
        failed = {p["node"] for p in unnoticed.report.paths("Endpoint") if p["outcome"] in ("timed-out", "unreachable")}
        assert failed == {lost}

        # Now the control plane has. What is left of the Service works, and each lost pod is given its reason.
        until(devops.lab, "/api/v1/nodes", lambda found: not is_ready(found, lost))
        devops.until("pods", lambda pods: not any(is_up(pod) for pod in pods if pod["metadata"]["name"] in gone))
        during = svcprobe(devops.lab, "devops").report
        reasons = {pod["name"]: pod["why_not_ready"] for pod in during.json["pods"]}
        assert {reasons[name] for name in gone} == {f"its node {lost} is not ready"}
        assert "SVC731" not in during.codes
        assert set(during.outcomes("ClusterIP").values()) == {"answered"}, "the other nodes' pods still serve"

        # After their toleration they are replaced, on the nodes that are left.
        devops.roll_out("devops")
        devops.await_endpoints("devops", *ready_pod_addresses(devops))
        after = svcprobe(devops.lab, "devops").report
        assert {pod["node"] for pod in after.json["pods"] if pod["ready"]} == {"node-1", "node-2", "node-3"} - {lost}
        assert len(after.ready_addresses) == 3
        assert {p["outcome"] for p in after.paths("Endpoint") if p["offered"]} == {"answered"}
        assert "SVC731" not in after.codes
    devops.until("pods", lambda pods: not gone & {pod["metadata"]["name"] for pod in pods}, LABEL)
    assert svcprobe(devops.lab, "devops").report.verdict == "ok"


def coredns_node(lab: Lab) -> str:
    return lab.kubectl(
        "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].spec.nodeName}"
    )


def is_up(found: Object) -> bool:
    """A pod or a node whose condition `Ready` is true."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in found["status"].get("conditions", []))


def is_ready(found: list[Object], node: str) -> bool:
    return any(is_up(n) for n in found if n["metadata"]["name"] == node)


def ready_pod_addresses(namespace: Namespace) -> list[str]:
    return [pod["status"]["podIP"] for pod in namespace.get("pods", "-l", LABEL)["items"] if is_up(pod)]


def test_6_a_pod_moves_to_another_service_by_its_label(devops: Namespace) -> None:
    other = {"app": "devops-next"}
    spec = {"selector": other, "ports": [{"port": 80, "targetPort": 8080}]}
    devops.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "devops-next"}, "spec": spec})
    empty = svcprobe(devops.lab, "devops-next")
    assert (empty.code, empty.report.codes) == (1, ["SVC201"])

    moved = devops.names("pods", "-l", LABEL)[0]
    address = devops.get("pod", moved)["status"]["podIP"]
    devops.kubectl("label", "pod", moved, "app=devops-next", "--overwrite")
    devops.await_endpoints("devops-next", address)
    devops.roll_out("devops")
    devops.await_endpoints("devops", *addresses(devops))

    there = svcprobe(devops.lab, "devops-next")
    assert (there.code, there.report.verdict, there.report.pods) == (0, "ok", {moved})
    assert there.report.outcomes("Endpoint") == {f"{address}:8080": "answered"}
    here = svcprobe(devops.lab, "devops")
    assert (here.code, here.report.verdict) == (0, "ok")
    assert moved not in here.report.pods
    assert len(here.report.pods) == 3, "the Deployment has made another pod in its place"
    devops.kubectl("delete", f"pod/{moved}", "service/devops-next")


def test_7_the_service_is_deleted_and_its_pods_run_on(devops: Namespace) -> None:
    devops.kubectl("delete", "service", "devops")
    answer = svcprobe(devops.lab, "devops")
    assert (answer.code, answer.report.verdict, answer.report.codes) == (3, "unknown", ["SVC101"])
    assert answer.report.json["service"]["exists"] is False
    said = " ".join(answer.report.finding("SVC101")["evidence"])
    assert "deployment/devops" in said
    assert "guess" in said
    assert len(devops.names("pods", "-l", LABEL)) == 3


def test_8_a_node_port_answers_on_every_node(devops: Namespace) -> None:
    devops.kubectl("scale", "deployment", "devops", "--replicas=2")
    devops.until("pods", lambda pods: len(pods) == 2, LABEL)
    devops.await_endpoints("devops", *addresses(devops))
    assert len(nodes(devops)) < 3, "one node has no pod of it"

    devops.kubectl("apply", "-f", str(EXAMPLES / "service-node-port.yml"))
    answer = svcprobe(devops.lab, "devops")
    node_port = devops.get("service", "devops")["spec"]["ports"][0]["nodePort"]
    assert 30000 <= node_port <= 32767
    assert (answer.code, answer.report.verdict) == (0, "ok")
    expected = {f"{node_address(node)}:{node_port}": "answered" for node in ("node-1", "node-2", "node-3")}
    assert answer.report.outcomes("NodePort", "probe pod") == expected
    assert answer.report.outcomes("NodePort", "this machine") == expected


def test_9_a_load_balancer_is_pending_until_somebody_provides_it(devops: Namespace) -> None:
    devops.lab.load_balancer("off")
    try:
        spec = {"type": "LoadBalancer", "selector": {"app": "devops"}, "ports": [{"port": 80, "targetPort": 8080}]}
        devops.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "devops-lb"}, "spec": spec})
        pending = svcprobe(devops.lab, "devops-lb")
        assert pending.code == 0
        assert pending.report.verdict in ("ok", "warning")
        assert pending.report.json["service"]["load_balancer"]["pending"] is True
        assert "SVC520" in [*pending.report.codes, *pending.report.information]
        assert set(pending.report.outcomes("LoadBalancer").values()) == {"not-run"}
        assert set(pending.report.outcomes("NodePort", "this machine").values()) == {"answered"}
    finally:
        devops.lab.load_balancer("on")
    devops.kubectl("wait", "--for=jsonpath={.status.loadBalancer.ingress}", "service/devops-lb", "--timeout=60s")
    (ingress,) = devops.get("service", "devops-lb")["status"]["loadBalancer"]["ingress"]
    assert ipaddress.ip_address(ingress["ip"]) in [ipaddress.ip_address(address) for address in POOL]
    # The address counts once it is announced; then it answers outside, which a pod's success would not prove.
    devops.kubectl(
        "wait", "--for=jsonpath={.reason}=nodeAssigned", "events", "--timeout=60s",
        "--field-selector=reason=nodeAssigned,involvedObject.name=devops-lb",
    )  # fmt: skip
    answer = svcprobe(devops.lab, "devops-lb")
    assert (answer.code, answer.report.verdict) == (0, "ok")
    assert answer.report.outcomes("LoadBalancer", "this machine") == {f"{ingress['ip']}:80": "answered"}


def test_a_deployment_of_the_tutorial_is_an_ordinary_one() -> None:
    """The example asks of a cluster what these tests' own Deployments ask: nothing but the image is the lab's."""
    import yaml

    example = yaml.safe_load((EXAMPLES / "deployment.yml").read_text())
    (container,) = example["spec"]["template"]["spec"]["containers"]
    (ours,) = deployment("devops")["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == (ours["image"], ours["args"])
