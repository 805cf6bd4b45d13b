"""7xx, continued: between the client and the endpoints, the Service proxy of the client's node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.dataplane import Answer, Dataplane, Situation, situations
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.readiness import why_not_ready
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.expect import LOST
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.each_node import endpoints_from, fails, unexplained
from kubectl_svcprobe.rules.observed import VERBS
from kubectl_svcprobe.rules.rule import VIRTUAL_IPS, Match, rule
from kubectl_svcprobe.words import count, listed


@rule(
    "SVC701",
    "cluster-ip-does-not-answer",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC511", "SVC732", "SVC752"),
    source=VIRTUAL_IPS,
)
def cluster_ip_does_not_answer(ev: Evidence) -> Iterator[Match]:
    """**What.** The endpoints answer the probe pod, and the ClusterIP does not.

    **Why it matters.** Between the two is only the Service proxy of the client's node (kube-proxy, or what replaces it):
    it is stopped, behind, or ignores this Service.

    **What else is said.** From which nodes the ClusterIP answers: of all that were asked with `--all-nodes`, or of one other
    node. What does not fail everywhere is a matter of the nodes that are named, and of their Service proxies. Whether
    their kube-proxy answers its health check, port 10256, and whether its pod is ready. What a refusal, or silence, means
    for the dataplane of this cluster, where that could be read.

    **How to confirm.** `kubectl svcprobe SERVICE --all-nodes`. On the node itself, `curl localhost:10256/healthz` asks
    kube-proxy, and its log says when it last wrote its rules.

    **Known exceptions.** With `--one-pod`, and where a pod on another node could not run, only the node of the probe pod
    was asked. A node whose own firewall or container engine drops forwarded packets fails in the same way, while
    kube-proxy calls itself healthy. What `internalTrafficPolicy: Local` declares is no failure (SVC513).
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        if found := _of_all_nodes(ev, port) if ev.asked_nodes else _of_one_node(ev, port):
            yield _proxy_fails(ev, port, found)


@dataclass(frozen=True)
class _Found:
    """From which nodes it fails, one result of them, and the nodes that it answers. `is_whole`: more nodes than one other."""

    failed: PathResult
    nodes: tuple[str, ...]
    answering: tuple[str, ...]
    endpoints: int
    is_whole: bool = False

    @property
    def is_everywhere(self) -> bool:
        """No node that was asked gets an answer, and that is more than one."""
        return len(self.nodes) > 1 and not self.answering


def _of_one_node(ev: Evidence, port: ServicePort) -> _Found | None:
    tried = unexplained(ev, ev.from_pod(PathKind.CLUSTER_IP, port))
    failed = [r for r in tried if r.outcome is not Outcome.INTERMITTENT]
    endpoints = ev.offered_endpoints(port)
    if not (failed and endpoints and all(r.outcome.is_good for r in endpoints)):
        return None
    node, target = ev.probe.node if ev.probe else "", failed[0].probe.path.target
    there = [r for r in ev.from_other_node(PathKind.CLUSTER_IP, port) if r.probe.path.target == target]
    answers = any(r.outcome.is_good for r in there)
    fails_too = bool(there) and all(r.outcome.is_bad and r.outcome is not Outcome.INTERMITTENT for r in there)
    nodes = (node, ev.other_node) if fails_too else (node,)
    return _Found(failed[0], nodes, (ev.other_node,) if answers else (), len(endpoints))


def _of_all_nodes(ev: Evidence, port: ServicePort) -> _Found | None:
    """A node counts that reaches every endpoint; one that fails now and then only does where others do not."""
    for found in fails(ev, PathKind.CLUSTER_IP, port):
        mine = []
        for result in found.failed:
            endpoints = endpoints_from(ev, result.probe.node, port)
            is_proxy = bool(endpoints) and all(r.outcome.is_good for r in endpoints)
            if is_proxy and (found.answering or result.outcome is not Outcome.INTERMITTENT):
                mine.append(result)
        if mine:
            nodes = tuple(r.probe.node for r in mine)
            return _Found(mine[0], nodes, found.answering, len(endpoints_from(ev, nodes[0], port)), is_whole=True)
    return None


def nodes_with_failing_proxy(ev: Evidence, port: ServicePort) -> tuple[str, ...]:
    """The nodes of this finding, where several were asked."""
    found = _of_all_nodes(ev, port)
    return found.nodes if found else ()


def _proxy_fails(ev: Evidence, port: ServicePort, found: _Found) -> Match:
    how = VERBS.get(found.failed.outcome, found.failed.outcome.value)
    target, proxy = found.failed.probe.path.target, (ev.snapshot.dataplane or Dataplane()).name
    names = listed(found.nodes)
    fails_how = "fails now and then" if found.failed.outcome is Outcome.INTERMITTENT else "fails"
    directly = f"{count(found.endpoints, 'endpoint')} answered the probe pod on {found.nodes[0]} directly"
    answers = f"; from {listed(found.answering)} it answers." if found.answering else "."
    return Match(
        subject=ev.service.ref,
        port=port.port,
        headline=f"{ev.part(port)} {fails_how} at its ClusterIP {target}{_where(ev, found, names, proxy)}",
        message=f"{target} {how}, while {directly}{answers}",
        evidence=tuple(_proxy_evidence(ev, found)),
        fix=tuple(_proxy_fixes(ev, found, proxy)),
    )


