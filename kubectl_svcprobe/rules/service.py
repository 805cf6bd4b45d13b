"""1xx: the Service itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.policy import selects
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import listed, nearest


@rule("SVC101", "service-does-not-exist", Severity.UNKNOWN, reads=set(), source=DEBUG_SERVICE)
def service_does_not_exist(ev: Evidence) -> Iterator[Match]:
    """**What.** No Service of that name exists in the namespace.

    **Why it matters.** Clients cannot resolve the name, so whatever runs behind it does not matter. Deleting a Service
    leaves its pods alone: they run on, and nothing leads to them.

    **What else is said.** Where a pod or a workload is called so, the Services that select it. Else Services with nearly
    the same name, the same name in other namespaces, and workloads that are called so or labelled so. The last is a
    guess: a Service and the pods behind it need not share a name.

    **Known exceptions.** A name that an Ingress controller or a mesh resolves on its own needs no Service.

    **How to confirm.** `kubectl get services -A --field-selector metadata.name=NAME` lists all of that name.
    """
    snapshot = ev.snapshot
    if snapshot.service is not None:
        return
    name, namespace = snapshot.name, snapshot.namespace
    if not snapshot.namespace_exists:
        yield Match(
            subject=ObjectRef("Service", namespace, name),
            headline=f"there is no namespace {namespace}, so no Service {name} in it.",
            message=f"The API server knows no namespace {namespace}.",
            fix=(ev.kubectl("", "get", "services", "-A", "--field-selector", f"metadata.name={name}"),),
        )
        return
    near = nearest(name, [s.meta.name for s in snapshot.other_services or ()])
    elsewhere = sorted(s.meta.namespace for s in snapshot.elsewhere or () if s.meta.namespace != namespace)
    orphans = _namesakes(ev)
    if others := _selected_namesakes(ev):
        yield _no_service_but(ev, *others[0])
        return
    guesses = [f"did you mean {listed(near)}?"] if near else []
    if elsewhere:
        guesses.append(
            f"{listed(elsewhere)} has one of that name." if len(elsewhere) == 1 else f"{listed(elsewhere)} have one."
        )
    yield Match(
        subject=ObjectRef("Service", namespace, name),
        headline=f"there is no Service {name} in {namespace}" + (f"; {guesses[0]}" if guesses else "."),
        message=f"The API server knows no Service {name} in namespace {namespace}.",
        evidence=tuple(_what_there_is(near, elsewhere, orphans)),
        fix=tuple(_fixes(ev, near, elsewhere, orphans)),
    )


def _selected_namesakes(ev: Evidence) -> list[tuple[ObjectRef, list[str]]]:
    """A pod or workload of that very name, with the Services that select it."""
    name, services = ev.snapshot.name, ev.snapshot.other_services or ()
    pods = [(pod.ref, pod.meta.labels) for pod in ev.snapshot.namespace_pods or () if pod.meta.name == name]
    workloads = [(w.ref, w.pod_labels) for w in ev.snapshot.workloads or () if w.ref.name == name]
    found = [
        (ref, sorted(s.name for s in services if s.selector and selects(dict(s.selector), own)))
        for ref, own in (*workloads, *pods)
    ]
    return [(ref, names) for ref, names in found if names]


def _no_service_but(ev: Evidence, ref: ObjectRef, services: list[str]) -> Match:
    """What is said where the user gave the name of what is behind a Service."""
    name, namespace = ev.snapshot.name, ev.snapshot.namespace
    whose = "it" if ref.kind == "Pod" else "its pods"
    selecting = f"{listed(services)} {'selects' if len(services) == 1 else 'select'} {whose}"
    return Match(
        subject=ObjectRef("Service", namespace, name),
        headline=f"{name} is a {ref.kind} in {namespace}, and no Service; {selecting}.",
        message=f"The API server knows no Service {name} in namespace {namespace}.",
        evidence=(f"there is {ref}; {selecting}",),
        fix=(ev.kubectl.svcprobe(namespace, str(ref) if len(services) > 1 else services[0]),),
    )


def _namesakes(ev: Evidence) -> list[tuple[ObjectRef, str]]:
    """Workloads of that name, or with the name as a label's value, and which of the two."""
    found: dict[ObjectRef, str] = {}
    name = ev.snapshot.name
    for workload in ev.snapshot.workloads or ():
        if workload.ref.name == name:
            found[workload.ref] = "of that name"
        elif label := next((key for key, value in workload.pod_labels.items() if value == name), ""):
            found[workload.ref] = f"labelled {label}={name}"
    for pod in ev.snapshot.namespace_pods or ():
        if pod.meta.controller is None and (label := next((k for k, v in pod.meta.labels.items() if v == name), "")):
            found.setdefault(pod.ref, f"labelled {label}={name}")
    return sorted(found.items())


