"""A Service with hundreds of pods, none of which runs: their node does not exist, and their status is what this says.

The control plane is real, and so are the EndpointSlices that it makes of them; there is only no kubelet. The node counts as
ready for as long as its lease is renewed.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from tests.e2e.cluster import Namespace, Object, deployment, service
from tests.lab import Lab
from tests.lab.api import Api

NODE = "nowhere"
RENEWAL = 3.0  # seconds; the lab's control plane takes a node for lost after 10
AT_ONCE = 8
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
STATUS = "application/strategic-merge-patch+json"


class Writer(Api):
    """The API server, asked to change something."""

    def send(self, method: str, path: str, body: Object, kind: str = "application/json") -> None:
        """Raises RuntimeError for a refusal."""
        connection = self.connect(60)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": kind})
            response = connection.getresponse()
            said = response.read()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {said[:200]!r}")
        finally:
            connection.close()


@contextmanager
def crowd(lab: Lab, namespace: Namespace, name: str, pods: int) -> Iterator[None]:
    """A Service of this name, and so many ready pods behind it. To be used within the lab's network."""
    api = Writer(lab.layout.pki)
    with node(api):
        namespace.apply(deployment(name, pods, nodeName=NODE), service(name))
        found = namespace.until("pods", lambda items: len(items) == pods, f"app={name}")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda item: make_ready(api, *item), enumerate(found)))
        namespace.until(
            "endpointslices",
            lambda slices: sum(len(s.get("endpoints") or ()) for s in slices) == pods,
            f"kubernetes.io/service-name={name}",
        )
        try:
            yield
        finally:
            # No kubelet will ever say that they have ended.
            namespace.kubectl("delete", f"deployment/{name}", f"service/{name}")
            at_once = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
            api.send("DELETE", f"/api/v1/namespaces/{namespace.name}/pods?labelSelector=app%3D{name}", at_once)


@contextmanager
def node(api: Writer) -> Iterator[None]:
    """A node that nobody runs, and that nothing is scheduled to."""
    taints = [{"key": "lab.test/nowhere", "effect": "NoSchedule"}]
    api.send("POST", "/api/v1/nodes", {"kind": "Node", "metadata": {"name": NODE}, "spec": {"taints": taints}})
    ended = threading.Event()
    renewing = threading.Thread(target=renew, args=(api, ended), daemon=True)
    lease = {"kind": "Lease", "metadata": {"name": NODE}, "spec": {"renewTime": now()}}
    try:
        api.send("POST", LEASES, lease)
        api.send("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": {"conditions": [condition()]}}, STATUS)
        renewing.start()
        yield
    finally:
        ended.set()
        for path in (f"/api/v1/nodes/{NODE}", f"{LEASES}/{NODE}"):
            api.send("DELETE", path, {})


def renew(api: Writer, ended: threading.Event) -> None:
    """What a kubelet does to say that it is there."""
    while not ended.wait(RENEWAL):
        body = {"spec": {"renewTime": now()}}
        api.send("PATCH", f"{LEASES}/{NODE}", body, "application/merge-patch+json")


def condition() -> Object:
    return {
        "type": "Ready",
        "status": "True",
        "lastHeartbeatTime": now("seconds"),
        "lastTransitionTime": now("seconds"),
    }


def now(precision: str = "microseconds") -> str:
    return datetime.now(timezone.utc).isoformat(timespec=precision).replace("+00:00", "Z")


def make_ready(api: Writer, number: int, pod: Object) -> None:
    """The status of a pod that runs, at an address of its own."""
    address = f"10.244.{200 + number // 250}.{number % 250 + 1}"
    states: list[dict[str, Any]] = [
        {"type": kind, "status": "True", "lastTransitionTime": now("seconds")} for kind in ("Ready", "ContainersReady")
    ]
    container = {
        "name": "web",
        "ready": True,
        "restartCount": 0,
        "image": "lab.test/agnhost:1",
        "imageID": "",
        "state": {"running": {"startedAt": now("seconds")}},
    }
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "conditions": states,
        "containerStatuses": [container],
    }
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    api.send("PATCH", f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": status}, STATUS)
