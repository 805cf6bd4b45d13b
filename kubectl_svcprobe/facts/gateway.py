"""Who serves what leads to a Service: Gateways with their listeners, and classes of Ingresses.

Read only where a route of the Service names one, and all of it optional: None is what could not be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.facts.json_fields import integer, items, mapping, text
from kubectl_svcprobe.facts.model import Condition, Json, Meta, ObjectRef
from kubectl_svcprobe.facts.route import OLD_CLASS, Route

if TYPE_CHECKING:
    from kubectl_svcprobe.facts.reader import Reader
    from kubectl_svcprobe.facts.snapshot import Snapshot

#: Of how many namespaces the Gateways are read: those of a route's parents, which are one or two.
MOST_NAMESPACES = 3

GATEWAY_GROUP, OPENSHIFT_GROUP = r.HTTP_ROUTES.group, r.OPENSHIFT_ROUTES.group


@dataclass(frozen=True)
class Listener:
    """A port of a Gateway; `host` may be empty (all) or begin with `*.`."""

    name: str
    port: int
    protocol: str
    host: str = ""

    def serves(self, host: str) -> bool:
        """Whether a route's host (empty: any) and its own have names in common."""
        if not self.host or not host or self.host == host:
            return True
        wild, other = (self.host, host) if self.host.startswith("*.") else (host, self.host)
        return wild.startswith("*.") and other.endswith(wild[1:])


@dataclass(frozen=True)
class Gateway:
    """A gateway.networking.k8s.io/v1 Gateway; `addresses` are IPs or names."""

    meta: Meta
    class_name: str = ""
    listeners: tuple[Listener, ...] = ()
    addresses: tuple[str, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    @property
    def ref(self) -> ObjectRef:
        """`gateway/NAME`."""
        return ObjectRef("Gateway", self.meta.namespace, self.meta.name)

    @classmethod
    def from_json(cls, obj: Json) -> Gateway:
        """Read a Gateway."""
        spec, status = mapping(obj, "spec"), mapping(obj, "status")
        return cls(
            Meta.from_json(obj),
            text(spec, "gatewayClassName"),
            tuple(
                Listener(text(one, "name"), integer(one, "port"), text(one, "protocol"), text(one, "hostname"))
                for one in items(spec, "listeners")
            ),
            tuple(address for one in items(status, "addresses") if (address := text(one, "value"))),
            Condition.all_of(obj),
        )


@dataclass(frozen=True)
class Edge:
    """Gateways by namespace and name, of the namespaces that could be read; the names of all IngressClasses."""

    gateways: Mapping[tuple[str, str], Gateway] = field(default_factory=dict)
    namespaces: frozenset[str] = frozenset()
    classes: frozenset[str] | None = None


def look_at_edge(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """Add who serves the routes that lead to the Service, or to any where none is named: nothing where there are none."""
    mine = [route for route in snapshot.routes if not snapshot.name or route.leads_to(snapshot.name)]
    parents = dict.fromkeys(parent.namespace for route in mine for parent in route.parents)
    asked = {
        name: reader.read_optional(r.GATEWAYS, name, Gateway.from_json) for name in list(parents)[:MOST_NAMESPACES]
    }
    classes = reader.read_optional(r.INGRESS_CLASSES, None, Meta.from_json) if any(map(names_class, mine)) else None
    if not asked and classes is None:
        return snapshot
    answers = {name: answer.result() for name, answer in asked.items()}
    found = {(g.meta.namespace, g.meta.name): g for gateways in answers.values() for g in gateways or ()}
    names = classes.result() if classes else None
    edge = Edge(
        found,
        frozenset(name for name, gateways in answers.items() if gateways is not None),
        None if names is None else frozenset(meta.name for meta in names),
    )
    return replace(snapshot, edge=edge)


def names_class(route: Route) -> bool:
    """Whether an Ingress has no address, and names an IngressClass, which then ought to exist."""
    is_unserved = route.kind == "Ingress" and not route.addresses
    return is_unserved and bool(route.class_name) and OLD_CLASS not in route.meta.annotations
