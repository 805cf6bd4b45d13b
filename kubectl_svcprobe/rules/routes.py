"""5xx, continued: what leads to the Service from the edge of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.route import Backend, Route
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import GATEWAY_DOC, INGRESS_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: In the place of a port's name: AWS' controller takes what to do from an annotation of the Ingress, and asks no Service.
ANNOTATED = "use-annotation"


def _has(service: Service, backend: Backend) -> bool:
    if backend.name == ANNOTATED:
        return True
    if backend.name:
        return any(port.name == backend.name for port in service.ports)
    return not backend.number or any(port.port == backend.number for port in service.ports)


def _meant(service: Service, backend: Backend) -> ServicePort | None:
    """The port that was probably meant: the one whose pods' or nodes' port it names, or the only one."""
    near = [
        p
        for p in service.ports
        if p.target_port in (backend.number, backend.name) or (backend.number and p.node_port == backend.number)
    ]
    candidates = near or list(service.ports)
    return candidates[0] if len(candidates) == 1 else None


def _match(ev: Evidence, route: Route, backend: Backend) -> Match:
    service, meant = ev.service, _meant(ev.service, backend)
    has = listed(f"{p.name} ({p.port})" if p.name else str(p.port) for p in service.ports) or "none"
    word = route.kind
    note = ""
    if meant and meant.target_port in (backend.number, backend.name):
        note = f"{backend.port} is the port of its pods, which a Service maps {meant.port} to"
    elif meant and backend.number and meant.node_port == backend.number:
        note = f"{backend.port} is its node port, which only clients of the nodes use"
    fix: list[str] = []
    if meant:
        value: object = {"number": meant.port} if route.kind == "Ingress" else meant.port
        fix.append(
            ev.kubectl.json_patch(route.meta.namespace, route.kind.lower(), route.meta.name, backend.pointer, value)
        )
        fix.append(f"sends {backend.rule} to port {meant.port} of {service.name}")
    else:
        fix.append(ev.kubectl(route.meta.namespace, "edit", route.kind.lower(), route.meta.name))
    return Match(
        subject=route.ref,
        headline=f"{service.name} gets nothing from {word} {route.meta.name}, which leads to its port {backend.port}: "
        f"it has {has} only.",
        message=f"{word} {route.meta.name} sends {backend.rule} to port {backend.port} of {service.name}, "
        f"which has {has} only.",
        evidence=(note,) if note else (),
        fix=tuple(fix),
    )


@rule("SVC540", "ingress-names-no-port-of-it", Severity.WARNING, reads={"Service", "Ingress"}, source=INGRESS_DOC)
def ingress_names_no_port_of_it(ev: Evidence) -> Iterator[Match]:
    """**What.** An Ingress leads to this Service, at a port that the Service does not have.

    **Why it matters.** The Service is well, and who comes through the Ingress gets 503, 404 or 502, by its controller. An
    Ingress names the Service's port (`port`, or its name), not the container's (`targetPort`).

    **How to confirm.** `kubectl describe ingress NAME` shows an error in the place of the backend's addresses.

    **Known exceptions.** The word `use-annotation` in the place of a port is no port, but AWS' controller's own. Only the
    Ingresses of the Service's own namespace can lead to it, and only they are read. Where
    the command was told one port (`SERVICE:PORT`) they are not looked at.
    """
    yield from _wrong_ports(ev, "Ingress")


@rule("SVC541", "route-names-no-port-of-it", Severity.WARNING, reads={"Service"}, source=GATEWAY_DOC)
def route_names_no_port_of_it(ev: Evidence) -> Iterator[Match]:
    """**What.** An HTTPRoute or GRPCRoute of the Gateway API leads to this Service at a port that it does not have, or its
    gateway says of it that a backend cannot be resolved.

    **Why it matters.** The Service is well, and who comes through the gateway gets 500.

    **How to confirm.** `kubectl get httproute NAME -o yaml`: the condition `ResolvedRefs` under `status`.

    **Known exceptions.** Routes of other namespaces, which a ReferenceGrant may admit, are not read; where they may
    not be read at all, nothing is said. An unresolved backend of a route with several may be another one, so that it is
    this one is possible only.
    """
    yield from _wrong_ports(ev, "HTTPRoute")
    yield from _wrong_ports(ev, "GRPCRoute")
    service = ev.snapshot.service
    for route in ev.snapshot.routes if service else ():
        mine = [b for b in route.backends if service and b.service == service.name]
        if not mine or not route.unresolved or not all(_has(ev.service, b) for b in mine):
            continue
        condition, only = route.unresolved[0], len({b.service for b in route.backends}) == 1
        yield Match(
            subject=route.ref,
            headline=f"{ev.service.name}: {route.kind} {route.meta.name} "
            f"{'cannot resolve it' if only else 'cannot resolve a backend, possibly this one'} ({condition.reason}).",
            message=f"The gateway says of {route.kind} {route.meta.name}: {condition.message or condition.reason}",
            fix=(ev.kubectl(route.meta.namespace, "describe", route.kind.lower(), route.meta.name),),
            confidence=Confidence.CERTAIN if only else Confidence.POSSIBLE,
        )


def _wrong_ports(ev: Evidence, kind: str) -> Iterator[Match]:
    service = ev.snapshot.service
    if service is None or service.is_external_name:
        return
    for route in ev.snapshot.routes:
        for backend in route.backends if route.kind == kind else ():
            if backend.service == service.name and not _has(service, backend):
                yield _match(ev, route, backend)
