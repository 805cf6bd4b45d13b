"""The facts about one Service at one moment, and what could not be read.

Pure: `collect` reads the cluster and builds these. A list that could not be read is empty here *and* named in `unread`;
whoever concludes something from emptiness asks `could_read` first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kubectl_svcprobe.facts.around import Around
from kubectl_svcprobe.facts.client import Client
from kubectl_svcprobe.facts.dataplane import Dataplane
from kubectl_svcprobe.facts.endpoint import Endpoint, EndpointSlice
from kubectl_svcprobe.facts.gateway import Edge
from kubectl_svcprobe.facts.mesh import IstioPolicies
from kubectl_svcprobe.facts.model import Meta, Service, ServicePort
from kubectl_svcprobe.facts.node import Event, Node, NodeAddress
from kubectl_svcprobe.facts.policy import NetworkPolicy, selects
from kubectl_svcprobe.facts.route import Route
from kubectl_svcprobe.facts.scaling import Autoscaler, LastWords, Revision
from kubectl_svcprobe.facts.workload import Pod, Workload


@dataclass(frozen=True)
class Unread:
    """Something that could not be read: `what` is `pods in shop`, `why` is forbidden, not-served or failed."""

    kind: str
    what: str
    why: str
    message: str


@dataclass(frozen=True)
class JoinedEndpoint:
    """An endpoint of the slices, with the port that this Service port leads to there (0: none) and its pod, if known."""

    endpoint: Endpoint
    port: int
    slice_name: str
    pod: Pod | None

    @property
    def name(self) -> str:
        """The pod's name, or the bare address of an endpoint that no pod stands behind."""
        return self.endpoint.target.name if self.endpoint.target else self.endpoint.address


