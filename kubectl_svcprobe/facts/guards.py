"""What would take a pod with a client's labels for one of its own: Services, controllers, disruption budgets. Pure.

A pod that stands in for a client is never ready, so no Service sends it a request; but one that publishes addresses of pods
that are not ready would. A controller adopts a pod without an owner that its selector matches (`PodControllerRefManager`,
pkg/controller/controller_ref_manager.go), and might then delete it, or one of its own in its place. An owner reference
keeps it from that, but a budget whose arithmetic asks for the owners' scale cannot make sense of that owner, and would
admit no eviction meanwhile (`getExpectedScale`, pkg/controller/disruption/disruption.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kubectl_svcprobe.facts.json_fields import mapping
from kubectl_svcprobe.facts.model import Json, Meta, ObjectRef, Service
from kubectl_svcprobe.facts.policy import LabelSelector, selects

#: Kinds that do not adopt a pod of our name and labels: a StatefulSet goes by the pods' names, a Job and a ReplicaSet of a
#: Deployment by labels that are left out.
KNOWN_MAKERS = frozenset({"", "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "ReplicationController"})


@dataclass(frozen=True)
class Adopter:
    """A ReplicaSet, DaemonSet or ReplicationController, and the pods that it takes for its own."""

    ref: ObjectRef
    selector: LabelSelector

    @classmethod
    def from_json(cls, kind: str, obj: Json) -> Adopter:
        """The selector of a ReplicationController is a plain map."""
        meta, selector = Meta.from_json(obj), mapping(mapping(obj, "spec"), "selector")
        if kind == "ReplicationController":
            selector = {"matchLabels": selector}
        return cls(ObjectRef(kind, meta.namespace, meta.name), LabelSelector.from_json(selector))


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget; `asks_owners` is set where it is counted by the scale of the pods' owners."""

    meta: Meta
    selector: LabelSelector | None
    asks_owners: bool

    @classmethod
    def from_json(cls, obj: Json) -> Budget:
        """Counted so for `maxUnavailable`, and for a percentage of either kind. Without a selector it selects nothing."""
        spec = mapping(obj, "spec")
        selector = (
            LabelSelector.from_json(mapping(spec, "selector")) if isinstance(spec.get("selector"), dict) else None
        )
        asks = spec.get("maxUnavailable") is not None or isinstance(spec.get("minAvailable"), str)
        return cls(Meta.from_json(obj), selector, asks)


def receiver(services: Iterable[Service], labels: Mapping[str, str]) -> Service | None:
    """A Service that would send requests to a pod with these labels, although it is never ready."""
    for service in services:
        if service.publish_not_ready_addresses and service.selector and selects(service.selector, labels):
            return service
    return None


def adopter(adopters: Iterable[Adopter], labels: Mapping[str, str]) -> Adopter | None:
    """The first that would take a pod with these labels for its own; an empty selector selects nothing here."""
    return next((a for a in adopters if not a.selector.is_empty and a.selector.matches(labels)), None)


def confused(budgets: Iterable[Budget], labels: Mapping[str, str]) -> Budget | None:
    """A budget that would be reckoned wrongly for a pod with these labels and an owner of ours."""
    return next((b for b in budgets if b.asks_owners and b.selector and b.selector.matches(labels)), None)
