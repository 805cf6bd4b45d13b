"""The probe pod's life: created, watched until its container has ended, its log read, and removed, come what may."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kubectl_svcprobe.access.resources import EVENTS, PODS
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import (
    AccessError,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Interrupted,
    NotFound,
    ProbePodError,
)
from kubectl_svcprobe.facts.mesh import mesh_of
from kubectl_svcprobe.facts.node import Event
from kubectl_svcprobe.facts.workload import ContainerStatus, Pod
from kubectl_svcprobe.interrupts import Interrupts
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

#: Bounds for removing the pod: tries, seconds between them, and seconds after which no other is made.
REMOVAL_TRIES = 4
REMOVAL_PAUSE = 0.5
REMOVAL_SECONDS = 10.0

LOG_LIMIT_BYTES = 16 * 1024 * 1024


@dataclass
class PodRun:
    """What came of the pod.

    `problem` is why there is no (whole) answer, `leftover` why the pod may still be there, and `is_ignored` is set where
    the node that was chosen for it never took notice.
    """

    name: str
    node: str = ""
    ips: tuple[str, ...] = ()
    mesh: str = ""
    image: str = ""
    log: bytes = b""
    problem: str = ""
    leftover: str = ""
    is_ignored: bool = False
    seconds: float = 0.0


@dataclass
class _Life:
    """The pod as last seen."""

    name: str
    namespace: str
    uid: str = ""
    version: str = ""
    pod: Pod | None = None
    exists: bool = False

    def see(self, obj: dict[str, Any]) -> Pod:
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


def run(
    cluster: ClusterApi,
    manifest: dict[str, Any],
    interrupts: Interrupts,
    say: Callable[[str], None],
    keep: bool = False,
    on_leftover: Callable[[str], None] = lambda reason: None,
) -> PodRun:
    """Run the pod and bring home its log.

    Whatever prevents that is in `problem`. Raises Interrupted after the pod was removed; why one may still be there is
    told to `on_leftover` in any case.
    """
    metadata = manifest["metadata"]
    life = _Life(metadata["name"], metadata["namespace"])
    result = PodRun(life.name, image=manifest["spec"]["containers"][0]["image"])
    started = time.monotonic()
    with interrupts.held():
        try:
            _create(cluster, life, manifest, say)
            with interrupts.allowed():
                _wait(cluster, life, say)
                result.log = _log(cluster, life)
                result.problem = _what_went_wrong(life, result.log)
        except (ProbePodError, AccessError) as error:
            result.problem = str(error)
        except Interrupted:
            result.problem = "interrupted"
            raise
        finally:
            if life.pod:
                result.node, result.ips, result.mesh = life.pod.node, life.pod.ips, mesh_of(life.pod)
            result.is_ignored = bool(result.problem and result.node and not life.is_acknowledged)
            if life.exists and not (keep and not result.problem):
                say(f"removing probe pod {life.namespace}/{life.name}")
                result.leftover = _remove(cluster, life)
                if result.leftover:
                    on_leftover(result.leftover)
    result.seconds = time.monotonic() - started
    return result


def _create(cluster: ClusterApi, life: _Life, manifest: dict[str, Any], say: Callable[[str], None]) -> None:
    """The name is ours, so a create whose answer is lost can still be undone. A refusal means that there is no pod."""
    say(f"creating probe pod {life.namespace}/{life.name}")
    life.exists = True
    try:
        life.see(cluster.create(PODS, life.namespace, manifest))
    except ApiError as error:
        life.exists = error.status >= 500
        raise ProbePodError(f"the probe pod was not admitted: {error.message}") from error


def _wait(cluster: ClusterApi, life: _Life, say: Callable[[str], None]) -> None:
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


def _settled(life: _Life, patience: _Patience) -> bool:
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

    def __init__(self, cluster: ClusterApi, life: _Life, say: Callable[[str], None]) -> None:
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


def _changes(cluster: ClusterApi, life: _Life) -> Iterator[tuple[str, dict[str, Any]]]:
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


def _latest_warning(cluster: ClusterApi, life: _Life) -> str:
    """The pod's latest warning event; what cannot be read is no event."""
    try:
        found = cluster.list(EVENTS, life.namespace, field_selector=f"involvedObject.uid={life.uid},type=Warning")
    except AccessError:
        return ""
    events = sorted((Event.from_json(obj) for obj in found), key=lambda event: event.last)
    return f"{events[-1].reason}: {events[-1].message}" if events else ""


def _log(cluster: ClusterApi, life: _Life) -> bytes:
    try:
        return cluster.log(life.namespace, life.name, CONTAINER, limit_bytes=LOG_LIMIT_BYTES)
    except AccessError as error:
        raise ProbePodError(f"the probe pod ran, but its log cannot be read: {error}") from error


def _what_went_wrong(life: _Life, log: bytes) -> str:
    """Empty if all went well. curl's own exit code says nothing: it is one of its transfers'."""
    ended, pod = life.ended(), life.pod
    if b"svcprobe:" in log:
        return "the probe pod was cut short: DeadlineExceeded" if pod and pod.reason == "DeadlineExceeded" else ""
    if ended and (ended.message or ended.reason in ("StartError", "ContainerCannotRun", "OOMKilled")):
        return f"the probe container did not run: {ended.reason}: {ended.message}".rstrip(": ")
    if pod and pod.is_finished and (pod.reason or pod.message):
        return f"the probe pod failed: {pod.reason} {pod.message}".strip()
    first_line = log.decode("utf-8", "replace").strip().splitlines()[:1]
    return "curl reported nothing" + (f" but: {first_line[0]}" if first_line else "")


def _remove(cluster: ClusterApi, life: _Life) -> str:
    """Delete the pod; empty on success, else why it may still be there. Bounded in tries, so a dead server is no trap."""
    # Where the container has ended, or never was, there is nothing to be graceful about, and the pod is gone at once.
    grace = 0 if life.ended() or not life.is_acknowledged else 1
    reason = ""
    started = time.monotonic()
    for attempt in range(REMOVAL_TRIES):
        if attempt and time.monotonic() - started > REMOVAL_SECONDS:
            break
        if attempt:
            time.sleep(REMOVAL_PAUSE)
        try:
            cluster.delete(PODS, life.namespace, life.name, grace_period=grace, uid=life.uid or None)
            return ""
        except (NotFound, Conflict):
            # Not found although its create was never answered: it may still come.
            if life.uid:
                return ""
            reason = ""
        except Forbidden as error:
            return str(error)
        except AccessError as error:
            reason = str(error)
    return reason
