"""What is broken is broken as it would be elsewhere, and is whole again once mended."""

from __future__ import annotations

import subprocess

import pytest

from tests.lab import Lab, LabError
from tests.lab.layout import AGNHOST_IMAGE, node_address

pytestmark = pytest.mark.lab

NODE_PORT = 30080


WEB = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 0
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 1
            preference: {{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [node-2]}}]}}
      containers:
      - name: web
        image: {AGNHOST_IMAGE}
        args: [netexec, --http-port=8080]
        readinessProbe: {{httpGet: {{path: /hostname, port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{type: NodePort, selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}]}}
"""
PODS = ("pods", "--selector=app=web")


@pytest.fixture(scope="module", autouse=True)
def web(lab: Lab) -> None:
    """A pod that prefers node-2 and may move, behind a node port."""
    lab.apply(WEB)
    lab.kubectl("rollout", "status", "deployment/web", "--timeout=30s")


def url(node: str) -> str:
    return f"http://{node_address(node)}:{NODE_PORT}/hostname"


def fetch(lab: Lab, node: str) -> int:
    """curl's exit code."""
    return lab.run(["curl", "-s", "--max-time", "2", url(node)], check=False).returncode


def answers(node: str, place: list[str]) -> bool:
    """Whether the node's kubelet does, to a command in that place."""
    command = [*place, "curl", "-sk", "--max-time", "2", f"https://{node_address(node)}:10250/"]
    return not subprocess.run(command, capture_output=True, check=False).returncode


def await_node_port(lab: Lab, node: str) -> None:
    patience = ["--retry", "40", "--retry-all-errors", "--retry-delay", "1", "--retry-max-time", "30"]
    lab.run(["curl", "-s", *patience, url(node)])


def await_pod(lab: Lab, node: str) -> None:
    there = f"--field-selector=spec.nodeName={node}"
    with lab.popen(["kubectl", "get", *PODS, there, "--watch", "-o", "name"], stdout=subprocess.PIPE) as watch:
        assert watch.stdout
        assert watch.stdout.readline().startswith(b"pod/web-")
        watch.kill()
    lab.kubectl("wait", "--for=condition=Ready", *PODS, there, "--timeout=30s")


def test_a_node_is_lost_its_pods_move_and_it_comes_back(lab: Lab) -> None:
    assert lab.kubectl("get", *PODS, "-o", "jsonpath={.items[*].spec.nodeName}") == "node-2"
    assert answers("node-2", lab.argv([]))
    with lab.broken("node", "node-2"):
        assert lab.status()["broken"] == ["node node-2"]
        assert not answers("node-2", lab.argv([]))
        await_pod(lab, "node-1")
        await_node_port(lab, "node-1")
    assert not lab.status()["broken"]
    await_node_port(lab, "node-2")


def test_a_node_without_kube_proxy_knows_no_service(lab: Lab) -> None:
    await_node_port(lab, "node-1")
    with lab.broken("kube-proxy", "node-1", flush=True):
        assert fetch(lab, "node-1") == 7
        assert fetch(lab, "node-2") == 0
        assert "kube-proxy" not in lab.status()["nodes"]["node-1"]
    await_node_port(lab, "node-1")


def test_pods_of_two_nodes_lose_each_other_and_the_nodes_do_not(lab: Lab) -> None:
    near = lab.kubectl("get", *PODS, "-o", "jsonpath={.items[*].spec.nodeName}")
    far = "node-1" if near == "node-2" else "node-2"
    await_node_port(lab, far)
    with lab.broken("path", "node-1", "node-2"):
        assert lab.status()["broken"] == ["path node-1 node-2"]
        assert fetch(lab, far) == 28, "it does not reach the pod on the other node"
        assert fetch(lab, near) == 0
        assert answers(near, ["nsenter", f"--net=/proc/{lab.supervisor}/root/run/netns/{far}"])
    assert fetch(lab, far) == 0


def test_coredns_is_gone_and_comes_back(lab: Lab) -> None:
    with lab.broken("coredns"):
        slices = lab.kubectl("-n", "kube-system", "get", "endpointslices", "-o", "jsonpath={.items[*].endpoints}")
        assert "true" not in slices
    assert (
        lab.kubectl("-n", "kube-system", "get", "deployment/coredns", "-o", "jsonpath={.status.availableReplicas}")
        == "1"
    )


def test_a_pod_resolves_what_is_in_the_cluster_and_what_is_outside(lab: Lab) -> None:
    pod = lab.kubectl("get", *PODS, "--field-selector=status.phase=Running", "-o", "name").split()[0]
    until_answered = "until nslookup $0; do :; done"  # kube-proxy may just have learnt of a new CoreDNS
    for name, address in (("www.example.test", "172.30.0.50"), ("web.default.svc.cluster.local", "10.96.")):
        assert address in lab.kubectl("exec", pod, "--", "timeout", "20", "sh", "-c", until_answered, name)
    assert lab.kubectl("exec", pod, "--", "wget", "-qO-", "http://www.example.test/hostname")


def test_what_cannot_be_broken_or_mended_is_said(lab: Lab) -> None:
    with pytest.raises(LabError, match="no node 'node-9'; it has node-1, node-2"):
        lab.break_("node", "node-9")
    with pytest.raises(LabError, match="a path has two ends"):
        lab.break_("path", "node-1", "node-1")
    with pytest.raises(LabError, match="coredns is not broken"):
        lab.mend("coredns")
