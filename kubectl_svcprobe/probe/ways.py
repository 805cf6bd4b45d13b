"""Every way in that a Service offers, from its objects alone."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import JoinedEndpoint, Snapshot
from kubectl_svcprobe.probe.exposure import DEFAULT_DOMAIN, ExposurePath, PathKind
from kubectl_svcprobe.probe.route_paths import route_paths


def find_paths(snapshot: Snapshot) -> tuple[ExposurePath, ...]:
    """All paths of the Service, port by port, in the order of a packet's way. ExternalName has none."""
    service = snapshot.service
    if service is None or service.is_external_name:
        return ()
    of_ports = (path for port in service.ports for path in _paths_of_port(snapshot, service, port))
    return (*of_ports, *route_paths(snapshot))


def _paths_of_port(snapshot: Snapshot, service: Service, port: ServicePort) -> Iterator[ExposurePath]:
    usable = {e.endpoint.address for e in snapshot.usable(port)}
    for joined in snapshot.endpoints_of(port):
        # The address of a pod that has finished may be another pod's by now.
        if joined.port and not (joined.pod and joined.pod.is_finished):
            yield endpoint_path(joined, port, joined.endpoint.address in usable)
    for address in service.cluster_ips:
        yield ExposurePath(PathKind.CLUSTER_IP, address, port.port, port)
    for name in dns_names(service, snapshot.client_namespace):
        yield ExposurePath(PathKind.DNS, name, _port_behind_name(snapshot, service, port), port)
    if port.node_port:
        for node in snapshot.known_nodes():
            yield from _node_paths(node, port)
    for ingress in service.load_balancer_ingress:
        yield ExposurePath(PathKind.LOAD_BALANCER, ingress.address, port.port, port)
    for address in service.external_ips:
        yield ExposurePath(PathKind.EXTERNAL_IP, address, port.port, port)


def endpoint_path(joined: JoinedEndpoint, port: ServicePort, is_offered: bool) -> ExposurePath:
    """The path straight to one endpoint."""
    return ExposurePath(
        PathKind.ENDPOINT,
        joined.endpoint.address,
        joined.port,
        port,
        subject=joined.name,
        node=joined.endpoint.node,
        is_offered=is_offered,
    )


def dns_names(service: Service, client_namespace: str) -> tuple[str, ...]:
    """The names that a client of that namespace may use, most general last: the bare one leads into its own namespace only.

    The domain is checked against resolv.conf later.
    """
    name, namespace = service.name, service.namespace
    shortest = name if client_namespace == namespace else f"{name}.{namespace}"
    return (shortest, f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.{DEFAULT_DOMAIN}")


def _port_behind_name(snapshot: Snapshot, service: Service, port: ServicePort) -> int:
    """The name of a headless Service leads to the pods themselves: the client meets their port, not the Service's."""
    if service.is_headless:
        numbers = [joined.port for joined in snapshot.usable(port)]
        return numbers[0] if numbers else port.port
    return port.port


def _node_paths(node: Node, port: ServicePort) -> Iterator[ExposurePath]:
    for kind in ("InternalIP", "ExternalIP"):
        for address in node.ips(kind):
            yield ExposurePath(
                PathKind.NODE_PORT,
                address,
                port.node_port,
                port,
                subject=node.meta.name,
                node=node.meta.name,
                address_type=kind,
            )
