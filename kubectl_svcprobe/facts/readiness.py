"""Why a pod is not ready: of what kind the cause is, and in one clause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from kubectl_svcprobe.facts.node import Event
from kubectl_svcprobe.facts.scaling import ReadinessProbe
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.times import seconds_between
from kubectl_svcprobe.facts.wording import (
    config_trouble,
    exit_in_words,
    image_trouble,
    probe_answer,
    scheduling_in_words,
)
from kubectl_svcprobe.facts.workload import Container, ContainerStatus, Pod
from kubectl_svcprobe.words import count


class Kind(str, Enum):
    """What keeps a pod from being ready."""

    NODE = "node"
    LEAVING = "leaving"
    FINISHED = "finished"
    SCHEDULING = "scheduling"
    IMAGE = "image"
    CONFIG = "config"
    INIT = "init"
    MEMORY = "memory"
    CRASH = "crash"
    GATE = "gate"
    PROBE = "probe"
    UNNOTICED = "unnoticed"
    STARTING = "starting"


#: Seconds for which a pod may run without being ready, before that says something of its readiness probe.
YOUNG = 30.0

#: Seconds after a container's end for which its next run, while not ready, counts as part of the same trouble.
JUST_ENDED = 60.0

#: A waiting container's reasons, by what they are about.
IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError"})
#: Events about what has to be there before a container can be made.
BEFORE_START = frozenset({"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady"})


@dataclass(frozen=True)
class Cause:
    """Why a pod is not ready; `container` is the one that it is about, `said` what was said of it word for word."""

    kind: Kind
    clause: str
    container: str = ""
    said: str = ""


def why_not_ready(pod: Pod, snapshot: Snapshot) -> str:
    """One clause."""
    return cause_of(pod, snapshot).clause


def cause_of(pod: Pod, snapshot: Snapshot) -> Cause:
    """The most telling first: node, scheduling, image or start, crash, init container, readiness, gate."""
    node = snapshot.node(pod.node)
    if node and not node.is_ready:
        return Cause(Kind.NODE, f"its node {pod.node} is not ready")
    if pod.is_terminating:
        return Cause(Kind.LEAVING, "it is being deleted")
    if pod.is_finished:
        return Cause(Kind.FINISHED, f"it has finished: {pod.reason or pod.phase}")
    if not pod.node:
        return _of_scheduling(pod)
    for status in pod.statuses:
        if cause := _of_container(pod, status, snapshot):
            return cause
    return _of_readiness(pod, snapshot)


def _of_scheduling(pod: Pod) -> Cause:
    scheduled = pod.conditions.get("PodScheduled")
    if scheduled and scheduled.reason == "SchedulingGated":
        return Cause(Kind.SCHEDULING, "its scheduling gates are not lifted", said=scheduled.message)
    if scheduled and scheduled.message:
        return Cause(
            Kind.SCHEDULING, f"no node takes it: {scheduling_in_words(scheduled.message)}", said=scheduled.message
        )
    return Cause(Kind.SCHEDULING, "it waits for a node")


def _events(pod: Pod, snapshot: Snapshot) -> Iterator[Event]:
    """What was said of this pod, the latest first."""
    yield from sorted(
        (e for e in snapshot.pod_events if e.about.name == pod.meta.name), key=lambda e: e.last, reverse=True
    )


def _of_container(pod: Pod, status: ContainerStatus, snapshot: Snapshot) -> Cause | None:
    """What keeps one container from running; None if nothing does."""
    who = f"{'init container' if status.is_init else 'container'} {status.name}"
    if status.reason in IMAGE_REASONS:
        return _of_image(pod, status, who, snapshot)
    if status.reason in CONFIG_REASONS:
        return _of_config(status, who, status.message or status.reason)
    if cause := _of_ending(pod, status, who, snapshot):
        return cause
    if status.state == "waiting" and status.reason not in ("ContainerCreating", "PodInitializing", ""):
        return Cause(
            Kind.CRASH, f"{who}: {status.reason}" + (f": {status.message}" if status.message else ""), status.name
        )
    if status.state == "waiting":
        for event in _events(pod, snapshot):
            if event.reason in BEFORE_START:
                return _of_config(status, who, event.message)
    if status.is_init and status.state == "running" and not status.ready:
        return Cause(Kind.INIT, f"{who} is still running", status.name)
    return None


def _of_config(status: ContainerStatus, who: str, message: str) -> Cause:
    return Cause(Kind.CONFIG, f"{who} cannot be made: {config_trouble(message)}", status.name, message)


def _of_image(pod: Pod, status: ContainerStatus, who: str, snapshot: Snapshot) -> Cause:
    """The status says little between two tries; the event of the last one says why."""
    events = (e.message for e in _events(pod, snapshot) if e.reason == "Failed" and "image" in e.message)
    said = next((text for text in (status.message, *events) if image_trouble("", text)), status.message)
    image = next((c.image for c in (*pod.containers, *pod.init_containers) if c.name == status.name), "")
    trouble = image_trouble(status.reason, said)
    if not trouble:
        return Cause(Kind.IMAGE, f"{who}: {status.reason}" + (f": {said}" if said else ""), status.name, said)
    return Cause(Kind.IMAGE, f"image {image or 'of ' + who} cannot be pulled: {trouble}", status.name, said)


def _is_back_for_a_moment(pod: Pod, status: ContainerStatus, snapshot: Snapshot) -> bool:
    """Whether it runs again, after it has just ended: what its readiness probe says now is about a start like the last one.

    One that its liveness probe ended is no such container: there the probes are the story.
    """
    if status.state != "running" or status.ready or status.is_init or not status.last_ended:
        return False
    if any(e.reason == "Unhealthy" and e.message.startswith("Liveness") for e in _events(pod, snapshot)):
        return False
    return seconds_between(status.last_ended, snapshot.taken) < JUST_ENDED


def _of_ending(pod: Pod, status: ContainerStatus, who: str, snapshot: Snapshot) -> Cause | None:
    is_looping = status.reason == "CrashLoopBackOff" or _is_back_for_a_moment(pod, status, snapshot)
    is_over = status.state == "terminated" and (status.exit_code != 0 or not status.is_init)
    if not (is_looping or is_over):
        return None
    reason = status.last_reason if is_looping else status.reason
    code = status.last_exit_code if is_looping else status.exit_code
    verb = "keeps ending" if is_looping else "ended"
    times = f" ({count(status.restarts, 'restart')})" if is_looping else ""
    kind = Kind.INIT if status.is_init else Kind.CRASH
    said = status.last_message if is_looping else status.message
    if reason == "OOMKilled":
        kind = kind if status.is_init else Kind.MEMORY
        return Cause(kind, f"{who} {verb}: out of memory (OOMKilled){times}", status.name, said)
    if reason in ("StartError", "ContainerCannotRun"):
        return Cause(kind, f"{who} cannot start: {_start_error(said)}", status.name, said)
    how = f" with exit code {exit_in_words(code)}" if reason else ""
    return Cause(kind, f"{who} {verb}{how}{times}", status.name, said)


def _start_error(message: str) -> str:
    """The end of the runtime's chain of errors, which is the part that says what is wrong."""
    start = message.find("exec: ")
    return (message[start:] if start >= 0 else message.rpartition(": ")[2] or message).strip().removesuffix(": unknown")


