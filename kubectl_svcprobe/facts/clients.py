"""Reading the client that a probe pod is to stand in for, and all that might take that pod for one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError, Forbidden, NotFound, UnsafeClient, UsageError
from kubectl_svcprobe.facts.client import Client, ClientWish
from kubectl_svcprobe.facts.guards import KNOWN_MAKERS, Adopter, Budget, adopter, confused, receiver
from kubectl_svcprobe.facts.json_fields import at, strings
from kubectl_svcprobe.facts.model import Meta, Service
from kubectl_svcprobe.facts.reader import Reader, label_selector, pool
from kubectl_svcprobe.facts.stand_in import Template, plain, stand_in
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.words import listed

#: What a client may be: the kinds that are pods or make them.
KINDS = {
    resource.kind: resource
    for resource in (
        r.PODS,
        r.DEPLOYMENTS,
        r.STATEFUL_SETS,
        r.DAEMON_SETS,
        r.REPLICA_SETS,
        r.REPLICATION_CONTROLLERS,
        r.JOBS,
        r.CRON_JOBS,
    )
}

ADOPTING = (r.REPLICA_SETS, r.DAEMON_SETS, r.REPLICATION_CONTROLLERS)

#: A ConfigMap that the control plane keeps in every namespace (RootCAConfigMap, since Kubernetes 1.20).
OWNER = "kube-root-ca.crt"


def find_client(cluster: ClusterApi, wish: ClientWish, namespace: str) -> Client:
    """Who will ask from inside the cluster. `namespace` is the Service's.

    Raises UsageError where there is no such client or namespace, UnsafeClient where a pod in its place might get its
    requests or be counted as one of its own, or where that could not be seen to, and AccessError where it cannot be read.
    """
    where = wish.namespace or namespace
    with pool() as threads:
        reader = Reader(cluster, threads)
        if wish.namespace and not reader.namespace_exists(wish.namespace).result():
            raise UsageError(f"error: --from-namespace: there is no namespace {wish.namespace}")
        if not wish.is_for_a_client:
            return plain(wish, where)
        # The Services are needed in any case, and come while the client is read.
        services = reader.read_all(r.SERVICES, where, Service.from_json)
        adopters = [reader.read_optional(kind, where, _adopter_parser(kind.kind)) for kind in ADOPTING]
        template, nodes = _template(reader, wish, where)
        client = stand_in(wish, where, template, nodes)
        return replace(client, owner=_guarded(reader, client, template, services, adopters))


def _adopter_parser(kind: str) -> Any:
    return lambda obj: Adopter.from_json(kind, obj)


def _template(reader: Reader, wish: ClientWish, namespace: str) -> tuple[Template | None, tuple[str, ...]]:
    """What the client's pods are made from, and the nodes that they run on."""
    if not wish.kind:
        return None, ()
    name = f"{wish.kind.lower()}/{wish.name}"
    try:
        obj = reader.cluster.get(KINDS[wish.kind], namespace, wish.name)
    except NotFound:
        raise UsageError(
            f"error: --from: there is no {name} in {namespace}{_others(reader, wish, namespace)}"
        ) from None
    template = Template.of_object(wish.kind, obj)
    if template.is_on_host_network:
        raise UsageError(
            f"error: --from: {name} is on its node's own network, where a probe pod may not be put (Pod Security); "
            "--node NAME asks from a pod beside it"
        )
    if template.is_windows:
        raise UsageError(f"error: --from: {name} runs on Windows, and a probe pod on Linux only")
    return template, _nodes(reader, wish.kind, obj, namespace)


def _others(reader: Reader, wish: ClientWish, namespace: str) -> str:
    """The names that there are instead, if they can be read."""
    try:
        found = reader.cluster.list(KINDS[wish.kind], namespace)
    except AccessError:
        return ""
    names = sorted(Meta.from_json(obj).name for obj in found)
    elsewhere = "" if wish.namespace else "; --from-namespace says where the client is, if not there"
    return (f"; there is {listed(names, 6)}" if names else f", nor any other {wish.kind.lower()}") + elsewhere


def _nodes(reader: Reader, kind: str, obj: Mapping[str, Any], namespace: str) -> tuple[str, ...]:
    """Where the client runs: a pod's own node, or those of a workload's pods, as far as they can be read."""
    if kind == "Pod":
        pods: tuple[Pod, ...] = (Pod.from_json(obj),)
    else:
        selector = at(obj, "spec", "selector")
        labels = strings(at(obj, "spec"), "selector") if kind == r.REPLICATION_CONTROLLERS.kind else {}
        labels = labels or strings(selector, "matchLabels")
        query = label_selector(labels)
        pods = (reader.read_optional(r.PODS, namespace, Pod.from_json, labels=query).result() or ()) if query else ()
    return tuple(dict.fromkeys(pod.node for pod in pods if pod.node and not pod.is_finished))


def _guarded(
    reader: Reader,
    client: Client,
    template: Template | None,
    services: Future[tuple[Service, ...]],
    adopters: list[Future[tuple[Adopter, ...] | None]],
) -> Mapping[str, Any]:
    """The owner reference that the pod needs, if any. Raises UnsafeClient."""
    found = receiver(services.result(), client.labels)
    if reader.refused(r.SERVICES.kind):
        raise UnsafeClient(
            f"error: {client.title}: no pod is put in its place, since the Services of {client.namespace} could not be read, "
            "and one that publishes addresses of pods that are not ready would send it requests"
        )
    if found:
        raise UnsafeClient(
            f"error: {client.title}: no pod is put in its place, since service/{found.name} selects its labels and publishes "
            "addresses of pods that are not ready, and would send it requests"
        )
    known = [answer.result() for answer in adopters]
    taker = adopter((a for answer in known for a in answer or ()), client.labels)
    is_unknown = None in known or (template is not None and template.made_by not in KNOWN_MAKERS)
    if taker is None and not is_unknown:
        return {}
    why = f"{taker.ref} would adopt it" if taker else "it cannot be ruled out that a controller would adopt it"
    _refuse_if_confused(reader, client, why)
    return _owner(reader, client, why)


def _refuse_if_confused(reader: Reader, client: Client, why: str) -> None:
    """An owner that is no workload makes some budgets admit no eviction at all."""
    budgets = reader.read_optional(r.DISRUPTION_BUDGETS, client.namespace, Budget.from_json).result()
    if budgets is None:
        raise UnsafeClient(
            f"error: {client.title}: no pod is put in its place: {why}, and whether a PodDisruptionBudget would be upset by an "
            f"owner that prevents it could not be read ({r.DISRUPTION_BUDGETS.plural} in {client.namespace})"
        )
    if budget := confused(budgets, client.labels):
        raise UnsafeClient(
            f"error: {client.title}: no pod is put in its place: {why}, and the owner that prevents it would upset "
            f"poddisruptionbudget/{budget.meta.name}, which counts by the owners of its pods (maxUnavailable, or a percentage)"
        )


def _owner(reader: Reader, client: Client, why: str) -> Mapping[str, Any]:
    """A reference to an object of the namespace that no controller minds."""
    try:
        obj = reader.cluster.get(r.CONFIG_MAPS, client.namespace, OWNER)
    except (Forbidden, NotFound) as error:
        raise UnsafeClient(
            f"error: {client.title}: no pod is put in its place: {why}, and configmap/{OWNER} of {client.namespace}, by which "
            f"that is prevented, could not be read: {error}"
        ) from error
    return {
        "apiVersion": "v1",
        "kind": r.CONFIG_MAPS.kind,
        "name": OWNER,
        "uid": Meta.from_json(obj).uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
