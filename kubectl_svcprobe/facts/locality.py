"""Which endpoints a node's Service proxy sends traffic to: traffic policies, the fallback to terminating ones, and hints. Pure.

The rules are kube-proxy's (pkg/proxy/topology.go); what replaces it follows them as far as it knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import JoinedEndpoint, Snapshot

ZONE = "topology.kubernetes.io/zone"


def local(snapshot: Snapshot, port: ServicePort, node: str) -> tuple[JoinedEndpoint, ...]:
    """What a policy `Local` sends traffic to on this node: its ready endpoints; without any, those that still serve while
    terminating, whatever other nodes have (KEP-1669)."""
    here = [e for e in snapshot.endpoints_of(port) if e.port and e.endpoint.node == node]
    ready = tuple(e for e in here if e.endpoint.ready)
    return ready or tuple(e for e in here if e.endpoint.serving and e.endpoint.terminating)


def local_nodes(snapshot: Snapshot, port: ServicePort) -> frozenset[str]:
    """The nodes on which a policy `Local` finds an endpoint."""
    nodes = {e.endpoint.node for e in snapshot.endpoints_of(port) if e.endpoint.node}
    return frozenset(node for node in nodes if local(snapshot, port, node))


@dataclass(frozen=True)
class Near:
    """The endpoints that a node's clients are sent to, and why these: `node`, `zone`, or empty where hints play no part."""

    endpoints: tuple[JoinedEndpoint, ...]
    by: str = ""


def near(snapshot: Snapshot, port: ServicePort, node: str) -> Near:
    """What a client on this node is sent to under the policy `Cluster`.

    Hints count where every ready endpoint has one and one of them is for this node, or else for its zone; otherwise none
    of them does.
    """
    usable = snapshot.usable(port)
    ready = [e for e in usable if e.endpoint.ready]
    mine = _hinted(ready, [e.endpoint.for_nodes for e in ready], node)
    if mine:
        return Near(mine, "node")
    mine = _hinted(ready, [e.endpoint.for_zones for e in ready], zone_of(snapshot, node))
    return Near(mine, "zone") if mine else Near(usable)


def _hinted(
    ready: Sequence[JoinedEndpoint], hints: Sequence[frozenset[str]], wanted: str
) -> tuple[JoinedEndpoint, ...]:
    if not wanted or not all(hints):
        return ()
    return tuple(e for e, hint in zip(ready, hints, strict=True) if wanted in hint)


def zone_of(snapshot: Snapshot, node: str) -> str:
    """The zone that a node is labelled with; empty for none, or where the node is not known."""
    found = snapshot.node(node)
    return found.meta.labels.get(ZONE, "") if found else ""
