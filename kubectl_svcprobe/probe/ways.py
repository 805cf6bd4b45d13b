"""Every way in that a Service offers, from its objects alone."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import JoinedEndpoint, Snapshot
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind
from kubectl_svcprobe.probe.name_paths import alias_paths, pod_names, service_names
from kubectl_svcprobe.probe.outside_paths import health_checks, load_balancer_paths
from kubectl_svcprobe.probe.route_paths import route_paths


def find_paths(snapshot: Snapshot) -> tuple[ExposurePath, ...]:
    """All paths of the Service, port by port, in the order of a packet's way."""
    service = snapshot.service
    if service is None:
        return ()
    if service.is_external_name:
        return (*alias_paths(snapshot, service), *route_paths(snapshot))
    of_ports = (path for port in service.ports for path in _paths_of_port(snapshot, service, port))
    return (*of_ports, *health_checks(snapshot, service), *route_paths(snapshot))


def _paths_of_port(snapshot: Snapshot, service: Service, port: ServicePort) -> Iterator[ExposurePath]:
    usable = {e.endpoint.address for e in snapshot.usable(port)}
    for joined in snapshot.endpoints_of(port):
        # The address of a pod that has finished may be another pod's by now.
        if joined.port and not (joined.pod and joined.pod.is_finished):
            yield endpoint_path(joined, port, joined.endpoint.address in usable)
    for address in service.cluster_ips:
        yield ExposurePath(PathKind.CLUSTER_IP, address, port.port, port)
    yield from service_names(snapshot, service, port)
    yield from pod_names(snapshot, service, port)
    if port.node_port:
        for node in snapshot.known_nodes():
            yield from (path for path in _node_paths(node, port) if _is_served(service, path.host))
    yield from load_balancer_paths(snapshot, service, port)
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


def _is_served(service: Service, address: str) -> bool:
    """Whether an address is of a family that the Service has: at no other is its node port served."""
    return not service.ip_families or ("IPv6" if ":" in address else "IPv4") in service.ip_families


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
