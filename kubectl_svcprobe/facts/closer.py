"""The third round of reads: only for a Service that already looks broken, what may explain it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.facts.alias import service_meant
from kubectl_svcprobe.facts.endpoint import EndpointSlice
from kubectl_svcprobe.facts.model import ObjectRef, Service
from kubectl_svcprobe.facts.node import Event
from kubectl_svcprobe.facts.reader import WORKLOADS, Reader, label_selector, workload_parser
from kubectl_svcprobe.facts.scaling import Autoscaler, LastWords, Revision
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.times import seconds_between
from kubectl_svcprobe.facts.workload import Pod, Workload

#: How many containers' last words, and how many workloads, are asked for.
MOST_LOGS, MOST_WORKLOADS = 2, 3
#: How many addresses kept by hand are looked for among the pods.
MOST_ADDRESSES = 5
#: Seconds within which a pod became ready lately, and for which it had been there before.
LATELY, A_WHILE = 600.0, 180.0


def look_closer(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """The third round: what explains a Service that is missing, that selects nothing, or whose pods are not ready."""
    service = snapshot.service
    if service is None:
        return _look_for_name(reader, snapshot)
    if service.is_external_name:
        return _look_at_alias(reader, snapshot, service.external_name)
    if service.selector and not snapshot.pods and not reader.refused("Pod"):
        return _look_for_labels(reader, snapshot)
    if any(not pod.is_ready and not pod.is_finished for pod in snapshot.pods):
        return _look_at_unready(reader, snapshot)
    if not service.selector:
        return _look_at_slices(reader, snapshot)
    if flapped := [pod for pod in snapshot.pods if _has_just_come_back(pod, snapshot.taken)]:
        return _look_at_events(reader, snapshot, flapped)
    return snapshot


def _look_at_alias(reader: Reader, snapshot: Snapshot, name: str) -> Snapshot:
    """The Service of this cluster that an alias leads to, if it is one's."""
    meant = service_meant(name)
    if meant is None:
        return snapshot
    found = reader.read_optional(r.SERVICES, meant[0], Service.from_json, fields=f"metadata.name={meant[1]}")
    return replace(snapshot, alias_of=found.result())


def _has_just_come_back(pod: Pod, taken: str) -> bool:
    """Whether a pod that has been there for a while became ready only lately, with no restart to explain it."""
    ready = pod.conditions.get("Ready")
    if ready is None or not pod.is_ready or any(status.restarts for status in pod.statuses):
        return False
    return seconds_between(ready.since, taken) < LATELY and seconds_between(pod.meta.created, ready.since) > A_WHILE


def _look_at_events(reader: Reader, snapshot: Snapshot, pods: Iterable[Pod]) -> Snapshot:
    events = reader.read_optional(
        r.EVENTS, snapshot.namespace, Event.from_json, fields="involvedObject.kind=Pod,reason=Unhealthy"
    )
    names = {pod.meta.name for pod in pods}
    return replace(snapshot, pod_events=tuple(e for e in events.result() or () if e.about.name in names))


