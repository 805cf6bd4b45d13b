"""What leads to a Service from the edge of the cluster: Ingresses, routes of the Gateway API, and OpenShift's routes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from kubectl_svcprobe.facts.json_fields import at, integer, items, mapping, text, texts
from kubectl_svcprobe.facts.model import Condition, Json, Meta, ObjectRef

#: How an Ingress named its class before `spec.ingressClassName` was there; no IngressClass need exist for it.
OLD_CLASS = "kubernetes.io/ingress.class"


@dataclass(frozen=True)
class Backend:
    """A place where a route leads to a Service: by a port's number, or by its name (the other is 0, or empty).

    `pointer` is where the port stands in the object, as a JSON pointer; `rule` says in words which requests it is for,
    `hosts` and `path` in full. `why_not` is why no plain request is sure to get there, and `is_only` says that no other
    backend answers for the same requests.
    """

    service: str
    number: int
    name: str
    pointer: str
    rule: str = ""
    hosts: tuple[str, ...] = ()
    path: str = "/"
    is_exact: bool = False
    why_not: str = ""
    is_only: bool = True

    @property
    def port(self) -> str:
        """The port as written."""
        return self.name or str(self.number)


@dataclass(frozen=True)
class Parent:
    """A Gateway that a route wants to be served by (`section` and `port` choose a listener), and what it says of the route."""

    namespace: str
    name: str
    section: str = ""
    port: int = 0
    conditions: Mapping[str, Condition] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """An Ingress, HTTPRoute, GRPCRoute or OpenShift's Route.

    `unresolved` are the conditions by which a gateway says that a backend is not right. `addresses` (IPs or names) and
    `class_name` are an Ingress's, `parents` a gateway's, `refused` and `admitted` (by one at least) a router's of OpenShift.
    `tls_hosts` are spoken to by TLS.
    """

    kind: str
    meta: Meta
    backends: tuple[Backend, ...] = ()
    unresolved: tuple[Condition, ...] = ()
    addresses: tuple[str, ...] = ()
    class_name: str = ""
    tls_hosts: tuple[str, ...] = ()
    parents: tuple[Parent, ...] = ()
    refused: tuple[Condition, ...] = ()
    admitted: bool = False

    @property
    def ref(self) -> ObjectRef:
        """`ingress/NAME`, `httproute/NAME`, `grpcroute/NAME` or `route/NAME`."""
        return ObjectRef(self.kind, self.meta.namespace, self.meta.name)

    def leads_to(self, service: str) -> tuple[Backend, ...]:
        """The places where it leads to this Service of its own namespace."""
        return tuple(backend for backend in self.backends if backend.service == service)

    @classmethod
    def from_ingress(cls, obj: Json) -> Route:
        """Read a networking.k8s.io/v1 Ingress."""
        meta, spec = Meta.from_json(obj), mapping(obj, "spec")
        statuses = items(at(obj, "status", "loadBalancer"), "ingress")
        return cls(
            "Ingress",
            meta,
            tuple(_of_ingress(spec)),
            addresses=tuple(found for s in statuses if (found := text(s, "ip") or text(s, "hostname"))),
            class_name=text(spec, "ingressClassName") or meta.annotations.get(OLD_CLASS, ""),
            tls_hosts=tuple(host for tls in items(spec, "tls") for host in texts(tls, "hosts") or ("",)),
        )

    @classmethod
    def from_http_route(cls, obj: Json) -> Route:
        """Read a gateway.networking.k8s.io/v1 HTTPRoute; only backends in its own namespace."""
        return _gateway_route("HTTPRoute", obj)

    @classmethod
    def from_grpc_route(cls, obj: Json) -> Route:
        """Read a gateway.networking.k8s.io/v1 GRPCRoute; only backends in its own namespace."""
        return _gateway_route("GRPCRoute", obj)

    @classmethod
    def from_openshift_route(cls, obj: Json) -> Route:
        """Read a route.openshift.io/v1 Route. A port that it does not name is any of the Service's, by name or targetPort."""
        meta, spec = Meta.from_json(obj), mapping(obj, "spec")
        host = text(spec, "host")
        others = items(spec, "alternateBackends")
        rule = f"{host}{text(spec, 'path') or '/'}"
        plain = Backend(
            "", 0, "", "", rule=rule, hosts=(host,), path=text(spec, "path") or "/", is_only=not others,
            why_not="" if host else "it names no host",
        )  # fmt: skip
        targets = [mapping(spec, "to"), *others]
        backends = tuple(replace(plain, service=text(t, "name")) for t in targets if text(t, "kind") in ("", "Service"))
        admitted = [
            Condition.all_of({"status": one}).get("Admitted") for one in items(mapping(obj, "status"), "ingress")
        ]
        return cls(
            "Route",
            meta,
            backends,
            tls_hosts=(host,) if mapping(spec, "tls") else (),
            refused=tuple(c for c in admitted if c and c.status == "False"),
            admitted=any(c and c.status == "True" for c in admitted),
        )


