"""What a cluster holds, kept up to date by one watch for each kind, whoever and however many wait for something in it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.lab import Lab

Object = dict[str, Any]

#: Where the API server keeps what is waited for.
ROOTS = {
    "deployments": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "gateways": "/apis/gateway.networking.k8s.io/v1",
    "httproutes": "/apis/gateway.networking.k8s.io/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "events": "/api/v1",
    "jobs": "/apis/batch/v1",
    "namespaces": "/api/v1",
    "networkpolicies": "/apis/networking.k8s.io/v1",
    "nodes": "/api/v1",
    "pods": "/api/v1",
    "replicasets": "/apis/apps/v1",
    "serviceaccounts": "/api/v1",
    "services": "/api/v1",
    "statefulsets": "/apis/apps/v1",
}


class Watcher:
    """The watches of one cluster, each begun when it is first asked for."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.changed = threading.Condition()
        self.kinds: dict[str, Kind] = {}

    def until(
        self,
        kind: str,
        namespace: str,
        holds: Callable[[list[Object]], bool],
        seconds: float = 120,
    ) -> list[Object]:
        """The objects of a namespace as soon as this holds of all of them together."""
        deadline = time.monotonic() + seconds
        with self.changed:
            if kind not in self.kinds:
                self.kinds[kind] = Kind(self, kind)
            watched = self.kinds[kind]
            while not holds(objects := watched.of(namespace)):
                seen = watched.changes.get(namespace)
                if not self.changed.wait_for(
                    lambda seen=seen: watched.changes.get(namespace) != seen,  # type: ignore[misc]
                    deadline - time.monotonic(),
                ):
                    names = [item["metadata"]["name"] for item in objects]
                    raise AssertionError(f"{namespace}: waited {seconds} s for {kind}, of which there are {names}")
        return objects

    def close(self) -> None:
        with self.changed:
            kinds = [*self.kinds.values()]
        for kind in kinds:
            kind.close()


class Kind:
    """All objects of one kind."""

    def __init__(self, watcher: Watcher, kind: str) -> None:
        self.watcher, self.path = watcher, f"{ROOTS[kind]}/{kind}"
        self.objects: dict[str, dict[str, Object]] = {}
        self.changes: dict[str, int] = {}
        self.is_open = True
        self.process = self.begin()
        self.thread = threading.Thread(target=self.follow, name=f"watch {kind}", daemon=True)
        self.thread.start()

    def of(self, namespace: str) -> list[Object]:
        return [*self.objects.get(namespace, {}).values()]

    def begin(self) -> subprocess.Popen[str]:
        """List, and watch from that very state."""
        state = json.loads(self.watcher.lab.kubectl("get", "--raw", self.path))
        self.objects = {}
        for item in state["items"]:
            self.take(item)
        version = state["metadata"]["resourceVersion"]
        watch = f"{self.path}?watch=1&resourceVersion={version}&timeoutSeconds=3600"
        command = ["kubectl", "get", "--raw", watch]
        return self.watcher.lab.popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def take(self, item: Object) -> None:
        meta = item["metadata"]
        self.held(item)[meta["name"]] = item

    def held(self, item: Object) -> dict[str, Object]:
        """The objects of its namespace, among which something changes."""
        namespace = item["metadata"].get("namespace", "")
        self.changes[namespace] = self.changes.get(namespace, 0) + 1
        return self.objects.setdefault(namespace, {})

    def follow(self) -> None:
        while True:
            with self.process as process:
                assert process.stdout is not None
                for line in process.stdout:
                    if line.endswith("\n"):  # the last one may be cut off
                        self.hear(json.loads(line))
            with self.watcher.changed:
                if not self.is_open:
                    return
                self.process = self.begin()
                self.watcher.changed.notify_all()

    def hear(self, event: dict[str, Any]) -> None:
        with self.watcher.changed:
            self.note(event)
            self.watcher.changed.notify_all()

    def note(self, event: dict[str, Any]) -> None:
        if event["type"] in ("ADDED", "MODIFIED"):
            self.take(event["object"])
        elif event["type"] == "DELETED":
            item = event["object"]
            self.held(item).pop(item["metadata"]["name"], None)

    def close(self) -> None:
        with self.watcher.changed:
            self.is_open = False
        self.process.terminate()
        self.thread.join()
