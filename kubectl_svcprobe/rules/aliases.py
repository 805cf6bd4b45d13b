"""6xx, continued: Services of type ExternalName, which are names for other names."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.alias import is_address, service_meant
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome, name_servers
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: Port numbers and words that announce a protocol in which the client names its server.
NAMING_PORTS = (80, 443, 8000, 8080, 8443)
NAMING_WORDS = ("http", "https", "tls", "grpc", "web")


@rule(
    "SVC613",
    "external-name-is-an-address",
    Severity.ERROR,
    reads={"Service"},
    explains=("SVC610", "SVC532"),
    source=SERVICE_DOC,
)
def external_name_is_an_address(ev: Evidence) -> Iterator[Match]:
    """**What.** `externalName` looks like an IP address.

    **Why it matters.** It is taken for a name made of digits, which no name server knows, so no client can resolve the
    Service.

    **How to confirm.** In any pod: `nslookup SERVICE` answers with an alias that has no address.

    **Known exceptions.** None known: an ExternalName cannot be an address.
    """
    service = ev.snapshot.service
    if service is None or not service.is_external_name or not is_address(service.external_name):
        return
    address = service.external_name.rstrip(".")
    yield Match(
        subject=service.ref,
        headline=f"{service.name} cannot be found by name: its externalName {address} is an address, "
        "and DNS takes it for a name.",
        message=f"externalName of {service.name} is {address}; an alias in DNS can only lead to a name.",
        evidence=("type ExternalName",),
        fix=(
            f"name {address} by a DNS name of its own; or give {service.name} no selector and an EndpointSlice that "
            f"lists {address}, which {SERVICE_DOC}#services-without-selectors shows:",
            ev.kubectl(service.namespace, "edit", "service", service.name),
        ),
    )


@rule("SVC614", "external-name-speaks-by-name", Severity.INFO, reads={"Service"}, source=SERVICE_DOC)
def external_name_speaks_by_name(ev: Evidence) -> Iterator[Match]:
    """**What.** A Service of type ExternalName has a port at which clients probably speak HTTP or TLS.

    **Why it matters.** They send the name that they were given, the Service's, as `Host` and as the name they expect in the
    certificate. The server behind the alias knows neither: it answers 404, or TLS fails.

    **How to confirm.** In a pod: `curl http://SERVICE/` and, with the true name, `curl -H 'Host: EXTERNALNAME'
    http://SERVICE/` differ.

    **Known exceptions.** A server that takes any name does not mind; so it is information only. An alias for another
    Service of this cluster is left out.
    """
    service = ev.snapshot.service
    if service is None or not service.is_external_name or is_address(service.external_name):
        return
    name = service.external_name.rstrip(".")
    port = next((p for p in service.ports if _names_its_server(p)), None)
    if port is None or name.endswith(".svc") or ".svc." in name:
        return
    yield Match(
        subject=service.ref,
        port=port.port,
        headline=f"{service.name} is an alias for {name}: clients that speak HTTP or TLS may have to ask for {name} itself.",
        message=f"A client of {service.name} by HTTP or TLS names {service.name} as its server, which {name} may not be.",
        fix=(f"where that fails, give clients {name} instead of {service.name}",),
    )


def _names_its_server(port: ServicePort) -> bool:
    words = (*port.name.lower().split("-"), port.app_protocol.lower().rpartition("/")[2])
    return port.port in NAMING_PORTS or any(word in NAMING_WORDS for word in words)


def _target(ev: Evidence) -> list[PathResult]:
    """What a pod met at the name that the alias is for."""
    return list(ev.from_pod(PathKind.ALIAS))


def _where(ev: Evidence) -> str:
    return f"in a pod of {ev.snapshot.client_namespace}"


@rule(
    "SVC531",
    "alias-leads-nowhere",
    Severity.ERROR,
    reads={"Service"},
    explains=("SVC610",),
    source=SERVICE_DOC,
)
def alias_leads_nowhere(ev: Evidence) -> Iterator[Match]:
    """**What.** The name that an ExternalName Service is an alias for does not resolve.

    **Why it matters.** The cluster's DNS hands clients on to that name, and there is nobody: they cannot find the Service.

    **How it is known.** A pod looked the name up, beside `kubernetes.default.svc`, which was found.

    **Known exceptions.** A name server that does not answer is another matter (SVC611). Names that only some networks know,
    such as those of a private zone, have to be known to the cluster's DNS.

    **How to confirm.** In any pod: `nslookup EXTERNALNAME.`, with the dot at its end.
    """
    service = ev.snapshot.service
    if service is None or not service.is_external_name or is_address(service.external_name):
        return
    failed = [r for r in _target(ev) if r.outcome is Outcome.DNS_FAILED]
    controls = ev.from_pod(PathKind.CONTROL)
    knows_names = any(r.outcome is not Outcome.DNS_FAILED for r in controls if not r.probe.path.host[:1].isdigit())
    if not failed or not knows_names or service_meant(service.external_name):
        return
    target, servers = service.external_name.rstrip("."), name_servers(ev.resolv_conf)
    yield Match(
        subject=service.ref,
        headline=f"{service.name} cannot be found by name: it is an alias for {target}, which does not resolve.",
        message=f"externalName of {service.name} is {target}, which does not resolve {_where(ev)}.",
        evidence=(f"asked name server {listed(servers)}, which knows kubernetes.default.svc",) if servers else (),
        fix=(
            f"correct the name, if it is not {target} that is missing in DNS:",
            ev.kubectl(service.namespace, "edit", "service", service.name),
        ),
    )


@rule("SVC532", "alias-target-does-not-answer", Severity.WARNING, reads={"Service"}, source=SERVICE_DOC)
def alias_target_does_not_answer(ev: Evidence) -> Iterator[Match]:
    """**What.** The name behind an ExternalName Service resolves, and does not answer a pod at a port that the Service lists.

    **Why it matters.** Clients that use this port meet the same.

    **How it is known.** A pod asked there by the alias and by the name itself, with the same result.

    **Known exceptions.** The ports of an ExternalName are without effect, so clients may use another one: therefore only a
    likely trouble, and a warning. What keeps the probe pod in, a NetworkPolicy or a firewall, may let clients out.

    **How to confirm.** From a pod of a client: `curl -v telnet://EXTERNALNAME:PORT`.
    """
    service = ev.snapshot.service
    if service is None or not service.is_external_name:
        return
    for result in _target(ev):
        path, how = result.probe.path, result.outcome.value.replace("-", " ")
        answered = any(r.outcome.is_good for r in ev.from_pod(PathKind.DNS, path.service_port))
        is_lost = result.outcome.is_bad and result.outcome not in (Outcome.DNS_FAILED, Outcome.INTERMITTENT)
        if not is_lost or answered or path.service_port is None:
            continue
        yield Match(
            subject=service.ref,
            port=path.service_port.port,
            headline=f"{service.name} is an alias for {path.host}, which resolves and likely does not answer at port "
            f"{path.port} ({how}).",
            message=f"{_where(ev).capitalize()}, {path.target}: {how}. Whether clients use port {path.port} is not known: "
            "the ports of an ExternalName have no effect.",
            evidence=(f"asked this way {result.probe.request.reason}",),
            fix=(f"look at the server behind {path.host}, and at what lets pods of this cluster get there",),
            confidence=Confidence.LIKELY,
        )


@rule("SVC533", "alias-of-no-service", Severity.ERROR, reads={"Service"}, explains=("SVC610",), source=SERVICE_DOC)
def alias_of_no_service(ev: Evidence) -> Iterator[Match]:
    """**What.** An ExternalName is an alias for a Service of this cluster that does not exist.

    **Why it matters.** The cluster's DNS knows no such name, so clients cannot find the Service.

    **How to confirm.** `kubectl -n NAMESPACE get service NAME`, with the first two words of the name.

    **Known exceptions.** None known: where that Service could not be read, nothing is said.
    """
    service, found = ev.snapshot.service, ev.snapshot.alias_of
    meant = service_meant(service.external_name) if service and service.is_external_name else None
    if service is None or meant is None or found is None or found:
        return
    namespace, name = meant
    yield Match(
        subject=service.ref,
        headline=f"{service.name} cannot be found by name: it is an alias for service/{name} of {namespace}, "
        "which does not exist.",
        message=f"externalName of {service.name} is {service.external_name}; there is no service/{name} in {namespace}.",
        fix=(
            "what there is:",
            ev.kubectl(namespace, "get", "services"),
            "and then correct the name:",
            ev.kubectl(service.namespace, "edit", "service", service.name),
        ),
    )


@rule("SVC534", "alias-of-itself", Severity.ERROR, reads={"Service"}, explains=("SVC610", "SVC531"), source=SERVICE_DOC)
def alias_of_itself(ev: Evidence) -> Iterator[Match]:
    """**What.** An ExternalName is an alias for its own name, or for another ExternalName that leads back to it.

    **Why it matters.** The DNS follows the aliases in a circle, and clients never get an address.

    **How to confirm.** `kubectl get service SERVICE -o jsonpath='{.spec.externalName}'` shows the name.

    **Known exceptions.** None known. Only circles of one or two Services are looked for.
    """
    service = ev.snapshot.service
    if service is None or not service.is_external_name:
        return
    own, meant = (service.namespace, service.name), service_meant(service.external_name)
    next_one = next(iter(ev.snapshot.alias_of or ()), None)
    back = service_meant(next_one.external_name) if next_one and next_one.is_external_name else None
    if meant is None or own not in (meant, back):
        return
    between = (
        "itself" if meant == own else f"service/{meant[1]} of {meant[0]}, which is an alias for {service.name} again"
    )
    yield Match(
        subject=service.ref,
        headline=f"{service.name} cannot be found by name: it is an alias for {between}.",
        message=f"externalName of {service.name} is {service.external_name}: the DNS goes in a circle.",
        fix=(
            "give it the name of what it is to lead to:",
            ev.kubectl(service.namespace, "edit", "service", service.name),
        ),
    )
