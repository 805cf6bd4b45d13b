"""Probe pods that a killed run left behind: found by label, name and shape, and removed."""

from __future__ import annotations

from typing import Any

from kubectl_svcprobe.access.resources import PODS
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError, Conflict, NotFound
from kubectl_svcprobe.facts.client import STAND_IN_LABELS
from kubectl_svcprobe.facts.reader import label_selector
from kubectl_svcprobe.facts.times import seconds_between
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.podspec import CONTAINER, KEEP_ANNOTATION, LABELS, is_ours

#: Plain pods, and those that stand in for a client.
SELECTORS = tuple(label_selector(labels) for labels in (LABELS, STAND_IN_LABELS))

#: A pod that ended so long ago has no run waiting for it: reading a log takes no second.
ABANDONED_SECONDS = 60.0


def leftovers(cluster: ClusterApi, namespace: str | None) -> list[dict[str, Any]]:
    """All pods of this tool, running ones too; `None` means every namespace. Raises AccessError."""
    found = [pod for selector in SELECTORS for pod in cluster.list(PODS, namespace, label_selector=selector)]
    return [pod for pod in found if is_ours(pod)]


def remove(cluster: ClusterApi, pod: dict[str, Any]) -> bool:
    """Delete exactly this pod, not a later one of its name; false where it was gone already. Raises AccessError."""
    metadata = pod["metadata"]
    try:
        cluster.delete(PODS, metadata["namespace"], metadata["name"], grace_period=1, uid=metadata.get("uid"))
    except (NotFound, Conflict):
        return False
    return True


def remove_abandoned(cluster: ClusterApi, namespace: str, now: str) -> list[str]:
    """Remove what earlier runs left in a namespace, if it has long ended and was not kept on purpose.

    Returns the names. Tidying up is no reason to fail: what is refused stays.
    """
    removed: list[str] = []
    try:
        for obj in leftovers(cluster, namespace):
            if _is_abandoned(obj, now) and remove(cluster, obj):
                removed.append(obj["metadata"]["name"])
    except AccessError:
        pass
    return removed


def _is_abandoned(obj: dict[str, Any], now: str) -> bool:
    pod = Pod.from_json(obj)
    is_over = pod.is_finished or any(s.name == CONTAINER and s.state == "terminated" for s in pod.statuses)
    return (
        is_over
        and KEEP_ANNOTATION not in pod.meta.annotations
        and seconds_between(pod.meta.created, now) > ABANDONED_SECONDS
    )
