"""Objects as the API server would show them, for a Service `devops` in `shop`."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any

from tests.fake_cluster import FakeCluster

Object = dict[str, Any]
NAMESPACE = "shop"
READY = [{"type": "Ready", "status": "True"}]


def service(name: str = "devops", **spec: Any) -> Object:
    """A ClusterIP Service, 80 → 8080, that selects app=devops."""
    ports = [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]
    default = {"type": "ClusterIP", "clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ports": ports}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"kind": "Service", "metadata": metadata, "spec": {**default, "selector": {"app": "devops"}, **spec}}


def pod(name: str = "devops-1", ready: bool = True, labels: dict[str, str] | None = None) -> Object:
    """A running pod on node-1."""
    status = {
        "phase": "Running",
        "podIP": "10.244.1.5",
        "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        "containerStatuses": [{"name": "web", "ready": ready, "state": {"running": {}}}],
    }
    spec = {"nodeName": "node-1", "containers": [{"name": "web", "ports": [{"containerPort": 8080}]}]}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels or {"app": "devops"}}
    return {"kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def endpoint_slice(*names: str, ready: bool = True) -> Object:
    """The slice of `devops` with one endpoint a pod."""
    endpoints = [
        {
            "addresses": [f"10.244.1.{5 + number}"],
            "conditions": {"ready": ready},
            "nodeName": "node-1",
            "targetRef": {"kind": "Pod", "name": name, "namespace": NAMESPACE},
        }
        for number, name in enumerate(names)
    ]
    labels = {
        "kubernetes.io/service-name": "devops",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    metadata = {"name": "devops-abc", "namespace": NAMESPACE, "labels": labels}
    ports = [{"name": "", "port": 8080, "protocol": "TCP"}]
    return {
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": endpoints,
    }


def node(name: str = "node-1") -> Object:
    """A node that is ready."""
    addresses = [{"type": "InternalIP", "address": "172.30.0.11"}]
    return {"kind": "Node", "metadata": {"name": name}, "status": {"addresses": addresses, "conditions": READY}}


def healthy() -> tuple[Object, ...]:
    """Everything of a Service that works."""
    return service(), pod(), endpoint_slice("devops-1"), node()


RESOLV_CONF = "nameserver 10.96.0.10\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\n"

Answer = Callable[[str], dict[str, Any]]


def answered(url: str) -> dict[str, Any]:
    """What curl says of a request that was answered with 200."""
    return {"exitcode": 0, "http_code": 200, "num_connects": 1, "time_total": 0.002}


def refused(url: str) -> dict[str, Any]:
    """What curl says of a refused connection."""
    return {"exitcode": 7, "http_code": 0, "num_connects": 0, "time_total": 0.001, "errormsg": "Couldn't connect"}


class Kubelet:
    """Runs probe pods in a FakeCluster: each one ends at once, with a log as curl would write it.

    `answer` says what became of each URL; `states` are the pod's statuses, one after the other, if it is to behave
    otherwise than well.
    """

    def __init__(self, cluster: FakeCluster, answer: Answer = answered, states: list[Object] | None = None) -> None:
        self.cluster, self.answer, self.states = cluster, answer, states
        self.pods: list[Object] = []
        cluster.on_create = self.run

    def run(self, created: Object) -> None:
        """Called by the cluster for every pod that is created."""
        self.pods.append(copy.deepcopy(created))
        metadata = created["metadata"]
        container = created["spec"]["containers"][0]
        self.cluster.logs[metadata["namespace"], metadata["name"], "probe"] = self.log(container["command"])
        for status in self.states if self.states is not None else [ended()]:
            scheduled = {**created, "spec": {**created["spec"], "nodeName": wanted_node(created)}, "status": status}
            self.cluster.update(scheduled)

    def log(self, command: list[str]) -> bytes:
        """A line for each transfer that the command line asks for, after the pod's resolv.conf."""
        lines = [RESOLV_CONF]
        for index, word in enumerate(command):
            if mark := re.match(r"\\nsvcprobe:(\d+:\d+) ", word):
                url = command[command.index("--url", index) + 1]
                lines.append(f"svcprobe:{mark.group(1)} {json.dumps({'url': url, **self.answer(url)})}\n")
        return "".join(lines).encode()


def wanted_node(created: Object) -> str:
    """Where the scheduler puts a pod: on the node that it requires, else on node-2."""
    affinity = created["spec"].get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms", [])
    fields = [field for term in required for field in term["matchFields"] if field["operator"] == "In"]
    return str(fields[0]["values"][0]) if fields else "node-2"


def ended(exit_code: int = 0, **more: Any) -> Object:
    """The status of a pod whose probe container has ended."""
    terminated = {"exitCode": exit_code, **more}
    return {"phase": "Running", "containerStatuses": [{"name": "probe", "state": {"terminated": terminated}}]}


def waiting(reason: str, message: str = "") -> Object:
    """The status of a pod whose probe container waits."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{"name": "probe", "state": state}]}
