"""From paths to probes: what is tried from where, how often, within which bounds, and what is not tried and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.outside_paths import HEALTH_REQUEST
from kubectl_svcprobe.probe.request import LOOKUP, Request, choose
from kubectl_svcprobe.probe.route_paths import said_at, untried_routes

MAX_ENDPOINTS = 50
MAX_NODES = 8

#: Samples of all ports of one run: some 700 bytes of arguments each.
MAX_SAMPLES_IN_ALL = 900

#: A virtual address leads to any of several endpoints, so one transfer says little.
VIRTUAL_ATTEMPTS = 3
SINGLE = (PathKind.ENDPOINT, PathKind.POD_NAME, PathKind.HEALTH_CHECK)


@dataclass(frozen=True)
class Probe:
    """One path to be tried from one vantage with one request, `attempts` times.

    `is_aside` is one that nothing is owed at: it is not waited for as long. `is_sample` is one of
    `--samples`. `node` is where it asks from, once that is known.
    """

    id: int
    path: ExposurePath
    vantage: Vantage
    request: Request
    attempts: int = 1
    is_aside: bool = False
    is_sample: bool = False
    node: str = ""


@dataclass(frozen=True)
class Unprobed:
    """A path that is not tried, and why."""

    kind: PathKind
    target: str
    reason: str
    vantage: Vantage | None = None


@dataclass(frozen=True)
class ProbePlan:
    """What is tried and what is not.

    `settle` asks for a pod that has been up for some seconds before it says anything: where NetworkPolicies select either
    end, an agent may admit or refuse a new pod for a moment before its rules are in place. `samples` are asked by the first
    pod beside the probes, and judged by no rule.
    """

    probes: tuple[Probe, ...] = ()
    unprobed: tuple[Unprobed, ...] = ()
    settle: bool = False
    samples: tuple[Probe, ...] = ()

    def from_vantage(self, vantage: Vantage) -> tuple[Probe, ...]:
        """The probes of one vantage."""
        return tuple(probe for probe in self.probes if probe.vantage == vantage)

    @property
    def next_id(self) -> int:
        """The first number that no probe of this plan has."""
        return len(self.probes) + len(self.samples)

    def only(self, probes: Iterable[Probe]) -> ProbePlan:
        """The same plan cut down to some of its probes."""
        return replace(self, probes=tuple(probes), samples=(), unprobed=())


@dataclass(frozen=True)
class Wishes:
    """What the user asked for, as far as the plan is concerned."""

    from_pod: bool = True
    from_here: bool = True
    scheme: str = ""
    path: str | None = None
    samples: int = 0
    no_pod_reason: str = ""


def make_plan(snapshot: Snapshot, paths: Sequence[ExposurePath], wishes: Wishes) -> ProbePlan:
    """Decide for every path. Controls are added where anything at all is tried from a pod."""
    service = snapshot.service
    if service is None:
        return ProbePlan()
    chosen, unprobed = _within_bounds(snapshot, paths)
    probes: list[Probe] = []
    for path in chosen:
        for vantage in path.vantages():
            reason = _why_not(snapshot, service, path, vantage, wishes)
            if reason is None:
                probes.append(_probe(len(probes), snapshot, path, vantage, wishes))
            elif reason:
                unprobed.append(Unprobed(path.kind, path.target, reason, vantage))
    if any(probe.vantage is Vantage.POD for probe in probes):
        probes.extend(_controls(len(probes), snapshot))
    unprobed.extend(_pathless(service))
    unprobed.extend(Unprobed(u.kind, u.target, u.reason) for u in untried_routes(snapshot))
    samples = tuple(_samples(probes, service, wishes.samples))
    return ProbePlan(tuple(probes), tuple(unprobed), _policies_matter(snapshot), samples)


def _samples(probes: Sequence[Probe], service: Service, number: int) -> Iterator[Probe]:
    """More of what is asked at the ClusterIP of each port, or at the name of a headless Service: the first of several.

    Of many ports each gets fewer, so that the pod's arguments stay well below what the API server and the kernel take.
    """
    kind = PathKind.DNS if service.is_headless else PathKind.CLUSTER_IP
    first: dict[ServicePort | None, Probe] = {}
    for probe in probes:
        if probe.vantage is Vantage.POD and probe.path.kind is kind and probe.path.service_port:
            first.setdefault(probe.path.service_port, probe)
    for offset, probe in enumerate(first.values() if number else ()):
        attempts = max(min(number, MAX_SAMPLES_IN_ALL // len(first)), 1)
        yield replace(probe, id=len(probes) + offset, attempts=attempts, is_sample=True)


def _probe(number: int, snapshot: Snapshot, path: ExposurePath, vantage: Vantage, wishes: Wishes) -> Probe:
    return Probe(number, path, vantage, _request(snapshot, path, wishes), _attempts(snapshot, path))


def _request(snapshot: Snapshot, path: ExposurePath, wishes: Wishes) -> Request:
    """What is said there."""
    if path.kind is PathKind.HEALTH_CHECK:
        return HEALTH_REQUEST
    if path.service_port is None:
        return LOOKUP
    return said_at(path, choose(snapshot, path.service_port, wishes.path, wishes.scheme))


def _attempts(snapshot: Snapshot, path: ExposurePath) -> int:
    """One where a single somebody is asked, and where it is not of this cluster; else as many as tell several endpoints."""
    is_alias = snapshot.service is not None and snapshot.service.is_external_name
    return 1 if is_alias or path.kind in SINGLE else VIRTUAL_ATTEMPTS


def _why_not(snapshot: Snapshot, service: Service, path: ExposurePath, vantage: Vantage, wishes: Wishes) -> str | None:
    """The reason why a path is not tried from a vantage; None if it is tried; empty if not worth a word."""
    port = path.service_port
    if vantage is Vantage.HERE and not wishes.from_here:
        return "--no-from-here"
    if port is None or service.is_external_name:
        return None if wishes.from_pod else wishes.no_pod_reason
    if port.protocol not in ("TCP", "UDP"):
        return f"{port.protocol}: not probed"
    if port.protocol == "UDP" and vantage is not Vantage.HERE:
        return "UDP: curl cannot"
    if path.kind is not PathKind.ENDPOINT and not snapshot.usable(port) and snapshot.could_read("EndpointSlice"):
        return "nothing is behind it"
    if path.kind is PathKind.NODE_PORT and (node := snapshot.node(path.node)) and not node.is_ready:
        return f"{path.node} is not ready"
    if vantage is Vantage.HERE and path.address_type == "InternalIP" and _has_external(snapshot, path.node):
        return ""
    if vantage is Vantage.POD and not wishes.from_pod:
        return wishes.no_pod_reason
    return None


def _has_external(snapshot: Snapshot, node_name: str) -> bool:
    """A node with an external address is reached from outside by that one."""
    node = snapshot.node(node_name)
    return bool(node and node.ips("ExternalIP"))


def _within_bounds(snapshot: Snapshot, paths: Sequence[ExposurePath]) -> tuple[list[ExposurePath], list[Unprobed]]:
    """At most so many endpoints a port and so many nodes, the suspicious ones first; the rest is named by number."""
    chosen: list[ExposurePath] = []
    unprobed: list[Unprobed] = []
    nodes = _nodes_worth_trying(snapshot)
    ports = dict.fromkeys(path.service_port for path in paths)
    for port in ports:
        of_port = [path for path in paths if path.service_port == port]
        endpoints = sorted((p for p in of_port if p.kind is PathKind.ENDPOINT), key=lambda p: _suspicion(snapshot, p))
        if len(endpoints) > MAX_ENDPOINTS:
            rest = f"{MAX_ENDPOINTS} of {len(endpoints):,} endpoints are tried"
            unprobed.append(Unprobed(PathKind.ENDPOINT, f"{len(endpoints) - MAX_ENDPOINTS:,} more", rest))
        chosen.extend(endpoints[:MAX_ENDPOINTS])
        tried = {path.subject for path in endpoints[:MAX_ENDPOINTS]}
        chosen.extend(p for p in of_port if p.kind is PathKind.POD_NAME and p.subject in tried)
        others = (p for p in of_port if p.kind not in (PathKind.ENDPOINT, PathKind.POD_NAME))
        chosen.extend(p for p in others if not p.node or p.node in nodes)
    all_nodes = dict.fromkeys(path.node for path in paths if path.kind is PathKind.NODE_PORT)
    if len(all_nodes) > len(nodes):
        rest = f"{len(nodes)} of {len(all_nodes):,} nodes are tried"
        unprobed.append(Unprobed(PathKind.NODE_PORT, f"{len(all_nodes) - len(nodes):,} more", rest))
    return chosen, unprobed


def _suspicion(snapshot: Snapshot, path: ExposurePath) -> tuple[bool, bool, str]:
    """Sorts the suspicious first: on a node that is not ready, or not ready itself."""
    node = snapshot.node(path.node)
    return (node is None or node.is_ready, path.is_offered, path.subject)


def _nodes_worth_trying(snapshot: Snapshot) -> frozenset[str]:
    """Nodes with an endpoint and nodes without one in turn, across zones."""
    occupied = {endpoint.node for endpoint in snapshot.all_endpoints() if endpoint.ready}
    return frozenset(spread(snapshot.known_nodes(), occupied)[:MAX_NODES])


def spread(nodes: Iterable[Node], occupied: Collection[str]) -> list[str]:
    """The names of nodes that are occupied and of others in turn, across zones."""
    known = list(nodes)
    with_one = _spread([n for n in known if n.meta.name in occupied])
    without = _spread([n for n in known if n.meta.name not in occupied])
    return [name for pair in _zip_all(with_one, without) for name in pair]


def _spread(nodes: Sequence[Node]) -> list[str]:
    """Node names, one zone after the other in turn."""
    by_zone: dict[str, list[str]] = {}
    for node in nodes:
        zone = node.meta.labels.get("topology.kubernetes.io/zone", "")
        by_zone.setdefault(zone, []).append(node.meta.name)
    return [name for row in _zip_all(*by_zone.values()) for name in row]


def _zip_all(*columns: Sequence[str]) -> Iterator[list[str]]:
    """Rows through columns of unequal length, without gaps."""
    for index in range(max(map(len, columns), default=0)):
        yield [column[index] for column in columns if index < len(column)]


def _controls(first_id: int, snapshot: Snapshot) -> Iterator[Probe]:
    """The `kubernetes` Service by name and, where it could be read, by address: does this vantage see anything at all?"""
    request = Request("https", "/version", why="control")
    hosts = ["kubernetes.default.svc"]
    if snapshot.kubernetes:
        hosts.extend(snapshot.kubernetes.cluster_ips[:1])
    for offset, host in enumerate(hosts):
        path = ExposurePath(PathKind.CONTROL, host, 443, subject="service/kubernetes")
        yield Probe(first_id + offset, path, Vantage.POD, request)


def _pathless(service: Service) -> Iterator[Unprobed]:
    """What the Service offers in name only."""
    if service.is_pending:
        yield Unprobed(PathKind.LOAD_BALANCER, "<pending>", "it has no address")


def _policies_matter(snapshot: Snapshot) -> bool:
    """Whether a NetworkPolicy selects the probe pod (egress) or a pod behind the Service (ingress)."""
    return bool(snapshot.policies_on_client("Egress")) or any(
        snapshot.policies_on(pod.meta.labels, "Ingress") for pod in snapshot.pods
    )
