"""Every way in that a Service offers, from its objects alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import JoinedEndpoint, Snapshot


class PathKind(str, Enum):
    """The ways in, in the order of the report; the words are the API's own."""

    ENDPOINT = "Endpoint"
    CLUSTER_IP = "ClusterIP"
    DNS = "DNS"
    NODE_PORT = "NodePort"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_IP = "ExternalIP"
    CONTROL = "Control"
    PROXY_HEALTH = "ProxyHealth"


class Vantage(str, Enum):
    """Where a request starts: in the probe pod, in one on another node, or on the machine that runs this program.

    `EACH_NODE` is a further pod of `--all-nodes`, like the first one but for its node; the report calls it by the same name.
    """

    POD = "probe pod"
    OTHER_NODE = "another node"
    EACH_NODE = "each node"
    HERE = "this machine"

    @property
    def is_pod(self) -> bool:
        """A probe pod asks, on whichever node."""
        return self in (Vantage.POD, Vantage.OTHER_NODE, Vantage.EACH_NODE)


@dataclass(frozen=True)
class ExposurePath:
    """One way to one port. `subject` is the pod or node that the address belongs to, `node` where that is.

    `is_offered` is false for an endpoint that gets no traffic (not ready): tried for what it tells, not for what it owes.
    """

    kind: PathKind
    host: str
    port: int
    service_port: ServicePort | None = None
    subject: str = ""
    node: str = ""
    address_type: str = ""
    is_offered: bool = True

    @property
    def target(self) -> str:
        """`host:port`, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def vantages(self) -> tuple[Vantage, ...]:
        """Where this path can be tried from: what is outside the cluster's own network, from here too."""
        outside = (PathKind.NODE_PORT, PathKind.LOAD_BALANCER, PathKind.EXTERNAL_IP)
        return (Vantage.POD, Vantage.HERE) if self.kind in outside else (Vantage.POD,)


def find_paths(snapshot: Snapshot) -> tuple[ExposurePath, ...]:
    """All paths of the Service, port by port, in the order of a packet's way. ExternalName has none."""
    service = snapshot.service
    if service is None or service.is_external_name:
        return ()
    return tuple(path for port in service.ports for path in _paths_of_port(snapshot, service, port))


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


#: What nearly every cluster is called; the probe pod's own resolv.conf decides whether it is (`observe.cluster_domain`).
DEFAULT_DOMAIN = "cluster.local"


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
