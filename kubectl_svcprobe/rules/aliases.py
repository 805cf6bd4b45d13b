"""6xx, continued: Services of type ExternalName, which are names for other names."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import SERVICE_DOC, Match, rule

#: Port numbers and words that announce a protocol in which the client names its server.
NAMING_PORTS = (80, 443, 8000, 8080, 8443)
NAMING_WORDS = ("http", "https", "tls", "grpc", "web")


def _is_address(name: str) -> bool:
    try:
        ip_address(name.rstrip("."))
    except ValueError:
        return False
    return True


@rule("SVC613", "external-name-is-an-address", Severity.ERROR, reads={"Service"}, source=SERVICE_DOC)
def external_name_is_an_address(ev: Evidence) -> Iterator[Match]:
    """**What.** `externalName` looks like an IP address.

    **Why it matters.** It is taken for a name made of digits, which no name server knows, so no client can resolve the
    Service.

    **How to confirm.** In any pod: `nslookup SERVICE` answers with an alias that has no address.

    **Known exceptions.** None known: an ExternalName cannot be an address.
    """
    service = ev.snapshot.service
    if service is None or not service.is_external_name or not _is_address(service.external_name):
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
    if service is None or not service.is_external_name or _is_address(service.external_name):
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
