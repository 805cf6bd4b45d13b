"""Enforces NetworkPolicies on all nodes: watches pods, namespaces and policies, and puts each node's table in place.

    python -m tests.lab.policy_agent DIRECTORY-OF-CERTIFICATES NODE…

As other agents of that kind, it acts a moment after the fact: until then a new pod is open to all.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Hashable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from .api import Api
from .component import Component
from .layout import CHECKOUT, LabError, Layout
from .network import command, within
from .policy import Cluster, Pod, Policy, ruleset

PAUSE = 0.5  # seconds after a failure

Reduced = dict[str, Any]


def labels_of(found: dict[str, Any]) -> tuple[str, dict[str, str]]:
    return found["metadata"]["name"], found["metadata"].get("labels") or {}


KINDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "/api/v1/pods": Pod.of,
    "/api/v1/namespaces": labels_of,
    "/apis/networking.k8s.io/v1/networkpolicies": Policy.of,
}


class Agent:
    def __init__(self, api: Api, nodes: list[str]) -> None:
        self.api, self.nodes = api, nodes
        self.known: dict[str, Reduced] = {}  # what matters of the objects of each kind
        self.changed = threading.Condition()
        self.since: float | None = None  # when the oldest change that is not in force was heard of
        self.in_force: dict[str, Hashable] = {}

    def watch(self, path: str) -> None:
        while True:
            try:
                for objects in self.api.states(path):
                    self.note(path, {uid: KINDS[path](found) for uid, found in objects.items()})
            except (OSError, HTTPException, ValueError, LabError) as error:  # cut off in the middle, or silent for long
                if not isinstance(error, TimeoutError):
                    print(f"{path}: {error}", flush=True)
                    time.sleep(PAUSE)

    def note(self, path: str, reduced: Reduced) -> None:
        with self.changed:
            if self.known.get(path) != reduced:
                self.known[path] = reduced
                self.since = self.since or time.monotonic()
                self.changed.notify()

    def cluster(self) -> tuple[Cluster, float]:
        """As it is known now, once it is known and different from what is in force."""
        with self.changed:
            self.changed.wait_for(lambda: self.since and len(self.known) == len(KINDS))
            pods, namespaces, policies = (self.known[path].values() for path in KINDS)
            since, self.since = self.since, None
            assert since
            found = Cluster(tuple(filter(None, pods)), dict(namespaces), tuple(policies))
        return found, since

    def enforce(self, cluster: Cluster, since: float) -> None:
        for node in self.nodes:
            space = Path("/run/netns", node)
            if not space.exists():
                continue  # it is broken; when it comes back, so do its pods
            wanted = space.stat().st_ino, ruleset(cluster, node)
            if self.in_force.get(node) != wanted:
                command(within(node, ["nft", "-f", "-"]), wanted[1])
                self.in_force[node] = wanted
                isolated, delay = wanted[1].count(" drop "), time.monotonic() - since
                print(f"{node}: {isolated} isolated, {1000 * delay:.0f} ms after the news", flush=True)

    def run(self) -> None:
        for path in KINDS:
            threading.Thread(target=self.watch, args=(path,), daemon=True).start()
        while True:
            cluster, since = self.cluster()
            try:
                self.enforce(cluster, since)
            except (OSError, LabError) as error:  # a node was broken just now
                print(error, flush=True)
                time.sleep(PAUSE)
                with self.changed:
                    self.since = self.since or since


def start(layout: Layout, nodes: list[str]) -> Component:
    program: list[str | Path] = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m", __name__, layout.pki, *nodes]
    return Component("policy-agent", program, layout.logs)


if __name__ == "__main__":
    Agent(Api(Path(sys.argv[1])), sys.argv[2:]).run()
