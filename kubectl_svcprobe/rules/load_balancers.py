"""5xx, continued: load balancers and external addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.provider import cloud_of, internal_scheme, is_k3s, is_private
from kubectl_svcprobe.facts.times import in_words
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: The annotation that says what Azure's load balancer asks nodes for, where appProtocol makes it ask by HTTP.
AZURE_PATH = "service.beta.kubernetes.io/azure-load-balancer-health-probe-request-path"

#: Seconds for which a load balancer may be without an address before that is worth a warning: where no controller has said
#: a word, and where one has begun, which takes clouds some minutes.
PROVISIONING, BEGUN = 60.0, 300.0

#: Seconds after which a load balancer that has an address is expected to serve: names have to spread, targets to be checked.
WARMING_UP = 300.0


@rule("SVC520", "load-balancer-pending", Severity.WARNING, reads={"Service"}, source=SERVICE_DOC)
def load_balancer_pending(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service is of type LoadBalancer, and has no external address.

    **Why it matters.** Kubernetes itself gives none: a controller of the cloud, or one like MetalLB, has to. Until then
    the Service works inside the cluster and by its node port. On a cluster without such a controller it stays pending.

    **What else is said.** The controller's own events on the Service, which name its trouble; a `loadBalancerClass` that
    nobody may serve.

    **How to confirm.** `kubectl describe service SERVICE` shows the events, if any controller takes notice at all; then
    that controller's log. `kubectl get services -A` shows whether other Services of this type have an address.

    **Known exceptions.** In the first minute it is only information, and where a controller has taken it up without
    complaint, in the first five: clouds take their time.
    """
    service = ev.snapshot.service
    if service is None or not service.is_pending:
        return
    age = ev.age(service.meta.created)
    warnings = [e for e in ev.snapshot.events if e.type == "Warning"]
    events = sorted(ev.snapshot.events, key=lambda e: e.last)
    works = (
        "works inside the cluster and by node port, but"
        if any(p.node_port for p in service.ports)
        else "works inside the cluster, but"
    )
    yield Match(
        subject=service.ref,
        headline=f"{service.name} {works} has no external address (pending for {in_words(age)}).",
        message=_why_pending(ev, [e.message for e in warnings], bool(events)),
        evidence=tuple(_pending_evidence(ev, age)),
        fix=tuple(_pending_fixes(ev, bool(warnings))),
        brief=f"no external address for {in_words(age)}",
        severity=Severity.INFO if age < (BEGUN if events else PROVISIONING) and not warnings else None,
    )


def _why_pending(ev: Evidence, warnings: list[str], touched: bool) -> str:
    name = ev.service.name
    if not ev.snapshot.could_read("Event"):
        return f"{name} has no address yet; its events, which would tell why, could not be read."
    if warnings:
        return f"The load balancer's controller cannot serve {name}: {warnings[-1]}"
    if touched:
        return f"A controller has taken up {name}, but given it no address yet."
    if ev.service.load_balancer_class:
        return f"No controller has touched {name}: perhaps none serves its class {ev.service.load_balancer_class}."
    return f"No controller has touched {name} since it was created: perhaps this cluster has none that serves LoadBalancers."


def _pending_evidence(ev: Evidence, age: float) -> Iterator[str]:
    service = ev.service
    yield f"type LoadBalancer, created {in_words(age)} ago, no address in its status"
    if service.load_balancer_class:
        yield f"loadBalancerClass {service.load_balancer_class}"
    for event in sorted(ev.snapshot.events, key=lambda e: e.last)[-3:]:
        yield f"event {event.reason}: {event.message}" + (f" ({event.count} times)" if event.count > 1 else "")
    if not ev.snapshot.events and ev.snapshot.could_read("Event"):
        yield (
            "no event on the Service (events older than an hour are gone)" if age > 3600 else "no event on the Service"
        )


def _pending_fixes(ev: Evidence, has_warnings: bool) -> Iterator[str]:
    service = ev.service
    if has_warnings:
        yield ev.kubectl(service.namespace, "describe", "service", service.name)
    elif is_k3s(ev.snapshot.nodes) and not service.load_balancer_class:
        yield "k3s serves it by pods of its own, which may find their port taken by another Service of this type:"
        pods = f"svccontroller.k3s.cattle.io/svcname={service.name}"
        yield ev.kubectl("kube-system", "get", "pods", "-o", "wide", "-l", pods)
    elif ev.snapshot.could_read("Event"):
        yield "install a load balancer controller (for example MetalLB)" + (
            f" that serves {service.load_balancer_class}" if service.load_balancer_class else ""
        )
    answering = [r for r in ev.from_here(PathKind.NODE_PORT) if r.outcome.is_good]
    if answering:
        path = answering[0].probe
        if path.request.is_http:
            yield f"curl {path.request.url(path.path.host, path.path.port)}"
            yield "works meanwhile from this machine"