def _where(ev: Evidence, found: _Found, names: str, proxy: str) -> str:
    stopped = [node for node in found.nodes if _is_stopped(ev, node)]
    if found.answering and stopped == list(found.nodes):
        return f" from {names} only, where kube-proxy is stopped."
    if found.answering:
        return f" from {names} only: look at {proxy} of {names}."
    if found.is_everywhere and found.is_whole:
        return f" from each of {len(found.nodes)} nodes, although its pods answer: no node seems to serve it."
    if found.is_everywhere:
        each = " and ".join(f"from {node}" for node in found.nodes)
        return f" {each}, although its pods answer: no node seems to serve it."
    return f", although its pods answer: look at {proxy} of {names}."


def _proxy_evidence(ev: Evidence, found: _Found) -> Iterator[str]:
    nodes = found.nodes[:3] if found.is_whole else found.nodes[:1]
    for node in nodes:
        yield from _health(ev, node)
        yield from _proxy_pod_evidence(ev, node)
    dataplane = ev.snapshot.dataplane or Dataplane()
    answer = Answer.REFUSED if found.failed.outcome is Outcome.REFUSED else Answer.SILENT
    among = (Situation.NO_ENDPOINT, Situation.UNKNOWN_PORT, Situation.UNKNOWN_SERVICE)
    is_plain = found.failed.outcome in (Outcome.REFUSED, *LOST)
    met = situations(dataplane.proxy, answer, among) if is_plain else ()
    if met and not any(_is_stopped(ev, node) for node in nodes):
        what = "a refusal" if answer is Answer.REFUSED else "silence"
        yield f"{what} of {dataplane.proxy.value} may mean that {', or that '.join(s.value for s in met)}"
    yield from _control(ev, found)


def _control(ev: Evidence, found: _Found) -> Iterator[str]:
    """Whether another Service answers from the same node."""
    tried = ev.of_node(found.nodes[0], PathKind.CONTROL) if found.is_whole else ev.from_pod(PathKind.CONTROL)
    controls = [r for r in tried if r.outcome.reached and r.probe.path.host[:1].isdigit()]
    controls = controls or [r for r in tried if r.outcome.reached]
    if controls:
        yield f"another Service ({controls[0].probe.path.subject}) answers from there"


def _is_stopped(ev: Evidence, node: str) -> bool:
    """Its kube-proxy does not answer its health check, which that of another node does."""
    results = ev.proxy_health()
    mine = results.get(node)
    return mine is not None and mine.outcome is Outcome.REFUSED and bool(_speaks(results, node))


def _speaks(results: dict[str, PathResult], node: str) -> str:
    """Another node whose kube-proxy answers its health check: only then does silence say something."""
    return next((name for name, r in sorted(results.items()) if name != node and r.http_status), "")


def _health(ev: Evidence, node: str) -> Iterator[str]:
    """What kube-proxy says of itself; its silence counts only where that of another node speaks."""
    results = ev.proxy_health()
    mine, other = results.get(node), _speaks(results, node)
    if mine is None:
        return
    if mine.http_status == 200:
        yield f"kube-proxy of {node} calls itself healthy ({mine.probe.path.target})"
    elif mine.http_status:
        yield f"kube-proxy of {node} says {mine.http_status} at its health check {mine.probe.path.target}"
    elif other:
        yield (
            f"kube-proxy of {node} does not answer its health check {mine.probe.path.target} "
            f"({mine.outcome.value.replace('-', ' ')}), that of {other} does"
        )


def _proxy_pods(ev: Evidence, node: str) -> list[Pod]:
    return [pod for pod in ev.snapshot.proxy_pods or () if pod.node == node]


def _proxy_pod_evidence(ev: Evidence, node: str) -> Iterator[str]:
    for pod in _proxy_pods(ev, node):
        if not pod.is_ready:
            yield f"{pod.meta.name} on {node} is not ready: {why_not_ready(pod, ev.snapshot)}"
    if ev.snapshot.proxy_pods and not _proxy_pods(ev, node):
        yield f"no kube-proxy pod runs on {node}, though {count(len(ev.snapshot.proxy_pods), 'pod')} of it run elsewhere"


def _proxy_fixes(ev: Evidence, found: _Found, proxy: str) -> Iterator[str]:
    node = found.nodes[0]
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
    if not ev.other_node and not found.is_whole and not found.is_everywhere:
        yield "whether other nodes are hit too:"
        yield ev.kubectl.svcprobe(ev.service.namespace, ev.service.name, "--all-nodes")
