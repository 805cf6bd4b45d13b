"""What lies between several nodes that were asked alike: the bodies of rules about nodes, where `--all-nodes` asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.dataplane import tunnel
from kubectl_svcprobe.facts.model import ObjectRef, ServicePort
from kubectl_svcprobe.probe.expect import refused_beside
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.report import Confidence
from kubectl_svcprobe.rules.each_node import (
    Fails,
    Troubled,
    Way,
    cut_off,
    endpoints_from,
    fails,
    sound_nodes,
    troubled,
)
from kubectl_svcprobe.rules.rule import Match
from kubectl_svcprobe.words import count, listed


def between_nodes(ev: Evidence) -> Iterator[Match]:
    """SVC750: a finding for each node without a way to others, and one for each pair that is left."""
    for port in ev.service.ports:
        trouble = troubled(ev, port)
        for node in trouble.nodes:
            yield _alone(ev, port, node, trouble)
        for one, other in trouble.pairs:
            yield _pair(ev, port, (one, other), trouble)


def _alone(ev: Evidence, port: ServicePort, node: str, trouble: Troubled) -> Match:
    others = sorted({w.end if w.start == node else w.start for w in trouble.ways if node in (w.start, w.end)})
    return Match(
        subject=ObjectRef("Node", "", node),
        port=port.port,
        headline=f"{ev.part(port)} fails between {node} and every other node that was asked: {_sure(ev)}the network of {node}.",
        message=f"No connection passes between {node} and the pods of {listed(others)}; among each other these answer.",
        evidence=tuple(_ways(ev, port, [w for w in trouble.ways if node in (w.start, w.end)])),
        fix=tuple(_network_fixes(ev, (node,))),
        confidence=_confidence(ev),
    )


def _pair(ev: Evidence, port: ServicePort, pair: tuple[str, str], trouble: Troubled) -> Match:
    ways = [w for w in trouble.ways if {w.start, w.end} == set(pair)]
    both = len(ways) > 1
    start, end = ways[0].start, ways[0].end
    reaching = [n for n in sound_nodes(ev) if _reaches(ev, port, n, end)]
    what = (
        f"fails between {pair[0]} and {pair[1]}: neither reaches the pods on the other"
        if both
        else f"cannot be reached from {start} on {end}: its pods there answer {listed(reaching)}"
    )
    them = f"between {pair[0]} and {pair[1]}" if not both else "between the two"
    return Match(
        subject=ObjectRef("Node", "", start),
        port=port.port,
        headline=f"{ev.part(port)} {what}, so {'probably ' if _policies(ev) else ''}the way {them} is broken.",
        message=f"Connection attempts from {start} to the pods on {end}"
        + (", and the other way round," if both else "")
        + f" were not answered; the pods on {end} answer {listed(reaching)}.",
        evidence=tuple(_ways(ev, port, ways)),
        fix=tuple(_network_fixes(ev, pair)),
        confidence=_confidence(ev),
    )


def _reaches(ev: Evidence, port: ServicePort, start: str, end: str) -> bool:
    return any(r.outcome.reached for r in endpoints_from(ev, start, port) if r.probe.path.node == end)


def _ways(ev: Evidence, port: ServicePort, ways: Sequence[Way]) -> Iterator[str]:
    for way in ways[:4]:
        lost = [r for r in endpoints_from(ev, way.start, port) if r.probe.path.node == way.end]
        yield (
            f"from {way.start}: {listed(f'{r.probe.path.target} ({r.probe.path.subject})' for r in lost)} on {way.end}: "
            + (lost[0].outcome.value.replace("-", " "))
        )
    if policies := _policies(ev):
        yield f"NetworkPolicy {listed(policies)} selects the pods, and may be the reason instead"


def _policies(ev: Evidence) -> list[str]:
    return sorted(
        {p.meta.name for pod in ev.snapshot.pods for p in ev.snapshot.policies_on(dict(pod.meta.labels), "Ingress")}
    )


def _sure(ev: Evidence) -> str:
    return "probably look at " if _policies(ev) else "look at "


def _confidence(ev: Evidence) -> Confidence:
    return Confidence.LIKELY if _policies(ev) else Confidence.CERTAIN


def _network_fixes(ev: Evidence, nodes: Sequence[str]) -> Iterator[str]:
    wrapped = tunnel(ev.snapshot.nodes)
    where = f"between {listed(nodes)}" if len(nodes) > 1 else f"at {nodes[0]}"
    yield (
        f"let {wrapped} through {where}, and look at the network plug-in's pods there:"
        if wrapped
        else f"look for what drops packets {where}: firewalls, tunnels, routes; the network plug-in's pods there:"
    )
    for node in nodes:
        yield ev.kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector", f"spec.nodeName={node}")


def cut_off_nodes(ev: Evidence) -> Iterator[Match]:
    """SVC751: nodes whose pods reach nothing, while those of others do."""
    nodes, good = cut_off(ev), sound_nodes(ev)
    if not nodes:
        return
    names = listed(nodes)
    kinds = (PathKind.ENDPOINT, PathKind.CLUSTER_IP)
    works = [n for n in good if any(r.outcome.is_good for kind in kinds for r in ev.of_node(n, kind))]
    yield Match(
        subject=ObjectRef("Node", "", nodes[0]),
        headline=f"{ev.service.name} cannot be reached from {names}, where pods reach nothing, not even the API server; "
        + (f"from {listed(works)} it answers." if works else f"those on {listed(good)} do."),
        message=f"The probe {'pod' if len(nodes) == 1 else 'pods'} on {names} reached neither {ev.service.name} nor "
        f"service/kubernetes; {'that' if len(good) == 1 else 'those'} on {listed(good)} reached more.",
        evidence=tuple(
            f"{r.probe.path.target} from {node}: {r.outcome.value}"
            for node in nodes[:3]
            for r in ev.of_node(node, PathKind.CONTROL)
        ),
        fix=(
            f"look at the network of {nodes[0]}:",
            ev.kubectl("", "describe", "node", nodes[0]),
            ev.kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector", f"spec.nodeName={nodes[0]}"),
        ),
    )


def node_ports_of_nodes(ev: Evidence) -> Iterator[Match]:
    """SVC511: node ports that no node gets an answer from, and those that only some do not."""
    for port in ev.service.ports:
        found = [f for f in (_believed(ev, port, f) for f in fails(ev, PathKind.NODE_PORT, port)) if f]
        dead = [f for f in found if not f.answering]
        if dead:
            yield _node_port(ev, port, dead, f"asked from {count(len(dead[0].nodes), 'node')}")
        for nodes in dict.fromkeys(f.nodes for f in found if f.answering):
            some = [f for f in found if f.answering and f.nodes == nodes]
            yield _node_port(ev, port, some, f"asked from {listed(nodes)}; from {listed(some[0].answering)} it answers")


def _believed(ev: Evidence, port: ServicePort, found: Fails) -> Fails | None:
    """What is no matter of one address (SVC515), nor of now and then, from nodes that reach some endpoint."""
    aside = refused_beside(ev.results)
    failed = tuple(
        r
        for r in found.failed
        if r not in aside
        and r.outcome is not Outcome.INTERMITTENT
        and any(e.outcome.is_good for e in endpoints_from(ev, r.probe.node, port))
    )
    return Fails(failed, found.answering) if failed else None


def _node_port(ev: Evidence, port: ServicePort, found: Sequence[Fails], asked: str) -> Match:
    targets = sorted({f.failed[0].probe.path.node for f in found})
    how = listed(sorted({r.outcome.value.replace("-", " ") for f in found for r in f.failed}))
    health = ev.proxy_health()
    only = f" from {listed(found[0].nodes)} only" if found[0].answering else ""
    told = [
        f"kube-proxy of {node} does not answer its health check ({health[node].probe.path.target})"
        for node in targets
        if node in health and not health[node].outcome.is_good and any(r.http_status for r in health.values())
    ]
    return Match(
        subject=ev.service.ref,
        port=port.port,
        headline=f"{ev.service.name} does not answer at node port {port.node_port} of {listed(targets)}{only} ({how}), "
        "although its pods do.",
        message=f"Node port {port.node_port} of {listed(targets)}: {how}, {asked}; the endpoints answer directly.",
        evidence=(
            *(
                f"{r.probe.path.target} ({r.probe.path.address_type} of {r.probe.path.node}) from {r.probe.node}: "
                f"{r.outcome.value}"
                for f in found
                for r in f.failed
            ),
        )[:5]
        + tuple(told),
        fix=(
            f"look at what lies between {listed(found[0].nodes)} and {listed(targets)}, and at the Service proxy there:"
            if only
            else f"look at the Service proxy of {targets[0]}, and at firewalls between nodes:",
            ev.kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector", f"spec.nodeName={targets[0]}"),
        ),
    )


#: Seconds below which no way is called slow, and how many times as long as on most others it has to take.
SLOW_SECONDS = 0.08
SLOW_TIMES = 5


def slow_ways(ev: Evidence) -> Iterator[tuple[Way, float, float]]:
    """Ways between nodes on which a connection takes far longer than on most: seconds there, and on the others."""
    times: dict[Way, list[float]] = {}
    for node in sound_nodes(ev):
        for port in ev.service.ports:
            for r in endpoints_from(ev, node, port):
                seconds = [o.connect_seconds for o in r.good if o.connect_seconds]
                if seconds and r.probe.path.node:
                    times.setdefault(Way(node, r.probe.path.node), []).append(min(seconds))
    fastest = {way: min(found) for way, found in times.items()}
    for way, took in sorted(fastest.items()):
        back = fastest.get(Way(way.end, way.start), took)
        others = [other for them, other in fastest.items() if {them.start, them.end} != {way.start, way.end}]
        usual = median(others) if len(others) > 1 else 0.0
        if way.start != way.end and usual and min(took, back) >= max(SLOW_SECONDS, SLOW_TIMES * usual):
            yield way, took, usual
