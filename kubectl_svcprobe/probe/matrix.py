"""Several nodes asked alike (`--all-nodes`): which ones, whose view is the Service's, and what is asked once some differ. Pure.

The view of the node that meets the fewest failures is judged as the only one of an ordinary run is: what fails even there
is the Service's own trouble. What fails elsewhere and not there is a node's, or that of a way between two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.elsewhere import HEALTH_PORT, beyond_good_endpoints
from kubectl_svcprobe.probe.expect import why_expected
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.plan import VIRTUAL_ATTEMPTS, Probe, spread
from kubectl_svcprobe.probe.request import Request
from kubectl_svcprobe.probe.results import PathResult

#: From so many nodes at most. Eight pods at a time take some two seconds.
MAX_ASKING = 32

Results = tuple[PathResult, ...]


@dataclass(frozen=True)
class AskingNodes:
    """The nodes to ask from; those that cannot be, and why; and how many more there are beyond the bound."""

    names: tuple[str, ...] = ()
    unable: Mapping[str, str] | None = None
    beyond: int = 0


def asking_nodes(snapshot: Snapshot) -> AskingNodes:
    """Every ready Linux node, the control plane's too; up to the bound, with and without endpoints and across zones."""
    known = snapshot.known_nodes()
    unable = {node.meta.name: reason for node in known if (reason := _why_unable(node))}
    able = [node for node in known if node.meta.name not in unable]
    occupied = {endpoint.node for endpoint in snapshot.all_endpoints() if endpoint.ready}
    order = spread(able, occupied)
    return AskingNodes(tuple(sorted(order[:MAX_ASKING])), unable, max(0, len(order) - MAX_ASKING))


def _why_unable(node: Node) -> str:
    if not node.is_linux:
        return "it runs no Linux pods"
    return "" if node.is_ready else "it is not ready"


def main_node(snapshot: Snapshot, by_node: Mapping[str, Results]) -> str:
    """The node that meets the fewest failures; of several, a worker before the control plane, and by name."""

    def order(name: str) -> tuple[int, bool, str]:
        results, node = by_node[name], snapshot.node(name)
        failed = sum(r.outcome.is_bad and not why_expected(snapshot, r, results) for r in results)
        return failed, bool(node and node.is_control_plane), name

    return min(by_node, key=order)


def concern_proxies(by_node: Mapping[str, Results]) -> bool:
    """Whether some node meets what its Service proxy, or another's, may be the reason of."""
    return any(
        any(beyond_good_endpoints(results, [r for r in results if r.outcome.is_bad])) for results in by_node.values()
    )


def health_probes(first_id: int, snapshot: Snapshot, names: Iterable[str]) -> tuple[Probe, ...]:
    """The question to the kube-proxy of each node, for one pod to ask."""
    return tuple(_health_probes(first_id, snapshot, names))


def _health_probes(first_id: int, snapshot: Snapshot, names: Iterable[str]) -> Iterator[Probe]:
    for offset, name in enumerate(names):
        node = snapshot.node(name)
        if node and (addresses := node.ips("InternalIP")):
            path = ExposurePath(PathKind.PROXY_HEALTH, addresses[0], HEALTH_PORT, subject=name, node=name)
            request = Request("http", "/healthz", why="kube-proxy's own health check")
            yield Probe(first_id + offset, path, Vantage.OTHER_NODE, request, VIRTUAL_ATTEMPTS)


def as_matrix(by_node: Mapping[str, Results], main: str) -> Results:
    """The view of the main node as the probe pod's, and all others' behind it."""
    others = (_of_each_node(r) for name, results in by_node.items() if name != main for r in results)
    return (*by_node[main], *others)


def _of_each_node(result: PathResult) -> PathResult:
    return replace(result, probe=replace(result.probe, vantage=Vantage.EACH_NODE))


def differs(results: Sequence[PathResult], good: Sequence[PathResult]) -> Iterator[PathResult]:
    """The failures among one node's results at paths that answer another one."""
    answering = {r.probe.path for r in good if r.outcome.is_good}
    return (r for r in results if r.outcome.is_bad and r.probe.path in answering)