def _look_at_slices(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """For a Service without a selector: what may be meant for it if it has no address, and which of its addresses are stale."""
    if not any(snapshot.all_endpoints()):
        strays = reader.read_optional(r.ENDPOINT_SLICES, snapshot.namespace, EndpointSlice.from_json)
        pods = reader.read_optional(r.PODS, snapshot.namespace, Pod.from_json)
        return replace(snapshot, stray_slices=strays.result(), namespace_pods=pods.result())
    suspects = [e.address for e in snapshot.all_endpoints() if any(node.gives(e.address) for node in snapshot.nodes)]
    if not suspects:
        return snapshot
    found = {
        address: reader.read_optional(r.PODS, None, Pod.from_json, fields=f"status.podIP={address}")
        for address in suspects[:MOST_ADDRESSES]
    }
    stale = frozenset(address for address, pods in found.items() if pods.result() == ())
    here = reader.read_optional(r.PODS, snapshot.namespace, Pod.from_json).result() if stale else None
    return replace(snapshot, stale_addresses=stale, namespace_pods=here)


def _look_at_unready(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """What pods that are not ready say of it, what they wrote last, and what made them."""
    pods, namespace = [pod for pod in snapshot.pods if not pod.is_ready and not pod.is_finished], snapshot.namespace
    events = reader.read_all(r.EVENTS, namespace, Event.from_json, fields="involvedObject.kind=Pod,type=Warning")
    words = _ask_for_last_words(reader, pods)
    owners = list(dict.fromkeys(pod.workload for pod in pods))[:MOST_WORKLOADS]
    workloads = list(_ask_for_workloads(reader, owners))
    assert snapshot.service is not None
    labels = label_selector(snapshot.service.selector)
    has_revisions = any(owner.kind == r.DEPLOYMENTS.kind for owner in owners)
    revisions = (
        reader.read_optional(r.REPLICA_SETS, namespace, Revision.from_json, labels=labels) if has_revisions else None
    )
    names = {pod.meta.name for pod in snapshot.pods}
    return replace(
        snapshot,
        pod_events=tuple(e for e in events.result() if e.about.name in names),
        last_words=tuple(found for word in words if (found := word.result())),
        workloads=tuple(w for found in workloads for w in found.result() or ()),
        revisions=revisions.result() if revisions else None,
    )


def _ask_for_last_words(reader: Reader, pods: Iterable[Pod]) -> list[Future[LastWords | None]]:
    """Of containers that ended with an error: of the run before this one, if that is under way already."""
    ended = [
        reader.last_words(pod.meta.namespace, pod.meta.name, status.name, previous=status.state == "running")
        for pod in pods
        for status in pod.statuses
        if status.has_ended_badly
    ]
    return ended[:MOST_LOGS]


def _ask_for_workloads(reader: Reader, owners: Iterable[ObjectRef]) -> Iterator[Future[tuple[Workload, ...] | None]]:
    resource_of = {resource.kind: resource for resource in WORKLOADS}
    for owner in owners:
        if resource := resource_of.get(owner.kind):
            parse = workload_parser(owner.kind)
            yield reader.read_optional(resource, owner.namespace, parse, fields=f"metadata.name={owner.name}")


def _look_for_name(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """What else bears, or nearly bears, the name of a Service that does not exist."""
    namespace = reader.namespace_exists(snapshot.namespace)
    services = reader.read_all(r.SERVICES, snapshot.namespace, Service.from_json)
    elsewhere = reader.read_all(r.SERVICES, None, Service.from_json, fields=f"metadata.name={snapshot.name}")
    pods = reader.read_all(r.PODS, snapshot.namespace, Pod.from_json)
    workloads = reader.workloads(snapshot.namespace)
    return replace(
        snapshot,
        namespace_exists=namespace.result(),
        other_services=services.result(),
        elsewhere=elsewhere.result(),
        namespace_pods=pods.result(),
        workloads=tuple(w for found in workloads for w in found.result()),
    )


def _look_for_labels(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """What the selector may have been meant to match, here and in other namespaces, and who keeps it from being there."""
    assert snapshot.service is not None
    namespace, labels = snapshot.namespace, label_selector(snapshot.service.selector)
    pods = reader.read_all(r.PODS, namespace, Pod.from_json)
    elsewhere = reader.read_optional(r.PODS, None, Pod.from_json, labels=labels)
    refusals = reader.read_optional(r.EVENTS, namespace, Event.from_json, fields="reason=FailedCreate")
    scalings = reader.read_optional(r.EVENTS, namespace, Event.from_json, fields="reason=ScalingReplicaSet")
    autoscalers = reader.read_optional(r.AUTOSCALERS, namespace, Autoscaler.from_json)
    workloads = reader.workloads(namespace)
    return replace(
        snapshot,
        namespace_pods=pods.result(),
        pods_elsewhere=elsewhere.result(),
        maker_events=(*(refusals.result() or ()), *(scalings.result() or ())),
        autoscalers=autoscalers.result(),
        workloads=tuple(w for found in workloads for w in found.result()),
    )
