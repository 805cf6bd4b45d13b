"""What is asked of the API server: no more for a Service that is well, and nothing is lost where an extra is refused."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.facts.collect import collect
from kubectl_svcprobe.facts.snapshot import Snapshot
from tests.fake_cluster import FakeCluster
from tests.unit.cases import TAKEN, named
from tests.unit.flow import objects as o


def read(cluster: FakeCluster) -> Snapshot:
    return collect(cluster, o.NAMESPACE, "devops", TAKEN)


def test_a_service_that_is_well_costs_no_third_round() -> None:
    cluster = FakeCluster(*o.healthy())
    read(cluster)
    asked = [q.resource for q in cluster.requests]
    assert not {"deployments", "replicasets", "horizontalpodautoscalers", "pods/log"} & set(asked)
    assert [asked.count(plural) for plural in ("pods", "events", "endpointslices")] == [1, 1, 1]


EXTRAS = [
    ("SVC202-by-keda", r.AUTOSCALERS, "autoscalers"),
    ("SVC209-the-same-labels-elsewhere", r.AUTOSCALERS, "autoscalers"),
    ("SVC306-the-revision-before-worked", r.REPLICA_SETS, "revisions"),
    ("SVC204-a-slice-without-the-label", r.PODS, "namespace_pods"),
]


@pytest.mark.parametrize(("case", "resource", "field"), EXTRAS)
def test_an_extra_that_is_refused_is_not_known_and_nothing_else_is_lost(
    case: str, resource: r.Resource, field: str
) -> None:
    cluster = named(case).cluster()
    assert getattr(collect(cluster, "shop", "web", TAKEN), field) is not None
    cluster.forbid(resource, "list")
    snapshot = collect(cluster, "shop", "web", TAKEN)
    assert getattr(snapshot, field) is None
    assert snapshot.unread == ()


def test_the_last_line_is_read_within_bounds_and_its_refusal_is_no_fault() -> None:
    cluster = named("SVC306-it-says-why").cluster()
    words = collect(cluster, "shop", "web", TAKEN).last_words
    assert {w.line for w in words} == {"FATAL: no database at db:5432"}
    cluster.logs[next(iter(cluster.logs))] = b"x" * 10_000
    assert max(len(w.line) for w in collect(cluster, "shop", "web", TAKEN).last_words) == 200
    cluster.forbid(r.PODS, "get", subresource="log")
    assert collect(cluster, "shop", "web", TAKEN).last_words == ()


def test_what_the_kubelet_says_in_place_of_a_log_is_no_last_line() -> None:
    cluster = named("SVC306-it-says-why").cluster()
    for key in cluster.logs:
        cluster.logs[key] = b"unable to retrieve container logs for containerd://689687cd\n"
    assert collect(cluster, "shop", "web", TAKEN).last_words == ()
