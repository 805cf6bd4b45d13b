"""What a way in to a Service is, and from where it can be tried."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.probe.request import Request


class PathKind(str, Enum):
    """The ways in, in the order of the report; the words are the API's own."""

    ENDPOINT = "Endpoint"
    CLUSTER_IP = "ClusterIP"
    DNS = "DNS"
    POD_NAME = "PodName"
    ALIAS = "ExternalName"
    NODE_PORT = "NodePort"
    HEALTH_CHECK = "HealthCheck"
    LOAD_BALANCER = "LoadBalancer"
    EXTERNAL_IP = "ExternalIP"
    INGRESS = "Ingress"
    GATEWAY = "Gateway"
    ROUTE = "Route"
    SERVICE_PROXY = "ServiceProxy"
    PORT_FORWARD = "PortForward"
    CONTROL = "Control"
    PROXY_HEALTH = "ProxyHealth"


class Vantage(str, Enum):
    """Where a request starts: in the probe pod, in one on another node, at the API server, or on this program's machine.

    `EACH_NODE` is a further pod of `--all-nodes`, like the first one but for its node; the report calls it by the same name.
    """

    POD = "probe pod"
    OTHER_NODE = "another node"
    EACH_NODE = "each node"
    API_SERVER = "API server"
    HERE = "this machine"

    @property
    def is_pod(self) -> bool:
        """A probe pod asks, on whichever node."""
        return self in (Vantage.POD, Vantage.OTHER_NODE, Vantage.EACH_NODE)


@dataclass(frozen=True)
class ExposurePath:
    """One way to one port. `subject` is the pod or node that the address belongs to, `node` where that is.

    `is_offered` is false for an endpoint that gets no traffic (not ready): tried for what it tells, not for what it owes.
    `family` is IPv4 or IPv6 where a name is asked for by one of them, `authority` the name that a client there calls its
    server, where that is not the host, `only_from` the one place from which this path makes sense, and `request` what a
    proxy's rule is for, if a proxy leads there; `leads_below`: also what is below the path of that.
    """

    kind: PathKind
    host: str
    port: int
    service_port: ServicePort | None = None
    subject: str = ""
    node: str = ""
    address_type: str = ""
    is_offered: bool = True
    family: str = ""
    authority: str = ""
    only_from: Vantage | None = None
    request: Request | None = None
    leads_below: bool = False

    @property
    def target(self) -> str:
        """`host:port`, an IPv6 host in brackets; with what it is called there in front, where a proxy knows many names.

        The host alone where no port is asked for.
        """
        called = f"{self.authority} at " if self.authority and self.kind in AT_THE_EDGE else ""
        return called + self._address

    @property
    def _address(self) -> str:
        if not self.port:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def vantages(self) -> tuple[Vantage, ...]:
        """Where this path can be tried from: what is outside the cluster's own network, from here too."""
        if self.only_from:
            return (self.only_from,)
        outside = (PathKind.NODE_PORT, PathKind.LOAD_BALANCER, PathKind.EXTERNAL_IP, *AT_THE_EDGE)
        return (Vantage.POD, Vantage.HERE) if self.kind in outside else (Vantage.POD,)


#: The ways in that a proxy at the edge of the cluster offers, which speaks for several Services.
AT_THE_EDGE = (PathKind.INGRESS, PathKind.GATEWAY, PathKind.ROUTE)

#: What nearly every cluster is called; the probe pod's own resolv.conf decides whether it is (`observe.cluster_domain`).
DEFAULT_DOMAIN = "cluster.local"