def _of_ingress(spec: Json) -> Iterator[Backend]:
    if default := at(spec, "defaultBackend", "service"):
        # Another Ingress of the same controller may have one too.
        found = _ingress_backend(default, "/spec/defaultBackend", "everything else")
        yield replace(found, is_only=False)
    for i, rule in enumerate(items(spec, "rules")):
        for j, path in enumerate(items(mapping(rule, "http"), "paths")):
            if service := at(path, "backend", "service"):
                host, prefix = text(rule, "host"), text(path, "path") or "/"
                found = _ingress_backend(service, f"/spec/rules/{i}/http/paths/{j}/backend", f"{host or '*'}{prefix}")
                is_exact = text(path, "pathType") == "Exact"
                yield replace(found, hosts=(host,), path=prefix, is_exact=is_exact, is_only=bool(host))


def _ingress_backend(service: Json, pointer: str, rule: str) -> Backend:
    port = mapping(service, "port")
    return Backend(text(service, "name"), integer(port, "number"), text(port, "name"), f"{pointer}/service/port", rule)


def _gateway_route(kind: str, obj: Json) -> Route:
    meta, spec = Meta.from_json(obj), mapping(obj, "spec")
    statuses = items(mapping(obj, "status"), "parents")
    conditions = [Condition.all_of({"status": parent}) for parent in statuses]
    resolved = [found.get("ResolvedRefs") for found in conditions]
    unresolved = tuple(c for c in resolved if c and c.status == "False")
    said = {_parent_key(meta, mapping(s, "parentRef")): c for s, c in zip(statuses, conditions, strict=True)}
    parents = tuple(
        Parent(*key, said.get(key, {}))
        for ref in items(spec, "parentRefs")
        if (text(ref, "kind") or "Gateway") == "Gateway" and (key := _parent_key(meta, ref))
    )
    return Route(kind, meta, tuple(_of_gateway_route(meta, spec)), unresolved, parents=parents)


def _parent_key(meta: Meta, ref: Json) -> tuple[str, str, str, int]:
    """Namespace, name, section and port of a parentRef, by which the status repeats it."""
    return text(ref, "namespace") or meta.namespace, text(ref, "name"), text(ref, "sectionName"), integer(ref, "port")


def _of_gateway_route(meta: Meta, spec: Json) -> Iterator[Backend]:
    for i, rule in enumerate(items(spec, "rules")):
        refs = items(rule, "backendRefs")
        path, is_exact, why_not = _plain_match(items(rule, "matches"))
        for j, ref in enumerate(refs):
            is_service = (text(ref, "kind") or "Service") == "Service" and not text(ref, "group")
            if is_service and (text(ref, "namespace") or meta.namespace) == meta.namespace:
                yield Backend(
                    text(ref, "name"),
                    integer(ref, "port"),
                    "",
                    f"/spec/rules/{i}/backendRefs/{j}/port",
                    f"rule {i + 1}",
                    hosts=texts(spec, "hostnames") or ("",),
                    path=path,
                    is_exact=is_exact,
                    why_not="its weight is 0" if ref.get("weight") == 0 else why_not,
                    is_only=len(refs) == 1,
                )


def _plain_match(matches: object) -> tuple[str, bool, str]:
    """A path that a plain GET is taken for, whether it is meant exactly, and why there is none."""
    found = [match for match in matches if isinstance(match, Mapping)] if isinstance(matches, list) else []
    for match in found:
        path, method = mapping(match, "path"), match.get("method")
        if items(match, "headers") or items(match, "queryParams") or method not in (None, "GET"):
            continue
        if text(path, "type") != "RegularExpression":
            return text(path, "value") or "/", text(path, "type") == "Exact", ""
    return "/", False, "its rule is for certain headers, methods or queries" if found else ""
