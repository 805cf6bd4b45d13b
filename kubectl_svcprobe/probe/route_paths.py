"""The ways in by a proxy at the edge of the cluster: Ingresses, Gateways and OpenShift's routes. Pure.

Such a proxy is asked as its clients ask it: at its own address, by the host that the rule is for. It speaks for several
Services, and answers for itself where it has nobody to ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kubectl_svcprobe.facts.gateway import Gateway, Listener
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.route import Backend, Parent, Route
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind
from kubectl_svcprobe.probe.request import Request, clean_host, clean_path

#: So many routes are tried, each by its first rule that leads to the Service.
MOST_ROUTES = 6

#: In the place of `*`, and as the host of a rule for all of them.
ANY_LABEL, ANY_HOST = "svcprobe", ""

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Untried:
    """A way in by a route that is not tried, and why."""

    kind: PathKind
    target: str
    reason: str


def route_paths(snapshot: Snapshot) -> Iterator[ExposurePath]:
    """One path for each of the first routes that lead to the Service."""
    return (found for found in _found(snapshot) if isinstance(found, ExposurePath))


def untried_routes(snapshot: Snapshot) -> Iterator[Untried]:
    """The routes that lead to the Service and are not tried."""
    return (found for found in _found(snapshot) if isinstance(found, Untried))


def said_at(path: ExposurePath, direct: Request) -> Request:
    """What is said there. Where a rule leads what the port itself is asked, it is asked the same, to compare the answers."""
    own = path.request
    if own is None:
        return direct
    below = own.path.rstrip("/") + "/"
    is_led = direct.path == own.path or (path.leads_below and direct.path.startswith(below))
    return replace(own, path=direct.path) if direct.is_http and own.is_http and is_led else own


def _found(snapshot: Snapshot) -> Iterator[ExposurePath | Untried]:
    service = snapshot.service
    if service is None or service.is_external_name:
        return
    routes = [route for route in snapshot.routes if route.leads_to(service.name)]
    for route in routes[:MOST_ROUTES]:
        yield from _of_route(snapshot, service, route)
    for kind in dict.fromkeys(_kind(route) for route in routes[MOST_ROUTES:]):
        more = sum(_kind(route) is kind for route in routes[MOST_ROUTES:])
        yield Untried(kind, f"{more} more", f"{MOST_ROUTES} of {len(routes)} routes are tried")


def _kind(route: Route) -> PathKind:
    return {"Ingress": PathKind.INGRESS, "Route": PathKind.ROUTE}.get(route.kind, PathKind.GATEWAY)


def _of_route(snapshot: Snapshot, service: Service, route: Route) -> Iterator[ExposurePath | Untried]:
    """The path of its first rule that can be asked; if none can be, why the first cannot.

    One that leads to a port which the Service does not have is a finding, and no way in.
    """
    tried = [
        _of_backend(snapshot, route, backend, port)
        for backend in route.leads_to(service.name)
        if (port := port_of(service, route, backend))
    ]
    yield from [found for found in tried if isinstance(found, ExposurePath)][:1] or tried[:1]


def _of_backend(snapshot: Snapshot, route: Route, backend: Backend, port: ServicePort) -> ExposurePath | Untried:
    kind = _kind(route)
    if backend.why_not:
        return Untried(kind, str(route.ref), backend.why_not)
    host = next(iter(backend.hosts), ANY_HOST)
    if host and not clean_host(host.replace("*", ANY_LABEL)):
        return Untried(kind, str(route.ref), "its host is no name")
    name = host.replace("*", ANY_LABEL, 1)
    if kind is PathKind.GATEWAY:
        return _at_gateways(snapshot, route, backend, name, port)
    scheme = "https" if any(_covers(tls, name) for tls in route.tls_hosts) else "http"
    address = name if kind is PathKind.ROUTE else next(iter(route.addresses), "")
    if not clean_host(address):
        return Untried(kind, str(route.ref), "it has no address")
    return _path(route, backend, port, _Door(kind, address, PORTS[scheme], scheme), name)


def port_of(service: Service, route: Route, backend: Backend) -> ServicePort | None:
    """The Service's port that a backend leads to; a Route of OpenShift need not name one."""
    if route.kind == "Route":
        return service.ports[0] if service.ports else None
    wanted = backend.name or backend.number
    return next((p for p in service.ports if wanted == (p.name if backend.name else p.port)), None)


@dataclass(frozen=True)
class _Door:
    """Where a proxy is asked, and how."""

    kind: PathKind
    address: str
    port: int
    scheme: str


def _path(route: Route, backend: Backend, port: ServicePort, door: _Door, name: str) -> ExposurePath:
    # What an Ingress controller takes for a regular expression begins where a path ends.
    path = clean_path(re.split(r"[(\[^$*+?|\\]", backend.path)[0] or "/")
    request = Request(door.scheme, path, why=f"{backend.rule} of {route.ref}")
    return ExposurePath(
        door.kind,
        door.address,
        door.port,
        port,
        subject=str(route.ref),
        authority=name if name != door.address else "",
        request=request,
        leads_below=not backend.is_exact,
    )


def _covers(tls_host: str, name: str) -> bool:
    """Whether a host for which there is a certificate is this one; without a host it is for all."""
    return tls_host in ("", name) or (tls_host.startswith("*.") and name.partition(".")[2] == tls_host[2:])


def _at_gateways(
    snapshot: Snapshot, route: Route, backend: Backend, name: str, port: ServicePort
) -> ExposurePath | Untried:
    """By the first of its Gateways that has an address and a listener for it."""
    reason = "it names no Gateway"
    for parent in route.parents:
        gateway = snapshot.edge.gateways.get((parent.namespace, parent.name))
        called = f"gateway/{parent.name}"
        listener = listener_of(gateway, parent, name) if gateway else None
        if gateway is None:
            is_known = parent.namespace in snapshot.edge.namespaces
            reason = f"there is no {called}" if is_known else f"{called} could not be read"
        elif listener is None:
            reason = f"{called} has no HTTP listener for it"
        elif not gateway.addresses or not clean_host(gateway.addresses[0]):
            reason = f"{called} has no address"
        else:
            scheme = "https" if listener.protocol == "HTTPS" else "http"
            # A plain GET means nothing to a server of gRPC: that the listener is there is all that is asked.
            scheme = "tcp" if route.kind == "GRPCRoute" else scheme
            host = name or (listener.host.replace("*", ANY_LABEL, 1))
            door = _Door(PathKind.GATEWAY, gateway.addresses[0], listener.port, scheme)
            return _path(route, backend, port, door, host)
    return Untried(PathKind.GATEWAY, str(route.ref), reason)


def listener_of(gateway: Gateway, parent: Parent, host: str) -> Listener | None:
    """The listener by which the route is served: the one that is named, or the first that has HTTP and its host."""
    return next(
        (
            one
            for one in gateway.listeners
            if one.protocol in ("HTTP", "HTTPS")
            and parent.section in ("", one.name)
            and parent.port in (0, one.port)
            and one.serves(host)
        ),
        None,
    )
