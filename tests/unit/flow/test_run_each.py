"""Several probe pods side by side on a cluster in memory: what one of them meets is its own, and none is ever left."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.errors import AccessError, Interrupted, api_error
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.probe import podrun
from kubectl_svcprobe.probe.podlife import PodRun
from kubectl_svcprobe.probe.podspec import PodOptions, manifest
from tests.fake_cluster import FakeCluster
from tests.unit.flow import objects as o

#: More than are run at a time.
NAMES = [f"svcprobe-{number}" for number in range(podrun.AT_ONCE + 3)]


def bodies(names: list[str] = NAMES, keep: bool = False) -> list[dict[str, Any]]:
    return [manifest((), PodOptions(name, "shop", keep=keep)) for name in names]


def run(cluster: FakeCluster, names: list[str] = NAMES) -> list[PodRun]:
    return podrun.run_each(cluster, bodies(names), Interrupts(), lambda text: None)


def left(cluster: FakeCluster) -> list[str]:
    return [item["metadata"]["name"] for item in cluster.list(r.PODS)]


def test_all_of_them_run_in_the_order_of_their_manifests() -> None:
    cluster = FakeCluster()
    kubelet = o.Kubelet(cluster)
    found = run(cluster)
    assert [one.name for one in found] == NAMES
    assert sorted(pod["metadata"]["name"] for pod in kubelet.pods) == sorted(NAMES)
    assert left(cluster) == []


def test_what_one_of_them_meets_is_its_own() -> None:
    cluster = FakeCluster()
    kubelet = o.Kubelet(cluster)

    def unless_second(created: dict[str, Any]) -> None:
        if created["metadata"]["name"] == NAMES[1]:
            cluster.update({**created, "status": {"conditions": [UNSCHEDULABLE]}})
        else:
            kubelet.run(created)

    cluster.on_create = unless_second
    found = run(cluster, NAMES[:3])
    assert [bool(one.problem.startswith("no node takes")) for one in found] == [False, True, False]
    assert left(cluster) == []


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}


def test_a_refusal_of_all_leaves_nothing_to_remove() -> None:
    cluster = FakeCluster()
    cluster.fail(r.PODS, "create", api_error(403, "Forbidden", "exceeded quota: pods=0"))
    assert {one.problem for one in run(cluster)} == {"the probe pod was not admitted: exceeded quota: pods=0"}
    assert {request.verb for request in cluster.requests} == {"create"}


def test_a_server_that_is_gone_is_the_problem_of_each() -> None:
    cluster = FakeCluster()
    cluster.fail(r.PODS, "create", AccessError("Unable to connect to the server: EOF"))
    assert {one.problem for one in run(cluster, NAMES[:2])} == {"Unable to connect to the server: EOF"}


class Starting:
    """A kubelet that lets pods start and never end; once so many are there, Ctrl-C is pressed."""

    def __init__(self, cluster: FakeCluster, pods: int) -> None:
        self.cluster, self.pods, self.names = cluster, pods, list[str]()
        self.lock = threading.Lock()
        cluster.on_create = self.start

    def start(self, created: dict[str, Any]) -> None:
        with self.lock:
            self.names.append(created["metadata"]["name"])
            self.cluster.update({**created, "status": o.waiting("ContainerCreating")})
            if len(self.names) == self.pods:
                os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("pods", [1, 3, podrun.AT_ONCE])
@pytest.mark.parametrize("keep", [False, True])
def test_an_interrupt_removes_all_and_makes_no_more(pods: int, keep: bool) -> None:
    cluster = FakeCluster()
    kubelet = Starting(cluster, pods)
    with Interrupts() as interrupts, pytest.raises(Interrupted):
        podrun.run_each(cluster, bodies(keep=keep), interrupts, lambda text: None, keep)
    assert left(cluster) == []
    assert len(kubelet.names) <= podrun.AT_ONCE


def test_whoever_interrupts_is_told_of_each_pod_that_stays() -> None:
    cluster = FakeCluster()
    cluster.forbid(r.PODS, "delete")
    Starting(cluster, 3)
    told: list[tuple[str, str]] = []

    def on_leftover(name: str, reason: str) -> None:
        told.append((name, reason))

    with Interrupts() as interrupts, pytest.raises(Interrupted):
        podrun.run_each(cluster, bodies(NAMES[:3]), interrupts, lambda text: None, on_leftover=on_leftover)
    assert sorted(name for name, _ in told) == NAMES[:3]
    assert all("forbidden" in reason for _, reason in told)


def test_what_is_a_bug_comes_to_light_once_all_pods_are_gone() -> None:
    cluster = FakeCluster()
    cluster.fail(r.PODS, "watch", ZeroDivisionError("a bug"))
    o.Kubelet(cluster, states=[o.waiting("ContainerCreating")])
    with pytest.raises(ZeroDivisionError):
        run(cluster, NAMES[:2])
    assert left(cluster) == []
