"""The ways in by name: of the Service, of the pods of a StatefulSet, and of what an alias leads to."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.exposure import DEFAULT_DOMAIN, ExposurePath, PathKind, Vantage


def dns_names(service: Service, client_namespace: str) -> tuple[str, ...]:
    """The names that a client of that namespace may use, most general last: the bare one leads into its own namespace only.

    The domain is checked against resolv.conf later.
    """
    name, namespace = service.name, service.namespace
    shortest = name if client_namespace == namespace else f"{name}.{namespace}"
    return (shortest, f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.{DEFAULT_DOMAIN}")


def service_names(snapshot: Snapshot, service: Service, port: ServicePort) -> Iterator[ExposurePath]:
    """Its names at one port; where it has addresses of two families, by each of them, since a client may use either."""
    number = _port_behind_name(snapshot, service, port)
    families = service.ip_families if len(service.ip_families) > 1 else ("",)
    for family in families:
        for name in dns_names(service, snapshot.client_namespace):
            yield ExposurePath(PathKind.DNS, name, number, port, family=family)


def _port_behind_name(snapshot: Snapshot, service: Service, port: ServicePort) -> int:
    """The name of a headless Service leads to the pods themselves: the client meets their port, not the Service's."""
    if service.is_headless:
        numbers = [joined.port for joined in snapshot.usable(port)]
        return numbers[0] if numbers else port.port
    return port.port


def pod_names(snapshot: Snapshot, service: Service, port: ServicePort) -> Iterator[ExposurePath]:
    """The names of single pods behind a headless Service, as the members of a StatefulSet have them.

    Where an EndpointSlice gives an endpoint a `hostname`, the DNS has HOSTNAME.SERVICE.NAMESPACE.svc for it (the DNS
    specification of Kubernetes, section 2.4).
    """
    if not service.is_headless:
        return
    for joined in snapshot.usable(port):
        if joined.endpoint.hostname:
            host = f"{joined.endpoint.hostname}.{service.name}.{service.namespace}.svc"
            family = "IPv6" if ":" in joined.endpoint.address else "IPv4"
            yield ExposurePath(
                PathKind.POD_NAME,
                host,
                joined.port,
                port,
                subject=joined.name,
                node=joined.endpoint.node,
                family=family if len(service.ip_families) > 1 else "",
            )


def alias_paths(snapshot: Snapshot, service: Service) -> Iterator[ExposurePath]:
    """The names of an ExternalName Service, and the name that it is an alias for.

    Its ports are without effect, but say how clients will speak; without any, or at one that is not TCP, names are only
    looked up (port 0).
    """
    target = service.external_name.rstrip(".")
    ports = tuple(port for port in service.ports if port.protocol == "TCP")
    for port in ports or (None,):
        number = port.port if port else 0
        for name in dns_names(service, snapshot.client_namespace):
            yield ExposurePath(PathKind.DNS, name, number, port, only_from=Vantage.POD)
        yield ExposurePath(PathKind.ALIAS, target, number, port, only_from=Vantage.POD)
