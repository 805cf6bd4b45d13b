"""54x: what the objects at the edge of the cluster say of their own state, where they lead to the Service."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.gateway import Gateway, names_class
from kubectl_svcprobe.facts.model import Condition
from kubectl_svcprobe.facts.route import Parent, Route
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import GATEWAY_DOC, INGRESS_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: A controller is given so many seconds to write what it makes of an object.
PATIENCE = 60


def leading(ev: Evidence) -> tuple[Route, ...]:
    """The routes that lead to the Service; none to an alias, which is no backend."""
    service = ev.snapshot.service
    if service is None or service.is_external_name:
        return ()
    return tuple(route for route in ev.snapshot.routes if route.leads_to(service.name))


@rule("SVC542", "ingress-without-address", Severity.WARNING, reads={"Service", "Ingress"}, source=INGRESS_DOC)
def ingress_without_address(ev: Evidence) -> Iterator[Match]:
    """**What.** An Ingress that leads to this Service has no address in its status: a minute after it was made, or because
    the IngressClass that it names does not exist.

    **Why it matters.** An Ingress does nothing by itself: a controller serves those of its own IngressClass, and most
    controllers write into the status where. The Service is well, and who comes from outside may find nobody.

    **Known exceptions.** Some controllers never write an address, and some serve Ingresses without a class; so this is
    information only, unless the Ingress names an IngressClass that does not exist. A class named by the old annotation
    `kubernetes.io/ingress.class` need not exist.

    **How to confirm.** `kubectl get ingressclasses`, and `kubectl describe ingress NAME`, which shows what its controller
    last did to it.
    """
    for route in leading(ev):
        if route.kind != "Ingress" or route.addresses:
            continue
        classes, name = ev.snapshot.edge.classes, route.meta.name
        if names_class(route) and classes is not None and route.class_name not in classes:
            yield _of_no_class(ev, route, classes)
        elif ev.age(route.meta.created) >= PATIENCE:
            yield Match(
                subject=route.ref,
                headline=f"{ev.service.name}: Ingress {name} has no address, so possibly no controller serves it.",
                message=f"Ingress {name} has no address in its status: possibly no controller serves it.",
                evidence=(
                    "Some controllers never write an address; ask at the address of yours, with the rule's host.",
                ),
                fix=(ev.kubectl(route.meta.namespace, "describe", "ingress", name),),
                severity=Severity.INFO,
                confidence=Confidence.POSSIBLE,
            )


def _of_no_class(ev: Evidence, route: Route, classes: frozenset[str]) -> Match:
    name, wanted, namespace = route.meta.name, route.class_name, route.meta.namespace
    there_is = listed(sorted(classes), 5) or "none"
    fix = [ev.kubectl("", "get", "ingressclasses")]
    if len(classes) == 1:
        (only,) = classes
        fix = [ev.kubectl.json_patch(namespace, "ingress", name, "/spec/ingressClassName", only)]
    return Match(
        subject=route.ref,
        headline=f"{ev.service.name}: probably nobody serves Ingress {name}: there is no IngressClass {wanted}.",
        message=f"Ingress {name} is of the IngressClass {wanted}, which does not exist, and it has no address: "
        "probably no controller serves it.",
        evidence=(f"IngressClasses: {there_is}",),
        fix=tuple(fix),
        confidence=Confidence.LIKELY,
    )


@rule("SVC543", "route-not-accepted", Severity.WARNING, reads={"Service"}, source=GATEWAY_DOC)
def route_not_accepted(ev: Evidence) -> Iterator[Match]:
    """**What.** An HTTPRoute or GRPCRoute that leads to this Service is refused by its Gateway, or names one that does not
    exist; or a router of OpenShift does not admit a Route.

    **Why it matters.** The Service is well, and nothing comes to it by that way. The usual reasons are a listener that
    admits no routes of this namespace or no such host, and a host that another Route had first.

    **Known exceptions.** Where another Gateway, or another router, has accepted the route, this is information only. Of
    Gateways that may not be read, nothing is said.

    **How to confirm.** The conditions `Accepted` (of OpenShift `Admitted`) in the route's status.
    """
    for route in leading(ev):
        accepted = [p for p in route.parents if (c := p.conditions.get("Accepted")) and c.status == "True"]
        severity = Severity.INFO if accepted or route.admitted else None
        for parent in route.parents:
            condition = parent.conditions.get("Accepted")
            key = (parent.namespace, parent.name)
            if condition and condition.status == "False":
                yield _refused(ev, route, f"Gateway {parent.name}", condition, severity)
            elif parent.namespace in ev.snapshot.edge.namespaces and key not in ev.snapshot.edge.gateways:
                yield _of_no_gateway(ev, route, parent, severity)
        for condition in route.refused:
            yield _refused(ev, route, "the router", condition, severity)


def _refused(ev: Evidence, route: Route, who: str, condition: Condition, severity: Severity | None) -> Match:
    word = f"{route.kind} {route.meta.name}"
    said = condition.message or condition.reason
    return Match(
        subject=route.ref,
        headline=f"{ev.service.name} gets nothing from {word}, which {who} does not accept ({condition.reason}).",
        message=f"{word} is not accepted by {who}: {said}",
        fix=(ev.kubectl(route.meta.namespace, "describe", route.kind.lower(), route.meta.name),),
        severity=severity,
    )


def _of_no_gateway(ev: Evidence, route: Route, parent: Parent, severity: Severity | None) -> Match:
    word = f"{route.kind} {route.meta.name}"
    there = sorted(name for namespace, name in ev.snapshot.edge.gateways if namespace == parent.namespace)
    return Match(
        subject=route.ref,
        headline=f"{ev.service.name} gets nothing from {word}: there is no Gateway {parent.namespace}/{parent.name}.",
        message=f"{word} is to be served by Gateway {parent.name} in {parent.namespace}, which does not exist.",
        evidence=(f"Gateways in {parent.namespace}: {listed(there, 5) or 'none'}",),
        fix=(ev.kubectl(route.meta.namespace, "edit", route.kind.lower(), route.meta.name),),
        severity=severity,
    )


@rule("SVC544", "gateway-not-programmed", Severity.WARNING, reads={"Service"}, source=GATEWAY_DOC)
def gateway_not_programmed(ev: Evidence) -> Iterator[Match]:
    """**What.** A Gateway by which a route leads to this Service is not accepted, or says that it is not programmed: its
    listeners are not in force.

    **Why it matters.** The Service is well, and nothing comes to it by that Gateway.

    **Known exceptions.** Where no controller has said anything at all for a minute, that is possible only: information.

    **How to confirm.** `kubectl describe gateway NAME`: the conditions `Accepted` and `Programmed`, of the Gateway and of
    each listener.
    """
    wanted = dict.fromkeys((p.namespace, p.name) for route in leading(ev) for p in route.parents)
    for gateway in filter(None, map(ev.snapshot.edge.gateways.get, wanted)):
        said = [gateway.conditions.get(kind) for kind in ("Accepted", "Programmed")]
        bad = next((c for c in said if c and c.status == "False"), None)
        if bad:
            yield _not_served(ev, gateway, f"is not {bad.type.lower()} ({bad.reason})", bad.message or bad.reason)
        elif not any(c and c.status == "True" for c in said) and ev.age(gateway.meta.created) >= PATIENCE:
            yield Match(
                subject=gateway.ref,
                headline=f"{ev.service.name}: possibly no controller serves Gateway {gateway.meta.name}.",
                message=f"Gateway {gateway.meta.name}: no controller has said anything of it; possibly none serves its "
                f"class {gateway.class_name}.",
                fix=(ev.kubectl("", "describe", "gatewayclass", gateway.class_name),),
                severity=Severity.INFO,
                confidence=Confidence.POSSIBLE,
            )


def _not_served(ev: Evidence, gateway: Gateway, what: str, message: str) -> Match:
    return Match(
        subject=gateway.ref,
        headline=f"{ev.service.name} gets nothing by Gateway {gateway.meta.name}, which {what}.",
        message=f"Gateway {gateway.meta.name} in {gateway.meta.namespace} {what}: {message}",
        fix=(ev.kubectl(gateway.meta.namespace, "describe", "gateway", gateway.meta.name),),
    )
