"""7xx, continued: what lies with one node, or with the way between two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.dataplane import Answer, Dataplane, Situation, situations, tunnel
from kubectl_svcprobe.facts.model import ObjectRef, ServicePort
from kubectl_svcprobe.facts.readiness import why_not_ready
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.expect import LOST
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.observed import BEYOND, VERBS
from kubectl_svcprobe.rules.rule import NETWORKING_DOC, VIRTUAL_IPS, Match, rule
from kubectl_svcprobe.words import count, listed


@rule(
    "SVC701",
    "cluster-ip-does-not-answer",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC511",),
    source=VIRTUAL_IPS,
)
def cluster_ip_does_not_answer(ev: Evidence) -> Iterator[Match]:
    """**What.** The endpoints answer the probe pod, and the ClusterIP does not.

    **Why it matters.** Between the two is only the Service proxy of the client's node (kube-proxy, or what replaces it):
    it is stopped, behind, or ignores this Service.

    **What else is said.** Whether the ClusterIP answers a pod on another node: then it is this node alone, and its Service
    proxy. Whether kube-proxy of both nodes answers its health check, port 10256, and whether its pod is ready. What a
    refusal, or silence, means for the dataplane of this cluster, where that could be read.

    **How to confirm.** `kubectl svcprobe SERVICE --node NODE` for each of two nodes. On the node itself,
    `curl localhost:10256/healthz` asks kube-proxy, and its log says when it last wrote its rules.

    **Known exceptions.** With `--one-pod`, and where a pod on another node could not run, only the node of the probe pod
    was asked. A node whose own firewall or container engine drops forwarded packets fails in the same way, while
    kube-proxy calls itself healthy.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        failed = [
            r
            for r in ev.from_pod(PathKind.CLUSTER_IP, port)
            if r.outcome.is_bad and r.outcome is not Outcome.INTERMITTENT
        ]
        endpoints = ev.offered_endpoints(port)
        if failed and endpoints and all(r.outcome.is_good for r in endpoints):
            yield _proxy_fails(ev, port, failed[0], len(endpoints))


def _proxy_fails(ev: Evidence, port: ServicePort, failed: PathResult, endpoints: int) -> Match:
    node = ev.probe.node if ev.probe else ""
    how = VERBS.get(failed.outcome, failed.outcome.value)
    target, proxy = failed.probe.path.target, (ev.snapshot.dataplane or Dataplane()).name
    there = [r for r in ev.from_other_node(PathKind.CLUSTER_IP, port) if r.probe.path.target == target]
    only_here = any(r.outcome.is_good for r in there)
    everywhere = bool(there) and all(r.outcome.is_bad and r.outcome is not Outcome.INTERMITTENT for r in there)
    if only_here and _is_stopped(ev, node):
        where = f" from {node} only, where kube-proxy is stopped."
    elif only_here:
        where = f" from {node} only: look at {proxy} of {node}."
    elif everywhere:
        where = f" from {node} and from {ev.other_node}, although its pods answer: no node seems to serve it."
    else:
        where = f", although its pods answer: look at {proxy} of {node}."
    return Match(
        subject=ev.service.ref,
        port=port.port,
        headline=f"{ev.part(port)} fails at its ClusterIP {target}{where}",
        message=f"{target} {how}, while {count(endpoints, 'endpoint')} answered the probe pod on {node} directly"
        + (f"; from {ev.other_node} it answers." if only_here else "."),
        evidence=tuple(_proxy_evidence(ev, failed, node, only_here)),
        fix=tuple(_proxy_fixes(ev, node, proxy, everywhere)),
    )


def _proxy_evidence(ev: Evidence, failed: PathResult, node: str, only_here: bool) -> Iterator[str]:
    yield from _health(ev, node)
    yield from _proxy_pod_evidence(ev, node)
    dataplane = ev.snapshot.dataplane or Dataplane()
    answer = Answer.REFUSED if failed.outcome is Outcome.REFUSED else Answer.SILENT
    among = (Situation.NO_ENDPOINT, Situation.UNKNOWN_PORT, Situation.UNKNOWN_SERVICE)
    met = situations(dataplane.proxy, answer, among) if failed.outcome in (Outcome.REFUSED, *LOST) else ()
    if met and not _is_stopped(ev, node):
        what = "a refusal" if answer is Answer.REFUSED else "silence"
        yield f"{what} of {dataplane.proxy.value} may mean that {', or that '.join(s.value for s in met)}"
    service = ev.service
    serving = {e.endpoint.node for port in service.ports for e in ev.snapshot.usable(port)}
    if service.internal_traffic_policy == "Local" and node not in serving:
        yield f"internalTrafficPolicy is Local, and {node} has no endpoint: dropped as declared"
    controls = [r for r in ev.from_pod(PathKind.CONTROL) if r.outcome.reached and r.probe.path.host[:1].isdigit()]
    controls = controls or [r for r in ev.from_pod(PathKind.CONTROL) if r.outcome.reached]
    if controls:
        yield f"another Service ({controls[0].probe.path.subject}) answers from there"


