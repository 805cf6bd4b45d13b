"""A lab with both families, in which pods are masqueraded on their way out, and a link may be slow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, LabError
from tests.lab.families import IPV4, IPV6, Family
from tests.lab.layout import CURL_IMAGE, SERVERS_IMAGE

pytestmark = pytest.mark.lab

NODE_PORT = 30070
BOTH = pytest.mark.parametrize("family", [IPV4, IPV6], ids=lambda family: family.name)
DELAY = 300  # ms: far above what a busy machine takes
OBJECTS = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  nodeName: node-2
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: {SERVERS_IMAGE}
    args: [http=8080, https=8443, --names=web]
    readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  type: LoadBalancer
  ipFamilyPolicy: RequireDualStack
  selector: {{app: web}}
  ports: [{{name: http, port: 80, targetPort: 8080, nodePort: {NODE_PORT}}}, {{name: https, port: 443, targetPort: 8443}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: client, labels: {{app: client}}}}
spec:
  nodeName: node-1
  terminationGracePeriodSeconds: 0
  containers: [{{name: client, image: {CURL_IMAGE}, command: [sleep, "3600"]}}]
"""
POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: no-client}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [client]}]}}]}]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home: Path = tmp_path_factory.mktemp("lab") / "home"
    running = Lab.start(2, home, proxy_mode="nftables", family="dual", masquerade="outside")
    running.apply(OBJECTS)
    running.kubectl("wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
    yield running
    running.stop()


def host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def from_pod(lab: Lab, url: str, *options: str) -> str:
    command = ["kubectl", "exec", "client", "--", "curl", "-gsS", "--max-time", "10", *options, url]
    return lab.run(command, check=False).stdout


def here(lab: Lab, url: str) -> str:
    patience = ["--retry", "40", "--retry-all-errors", "--retry-delay", "1", "--retry-max-time", "30"]
    return lab.run(["curl", "-gsS", "--max-time", "10", *patience, url]).stdout


def addresses(lab: Lab, what: str, field: str) -> list[str]:
    found = json.loads(lab.kubectl("get", what, "-o", "json"))
    return [str(one) for one in found["spec"][field]]


def pod_address(lab: Lab, family: Family) -> str:
    found = json.loads(lab.kubectl("get", "pod/web", "-o", "json"))["status"]["podIPs"]
    return str(next(one["ip"] for one in found if (":" in one["ip"]) is (family is IPV6)))


def test_nodes_and_services_have_both_families(lab: Lab) -> None:
    assert [":" in address for address in addresses(lab, "service/web", "clusterIPs")] == [False, True]
    found = json.loads(lab.kubectl("get", "node/node-1", "-o", "json"))["status"]["addresses"]
    assert {one["address"] for one in found} == {IPV4.node("node-1"), IPV6.node("node-1"), "node-1"}


@BOTH
def test_every_way_in_serves(lab: Lab, family: Family) -> None:
    status = json.loads(lab.kubectl("get", "service/web", "-o", "json"))["status"]
    (balanced,) = {one["ip"] for one in status["loadBalancer"]["ingress"]} & set(family.pool)
    cluster = next(a for a in addresses(lab, "service/web", "clusterIPs") if (":" in a) is (family is IPV6))
    assert "web" in here(lab, f"http://{host(balanced)}")
    assert "web" in here(lab, f"http://{host(family.node('node-1'))}:{NODE_PORT}")
    assert "web" in from_pod(lab, f"http://{host(cluster)}")
    assert "web" in from_pod(lab, f"http://{host(pod_address(lab, family))}:8080")


@BOTH
def test_what_a_pod_sends_out_has_its_nodes_address(lab: Lab, family: Family) -> None:
    seen = from_pod(lab, f"http://{host(family.outside)}/clientip")
    assert seen.rpartition(":")[0].strip("[]").removeprefix("::ffff:") == family.node("node-1")


@BOTH
def test_a_policy_is_in_force(lab: Lab, family: Family) -> None:
    url = f"http://{host(pod_address(lab, family))}:8080"
    lab.apply(POLICY)
    try:
        until_closed = f"until ! curl -gsS -o /dev/null --max-time 1 '{url}'; do sleep 0.1; done"
        lab.kubectl("exec", "client", "--", "timeout", "20", "sh", "-c", until_closed)
    finally:
        lab.kubectl("delete", "networkpolicy", "no-client")
    until_open = f"until curl -gsS -o /dev/null --max-time 1 '{url}'; do sleep 0.1; done"
    lab.kubectl("exec", "client", "--", "timeout", "20", "sh", "-c", until_open)


@BOTH
def test_a_slow_link_takes_its_time_and_loses_nothing(lab: Lab, family: Family) -> None:
    pod = f"http://{host(pod_address(lab, family))}:8080"
    port = f"http://{host(family.node('node-1'))}:{NODE_PORT}"
    time = ("-o", "/dev/null", "-w", "%{time_connect}")
    with lab.broken("slow", "node-1", "node-2", delay=DELAY):
        assert lab.status()["broken"] == ["slow node-1 node-2"]
        assert 2 * DELAY / 1000 <= float(from_pod(lab, pod, *time)) < 10
        assert "web" in from_pod(lab, f"http://{host(family.node('node-2'))}:{NODE_PORT}")
        assert "web" in here(lab, port), "through node-1, to a pod on node-2"
    assert float(from_pod(lab, pod, *time)) < 2 * DELAY / 1000


def test_a_certificate_is_trusted_if_it_is_right(lab: Lab) -> None:
    assert "web" in from_pod(lab, "https://web")
    assert from_pod(lab, f"https://{IPV4.outside}", "-k").startswith("HTTP/2")
    assert not from_pod(lab, f"https://{IPV4.outside}"), "self-signed"


def test_what_no_lab_has_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no lab has the family ipv5"):
        Lab.start(1, tmp_path / "home", family="ipv5")