def _what_there_is(near: list[str], elsewhere: list[str], orphans: list[tuple[ObjectRef, str]]) -> Iterator[str]:
    if near:
        yield f"Services with a similar name: {listed(near)}"
    if elsewhere:
        yield f"a Service of that name exists in {listed(elsewhere)}"
    if orphans:
        names = listed(f"{ref} ({how})" for ref, how in orphans)
        yield f"perhaps it once led to {names}; this is a guess by name"


def _fixes(ev: Evidence, near: list[str], elsewhere: list[str], orphans: list[tuple[ObjectRef, str]]) -> Iterator[str]:
    namespace = ev.snapshot.namespace
    if near:
        yield ev.kubectl.svcprobe(namespace, near[0])
    elif elsewhere:
        yield ev.kubectl.svcprobe(elsewhere[0], ev.snapshot.name)
    elif orphans and orphans[0][0].kind == "Deployment":
        yield "if it was deleted by mistake, apply its manifest again, or make a new one (with the port that the pods listen on):"
        deployment = orphans[0][0].name
        yield ev.kubectl(namespace, "expose", "deployment", deployment, "--name", ev.snapshot.name, "--port", "80")
    else:
        yield ev.kubectl(namespace, "get", "services")


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def _wanted_ports(annotation: str) -> dict[tuple[int, str], dict[str, Any]]:
    """The ports that were applied last, by number and protocol; empty where they cannot be read."""
    try:
        ports = json.loads(annotation)["spec"]["ports"]
        return {(port["port"], port.get("protocol", "TCP")): dict(port) for port in ports}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


@rule("SVC324", "port-lost-by-apply", Severity.ERROR, reads={"Service"}, source=SERVICE_DOC)
def port_lost_by_apply(ev: Evidence) -> Iterator[Match]:
    """**What.** What was applied last asks for the same port number in two protocols, and the Service has one of them.

    **Why it matters.** `kubectl apply` merges ports by their number alone, so an update may drop one of two ports with the
    same number, such as 53/UDP beside 53/TCP. Clients of the lost one are refused.

    **Known exceptions.** Somebody may have removed the port on purpose after the last apply; so this is never more than
    likely.

    **How to confirm.** Compare `.spec.ports` with the annotation `kubectl.kubernetes.io/last-applied-configuration`.
    """
    service = ev.snapshot.service
    if service is None:
        return
    wanted = _wanted_ports(service.meta.annotations.get(LAST_APPLIED, ""))
    has = {(port.port, port.protocol) for port in (*service.ports, *service.left_out)}
    # One whose protocol was changed since is not lost: then the manifest has the number in one protocol only.
    lost = sorted((n, p) for n, p in wanted.keys() - has if any(n == number for number, _ in wanted.keys() & has))
    for number, protocol in lost:
        kept = next(p for n, p in sorted(wanted.keys() & has) if n == number)
        yield Match(
            subject=service.ref,
            headline=f"{service.name} has lost its port {number}/{protocol}, probably to kubectl apply, "
            f"which keeps one of two ports with the same number, here {number}/{kept}.",
            message=f"The last applied manifest has {number}/{kept} and {number}/{protocol}; the Service has only the first.",
            fix=(
                "apply the manifest again by the server, which tells the two apart: kubectl apply --server-side; or add it:",
                ev.kubectl.json_patches(
                    service.namespace,
                    "service",
                    service.name,
                    {"op": "add", "path": "/spec/ports/-", "value": wanted[number, protocol]},
                ),
            ),
            port=number,
            confidence=Confidence.LIKELY,
        )
