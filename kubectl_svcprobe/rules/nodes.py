"""7xx, continued: what lies with one node, or with the way between two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.dataplane import tunnel
from kubectl_svcprobe.facts.model import ObjectRef, ServicePort
from kubectl_svcprobe.probe.expect import LOST
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules import between
from kubectl_svcprobe.rules.cluster_ips import nodes_with_failing_proxy
from kubectl_svcprobe.rules.each_node import broken_ways, concerned, fails
from kubectl_svcprobe.rules.observed import BEYOND, VERBS
from kubectl_svcprobe.rules.rule import NETWORKING_DOC, Match, rule
from kubectl_svcprobe.words import listed


@rule(
    "SVC750",
    "pods-of-another-node-unreachable",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC703", "SVC731", "SVC752", *BEYOND),
    source=NETWORKING_DOC,
)
def pods_of_another_node_unreachable(ev: Evidence) -> Iterator[Match]:
    """**What.** From the probe pod's node no endpoint of some other node answers connection attempts, and from another node,
    or to the pods of its own, they do.

    **Why it matters.** The pods are well: what carries packets between the two nodes drops them. Often a firewall that does
    not let through what the network plug-in wraps them into, a broken tunnel, or a route that is missing. Clients fail by
    the node that they happen to be on.

    **What else is said.** From where the same endpoint answers, and what the network plug-in sends between nodes, where the
    nodes tell.

    **With `--all-nodes`.** Whether it is one way between two nodes, or all ways of one node, which then is named.

    **How to confirm.** `kubectl svcprobe SERVICE --all-nodes`. On both nodes of a broken way, `tcpdump` at the port that is
    named shows whether packets leave and arrive.

    **Known exceptions.** A NetworkPolicy with blocks of addresses may admit one node's pods and not another's; where
    policies select the pods this is likely, and not certain. Where another node was not asked, nothing is said here.
    """
    service = ev.snapshot.service
    here = ev.probe.node if ev.probe else ""
    if service is None or not here:
        return
    if ev.asked_nodes:
        yield from between.between_nodes(ev)
        return
    for port in service.ports:
        results = ev.offered_endpoints(port)
        lost = [r for r in results if r.outcome in LOST and r.probe.path.node not in ("", here)]
        answered = [r for r in ev.from_other_node(PathKind.ENDPOINT, port) if r.outcome.is_good]
        nodes = _unreachable_nodes(results, lost, answered)
        if not nodes or any(r.outcome in LOST and r.probe.path.node == here for r in results):
            continue
        mine = [r for r in lost if r.probe.path.node in nodes]
        yield _between(ev, port, here, nodes, mine, [r for r in answered if r.probe.path.node in nodes])


def _unreachable_nodes(
    results: Sequence[PathResult], lost: Sequence[PathResult], answered: Iterable[PathResult]
) -> list[str]:
    """Nodes all of whose endpoints are silent here, and answer elsewhere."""
    reached = {r.probe.path.node for r in results if r.outcome.reached}
    silent = {r.probe.path.node for r in lost} - reached
    return sorted(silent & {r.probe.path.node for r in answered})


def _between(
    ev: Evidence,
    port: ServicePort,
    here: str,
    nodes: Sequence[str],
    lost: Sequence[PathResult],
    answered: Sequence[PathResult],
) -> Match:
    policies = sorted(
        {p.meta.name for pod in ev.snapshot.pods for p in ev.snapshot.policies_on(dict(pod.meta.labels), "Ingress")}
    )
    evidence = [
        f"{r.probe.path.target} ({r.probe.path.subject}) answers a pod on {ev.other_node}" for r in answered[:3]
    ]
    near = [r for r in ev.offered_endpoints(port) if r.outcome.is_good]
    evidence += [f"from {here} only {listed(r.probe.path.subject for r in near)} answers"] if near else []
    evidence += (
        [f"NetworkPolicy {listed(policies)} selects the pods, and may be the reason instead"] if policies else []
    )
    wrapped = tunnel(ev.snapshot.nodes)
    them = "it" if len(lost) == 1 else "them"
    verb = "its pod" if len(lost) == 1 else "its pods"
    sure = "probably " if policies else ""
    return Match(
        subject=ObjectRef("Node", "", nodes[0]),
        port=port.port,
        headline=f"{ev.part(port)} cannot be reached from {here} on {listed(nodes)}: {verb} there "
        f"{'answers' if len(lost) == 1 else 'answer'} from {ev.other_node}, so {sure}the way from {here} to {them} is broken.",
        message=f"Connection attempts from {here} to {listed(r.probe.path.target for r in lost)} on {listed(nodes)} "
        f"were not answered; from {ev.other_node} they are.",
        evidence=tuple(evidence),
        fix=(
            f"let {wrapped} through between {here} and {listed(nodes)}, and look at the network plug-in's pods there:"
            if wrapped
            else f"look for what drops packets between {here} and {listed(nodes)}: firewalls, tunnels, routes; "
            "the network plug-in's pods there:",
            ev.kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector", f"spec.nodeName={nodes[0]}"),
        ),
        confidence=Confidence.LIKELY if policies else Confidence.CERTAIN,
    )


@rule(
    "SVC751", "node-is-cut-off", Severity.ERROR, reads={"Service"}, explains=("SVC903", "SVC752"), source=NETWORKING_DOC
)
def node_is_cut_off(ev: Evidence) -> Iterator[Match]:
    """**What.** The probe pod reaches nothing at all, not even the `kubernetes` Service, and a pod on another node reaches this
    Service.

    **Why it matters.** Pods of that node reach nobody: its network plug-in, its routes, or its Service proxy. The Service
    works for others.

    **How to confirm.** `kubectl svcprobe` with any other Service and `--node NODE`: it reaches nothing either.

    **Known exceptions.** An egress policy would hold for the pod on the other node too. Where no pod ran there, SVC903
    says what was met.
    """
    service = ev.snapshot.service
    if service is not None and ev.asked_nodes:
        yield from between.cut_off_nodes(ev)
        return
    if service is None or ev.vantage_is_sound or ev.probe is None:
        return
    there = (*ev.from_other_node(PathKind.ENDPOINT), *ev.from_other_node(PathKind.CLUSTER_IP))
    works = [r.probe.path.target for r in there if r.outcome.is_good]
    if not works:
        return
    node = ev.probe.node
    yield Match(
        subject=ObjectRef("Node", "", node),
        headline=f"{service.name} cannot be reached from {node}, where pods reach nothing, not even the API server; "
        f"from {ev.other_node} it answers.",
        message=f"The probe pod on {node} reached neither {service.name} nor service/kubernetes; a pod on {ev.other_node} "
        f"got an answer from {listed(works)}.",
        evidence=tuple(f"{r.probe.path.target} from {node}: {r.outcome.value}" for r in ev.from_pod(PathKind.CONTROL)),
        fix=(
            f"look at the network of {node}:",
            ev.kubectl("", "describe", "node", node),
            ev.kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector", f"spec.nodeName={node}"),
        ),
    )


@rule(
    "SVC752",
    "fails-from-some-nodes",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC732",),
    source=NETWORKING_DOC,
)
def fails_from_some_nodes(ev: Evidence) -> Iterator[Match]:
    """**What.** With `--all-nodes`: some way in fails from some nodes and answers others, and none of the usual reasons for
    that was met: a Service proxy of one node (SVC701), a broken way between nodes (SVC750), a node without any network
    (SVC751).

    **Why it matters.** Clients fail by the node that they happen to be on, which looks like chance to them.

    **What else is said.** For names: whether it is the name that is not found there, which is a matter of the way from
    that node to the cluster DNS.

    **How to confirm.** `kubectl svcprobe SERVICE --node NODE`, once with a node that is named and once with another one.

    **Known exceptions.** A NetworkPolicy with blocks of addresses may admit the pods of some nodes only.
    """
    if ev.snapshot.service is None or not ev.asked_nodes:
        return
    told = set[tuple[str, ...]]()
    for port in (*ev.service.ports, None):
        found = [f for kind in (ONE_BY_ONE if port else WITHOUT_PORT) for f in _left_over(ev, kind, port)]
        for nodes in dict.fromkeys(nodes for nodes, _ in found):
            failed = [r for who, results in found if who == nodes for r in results]
            # A name that is not found is so for every port.
            names = (*nodes, *(_name(r) for r in failed))
            if names not in told:
                yield _from_some(ev, port, nodes, failed)
            told.add(names)


#: Node ports have a rule of their own.
ONE_BY_ONE = (
    PathKind.ENDPOINT,
    PathKind.POD_NAME,
    PathKind.CLUSTER_IP,
    PathKind.DNS,
    PathKind.LOAD_BALANCER,
    PathKind.EXTERNAL_IP,
)

#: What belongs to the Service, and to no port of it. (Health checks are no way in: pods do not owe each other an answer.)
WITHOUT_PORT = (PathKind.ALIAS,)


def _left_over(
    ev: Evidence, kind: PathKind, port: ServicePort | None
) -> Iterator[tuple[tuple[str, ...], Sequence[PathResult]]]:
    """The nodes that a path fails from for no reason that was met, while others are answered; and what these met."""
    ports = (port,) if port else ev.service.ports
    ways = {(way.start, way.end) for one in ports for way in broken_ways(ev, one)}
    hit = {node for one in ports for node in (*concerned(ev, one), *nodes_with_failing_proxy(ev, one))}
    for found in fails(ev, kind, port):
        failed = [r for r in found.failed if r.outcome is not Outcome.INTERMITTENT]
        if kind is PathKind.ENDPOINT:
            failed = [r for r in failed if (r.probe.node, r.probe.path.node) not in ways]
        else:
            failed = [r for r in failed if r.probe.node not in hit]
        if failed and found.answering:
            yield tuple(r.probe.node for r in failed), failed


def _name(result: PathResult) -> str:
    """A name without its port, and anything else by its kind."""
    path = result.probe.path
    return path.host if path.kind in (PathKind.DNS, PathKind.POD_NAME) else f"{path.kind.value} {path.target}"


def _from_some(ev: Evidence, port: ServicePort | None, nodes: Sequence[str], failed: Sequence[PathResult]) -> Match:
    names, good = listed(nodes), [n for n in ev.asked_nodes if n not in nodes]
    is_name = all(r.outcome is Outcome.DNS_FAILED for r in failed)
    targets = dict.fromkeys(_name(r) for r in failed)
    what = (
        f"cannot be found by name from {names} only: look at the way from there to the cluster DNS"
        if is_name
        else f"{VERBS.get(failed[0].outcome, 'fails')} at {listed(targets)} from {names} only"
    )
    return Match(
        subject=ObjectRef("Node", "", nodes[0]),
        port=port.port if port else 0,
        headline=f"{ev.part(port) if port else ev.service.name} {what}; from {listed(good)} it answers.",
        message=f"From {names}, {listed(targets)} failed; from {listed(good)} the same is answered.",
        evidence=tuple(f"{_name(r)} from {r.probe.node}: {r.outcome.value.replace('-', ' ')}" for r in failed[:5]),
        fix=(
            f"look at what sets {nodes[0]} apart: its network, its firewall, its pods of the cluster:",
            ev.kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector", f"spec.nodeName={nodes[0]}"),
            ev.kubectl("", "describe", "node", nodes[0]),
        ),
    )


@rule("SVC753", "slow-way-between-nodes", Severity.INFO, reads={"Service", "EndpointSlice"}, source=NETWORKING_DOC)
def slow_way_between_nodes(ev: Evidence) -> Iterator[Match]:
    """**What.** With `--all-nodes`: a connection between two nodes takes at least 80 ms to stand, and five times as long as
    on most other ways, in both directions where both were tried.

    **Why it matters.** Requests that happen to go that way are slow, and the others are not. It is information, since the
    nodes may simply be far apart, as in two regions.

    **How to confirm.** Once more: a busy node may have been slow for a moment. Between the two nodes, `ping`.

    **Known exceptions.** With fewer than two other ways there is nothing to compare with, and nothing is said.
    """
    if ev.snapshot.service is None or not ev.asked_nodes:
        return
    pairs: dict[tuple[str, ...], list[str]] = {}
    for way, seconds, usual in between.slow_ways(ev):
        told = f"from {way.start} to pods on {way.end}: {seconds * 1000:.0f} ms to connect, {usual * 1000:.0f} ms on most others"
        pairs.setdefault(tuple(sorted((way.start, way.end))), []).append(told)
    for (one, other), lines in pairs.items():
        yield Match(
            subject=ObjectRef("Node", "", one),
            headline=f"{ev.service.name} is slow between {one} and {other}: a connection takes far longer than on other ways.",
            message=f"Between {one} and {other} a connection takes far longer than on most other ways.",
            evidence=tuple(lines),
            fix=(f"if {one} and {other} are meant to be near each other, look at the network between them",),
        )
