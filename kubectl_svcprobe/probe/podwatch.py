"""Watching a probe pod until its container has ended, or never will."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kubectl_svcprobe.access.resources import EVENTS, PODS
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError, Forbidden, Gone, NotFound, ProbePodError
from kubectl_svcprobe.facts.node import Event
from kubectl_svcprobe.facts.workload import ContainerStatus, Pod
from kubectl_svcprobe.probe.podspec import CONTAINER, START_SECONDS

#: States from which a container does not start by waiting: the kubelet's own words.
HOPELESS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)

#: Seconds for which a pod may be unschedulable before that is the answer.
UNSCHEDULABLE_SECONDS = 3.0

#: Seconds for which a node may be silent about a pod that is meant for it: a kubelet reports in less than one.
IGNORED_SECONDS = 8.0

#: Seconds of silence after which the pod's events are asked what goes on.
QUIET_SECONDS = 4.0

#: Seconds between two watches, so that a server that ends them at once is not asked without pause.
WATCH_PAUSE = 0.2

DELETED = "the probe pod was deleted by someone else while it ran"


@dataclass
class Seen:
    """The pod as last seen."""

    name: str
    namespace: str
    uid: str = ""
    version: str = ""
    pod: Pod | None = None
    exists: bool = False

    def see(self, obj: dict[str, Any]) -> Pod:
        """Take note of what the API server sent."""
        metadata = obj.get("metadata") or {}
        self.uid = self.uid or str(metadata.get("uid") or "")
        self.version = str(metadata.get("resourceVersion") or "")
        self.pod = Pod.from_json(obj)
        return self.pod

    @property
    def is_acknowledged(self) -> bool:
        """Whether a kubelet has reported anything of it."""
        return self.pod is not None and bool(self.pod.statuses)

    def ended(self) -> ContainerStatus | None:
        """The probe container's state once it has ended. The pod's own phase says so more than a second later."""
        statuses = self.pod.statuses if self.pod else ()
        return next((s for s in statuses if s.name == CONTAINER and s.state == "terminated"), None)


def await_end(cluster: ClusterApi, life: Seen, say: Callable[[str], None]) -> None:
    """Until the container has ended. Raises ProbePodError where it never will."""
    patience = _Patience(cluster, life, say)
    while not _settled(life, patience):
        for kind, obj in _changes(cluster, life):
            pod = life.see(obj)
            if kind == "DELETED":
                raise ProbePodError(DELETED)
            say(_progress(pod))
            if _settled(life, patience):
                return
        patience.ask()


def _settled(life: Seen, patience: _Patience) -> bool:
    pod = life.pod
    if pod is None:
        return False
    if life.ended() or pod.is_finished:
        return True
    for status in pod.statuses:
        if status.state == "waiting" and status.reason in HOPELESS:
            raise ProbePodError(f"the probe pod cannot start: {status.reason}: {status.message or status.name}")
        if status.is_init and status.state == "terminated" and status.exit_code:
            raise ProbePodError(f"the probe pod cannot start: {status.reason}: {status.message or status.name}")
    scheduled = pod.conditions.get("PodScheduled")
    if scheduled and scheduled.reason == "Unschedulable" and patience.exceeds(UNSCHEDULABLE_SECONDS):
        raise ProbePodError(f"no node takes the probe pod: {scheduled.message}")
    return False


class _Patience:
    """How long the pod has been waited for, and what its events say meanwhile."""

    def __init__(self, cluster: ClusterApi, life: Seen, say: Callable[[str], None]) -> None:
        self._cluster, self._life, self._say = cluster, life, say
        self._start = time.monotonic()

    def exceeds(self, seconds: float) -> bool:
        return time.monotonic() - self._start > seconds

    def ask(self) -> None:
        """Called after a silence. Raises ProbePodError with the latest warning once the time to start is over."""
        if not self.exceeds(UNSCHEDULABLE_SECONDS):
            return
        latest = _latest_warning(self._cluster, self._life)
        if latest:
            self._say(f"probe pod {self._life.name}: {latest}")
        pod = self._life.pod
        if pod and pod.node and not self._life.is_acknowledged and self.exceeds(IGNORED_SECONDS):
            raise ProbePodError(
                f"{pod.node} took no notice of the probe pod for {IGNORED_SECONDS:.0f} s: is its kubelet up?"
            )
        is_running = pod is not None and any(s.state == "running" for s in pod.statuses)
        if self.exceeds(START_SECONDS * (2 if is_running else 1)):
            raise ProbePodError(
                f"the probe pod did not start within {START_SECONDS} s" + (f": {latest}" if latest else "")
            )


def _changes(cluster: ClusterApi, life: Seen) -> Iterator[tuple[str, dict[str, Any]]]:
    """What happens to the pod in the next seconds, and how it stands after them.

    A watch may be forbidden, too old, or ended early by the server, so the pod is read once more behind it.
    """
    selector = f"metadata.name={life.name}"
    seconds = QUIET_SECONDS if life.pod and life.pod.node else UNSCHEDULABLE_SECONDS
    with suppress(Forbidden, Gone):
        yield from cluster.watch(
            PODS, life.namespace, field_selector=selector, resource_version=life.version, timeout=seconds
        )
    time.sleep(WATCH_PAUSE)
    try:
        yield "MODIFIED", cluster.get(PODS, life.namespace, life.name)
    except NotFound:
        raise ProbePodError(DELETED) from None


def _progress(pod: Pod) -> str:
    where = f" on {pod.node}" if pod.node else ""
    state = next((s.state for s in pod.statuses if s.name == CONTAINER), "")
    doing = {
        "": "scheduled" if pod.node else "waiting for a node",
        "waiting": "starting",
        "running": "trying every path",
    }
    return f"probe pod {pod.meta.namespace}/{pod.meta.name}{where}: {doing.get(state, 'done')}"


def _latest_warning(cluster: ClusterApi, life: Seen) -> str:
    """The pod's latest warning event; what cannot be read is no event."""
    try:
        found = cluster.list(EVENTS, life.namespace, field_selector=f"involvedObject.uid={life.uid},type=Warning")
    except AccessError:
        return ""
    events = sorted((Event.from_json(obj) for obj in found), key=lambda event: event.last)
    return f"{events[-1].reason}: {events[-1].message}" if events else ""
