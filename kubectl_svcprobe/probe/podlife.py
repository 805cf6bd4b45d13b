"""The life of one probe pod: created, watched until its container has ended, its log read, and removed, come what may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kubectl_svcprobe.access.resources import PODS
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import (
    AccessError,
    ApiError,
    Conflict,
    Forbidden,
    NotFound,
    ProbePodError,
)
from kubectl_svcprobe.facts.mesh import mesh_of
from kubectl_svcprobe.probe.podspec import CONTAINER
from kubectl_svcprobe.probe.podwatch import Seen, await_end

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


class PodLife:
    """One pod from its creation to its end. Whoever makes it sees to it that `close` comes last, whatever happens.

    `gone` is set once nothing more is done about the pod. `close` may be called from any thread.
    """

    def __init__(
        self,
        cluster: ClusterApi,
        manifest: dict[str, Any],
        say: Callable[[str], None],
        keep: bool = False,
        on_leftover: Callable[[str], None] = lambda reason: None,
    ) -> None:
        metadata = manifest["metadata"]
        self._cluster, self._manifest, self._say = cluster, manifest, say
        self._keep, self._on_leftover = keep, on_leftover
        self._life = Seen(metadata["name"], metadata["namespace"])
        self._lock = threading.Lock()
        self.gone = threading.Event()
        self._started = time.monotonic()
        self.result = PodRun(self._life.name, image=manifest["spec"]["containers"][0]["image"])

    def create(self) -> None:
        """Ask for the pod. Raises ProbePodError where it is refused, and AccessError where no answer comes."""
        self._started = time.monotonic()
        _create(self._cluster, self._life, self._manifest, self._say)

    def await_log(self) -> None:
        """Wait for the container's end and read its log. Raises ProbePodError where there will be none."""
        await_end(self._cluster, self._life, self._say)
        self.result.log = _log(self._cluster, self._life)
        self.result.problem = _what_went_wrong(self._life, self.result.log)

    def close(self, problem: str = "") -> None:
        """Remove the pod, and note what was seen of it; once, whoever comes first. Why one may still be there is told."""
        with self._lock:
            if not self.gone.is_set():
                try:
                    self._close(problem)
                finally:
                    self.gone.set()

    def _close(self, problem: str) -> None:
        life, result = self._life, self.result
        result.problem = problem or result.problem
        if life.pod:
            result.node, result.ips, result.mesh = life.pod.node, life.pod.ips, mesh_of(life.pod)
        result.is_ignored = bool(result.problem and result.node and not life.is_acknowledged)
        if life.exists and not (self._keep and not result.problem):
            self._say(f"removing probe pod {life.namespace}/{life.name}")
            result.leftover = _remove(self._cluster, life)
            if result.leftover:
                self._on_leftover(result.leftover)
        result.seconds = time.monotonic() - self._started


def _create(cluster: ClusterApi, life: Seen, manifest: dict[str, Any], say: Callable[[str], None]) -> None:
    """The name is ours, so a create whose answer is lost can still be undone. A refusal means that there is no pod."""
    say(f"creating probe pod {life.namespace}/{life.name}")
    life.exists = True
    try:
        life.see(cluster.create(PODS, life.namespace, manifest))
    except ApiError as error:
        life.exists = error.status >= 500
        raise ProbePodError(f"the probe pod was not admitted: {error.message}") from error


def _log(cluster: ClusterApi, life: Seen) -> bytes:
    try:
        return cluster.log(life.namespace, life.name, CONTAINER, limit_bytes=LOG_LIMIT_BYTES)
    except AccessError as error:
        raise ProbePodError(f"the probe pod ran, but its log cannot be read: {error}") from error


def _what_went_wrong(life: Seen, log: bytes) -> str:
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


def _remove(cluster: ClusterApi, life: Seen) -> str:
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