def _is_stopped(ev: Evidence, node: str) -> bool:
    """Its kube-proxy does not answer its health check, which that of the other node does."""
    results = {r.probe.path.node: r for r in ev.from_other_node(PathKind.PROXY_HEALTH)}
    mine, other = results.get(node), results.get(ev.other_node)
    return mine is not None and other is not None and mine.outcome is Outcome.REFUSED and bool(other.http_status)


def _health(ev: Evidence, node: str) -> Iterator[str]:
    """What kube-proxy says of itself; its silence counts only where that of the other node speaks."""
    results = {r.probe.path.node: r for r in ev.from_other_node(PathKind.PROXY_HEALTH)}
    mine, other = results.get(node), results.get(ev.other_node)
    if mine is None:
        return
    if mine.http_status == 200:
        yield f"kube-proxy of {node} calls itself healthy ({mine.probe.path.target})"
    elif mine.http_status:
        yield f"kube-proxy of {node} says {mine.http_status} at its health check {mine.probe.path.target}"
    elif other and other.http_status:
        yield (
            f"kube-proxy of {node} does not answer its health check {mine.probe.path.target} "
            f"({mine.outcome.value.replace('-', ' ')}), that of {ev.other_node} does"
        )


def _proxy_pods(ev: Evidence, node: str) -> list[Pod]:
    return [pod for pod in ev.snapshot.proxy_pods or () if pod.node == node]


def _proxy_pod_evidence(ev: Evidence, node: str) -> Iterator[str]:
    for pod in _proxy_pods(ev, node):
        if not pod.is_ready:
            yield f"{pod.meta.name} on {node} is not ready: {why_not_ready(pod, ev.snapshot)}"
    if ev.snapshot.proxy_pods and not _proxy_pods(ev, node):
        yield f"no kube-proxy pod runs on {node}, though {count(len(ev.snapshot.proxy_pods), 'pod')} of it run elsewhere"


def _proxy_fixes(ev: Evidence, node: str, proxy: str, everywhere: bool) -> Iterator[str]:
    pods = _proxy_pods(ev, node)
    if pods:
        yield ev.kubectl("kube-system", "logs", pods[0].meta.name, "--tail", "20")
        yield "if it hangs, its DaemonSet makes a new one in its place:"
        yield ev.kubectl("kube-system", "delete", "pod", pods[0].meta.name)
        return
    if proxy == "kube-proxy":
        yield f"kube-proxy of {node} is no pod; on the node: systemctl restart kube-proxy, or what else starts it there"
    yield ev.kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector", f"spec.nodeName={node}")
    yield f"shows the pods of the Service proxy on {node}, if it runs as pods"
    if not ev.other_node and not everywhere:
        yield "whether other nodes are hit too:"
        yield ev.kubectl.svcprobe(ev.service.namespace, ev.service.name, "--node", ev.another_node(node))


@rule(
    "SVC750",
    "pods-of-another-node-unreachable",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC703", "SVC731", *BEYOND),
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

    **How to confirm.** `kubectl svcprobe SERVICE --node NODE`, once on the node of the silent pod and once on another one.
    On both nodes, `tcpdump` at the port that is named shows whether packets leave and arrive.

    **Known exceptions.** A NetworkPolicy with blocks of addresses may admit one node's pods and not another's; where
    policies select the pods this is likely, and not certain. Where another node was not asked, nothing is said here.
    """
    service = ev.snapshot.service
    here = ev.probe.node if ev.probe else ""
    if service is None or not here:
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


@rule("SVC751", "node-is-cut-off", Severity.ERROR, reads={"Service"}, explains=("SVC903",), source=NETWORKING_DOC)
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