def _of_readiness(pod: Pod, snapshot: Snapshot) -> Cause:
    ready = pod.conditions.get("Ready")
    if ready and ready.reason == "ReadinessGatesNotReady":
        return Cause(Kind.GATE, f"a readiness gate is not met: {ready.message}", said=ready.message)
    for event in _events(pod, snapshot):
        if event.reason == "Unhealthy" and event.message.startswith(("Readiness", "Startup")):
            return _of_probe(pod, event)
    main = [status for status in pod.statuses if not status.is_init]
    if not main or any(status.state != "running" for status in main):
        return Cause(Kind.STARTING, "it is still starting")
    waiting = [s.name for s in main if not s.ready]
    if waiting and 0 < seconds_between(pod.meta.created, snapshot.taken) < YOUNG:
        return Cause(Kind.STARTING, f"container {waiting[0]} is starting: its readiness probe has not succeeded yet")
    if waiting:
        return Cause(Kind.PROBE, f"container {waiting[0]} runs, but its readiness probe has not succeeded", waiting[0])
    containers = pod.conditions.get("ContainersReady")
    if containers and containers.status == "True" and not pod.readiness_gates:
        return Cause(Kind.UNNOTICED, "all its containers are ready, and the pod is not marked so")
    return Cause(Kind.STARTING, "it is not ready yet")


def _of_probe(pod: Pod, event: Event) -> Cause:
    said = event.message.strip()
    word = said.partition(" ")[0].lower()
    unready = {s.name for s in pod.statuses if not s.ready}
    asked = [(c, c.readiness) for c in pod.containers if c.readiness and c.name in unready]
    if word == "startup" or not asked:
        return Cause(Kind.PROBE, said.splitlines()[0].rstrip(": "), next(iter(sorted(unready)), ""), said)
    container, probe = asked[0]
    answer = probe_answer(said, probe.timeout)
    return Cause(Kind.PROBE, f"its readiness probe ({probe_in_words(container, probe)}) {answer}", container.name, said)


def probe_in_words(container: Container, probe: ReadinessProbe) -> str:
    """`GET /healthz at port 8080`."""
    if probe.kind == "exec":
        return f"the command {' '.join(probe.command)[:60]}"
    number = next((p.number for p in container.ports if p.name == probe.port), probe.port)
    what = {"httpGet": f"GET {probe.path or '/'}", "grpc": "gRPC"}.get(probe.kind, "a connection")
    return f"{what} {'to' if probe.kind == 'tcpSocket' else 'at'} port {number}"
