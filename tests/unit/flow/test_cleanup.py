"""What is removed after a killed run, and what never is."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe import cleanup
from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.probe.podspec import PodOptions, manifest
from tests.fake_cluster import FakeCluster
from tests.unit.flow import objects as o

CREATED = "2026-01-01T00:00:00Z"
SOON, LATER = "2026-01-01T00:00:30Z", "2026-01-01T00:02:00Z"


def probe_pod(name: str = "svcprobe-old", keep: bool = False, status: dict[str, Any] | None = None) -> dict[str, Any]:
    return {**manifest((), PodOptions(name, "shop", keep=keep)), "status": status or o.ended()}


def without(pod: dict[str, Any], part: str) -> dict[str, Any]:
    """A look-alike: the same pod, but for one thing."""
    if part == "name":
        pod["metadata"]["name"] = "someone-elses"
    elif part == "label":
        pod["metadata"]["labels"] = {"app": "web"}
    elif part == "command":
        pod["spec"]["containers"][0]["command"] = ["nginx"]
    else:
        pod["spec"]["restartPolicy"] = "Always"
    return pod


def names(cluster: FakeCluster) -> list[str]:
    return [pod["metadata"]["name"] for pod in cluster.list(r.PODS)]


def test_cleanup_finds_what_is_ours_running_or_not() -> None:
    running = {"phase": "Running", "containerStatuses": [{"name": "probe", "state": {"running": {}}}]}
    cluster = FakeCluster(probe_pod("svcprobe-a"), probe_pod("svcprobe-b", status=running), o.pod())
    found = cleanup.leftovers(cluster, "shop")
    assert [pod["metadata"]["name"] for pod in found] == ["svcprobe-a", "svcprobe-b"]


@pytest.mark.parametrize("part", ["name", "label", "command", "restart policy"])
def test_a_look_alike_is_never_touched(part: str) -> None:
    cluster = FakeCluster(without(probe_pod(), part))
    assert cleanup.leftovers(cluster, "shop") == []


@pytest.mark.parametrize(
    ("pod", "now", "remaining"),
    [
        (probe_pod(), LATER, []),
        (probe_pod(), SOON, ["svcprobe-old"]),
        (probe_pod(keep=True), LATER, ["svcprobe-old"]),
        (probe_pod(status={"phase": "Failed"}), LATER, []),
        (probe_pod(status={"phase": "Pending"}), LATER, ["svcprobe-old"]),
    ],
    ids=["ended long ago", "ended just now: a run may be reading it", "kept on purpose", "cut short", "not over"],
)
def test_the_next_run_removes_what_has_long_ended(pod: dict[str, Any], now: str, remaining: list[str]) -> None:
    cluster = FakeCluster(pod)
    cleanup.remove_abandoned(cluster, "shop", now)
    assert names(cluster) == remaining


def test_tidying_up_never_fails_a_run() -> None:
    cluster = FakeCluster(probe_pod())
    cluster.forbid(r.PODS, "list", "delete")
    assert cleanup.remove_abandoned(cluster, "shop", LATER) == []


def test_a_later_pod_of_the_same_name_stays() -> None:
    cluster = FakeCluster(probe_pod())
    (found,) = cleanup.leftovers(cluster, "shop")
    cluster.remove(r.PODS, "shop", "svcprobe-old")
    cluster.add(probe_pod())
    assert not cleanup.remove(cluster, found)
    assert names(cluster) == ["svcprobe-old"]