@dataclass(frozen=True)
class Snapshot:
    """Everything that was read for one Service.

    `pods` are those that the selector matches, `policies` those of its namespace and of the client's. All from
    `namespace_pods` to `elsewhere` is only read when a first look shows that it is needed; None means that nobody asked,
    and for what is optional (`pods_elsewhere`, `autoscalers`, `revisions`, `stray_slices`) also that it was refused.
    `lookups` are addresses that this machine finds behind names, `alias_of` the Service of this cluster that an alias is for.
    """

    namespace: str
    name: str
    taken: str
    service: Service | None = None
    slices: tuple[EndpointSlice, ...] = ()
    pods: tuple[Pod, ...] = ()
    nodes: tuple[Node, ...] = ()
    events: tuple[Event, ...] = ()
    policies: tuple[NetworkPolicy, ...] = ()
    routes: tuple[Route, ...] = ()
    edge: Edge = field(default_factory=Edge)
    kubernetes: Service | None = None
    namespace_pods: tuple[Pod, ...] | None = None
    pods_elsewhere: tuple[Pod, ...] | None = None
    workloads: tuple[Workload, ...] | None = None
    autoscalers: tuple[Autoscaler, ...] | None = None
    revisions: tuple[Revision, ...] | None = None
    stray_slices: tuple[EndpointSlice, ...] | None = None
    stale_addresses: frozenset[str] = frozenset()
    last_words: tuple[LastWords, ...] = ()
    maker_events: tuple[Event, ...] = ()
    pod_events: tuple[Event, ...] = ()
    other_services: tuple[Service, ...] | None = None
    elsewhere: tuple[Service, ...] | None = None
    namespace_exists: bool = True
    client: Client = field(default_factory=Client)
    around: Around = field(default_factory=Around)
    api_groups: frozenset[str] = frozenset()
    istio: IstioPolicies | None = None
    dataplane: Dataplane | None = None
    proxy_pods: tuple[Pod, ...] | None = None
    dns_slices: tuple[EndpointSlice, ...] | None = None
    dns_pods: tuple[Pod, ...] | None = None
    dns_workloads: tuple[Workload, ...] = ()
    lookups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    alias_of: tuple[Service, ...] | None = None
    unread: tuple[Unread, ...] = ()

    def could_read(self, *kinds: str) -> bool:
        """Whether nothing of these kinds was refused or failed."""
        return not any(unread.kind in kinds for unread in self.unread)

    def endpoints_of(self, port: ServicePort) -> tuple[JoinedEndpoint, ...]:
        """The endpoints of one Service port: slices joined by port *name* and protocol, duplicates merged.

        The name is what joins (EndpointPort.name equals ServicePort.name); slices of one Service may give it different
        numbers, and one without a number means that the pods there declare no such port.
        """
        if port not in self._joined:
            self._joined[port] = self._join(port)
        return self._joined[port]

    @cached_property
    def _joined(self) -> dict[ServicePort, tuple[JoinedEndpoint, ...]]:
        """What was joined already: with thousands of endpoints it is not done for every question."""
        return {}

    def _join(self, port: ServicePort) -> tuple[JoinedEndpoint, ...]:
        pods = {pod.ref: pod for pod in self.pods}
        found: dict[str, JoinedEndpoint] = {}
        for piece in sorted(self.slices, key=lambda s: s.meta.name):
            number = next((p.port for p in piece.ports if p.name == port.name and p.protocol == port.protocol), 0)
            for endpoint in piece.endpoints:
                pod = pods.get(endpoint.target) if endpoint.target else None
                joined = JoinedEndpoint(endpoint, number, piece.meta.name, pod)
                known = found.get(endpoint.address)
                if known is None or (number and not known.port):
                    found[endpoint.address] = joined
        return tuple(found.values())

    def all_endpoints(self) -> Iterator[Endpoint]:
        """Every distinct address in the slices, whatever its port."""
        seen: set[str] = set()
        for piece in self.slices:
            for endpoint in piece.endpoints:
                if endpoint.address not in seen:
                    seen.add(endpoint.address)
                    yield endpoint

    def usable(self, port: ServicePort) -> tuple[JoinedEndpoint, ...]:
        """The endpoints that traffic is sent to: the ready ones; without any, those serving while terminating.

        This is kube-proxy's rule (pkg/proxy/topology.go, KEP-1669).
        """
        joined = [e for e in self.endpoints_of(port) if e.port]
        ready = tuple(e for e in joined if e.endpoint.ready)
        return ready or tuple(e for e in joined if e.endpoint.serving and e.endpoint.terminating)

    def known_nodes(self) -> tuple[Node, ...]:
        """The nodes; where they could not be read, those that the pods name, with the addresses that the pods know."""
        if self.nodes or self.could_read("Node"):
            return self.nodes
        found = {pod.node: pod.host_ips for pod in self.pods if pod.node and pod.host_ips}
        return tuple(
            Node(Meta("", name), tuple(NodeAddress("InternalIP", ip) for ip in ips))
            for name, ips in sorted(found.items())
        )

    def node(self, name: str) -> Node | None:
        """The node of that name, if it was read."""
        return self._node_of_name.get(name)

    @cached_property
    def _node_of_name(self) -> dict[str, Node]:
        return {node.meta.name: node for node in self.nodes}

    @property
    def client_namespace(self) -> str:
        """Where whoever asks from inside the cluster lives."""
        return self.client.namespace or self.namespace

    def policies_on(self, labels: Mapping[str, str], direction: str, namespace: str = "") -> tuple[NetworkPolicy, ...]:
        """The NetworkPolicies that isolate a pod with these labels in that direction; in the Service's namespace if none
        is named.
        """
        found = (p for p in self.policies if p.meta.namespace == (namespace or self.namespace))
        return tuple(policy for policy in found if policy.isolates(labels, direction))

    def policies_on_client(self, direction: str) -> tuple[NetworkPolicy, ...]:
        """Those that isolate whoever asks from inside the cluster."""
        return self.policies_on(self.client.labels, direction, self.client_namespace)


def matching(selector: dict[str, str], pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """The pods whose labels satisfy the selector."""
    return tuple(pod for pod in pods if selects(selector, pod.meta.labels))
