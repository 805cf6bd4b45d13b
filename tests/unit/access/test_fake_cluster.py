"""What only the cluster in memory can do; what it shares with a real one is in `tests/contract`."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe.access.resources import PODS, SERVICES, Resource
from kubectl_svcprobe.errors import Forbidden, Gone, NotFound
from tests.fake_cluster import FakeCluster, Request


def pod(name: str, phase: str = "Pending") -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": name, "namespace": "shop"}, "status": {"phase": phase}}


def test_one_verb_can_be_forbidden() -> None:
    cluster = FakeCluster(pod("web"))
    cluster.forbid(PODS, "list")
    with pytest.raises(Forbidden):
        cluster.list(PODS, "shop")
    assert cluster.get(PODS, "shop", "web")


def test_any_error_can_be_arranged() -> None:
    cluster = FakeCluster()
    cluster.fail(SERVICES, "list", TimeoutError("slow"))
    with pytest.raises(TimeoutError):
        cluster.list(SERVICES)


def test_what_happens_to_a_created_pod_is_seen_by_a_watch() -> None:
    cluster = FakeCluster()
    cluster.on_create = lambda item: cluster.update({**item, "status": {"phase": "Succeeded"}})
    version = cluster.listing(PODS, "shop").resource_version
    cluster.create(PODS, "shop", pod("web"))
    events = cluster.watch(PODS, "shop", resource_version=version, timeout=1)
    assert [(kind, item["status"]["phase"]) for kind, item in events] == [
        ("ADDED", "Pending"),
        ("MODIFIED", "Succeeded"),
    ]


def test_a_watch_sees_what_is_changed_while_it_is_read() -> None:
    cluster = FakeCluster(pod("web"))
    events = cluster.watch(PODS, "shop", timeout=1)
    assert next(events)[0] == "ADDED"
    cluster.remove(PODS, "shop", "web")
    assert next(events)[0] == "DELETED"


def test_versions_can_expire() -> None:
    cluster = FakeCluster(pod("web"))
    version = cluster.listing(PODS, "shop").resource_version
    cluster.update(pod("web", "Running"))
    cluster.expire()
    with pytest.raises(Gone):
        next(cluster.watch(PODS, "shop", resource_version=version, timeout=1))


def test_logs_are_cut_as_asked() -> None:
    cluster = FakeCluster({**pod("web"), "spec": {"containers": [{"name": "main"}]}})
    cluster.logs["shop", "web", "main"] = b"one\ntwo\nthree\n"
    assert cluster.log("shop", "web", "main", tail_lines=2) == b"two\nthree\n"
    assert cluster.log("shop", "web", "main", limit_bytes=5) == b"one\nt"


def test_other_resources_are_served_once_they_are_there() -> None:
    routes = Resource("gateway.networking.k8s.io", "v1", "tlsroutes", "TLSRoute")
    cluster = FakeCluster()
    with pytest.raises(NotFound):
        cluster.list(routes, "shop")
    cluster.add({"metadata": {"name": "web", "namespace": "shop"}}, resource=routes)
    assert len(cluster.list(routes, "shop")) == 1


def test_requests_are_written_down_in_the_words_of_rbac() -> None:
    cluster = FakeCluster(pod("web"))
    cluster.list(PODS, "shop")
    cluster.get(PODS, "shop", "web")
    assert cluster.requests == [Request("list", "pods", "shop", None), Request("get", "pods", "shop", "web")]
