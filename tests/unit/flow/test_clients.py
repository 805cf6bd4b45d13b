"""Finding the client, and refusing what might be taken for one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.errors import Forbidden, UnsafeClient, UsageError
from kubectl_svcprobe.facts.client import Client, ClientWish
from kubectl_svcprobe.facts.clients import OWNER, find_client
from tests.fake_cluster import FakeCluster

LABELS = {"app": "front"}


def named(kind: str, name: str, spec: Mapping[str, Any] | None = None, api: str = "v1", **meta: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop", **meta}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": dict(spec or {})}


def workload(kind: str, name: str = "front", **spec: Any) -> dict[str, Any]:
    selector: dict[str, Any] = LABELS if kind == "ReplicationController" else {"matchLabels": LABELS}
    template = {"metadata": {"labels": LABELS}, "spec": spec}
    api = "v1" if kind == "ReplicationController" else "apps/v1"
    return named(kind, name, {"selector": selector, "template": template}, api)


def service(name: str = "front", **spec: Any) -> dict[str, Any]:
    return named("Service", name, {"selector": LABELS, **spec})


def budget(**spec: Any) -> dict[str, Any]:
    return named("PodDisruptionBudget", "front", {"selector": {"matchLabels": LABELS}, **spec}, "policy/v1")


CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": OWNER, "namespace": "shop", "uid": "c0ffee"},
}
FRONT = ClientWish("Deployment", "front")


def ask(cluster: FakeCluster, wish: ClientWish = FRONT) -> Client:
    return find_client(cluster, wish, "shop")


def test_a_deployment_s_pods_need_no_owner_and_are_known_by_their_nodes() -> None:
    pods = [named("Pod", f"front-{n}", {"nodeName": f"node-{n}"}, labels=LABELS) for n in (1, 2)]
    hashed = workload("ReplicaSet", "front-5c9d7")
    hashed["spec"]["selector"] = {"matchLabels": {**LABELS, "pod-template-hash": "5c9d7"}}
    found = ask(FakeCluster(workload("Deployment"), hashed, service(), *pods))
    assert (found.stands_in, found.owner, found.nodes) == (True, {}, ("node-1", "node-2"))


@pytest.mark.parametrize("kind", ["ReplicaSet", "DaemonSet", "ReplicationController"])
def test_an_owner_keeps_away_what_would_adopt_it(kind: str) -> None:
    found = ask(FakeCluster(workload("Deployment"), workload(kind, "taker"), CONFIG_MAP))
    assert found.owner == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": OWNER,
        "uid": "c0ffee",
        "controller": True,
        "blockOwnerDeletion": False,
    }


@pytest.mark.parametrize("kind", [r.REPLICA_SETS, r.DAEMON_SETS, r.REPLICATION_CONTROLLERS])
def test_where_it_cannot_be_seen_who_would_adopt_it_it_has_an_owner(kind: r.Resource) -> None:
    cluster = FakeCluster(workload("Deployment"), CONFIG_MAP)
    cluster.forbid(kind, "list")
    assert ask(cluster).owner["uid"] == "c0ffee"


def test_a_pod_of_a_kind_that_is_not_known_has_an_owner() -> None:
    owner = {"apiVersion": "apps.kruise.io/v1", "kind": "CloneSet", "name": "front", "uid": "1", "controller": True}
    pod = named("Pod", "front-1", labels=LABELS, ownerReferences=[owner])
    assert ask(FakeCluster(pod, CONFIG_MAP), ClientWish("Pod", "front-1")).owner


REFUSED = {
    "a Service that publishes all pods": (
        [workload("Deployment"), service(publishNotReadyAddresses=True)],
        "service/front selects its labels and publishes",
    ),
    "a percentage": ([workload("ReplicaSet"), CONFIG_MAP, budget(minAvailable="50%")], "poddisruptionbudget/front"),
    "maxUnavailable": ([workload("ReplicaSet"), CONFIG_MAP, budget(maxUnavailable=1)], "poddisruptionbudget/front"),
    "maxUnavailable of none": (
        [workload("ReplicaSet"), CONFIG_MAP, budget(maxUnavailable=0)],
        "poddisruptionbudget/front",
    ),
    "an empty selector": (
        [workload("ReplicaSet"), CONFIG_MAP, {**budget(), "spec": {"selector": {}, "maxUnavailable": 1}}],
        "poddisruptionbudget/front",
    ),
    "no owner to be had": ([workload("ReplicaSet")], f"configmap/{OWNER} of shop"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_for(case: str) -> None:
    objects, said = REFUSED[case]
    kind = str(objects[0]["kind"])
    with pytest.raises(UnsafeClient, match="no pod is put in its place") as refusal:
        ask(FakeCluster(*objects), ClientWish(kind, "front"))
    assert said in str(refusal.value)


HARMLESS = {
    "a Service that publishes ready ones": [workload("Deployment"), service()],
    "one of other pods that publishes all": [
        workload("Deployment"),
        service(selector={"app": "back"}, publishNotReadyAddresses=True),
    ],
    "one without a selector": [workload("Deployment"), service(selector={}, publishNotReadyAddresses=True)],
    "a number": [workload("ReplicaSet"), CONFIG_MAP, budget(minAvailable=1)],
    "a percentage where it needs no owner": [workload("Deployment"), budget(minAvailable="50%")],
    "a budget without a selector": [workload("ReplicaSet"), CONFIG_MAP, {**budget(), "spec": {"maxUnavailable": 1}}],
}


@pytest.mark.parametrize("case", HARMLESS)
def test_it_is_not_refused_for(case: str) -> None:
    objects = HARMLESS[case]
    assert ask(FakeCluster(*objects), ClientWish(str(objects[0]["kind"]), "front")).stands_in


@pytest.mark.parametrize(
    ("withheld", "verb", "said"),
    [
        (r.SERVICES, "list", "the Services of shop could not be read"),
        (r.DISRUPTION_BUDGETS, "list", "poddisruptionbudgets in shop"),
        (r.CONFIG_MAPS, "get", f"configmap/{OWNER} of shop"),
    ],
)
def test_it_is_refused_where_a_guard_could_not_look(withheld: r.Resource, verb: str, said: str) -> None:
    cluster = FakeCluster(workload("ReplicaSet"), CONFIG_MAP)
    cluster.forbid(withheld, verb)
    with pytest.raises(UnsafeClient) as refusal:
        ask(cluster, ClientWish("ReplicaSet", "front"))
    assert said in str(refusal.value)


def test_a_client_that_may_not_be_read_is_the_server_s_refusal() -> None:
    cluster = FakeCluster(workload("Deployment"))
    cluster.forbid(r.DEPLOYMENTS, "get")
    with pytest.raises(Forbidden):
        ask(cluster)


def test_one_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="there is no deployment/front in shop; there is frond;"):
        ask(FakeCluster(workload("Deployment", "frond")))
    with pytest.raises(UsageError, match="there is no deployment/front in shop, nor any other deployment"):
        ask(FakeCluster())


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hostNetwork": True}, "its node's own network"),
        ({"os": {"name": "windows"}}, "runs on Windows"),
        ({"nodeSelector": {"kubernetes.io/os": "windows"}}, "runs on Windows"),
    ],
)
def test_no_pod_can_stand_in_for(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ask(FakeCluster(workload("Deployment", **spec)))


def test_the_plain_pod_asks_nothing_first() -> None:
    cluster = FakeCluster()
    assert ask(cluster, ClientWish()) == Client("shop")
    assert cluster.requests == []


def test_the_plain_pod_in_another_namespace_that_has_to_exist() -> None:
    there = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "store"}}
    assert ask(FakeCluster(there), ClientWish(namespace="store")) == Client("store")
    with pytest.raises(UsageError, match="there is no namespace store"):
        ask(FakeCluster(), ClientWish(namespace="store"))
