"""4xx: from the Service's port to the port that the application listens on."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import JoinedEndpoint
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import count, listed, mapping


def declared_ports(endpoints: tuple[JoinedEndpoint, ...], protocol: str) -> dict[int, str]:
    """The ports that the containers behind these endpoints declare for a protocol: number to name."""
    pods = [e.pod for e in endpoints if e.pod]
    ports = (port for pod in pods for container in (*pod.containers, *pod.sidecars) for port in container.ports)
    return {port.number: port.name for port in ports if port.protocol == protocol}


def declared_in_words(declared: dict[int, str], protocol: str) -> str:
    """`its containers declare 8080 (http)`."""
    if not declared:
        return f"its containers declare no {protocol} port"
    return (
        f"its containers declare {listed(f'{n} ({name})' if name else str(n) for n, name in sorted(declared.items()))}"
    )


def set_target(ev: Evidence, port: ServicePort, value: int | str) -> str:
    """The command that leads a port of the Service elsewhere."""
    meta = ev.service.meta
    return ev.kubectl.json_patch(meta.namespace, "service", meta.name, f"/spec/ports/{port.index}/targetPort", value)


@rule("SVC401", "named-target-port-undeclared", Severity.ERROR, reads={"Service", "EndpointSlice"}, source=SERVICE_DOC)
def named_target_port_undeclared(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service's `targetPort` is a name, and no container behind it declares a port of that name and protocol.

    **Why it matters.** The name cannot be turned into a number, so the EndpointSlices list addresses without a port, and
    connections are refused although every pod is ready. `kubectl get endpoints` shows `<none>`.

    **Known exceptions.** None known. Where only some pods lack the name, the others serve (SVC402).

    **How to confirm.** `kubectl get endpointslice -l kubernetes.io/service-name=NAME -o yaml` shows a port without a number,
    and `kubectl get pod POD -o jsonpath='{.spec.containers[*].ports}'` the names that there are.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        endpoints = ev.snapshot.endpoints_of(port)
        if not isinstance(port.target_port, str) or not endpoints or any(e.port for e in endpoints):
            continue
        declared = declared_ports(endpoints, port.protocol)
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{ev.part(port)} is down for everyone: no pod has a port named {port.target_port}.",
            message=f"Port {mapping(port)} leads to the container port named {port.target_port}, "
            f"which {'its only pod does not declare' if len(endpoints) == 1 else f'none of its {len(endpoints)} pods declares'}.",
            evidence=tuple(_name_evidence(port, declared, endpoints)),
            fix=tuple(_name_fixes(ev, port, declared, endpoints)),
        )


def _name_evidence(port: ServicePort, declared: dict[int, str], endpoints: tuple[JoinedEndpoint, ...]) -> Iterator[str]:
    yield declared_in_words(declared, port.protocol)
    for protocol in _declared_for(port, endpoints):
        for number, name in declared_ports(endpoints, protocol).items():
            if name == port.target_port:
                yield f"they declare {name} ({number}) for {protocol}, and the Service's port is {port.protocol}"


def _name_fixes(
    ev: Evidence, port: ServicePort, declared: dict[int, str], endpoints: tuple[JoinedEndpoint, ...]
) -> Iterator[str]:
    if len(declared) == 1:
        number, name = next(iter(declared.items()))
        yield set_target(ev, port, name or number)
        yield f"sends port {port.port} of {ev.service.name} to {number}{f' ({name})' if name else ''}"
    for protocol in _declared_for(port, endpoints):
        meta = ev.service.meta
        yield f"if clients speak {protocol} to it:"
        yield ev.kubectl.json_patch(
            meta.namespace, "service", meta.name, f"/spec/ports/{port.index}/protocol", protocol
        )
        yield f"makes port {port.port} of {meta.name} {protocol}"
    workloads = listed(sorted({str(e.pod.workload) for e in endpoints if e.pod})) or "the pods"
    also = "or give" if len(declared) == 1 else "give"
    yield f"{also} a {port.protocol} port of a container of {workloads} the name {port.target_port}"


def _declared_for(port: ServicePort, endpoints: tuple[JoinedEndpoint, ...]) -> list[str]:
    """The other protocols for which the containers declare a port of the name that is asked for."""
    others = (protocol for protocol in ("TCP", "UDP", "SCTP") if protocol != port.protocol)
    return [protocol for protocol in others if port.target_port in declared_ports(endpoints, protocol).values()]


@rule(
    "SVC402", "named-target-port-on-some-pods", Severity.WARNING, reads={"Service", "EndpointSlice"}, source=SERVICE_DOC
)
def named_target_port_on_some_pods(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service's `targetPort` is a name that some of its pods declare and others do not.

    **Why it matters.** The others get no traffic. Often the selector also catches a second workload.

    **Known exceptions.** A rollout that introduces the name.

    **How to confirm.** `kubectl get endpointslice -l kubernetes.io/service-name=NAME` lists a slice with the port unset,
    which holds the pods that lack the name.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        endpoints = ev.snapshot.endpoints_of(port)
        without = tuple(e for e in endpoints if not e.port)
        if isinstance(port.target_port, str) and without and len(without) < len(endpoints):
            owners = sorted({str(e.pod.workload) for e in without if e.pod})
            yield Match(
                subject=service.ref,
                port=port.port,
                headline=f"{ev.part(port)} leaves out {count(len(without), 'pod')}: no port there is named {port.target_port}.",
                message=f"{listed(e.name for e in without)} {'declares' if len(without) == 1 else 'declare'} no port named "
                f"{port.target_port}; {count(len(endpoints) - len(without), 'other pod')} "
                f"{'does' if len(endpoints) - len(without) == 1 else 'do'}.",
                evidence=(f"they belong to {listed(owners)}",) if owners else (),
                fix=tuple(_some_fixes(ev, port, endpoints, owners)),
            )


def _some_fixes(
    ev: Evidence, port: ServicePort, endpoints: tuple[JoinedEndpoint, ...], owners: list[str]
) -> Iterator[str]:
    """A number leads to all pods of one workload, where those without the name declare what it stands for in the others."""
    numbers = {e.port for e in endpoints if e.port}
    makers = {str(e.pod.workload) for e in endpoints if e.pod}
    if (
        len(numbers) == 1
        and len(makers) == 1
        and all(numbers <= declared_ports((e,), port.protocol).keys() for e in endpoints)
    ):
        (number,) = numbers
        yield set_target(ev, port, number)
        yield f"leads port {port.port} of {ev.service.name} to {number} of every pod, which all of them declare"
        yield f"or name the port in {listed(owners) or 'these pods'}"
    else:
        yield f"name the port in {listed(owners) or 'these pods'}, or narrow the selector of {ev.service.name}"


@rule("SVC404", "headless-port-differs", Severity.INFO, reads={"Service"}, source=SERVICE_DOC)
def headless_port_differs(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service is headless, and `port` differs from `targetPort`.

    **Why it matters.** The name of a headless Service leads straight to the pods, and nothing translates ports on that
    way: a client has to use the pods' own port. `port` is without effect.

    **Known exceptions.** Clients that read SRV records get the right port.

    **How to confirm.** From a pod, `curl http://NAME.NAMESPACE.svc:PORT/` with the one port and the other.
    """
    service = ev.snapshot.service
    if service is None or not service.is_headless:
        return
    for port in service.ports:
        if isinstance(port.target_port, int) and port.target_port != port.port:
            yield Match(
                subject=service.ref,
                port=port.port,
                headline=f"{service.name} is headless: clients have to use port {port.target_port}, not {port.port}.",
                message=f"Port {mapping(port)} is not translated, since {service.name} is headless.",
                evidence=tuple(
                    f"{r.probe.path.target} answers" for r in ev.from_pod(PathKind.DNS, port) if r.outcome.is_good
                ),
                fix=(
                    f"use port {port.target_port} in clients; the Service may say so too:",
                    ev.kubectl.json_patch(
                        service.namespace, "service", service.name, f"/spec/ports/{port.index}/port", port.target_port
                    ),
                    f"makes {port.target_port} the port of {service.name} for those that ask for its SRV record",
                ),
            )
