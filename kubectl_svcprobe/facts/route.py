"""What leads to a Service from the edge of the cluster: Ingresses, and the HTTPRoutes of the Gateway API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubectl_svcprobe.facts.json_fields import at, integer, items, mapping, text
from kubectl_svcprobe.facts.model import Condition, Json, Meta, ObjectRef


@dataclass(frozen=True)
class Backend:
    """A place where a route leads to a Service: by a port's number, or by its name (the other is 0, or empty).

    `pointer` is where the port stands in the object, as a JSON pointer; `rule` says which requests it is for.
    """

    service: str
    number: int
    name: str
    pointer: str
    rule: str = ""

    @property
    def port(self) -> str:
        """The port as written."""
        return self.name or str(self.number)


@dataclass(frozen=True)
class Route:
    """An Ingress or HTTPRoute; `unresolved` are the conditions by which a gateway says that a backend is not right."""

    kind: str
    meta: Meta
    backends: tuple[Backend, ...] = ()
    unresolved: tuple[Condition, ...] = ()

    @property
    def ref(self) -> ObjectRef:
        """`ingress/NAME` or `httproute/NAME`."""
        return ObjectRef(self.kind, self.meta.namespace, self.meta.name)

    @classmethod
    def from_ingress(cls, obj: Json) -> Route:
        """Read a networking.k8s.io/v1 Ingress."""
        return cls("Ingress", Meta.from_json(obj), tuple(_of_ingress(mapping(obj, "spec"))))

    @classmethod
    def from_http_route(cls, obj: Json) -> Route:
        """Read a gateway.networking.k8s.io/v1 HTTPRoute; only backends in its own namespace."""
        meta = Meta.from_json(obj)
        parents = items(mapping(obj, "status"), "parents")
        conditions = [Condition.all_of({"status": parent}).get("ResolvedRefs") for parent in parents]
        unresolved = tuple(c for c in conditions if c and c.status == "False")
        return cls("HTTPRoute", meta, tuple(_of_http_route(meta, mapping(obj, "spec"))), unresolved)


def _of_ingress(spec: Json) -> Iterator[Backend]:
    if default := at(spec, "defaultBackend", "service"):
        yield _ingress_backend(default, "/spec/defaultBackend", "everything else")
    for i, rule in enumerate(items(spec, "rules")):
        for j, path in enumerate(items(mapping(rule, "http"), "paths")):
            if service := at(path, "backend", "service"):
                where = f"{text(rule, 'host') or '*'}{text(path, 'path') or '/'}"
                yield _ingress_backend(service, f"/spec/rules/{i}/http/paths/{j}/backend", where)


def _ingress_backend(service: Json, pointer: str, rule: str) -> Backend:
    port = mapping(service, "port")
    return Backend(text(service, "name"), integer(port, "number"), text(port, "name"), f"{pointer}/service/port", rule)


def _of_http_route(meta: Meta, spec: Json) -> Iterator[Backend]:
    for i, rule in enumerate(items(spec, "rules")):
        for j, ref in enumerate(items(rule, "backendRefs")):
            is_service = (text(ref, "kind") or "Service") == "Service" and not text(ref, "group")
            if is_service and (text(ref, "namespace") or meta.namespace) == meta.namespace:
                pointer = f"/spec/rules/{i}/backendRefs/{j}/port"
                yield Backend(text(ref, "name"), integer(ref, "port"), "", pointer, f"rule {i + 1}")
