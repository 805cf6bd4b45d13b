"""EndpointSlices: the addresses behind a Service, and their conditions."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_svcprobe.facts.json_fields import flag, integer, items, mapping, text, texts
from kubectl_svcprobe.facts.model import Json, Meta, ObjectRef

#: Who keeps the slices of Services that have a selector.
CONTROLLER = "endpointslice-controller.k8s.io"


@dataclass(frozen=True)
class EndpointPort:
    """A port of an EndpointSlice. `port` is 0 where the slice leaves it open: a named targetPort that no container declares."""

    name: str = ""
    port: int = 0
    protocol: str = "TCP"


@dataclass(frozen=True)
class Endpoint:
    """One address behind a Service, with the conditions as the EndpointSlice API defines their defaults.

    `hostname` is the name that the DNS has for it alone, below the Service's.
    `for_zones` and `for_nodes` are its hints: whose clients it is meant for.
    """

    address: str
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    zone: str = ""
    hostname: str = ""
    target: ObjectRef | None = None
    for_zones: frozenset[str] = frozenset()
    for_nodes: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, obj: Json) -> Endpoint:
        """A missing `ready` or `serving` means true (discovery/v1 types.go); only the first address counts."""
        conditions, target, hints = mapping(obj, "conditions"), mapping(obj, "targetRef"), mapping(obj, "hints")
        ready = conditions.get("ready") is not False
        serving = conditions.get("serving")
        return cls(
            address=next(iter(texts(obj, "addresses")), ""),
            ready=ready,
            serving=ready if serving is None else bool(serving),
            terminating=flag(conditions, "terminating"),
            node=text(obj, "nodeName"),
            zone=text(obj, "zone"),
            hostname=text(obj, "hostname"),
            target=ObjectRef(text(target, "kind"), text(target, "namespace"), text(target, "name")) if target else None,
            for_zones=frozenset(text(hint, "name") for hint in items(hints, "forZones")),
            for_nodes=frozenset(text(hint, "name") for hint in items(hints, "forNodes")),
        )


@dataclass(frozen=True)
class EndpointSlice:
    """One EndpointSlice of a Service."""

    meta: Meta
    address_type: str = "IPv4"
    ports: tuple[EndpointPort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()

    @property
    def managed_by(self) -> str:
        """Who keeps this slice; the control plane's own controller is `endpointslice-controller.k8s.io`."""
        return self.meta.labels.get("endpointslice.kubernetes.io/managed-by", "")

    @property
    def service_name(self) -> str:
        """The Service that this slice belongs to."""
        return self.meta.labels.get("kubernetes.io/service-name", "")

    @classmethod
    def from_json(cls, obj: Json) -> EndpointSlice:
        """`endpoints` and `ports` are null, not empty, for a Service without pods."""
        return cls(
            meta=Meta.from_json(obj),
            address_type=text(obj, "addressType"),
            ports=tuple(
                EndpointPort(text(p, "name"), integer(p, "port"), text(p, "protocol") or "TCP")
                for p in items(obj, "ports")
            ),
            endpoints=tuple(Endpoint.from_json(endpoint) for endpoint in items(obj, "endpoints")),
        )
