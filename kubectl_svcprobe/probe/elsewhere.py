"""A look from another node: which failures it can tell apart, from which node, and what it asks. Pure.

A failure that lies with the node of the client, or between two nodes, does not show from another one. Only such failures
are asked again there: a ClusterIP or node port that fails though every endpoint answers, and endpoints of other nodes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.expect import LOST, refused_beside, why_expected
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.plan import VIRTUAL_ATTEMPTS, Probe
from kubectl_svcprobe.probe.request import Request
from kubectl_svcprobe.probe.results import PathResult

#: Where kube-proxy tells how it is, on every address of its node (KubeProxyConfiguration, `healthzBindAddress`).
HEALTH_PORT = 10256

#: So many endpoints of other nodes are asked again, one of each node.
MOST_ENDPOINTS = 8


@dataclass(frozen=True)
class SecondLook:
    """The node to look from, and what is asked there."""

    node: str
    probes: tuple[Probe, ...]


def second_look(snapshot: Snapshot, results: Sequence[PathResult], here: str) -> SecondLook | None:
    """What another node would tell; None where it would tell nothing, or where there is none."""
    failed = [r for r in results if r.probe.vantage is Vantage.POD and r.outcome.is_bad]
    aside = refused_beside(results)
    failed = [r for r in failed if r not in aside]
    believed = [r for r in failed if r.outcome is not Outcome.INTERMITTENT and not why_expected(snapshot, r, results)]
    endpoints = list(_lost_on_other_nodes(snapshot, results, believed, here))
    virtual = list(beyond_good_endpoints(results, believed))
    node = _other_node(snapshot, endpoints, here)
    if not here or node is None or not (endpoints or virtual):
        return None
    first_id = max(r.probe.id for r in results) + 1
    asked = [r.probe for r in results if r.probe.path.kind is PathKind.CONTROL]
    asked += [r.probe for r in (*endpoints[:MOST_ENDPOINTS], *virtual)]
    probes = [replace(p, id=first_id + i, vantage=Vantage.OTHER_NODE) for i, p in enumerate(asked)]
    if virtual:
        probes += _health(first_id + len(probes), snapshot, (here, node.meta.name))
    return SecondLook(node.meta.name, tuple(probes))


def concerns_proxies(results: Sequence[PathResult]) -> bool:
    """Whether something failed that the nodes' Service proxies may be the reason of."""
    in_pods = [r for r in results if r.probe.vantage in (Vantage.POD, Vantage.EACH_NODE)]
    by_node = [[r for r in in_pods if r.probe.node == node] for node in dict.fromkeys(r.probe.node for r in in_pods)]
    return any(any(beyond_good_endpoints(mine, [r for r in mine if r.outcome.is_bad])) for mine in by_node)


def concerns_dns(results: Iterable[PathResult]) -> bool:
    """Whether a name was not found, in some attempt."""
    return any(o.outcome is Outcome.DNS_FAILED for r in results for o in r.observations)


def _lost_on_other_nodes(
    snapshot: Snapshot, results: Sequence[PathResult], failed: Iterable[PathResult], here: str
) -> Iterator[PathResult]:
    """Silent endpoints, one for each node, if no endpoint of this node is silent and none of that node answers."""
    lost = [r for r in failed if r.probe.path.kind is PathKind.ENDPOINT and r.outcome in LOST and r.probe.path.node]
    answering = {r.probe.path.node for r in results if r.probe.path.kind is PathKind.ENDPOINT and r.outcome.reached}
    if here in {r.probe.path.node for r in lost}:
        return
    for name in dict.fromkeys(r.probe.path.node for r in lost):
        node = snapshot.node(name)
        if name not in answering and (node is None or node.is_ready):
            yield next(r for r in lost if r.probe.path.node == name)


def beyond_good_endpoints(results: Sequence[PathResult], failed: Iterable[PathResult]) -> Iterator[PathResult]:
    """ClusterIPs and node ports that fail although every endpoint of their port answers."""
    for result in failed:
        path = result.probe.path
        endpoints = [
            r
            for r in results
            if r.probe.path.kind is PathKind.ENDPOINT
            and r.probe.path.service_port == path.service_port
            and r.probe.path.is_offered
        ]
        is_virtual = path.kind in (PathKind.CLUSTER_IP, PathKind.NODE_PORT)
        if is_virtual and endpoints and all(r.outcome.is_good for r in endpoints):
            yield result


def _other_node(snapshot: Snapshot, lost: Sequence[PathResult], here: str) -> Node | None:
    """The node of a silent endpoint, which its neighbours reach if anyone does; else one that has an endpoint, or any."""
    others = sorted(
        (n for n in snapshot.nodes if n.is_ready and n.meta.name != here and n.is_linux), key=lambda n: n.meta.name
    )
    occupied = {e.node for e in snapshot.all_endpoints() if e.ready}
    silent = {r.probe.path.node for r in lost}
    order = sorted(
        others, key=lambda n: (n.meta.name not in silent, n.is_control_plane, n.meta.name not in occupied, n.meta.name)
    )
    return order[0] if order else None


def _health(first_id: int, snapshot: Snapshot, names: Iterable[str]) -> Iterator[Probe]:
    """The question to kube-proxy itself, of both nodes: where neither answers, it is not there or does not tell."""
    for offset, name in enumerate(names):
        node = snapshot.node(name)
        address = next(iter(node.ips("InternalIP")), "") if node else ""
        if address:
            path = ExposurePath(PathKind.PROXY_HEALTH, address, HEALTH_PORT, subject=name, node=name)
            request = Request("http", "/healthz", why="kube-proxy's own health check")
            yield Probe(first_id + offset, path, Vantage.OTHER_NODE, request, VIRTUAL_ATTEMPTS)
