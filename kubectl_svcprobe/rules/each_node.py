"""What several nodes that were asked alike tell of each other. No rules: what the rules about nodes have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.probe.expect import LOST, why_expected
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.words import count, listed


def is_sound(results: Sequence[PathResult]) -> bool:
    """Whether a node's pod reached anything at all."""
    return any(r.outcome.reached or r.outcome is Outcome.INTERMITTENT for r in results)


def cut_off(ev: Evidence) -> tuple[str, ...]:
    """Nodes whose pods reach nothing, not even the control, while others do."""
    found = tuple(node for node in ev.asked_nodes if ev.of_node(node) and not is_sound(ev.of_node(node)))
    return found if len(found) < len(ev.asked_nodes) else ()


def sound_nodes(ev: Evidence) -> tuple[str, ...]:
    """The others."""
    apart = cut_off(ev)
    return tuple(node for node in ev.asked_nodes if node not in apart)


def unexplained(ev: Evidence, results: Sequence[PathResult]) -> list[PathResult]:
    """Failures that were not to be expected, and that a moment later were still there."""
    return [
        r
        for r in results
        if r.outcome.is_bad and not r.failed_only_early and not why_expected(ev.snapshot, r, ev.results)
    ]


def endpoints_from(ev: Evidence, node: str, port: ServicePort) -> list[PathResult]:
    """What the endpoints that traffic is sent to answered this node."""
    return [r for r in ev.of_node(node, PathKind.ENDPOINT, port) if r.probe.path.is_offered]


def answers_another_node(ev: Evidence, result: PathResult) -> bool:
    """Whether the same path answers another one of the nodes that were asked alike: then it is none of the path itself."""
    path = result.probe.path
    return any(
        r.outcome.is_good and r.probe.path == path for node in ev.asked_nodes for r in ev.of_node(node, path.kind)
    )


def could_not_ask(ev: Evidence, nodes: Collection[str]) -> Iterator[str]:
    """Which of these nodes took no probe pod of `--all-nodes`, and why: it may be for the same reason that their pods fail."""
    for node in ev.probe.each_node if ev.probe else ():
        if node.problem and node.node in nodes:
            yield f"no probe pod could ask from {node.node}: {node.problem}"


@dataclass(frozen=True, order=True)
class Way:
    """From the pods of one node to those of another."""

    start: str
    end: str


def broken_ways(ev: Evidence, port: ServicePort) -> tuple[Way, ...]:
    """Ways on which no endpoint of a node answers connection attempts, although some other node, or its own, reaches them.

    A node that reaches not even its own endpoints tells nothing of ways.
    """
    nodes = sound_nodes(ev)
    seen = {node: endpoints_from(ev, node, port) for node in nodes}
    silent, open_ = set[Way](), set[Way]()
    for start, results in seen.items():
        for end in {r.probe.path.node for r in results if r.probe.path.node}:
            there = [r for r in results if r.probe.path.node == end]
            lost = all(r.outcome in LOST for r in there)
            (silent if lost else open_).add(Way(start, end))
    blind = {way.start for way in silent if way.start == way.end}
    reached = {way.end for way in open_}
    return tuple(sorted(way for way in silent if way.start not in blind and way.end in reached))


@dataclass(frozen=True)
class Troubled:
    """Where ways are broken: around single nodes, which all their ways share, and between the pairs that remain."""

    nodes: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    ways: tuple[Way, ...]


def troubled(ev: Evidence, port: ServicePort) -> Troubled:
    """The fewest places that the broken ways can be told by.

    A node is one where nothing passes between it and any of several other nodes; else it is the way between two.
    """
    ways = broken_ways(ev, port)
    nodes = sound_nodes(ev)
    occupied = {r.probe.path.node for node in nodes for r in endpoints_from(ev, node, port) if r.probe.path.node}
    alone = tuple(node for node in nodes if _is_alone(node, nodes, occupied, ways))
    rest = {tuple(sorted((w.start, w.end))) for w in ways if w.start not in alone and w.end not in alone}
    return Troubled(alone, tuple(sorted((one, other) for one, other in rest)), ways)


def _is_alone(node: str, asked: Sequence[str], occupied: set[str], ways: Sequence[Way]) -> bool:
    """Whether each way from it and to it is broken, and there are several: one may be the other end's fault as well."""
    wanted = {Way(node, end) for end in occupied if end != node}
    wanted |= {Way(start, node) for start in asked if start != node} if node in occupied else set()
    others = {way.end if way.start == node else way.start for way in wanted}
    return len(others) > 1 and wanted <= set(ways)


def concerned(ev: Evidence, port: ServicePort) -> frozenset[str]:
    """Nodes that broken ways begin at or end at: what else they meet may follow from that."""
    return frozenset(name for way in broken_ways(ev, port) for name in (way.start, way.end))


@dataclass(frozen=True)
class Fails:
    """A path that fails from some of the nodes, with one result of each, and those that it answers."""

    failed: tuple[PathResult, ...]
    answering: tuple[str, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that it fails from."""
        return tuple(r.probe.node for r in self.failed)

    @property
    def where(self) -> str:
        """`from node-2 only`, or `from each of the 3 nodes`."""
        if self.answering:
            return f"from {listed(self.nodes)} only"
        return f"from each of the {count(len(self.nodes), 'node')}" if len(self.nodes) > 1 else f"from {self.nodes[0]}"


def fails(ev: Evidence, kind: PathKind, port: ServicePort | None) -> Iterator[Fails]:
    """The paths of a kind that fail from a sound node, in the order in which they were asked."""
    nodes = sound_nodes(ev)
    results = [r for node in nodes for r in ev.of_node(node, kind, port)]
    for path in dict.fromkeys(r.probe.path for r in results):
        mine = [r for r in results if r.probe.path == path]
        if bad := unexplained(ev, mine):
            yield Fails(tuple(bad), tuple(r.probe.node for r in mine if r.outcome.is_good))
