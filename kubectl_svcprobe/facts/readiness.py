"""Why a pod is not ready, in the words of the cluster."""

from __future__ import annotations

from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import ContainerStatus, Pod


def why_not_ready(pod: Pod, snapshot: Snapshot) -> str:
    """One clause, the most telling first: node, scheduling, image or start, crash, init container, readiness, gate."""
    node = snapshot.node(pod.node)
    if node and not node.is_ready:
        return f"its node {pod.node} is not ready"
    if pod.is_terminating:
        return "it is being deleted"
    if pod.is_finished:
        return f"it has finished: {pod.reason or pod.phase}"
    scheduled = pod.conditions.get("PodScheduled")
    if not pod.node:
        return f"no node takes it: {scheduled.message}" if scheduled and scheduled.message else "it waits for a node"
    for status in pod.statuses:
        if clause := _of_container(status):
            return clause
    return _of_readiness(pod, snapshot)


def _of_container(status: ContainerStatus) -> str:
    """What keeps one container from running; empty if nothing does."""
    who = f"{'init container' if status.is_init else 'container'} {status.name}"
    last = _exit(status.last_reason, status.last_exit_code)
    if status.reason == "CrashLoopBackOff":
        return f"{who} keeps ending{last} ({status.restarts} restarts)"
    if status.state == "waiting" and status.reason not in ("ContainerCreating", "PodInitializing", ""):
        return f"{who}: {status.reason}" + (f": {status.message}" if status.message else "")
    if status.state == "terminated" and (status.exit_code or not status.is_init):
        return f"{who} ended{_exit(status.reason, status.exit_code)}"
    if status.is_init and status.state == "running" and not status.ready:
        return f"{who} is still running"
    return ""


def _exit(reason: str, code: int) -> str:
    if reason == "OOMKilled":
        return ": out of memory (OOMKilled)"
    return f" with exit code {code}" if reason else ""


def _of_readiness(pod: Pod, snapshot: Snapshot) -> str:
    unhealthy = [
        e
        for e in snapshot.pod_events
        if e.about.name == pod.meta.name and e.reason == "Unhealthy" and e.message.startswith("Readiness")
    ]
    ready = pod.conditions.get("Ready")
    if ready and ready.reason == "ReadinessGatesNotReady":
        return f"a readiness gate is not met: {ready.message}"
    if unhealthy:
        latest = max(unhealthy, key=lambda event: event.last)
        return latest.message.strip().splitlines()[0].rstrip(": ")
    if all(status.state == "running" for status in pod.statuses if not status.is_init) and pod.statuses:
        waiting = [s.name for s in pod.statuses if not s.ready and not s.is_init]
        return (
            f"container {waiting[0]} runs, but its readiness probe has not succeeded"
            if waiting
            else "it is not ready yet"
        )
    return "it is still starting"
