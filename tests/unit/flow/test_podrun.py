"""The probe pod's life on a cluster in memory: what keeps it from starting is said, and it is always removed."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.errors import Interrupted, api_error
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.probe import podrun
from kubectl_svcprobe.probe.podlife import PodRun
from kubectl_svcprobe.probe.podspec import PodOptions, manifest
from tests.fake_cluster import FakeCluster
from tests.unit.flow import objects as o

UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes fit"}


def run(cluster: FakeCluster, said: list[str] | None = None) -> PodRun:
    body = manifest((), PodOptions("svcprobe-test", "shop"))
    return podrun.run(cluster, body, Interrupts(), (said if said is not None else []).append)


def is_gone(cluster: FakeCluster) -> bool:
    return cluster.list(r.PODS) == []


@pytest.mark.parametrize(
    ("states", "problem"),
    [
        ([o.waiting("ErrImagePull", "no such host")], "cannot start: ErrImagePull: no such host"),
        ([o.waiting("ContainerCreating"), o.waiting("ImagePullBackOff")], "cannot start: ImagePullBackOff"),
        ([o.waiting("CreateContainerConfigError", "non-numeric user")], "non-numeric user"),
        ([o.ended(128, reason="StartError", message='exec: "curl": not found')], 'StartError: exec: "curl": not found'),
        ([o.ended(137, reason="OOMKilled")], "did not run: OOMKilled"),
        ([{"phase": "Failed", "reason": "Evicted", "message": "low on memory"}], "Evicted low on memory"),
        ([o.ended()], "curl reported nothing"),
    ],
)
def test_why_there_is_no_answer(states: list[dict[str, Any]], problem: str) -> None:
    cluster = FakeCluster()
    o.Kubelet(cluster, states=states)
    result = run(cluster)
    assert problem in result.problem
    assert is_gone(cluster)


def test_an_unschedulable_pod_is_not_waited_for() -> None:
    cluster = FakeCluster()
    cluster.on_create = lambda created: cluster.update({**created, "status": {"conditions": [UNSCHEDULABLE]}})
    assert run(cluster).problem == "no node takes the probe pod: 0/3 nodes fit"
    assert is_gone(cluster)


def test_a_pod_that_somebody_else_deletes() -> None:
    cluster = FakeCluster()
    cluster.on_create = lambda created: cluster.remove(r.PODS, "shop", "svcprobe-test")
    assert "deleted by someone else" in run(cluster).problem


def test_a_refused_create_leaves_nothing_to_remove() -> None:
    cluster = FakeCluster()
    cluster.fail(r.PODS, "create", api_error(403, "Forbidden", "exceeded quota: pods=0"))
    assert run(cluster).problem == "the probe pod was not admitted: exceeded quota: pods=0"
    assert [request.verb for request in cluster.requests] == ["create"]


def test_a_create_whose_answer_was_lost_is_undone_all_the_same() -> None:
    cluster = FakeCluster()
    cluster.fail(r.PODS, "create", api_error(504, "Timeout", "the server may still be processing the request"))
    result = run(cluster)
    assert "may still be processing" in result.problem
    assert {request.name for request in cluster.requests if request.verb == "delete"} == {"svcprobe-test"}


def test_a_watch_that_is_too_old_starts_again() -> None:
    cluster = FakeCluster()
    kubelet = o.Kubelet(cluster)

    def run_and_forget(created: dict[str, Any]) -> None:
        kubelet.run(created)
        cluster.expire()

    cluster.on_create = run_and_forget
    assert run(cluster).node == "node-2"


def test_without_the_right_to_watch_the_pod_is_read() -> None:
    cluster = FakeCluster()
    o.Kubelet(cluster)
    cluster.forbid(r.PODS, "watch")
    assert run(cluster).node == "node-2"


def test_what_is_waited_for_is_said() -> None:
    cluster, said = FakeCluster(), list[str]()
    o.Kubelet(cluster, states=[o.waiting("ContainerCreating"), o.ended()])
    run(cluster, said)
    assert "probe pod shop/svcprobe-test on node-2: starting" in said


def interrupted(cluster: FakeCluster, keep: bool = False) -> list[str]:
    """Ctrl-C comes as soon as the pod is there; what is said of a pod that may still be there."""
    cluster.on_create = lambda created: os.kill(os.getpid(), signal.SIGINT)
    body = manifest((), PodOptions("svcprobe-test", "shop", keep=keep))
    leftover: list[str] = []
    with Interrupts() as interrupts, pytest.raises(Interrupted):
        podrun.run(cluster, body, interrupts, lambda text: None, keep, leftover.append)
    return leftover


@pytest.mark.parametrize("keep", [False, True])
def test_an_interrupted_pod_is_removed_as_it_can_tell_nothing(keep: bool) -> None:
    cluster = FakeCluster()
    assert interrupted(cluster, keep) == []
    assert is_gone(cluster)


def test_whoever_interrupts_is_told_too_that_the_pod_cannot_be_removed() -> None:
    cluster = FakeCluster()
    cluster.forbid(r.PODS, "delete")
    (reason,) = interrupted(cluster)
    assert "forbidden" in reason
