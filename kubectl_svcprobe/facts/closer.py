"""The third round of reads: only for a Service that already looks broken, what may explain it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.facts.endpoint import EndpointSlice
from kubectl_svcprobe.facts.model import ObjectRef, Service
from kubectl_svcprobe.facts.node import Event
from kubectl_svcprobe.facts.reader import WORKLOADS, Reader, label_selector, workload_parser
from kubectl_svcprobe.facts.scaling import Autoscaler, LastWords, Revision
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import Pod, Workload

#: How many containers' last words, and how many workloads, are asked for.
MOST_LOGS, MOST_WORKLOADS = 2, 3


def look_closer(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """The third round: what explains a Service that is missing, that selects nothing, or whose pods are not ready."""
    service = snapshot.service
    if service is None:
        return _look_for_name(reader, snapshot)
    if service.selector and not snapshot.pods and not reader.refused("Pod"):
        return _look_for_labels(reader, snapshot)
    if any(not pod.is_ready and not pod.is_finished for pod in snapshot.pods):
        return _look_at_unready(reader, snapshot)
    if not service.selector and not service.is_external_name and not any(snapshot.all_endpoints()):
        strays = reader.read_optional(r.ENDPOINT_SLICES, snapshot.namespace, EndpointSlice.from_json)
        return replace(snapshot, stray_slices=strays.result())
    return snapshot


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
