"""What these tests do to a cluster, and wait for in it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.lab import Lab

WAIT = "--timeout=60s"

Object = dict[str, Any]

#: Where the API server keeps what is waited for.
ROOTS = {
    "daemonsets": "/apis/apps/v1",
    "deployments": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "events": "/api/v1",
    "poddisruptionbudgets": "/apis/policy/v1",
    "pods": "/api/v1",
    "replicasets": "/apis/apps/v1",
    "services": "/api/v1",
}


@dataclass(frozen=True)
class Namespace:
    """`kubectl` in one namespace."""

    lab: Lab
    name: str

    @classmethod
    @contextlib.contextmanager
    def fresh(cls, lab: Lab, name: str, labels: str = "") -> Iterator[Namespace]:
        """A new one. What an earlier run left of that name is removed first; nobody waits for the end of this one."""
        lab.kubectl("delete", "namespace", name, "--ignore-not-found", WAIT)
        lab.kubectl("create", "namespace", name)
        if labels:
            lab.kubectl("label", "namespace", name, *labels.split())
        await_service_account(lab, name)
        try:
            yield cls(lab, name)
        finally:
            lab.kubectl("delete", "namespace", name, "--wait=false")

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Standard output of a command; a failure raises, unless `check` is off."""
        return self.lab.kubectl("-n", self.name, *arguments, check=check, timeout=90)

    def apply(self, *objects: Object) -> None:
        self.lab.kubectl("-n", self.name, "apply", "-f", "-", input=json.dumps(as_list(objects)))

    def get(self, *what: str) -> Any:
        """The object or list, as JSON has it."""
        return json.loads(self.kubectl("get", *what, "-o", "json"))

    def names(self, *what: str) -> list[str]:
        return [item["metadata"]["name"] for item in self.get(*what)["items"]]

    def roll_out(self, deployment: str) -> None:
        """Wait until all its pods are ready, and none of an earlier revision is left."""
        self.kubectl("rollout", "status", f"deployment/{deployment}", WAIT)

    def until(self, what: str, holds: Callable[[list[Object]], bool], labels: str = "") -> list[Object]:
        """Watch objects of one kind (a resource, as in URLs) until this holds of all of them together."""
        return until(self.lab, f"{ROOTS[what]}/namespaces/{self.name}/{what}", holds, labels)

    def await_endpoints(self, service: str, *addresses: str) -> None:
        """Until the Service's EndpointSlices list exactly these addresses as ready."""
        wanted = sorted(addresses)
        self.until(
            "endpointslices",
            lambda slices: ready_addresses(slices) == wanted,
            f"kubernetes.io/service-name={service}",
        )


def ready_addresses(slices: list[Object]) -> list[str]:
    endpoints = (endpoint for found in slices for endpoint in found.get("endpoints") or ())
    return sorted(e["addresses"][0] for e in endpoints if e["conditions"].get("ready"))


def until(
    lab: Lab, path: str, holds: Callable[[list[Object]], bool], labels: str = "", seconds: int = 60
) -> list[Object]:
    """The objects of a collection as soon as this holds of all of them: listed, then watched from that very state."""
    query = f"labelSelector={quote(labels)}"
    state = json.loads(lab.kubectl("get", "--raw", f"{path}?{query}"))
    found: dict[str, Object] = {item["metadata"]["name"]: item for item in state["items"]}
    if holds([*found.values()]):
        return [*found.values()]
    version = state["metadata"]["resourceVersion"]
    watch = f"{path}?{query}&watch=1&resourceVersion={version}&timeoutSeconds={seconds}"
    with lab.popen(["kubectl", "get", "--raw", watch], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for event in map(json.loads, process.stdout):
                changed = event["object"]
                found.pop(changed["metadata"]["name"], None)
                if event["type"] != "DELETED":
                    found[changed["metadata"]["name"]] = changed
                if holds([*found.values()]):
                    return [*found.values()]
        finally:
            process.terminate()
    raise AssertionError(f"{path} ({labels}) came within {seconds} s to\n{json.dumps(found, indent=1)}")


def await_service_account(lab: Lab, namespace: str) -> None:
    """Pods of a namespace can be made once it has its default service account."""
    lab.kubectl("-n", namespace, "wait", "--for=create", "serviceaccount/default", WAIT)


def as_list(objects: tuple[Object, ...]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


AGNHOST = "lab.test/agnhost:1"


def deployment(name: str = "web", replicas: int = 1, labels: dict[str, str] | None = None, **pod: Any) -> Object:
    """Pods with a web server at port 8080, ready as soon as it answers."""
    labels = labels or {"app": name}
    container = {
        "name": "web",
        "image": AGNHOST,
        "args": ["netexec", "--http-port=8080"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": 8080}, "periodSeconds": 1},
    }
    spec = {"terminationGracePeriodSeconds": 1, "containers": [container], **pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(name: str = "web", **spec: Any) -> Object:
    """A Service from port 80 to port 8080 of the pods labelled with its name."""
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": ports, **spec},
    }
