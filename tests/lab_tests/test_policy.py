"""NetworkPolicies are enforced by real packets: what they admit passes, what they do not is lost."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab import Lab
from tests.lab.layout import AGNHOST_IMAGE, node_address

pytestmark = pytest.mark.lab

HOME, OTHER = "policy-home", "policy-other"
NODE_PORT = 30090
NEWLINE = "\n"
PODS = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {HOME}}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: {OTHER}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: server, namespace: {HOME}, labels: {{app: server}}}}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 0
  containers:
  - {{name: one, image: {AGNHOST_IMAGE}, args: [netexec, --http-port=8080, --udp-port=8080], ports: [
      {{name: web, containerPort: 8080}}],
      readinessProbe: {{httpGet: {{path: /hostname, port: 8080}}, periodSeconds: 1}}}}
  - {{name: two, image: {AGNHOST_IMAGE}, args: [netexec, --http-port=8081, --udp-port=-1]}}
---
apiVersion: v1
kind: Service
metadata: {{name: server, namespace: {HOME}}}
spec: {{type: NodePort, selector: {{app: server}}, ports: [{{port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}]}}
"""
CLIENT = f"""
---
apiVersion: v1
kind: Pod
metadata: {{name: NAME, namespace: NAMESPACE, labels: {{app: NAME}}}}
spec:
  nodeName: NODE
  terminationGracePeriodSeconds: 0
  containers: [{{name: pause, image: {AGNHOST_IMAGE}}}]
"""
CLIENTS = (("near", HOME, "node-1"), ("far", HOME, "node-2"), ("foreign", OTHER, "node-2"))
ISOLATED = {"podSelector": {"matchLabels": {"app": "server"}}, "policyTypes": ["Ingress"]}


@pytest.fixture(scope="module")
def server(lab: Lab) -> Iterator[str]:
    """The address of a pod, with clients on its node, on another, and in another namespace."""
    clients = "".join(
        CLIENT.replace("NAMESPACE", namespace).replace("NAME", name).replace("NODE", node)
        for name, namespace, node in CLIENTS
    )
    lab.apply(PODS + clients)
    for namespace in (HOME, OTHER):
        lab.kubectl("wait", "-n", namespace, "--for=condition=Ready", "pods", "--all", "--timeout=30s")
    yield lab.kubectl("get", "pod", "-n", HOME, "server", "-o", "jsonpath={.status.podIP}")
    lab.kubectl("delete", "namespace", HOME, OTHER, "--wait=false")


@pytest.fixture(autouse=True)
def no_policy(lab: Lab) -> Iterator[None]:
    yield
    lab.kubectl("delete", "networkpolicies", "--all", "-n", HOME)


def apply(lab: Lab, **spec: Any) -> None:
    """And return once the rules are in force; the agent says so, and nobody else would. Each policy here isolates one pod."""
    metadata = {"name": "policy", "namespace": HOME}
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    log = lab.layout.logs / "policy-agent.log"
    following = ["timeout", "20", "tail", "-F", "-n", f"+{log.read_text().count(NEWLINE) + 1}", str(log)]
    with subprocess.Popen(following, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as said:
        assert said.stdout
        lab.apply(json.dumps(policy))
        assert any(": 1 isolated" in line for line in said.stdout)
        said.terminate()


def reaches(lab: Lab, client: str, target: str) -> bool:
    namespace = next(namespace for name, namespace, _ in CLIENTS if name == client)
    connect = ["/agnhost", "connect", "--timeout=1s", target]
    return not lab.run(["kubectl", "exec", "-n", namespace, client, "--", *connect], check=False).returncode


def who_reaches(lab: Lab, target: str) -> set[str]:
    return {name for name, _, _ in CLIENTS if reaches(lab, name, target)}


def test_a_policy_without_rules_shuts_all_but_the_nodes_own_probes(lab: Lab, server: str) -> None:
    service = lab.kubectl("get", "service", "-n", HOME, "server", "-o", "jsonpath={.spec.clusterIP}")
    assert who_reaches(lab, f"{server}:8080") == {"near", "far", "foreign"}
    apply(lab, **ISOLATED)
    assert who_reaches(lab, f"{server}:8080") == set()
    assert not reaches(lab, "far", f"{service}:80"), "a Service's address is none of its own"
    lost = ["wait", "-n", HOME, "--for=condition=Ready=false", "pod/server", "--timeout=5s"]
    assert "timed out" in lab.run(["kubectl", *lost], check=False).stderr, "three probes in vain would have been seen"


def test_peers_and_a_named_port(lab: Lab, server: str) -> None:
    peers = [
        {"podSelector": {"matchLabels": {"app": "far"}}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": OTHER}}},
    ]
    apply(lab, **ISOLATED, ingress=[{"from": peers, "ports": [{"port": "web"}]}])
    assert who_reaches(lab, f"{server}:8080") == {"far", "foreign"}
    assert who_reaches(lab, f"{server}:8081") == set()


def test_egress_shuts_a_client_in(lab: Lab, server: str) -> None:
    to_two = {"to": [{"ipBlock": {"cidr": f"{server}/24"}}], "ports": [{"port": 8081, "endPort": 8090}]}
    apply(lab, podSelector={"matchLabels": {"app": "far"}}, policyTypes=["Egress"], egress=[to_two])
    assert who_reaches(lab, f"{server}:8080") == {"near", "foreign"}
    assert who_reaches(lab, f"{server}:8081") == {"near", "far", "foreign"}


def test_a_node_port_counts_as_the_node_or_as_the_client_outside(lab: Lab, server: str) -> None:
    def passes(node: str) -> bool:
        url = f"http://{node_address(node)}:{NODE_PORT}/hostname"
        return not lab.run(["curl", "-s", "--max-time", "2", url], check=False).returncode

    lab.run(
        ["curl", "-s", "--retry", "40", "--retry-all-errors", f"http://{node_address('node-2')}:{NODE_PORT}/hostname"]
    )
    apply(lab, **ISOLATED, ingress=[{"from": [{"ipBlock": {"cidr": f"{node_address('node-2')}/32"}}]}])
    assert passes("node-2"), "which masquerades on the way to another node"
    assert not passes("node-1"), "which forwards to its own pod with the client's address"


def test_the_table_is_the_nodes_own(lab: Lab, server: str) -> None:
    apply(lab, **ISOLATED)
    tables = {}
    for node in ("node-1", "node-2"):
        within = ["nsenter", f"--net=/proc/{lab.supervisor}/root/run/netns/{node}"]
        command = [*within, "nft", "list", "table", "inet", "network-policies"]
        tables[node] = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"ingress of {HOME}/server" in tables["node-1"]
    assert "ingress of" not in tables["node-2"]