@rule("SVC521", "load-balancer-does-not-answer", Severity.WARNING, reads={"Service"}, source=SERVICE_DOC)
def load_balancer_does_not_answer(ev: Evidence) -> Iterator[Match]:
    """**What.** The load balancer has an address, and this machine gets no answer there.

    **Why it matters.** Clients outside of the cluster come this way. Inside the cluster the Service's address is short-cut
    by the Service proxy, so a pod that reaches it proves nothing about the load balancer.

    **What else is said.** Where the nodes are of Azure and the port says HTTP, that the load balancer asks for `/` by itself,
    and takes out the nodes where that is not answered with 200.

    **How to confirm.** Ask the address from a second machine of another network. The load balancer's own view of its
    targets, in the cloud's console, tells whether its health checks succeed.

    **Known exceptions.** An internal load balancer, source ranges or a firewall may leave out this machine on purpose;
    therefore a warning. Where an annotation asks the cloud for an internal one, and in the first five minutes of a Service,
    when a cloud's load balancer has an address before it serves, it is information only.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        failed = [
            r
            for r in ev.from_here(PathKind.LOAD_BALANCER, port)
            if r.outcome.is_bad and r.outcome is not Outcome.INTERMITTENT
        ]
        if not failed:
            continue
        how = listed(sorted({r.outcome.value.replace("-", " ") for r in failed}))
        addresses = listed(_address(r) for r in failed)
        declared = internal_scheme(service) or ev.age(service.meta.created) < WARMING_UP
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{service.name} does not answer this machine at its load balancer {addresses} ({how}).",
            message=f"From this machine, {addresses}: {how}.",
            evidence=tuple(_load_balancer_evidence(ev, port)),
            fix=(ev.kubectl(service.namespace, "describe", "service", service.name),),
            severity=Severity.INFO if declared else None,
        )


def _address(result: PathResult) -> str:
    """The address that was asked, and the name that led there."""
    path = result.probe.path
    return f"{path.target} ({path.authority})" if path.authority else path.target


def _load_balancer_evidence(ev: Evidence, port: ServicePort) -> Iterator[str]:
    service, age = ev.service, ev.age(ev.service.meta.created)
    if scheme := internal_scheme(service):
        yield f"it is an internal load balancer ({scheme}), which only its own network reaches"
    elif private := [i.ip for i in service.load_balancer_ingress if is_private(i.ip)]:
        yield f"{listed(private)} is a private address: this machine may be outside of its network"
    if age < WARMING_UP:
        yield f"{service.name} was created {in_words(age)} ago: its load balancer may not serve yet"
    others = [r for r in ev.from_here(PathKind.LOAD_BALANCER, port) if r.outcome.is_good and r.probe.path.authority]
    if others:
        yield f"of the same name, {listed(_address(r) for r in others)} answers"
    if service.load_balancer_source_ranges:
        yield f"loadBalancerSourceRanges admits only {listed(service.load_balancer_source_ranges)}"
    if cloud_of(ev.snapshot.nodes) == "Azure" and "http" in port.app_protocol.lower():
        yield f"appProtocol is {port.app_protocol}, so Azure's load balancer may ask for / and want a 200 ({AZURE_PATH})"
    inside = [r for r in ev.from_pod(PathKind.CLUSTER_IP, port) if r.outcome.is_good]
    if inside:
        yield "inside the cluster its ClusterIP answers"
    nodes = [r for r in ev.from_here(PathKind.NODE_PORT, port) if r.outcome.is_good]
    if nodes:
        yield f"its node port answers this machine on {listed(r.probe.path.node for r in nodes)}"


@rule("SVC530", "external-ip-does-not-answer", Severity.WARNING, reads={"Service"}, source=SERVICE_DOC)
def external_ip_does_not_answer(ev: Evidence) -> Iterator[Match]:
    """**What.** An address of `externalIPs` does not answer this machine.

    **Why it matters.** Kubernetes accepts traffic for such an address on every node, but bringing it there is up to the
    administrator: a route or a virtual address has to lead to a node. A pod that gets an answer there proves nothing: its
    own node gives it.

    **How to confirm.** `ip route get ADDRESS` on this machine and on the router in front of the cluster: the way has to end at
    a node.

    **Known exceptions.** This machine may be outside of the network where the address is routed.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        for result in ev.from_here(PathKind.EXTERNAL_IP, port):
            if not result.outcome.is_bad or result.outcome is Outcome.INTERMITTENT:
                continue
            address, how = result.probe.path, result.outcome.value.replace("-", " ")
            inside = [r for r in ev.from_pod(PathKind.EXTERNAL_IP, port) if r.probe.path.host == address.host]
            place = f"/spec/externalIPs/{service.external_ips.index(address.host)}"
            rest = json.dumps([{"op": "remove", "path": place}], separators=(",", ":"))
            yield Match(
                subject=service.ref,
                port=port.port,
                headline=f"{service.name} does not answer this machine at its external IP {address.target} ({how}).",
                message=f"From this machine, {address.target}: {how}.",
                evidence=("a pod gets an answer there, but its own node gives it, not the way from outside",)
                if any(r.outcome.is_good for r in inside)
                else (),
                fix=(
                    f"check that {address.host} is routed to a node of the cluster; if nobody needs it:",
                    ev.kubectl(service.namespace, "patch", "service", service.name, "--type", "json", "-p", rest),
                    f"takes {address.host} out of spec.externalIPs; the Service's other addresses stay",
                ),
            )
