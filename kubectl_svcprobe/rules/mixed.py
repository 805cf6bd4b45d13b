"""7xx, continued: some answer, and some do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.expect import LOST, why_expected
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.foretold import unread_policies
from kubectl_svcprobe.rules.observed import VERBS
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, VIRTUAL_IPS, Match, rule
from kubectl_svcprobe.words import count, labels, listed


@rule(
    "SVC731",
    "endpoint-fails",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC732", "SVC206", "SVC304", "SVC701", "SVC511", "SVC512", "SVC521", "SVC530"),
    source=DEBUG_SERVICE,
)
def endpoint_fails(ev: Evidence) -> Iterator[Match]:
    """**What.** Some endpoints answer the probe pod, and others do not.

    **Why it matters.** Traffic is spread over all endpoints, so a share of the requests fails, for everybody, at random.
    Often the selector catches a second workload, or one pod is broken and has no readiness probe that says so.

    **What else is said.** Which pods, on which nodes, what made them, and about which share of the requests fails.

    **Known exceptions.** With session affinity a client always meets the same endpoint. Topology-aware routing prefers
    endpoints near the client, so the share differs from node to node. Where policies or pods could not be read, and packets
    were dropped, a NetworkPolicy on some of the pods may be the reason, and the verdict is unknown.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        results = ev.offered_endpoints(port)
        failed = [r for r in results if r.outcome.is_bad]
        if not failed or len(failed) == len(results) or all(r.outcome is Outcome.TLS_FAILED for r in failed):
            continue
        outcome = Counter(r.outcome for r in failed).most_common(1)[0][0]
        noun = count(len(results), "endpoint")
        share = f"about {len(failed)} request{'s' if len(failed) > 1 else ''} in {len(results)}"
        who = f"one of its {noun}" if len(failed) == 1 else f"{len(failed)} of its {noun}"
        verb = VERBS[outcome] if len(failed) == 1 else _plural(VERBS[outcome])
        subject = failed[0].probe.path.subject
        unread = unread_policies(ev, failed)
        yield Match(
            subject=ObjectRef("Pod", service.namespace, subject),
            port=port.port,
            headline=f"{ev.part(port)} fails for {share}: {who} {verb}"
            + (f"; a NetworkPolicy may be why, {unread} could not be read." if unread else "."),
            severity=Severity.UNKNOWN if unread else None,
            confidence=Confidence.POSSIBLE if unread else Confidence.CERTAIN,
            message=f"{listed(r.probe.path.subject for r in failed)} {verb} at port {failed[0].probe.path.port}; "
            + (
                "the other one answers."
                if len(results) - len(failed) == 1
                else f"the other {len(results) - len(failed)} answer."
            ),
            evidence=tuple(_apple_evidence(ev, failed, results)),
            fix=tuple(_apple_fixes(ev, failed, results)),
        )


def _plural(verb: str) -> str:
    """`refuses connections` for several: `refuse connections`."""
    for singular, plural in (
        ("refuses", "refuse"),
        ("does not", "do not"),
        ("accepts", "accept"),
        ("resets", "reset"),
        ("answers", "answer"),
        ("fails", "fail"),
    ):
        verb = verb.replace(singular, plural)
    return verb


def _pods_of(ev: Evidence, results: Sequence[PathResult]) -> list[Pod]:
    names = {r.probe.path.subject for r in results}
    return [pod for pod in ev.snapshot.pods if pod.meta.name in names]


def _strangers(ev: Evidence, failed: Sequence[PathResult], results: Sequence[PathResult]) -> list[ObjectRef]:
    """The workloads that only failing pods belong to, where the others belong to other workloads."""
    bad = {pod.workload for pod in _pods_of(ev, failed)}
    good = {pod.workload for pod in _pods_of(ev, [r for r in results if r.outcome.is_good])}
    return sorted(bad) if bad and good and not bad & good else []


def _only_node(failed: Sequence[PathResult], results: Sequence[PathResult]) -> str:
    """The node that all failing endpoints and no other ones are on; empty where there is none."""
    nodes = {r.probe.path.node for r in failed}
    others = {r.probe.path.node for r in results if r.outcome.is_good}
    return next(iter(nodes)) if len(nodes) == 1 and nodes.isdisjoint(others) else ""


def _apple_evidence(ev: Evidence, failed: Sequence[PathResult], results: Sequence[PathResult]) -> Iterator[str]:
    strangers = _strangers(ev, failed, results)
    if strangers:
        others = sorted({pod.workload for pod in _pods_of(ev, [r for r in results if r.outcome.is_good])})
        yield (
            f"what fails belongs to {listed(map(str, strangers))}, what answers to {listed(map(str, others))}; "
            f"{labels(ev.service.selector)} matches both"
        )
    if name := _only_node(failed, results):
        node = ev.snapshot.node(name)
        yield f"all of them, and no other, are on {name}" + (
            "" if node is None or node.is_ready else ", which is not ready"
        )
    if near := _near_only(ev):
        yield f"{near}, so clients near what fails meet it more often than others"
    pods = _pods_of(ev, failed)
    declared = sorted({port.number for pod in pods for container in pod.containers for port in container.ports})
    if declared and failed[0].probe.path.port not in declared:
        yield f"their containers declare port {listed(map(str, declared))}, not {failed[0].probe.path.port}"
    if pods and not any(container.has_readiness_probe for pod in pods for container in pod.containers):
        yield "no readiness probe, so they get traffic whether they answer or not"


def _near_only(ev: Evidence) -> str:
    """What makes traffic stay near its client, if anything does."""
    if ev.service.traffic_distribution:
        return f"trafficDistribution is {ev.service.traffic_distribution}"
    mode = "service.kubernetes.io/topology-mode"
    return f"{mode} is {ev.service.meta.annotations[mode]}" if mode in ev.service.meta.annotations else ""


def _apple_fixes(ev: Evidence, failed: Sequence[PathResult], results: Sequence[PathResult]) -> Iterator[str]:
    namespace, subject = ev.service.namespace, failed[0].probe.path.subject
    strangers = _strangers(ev, failed, results)
    if strangers:
        yield (
            f"if {strangers[0]} is meant to serve {ev.service.name}, correct its port and give it a readiness probe; "
            f"if not, its pods need other labels than {labels(ev.service.selector)}:"
        )
        yield ev.kubectl(namespace, "edit", strangers[0].kind.lower(), strangers[0].name)
    elif (node := _only_node(failed, results)) and all(r.outcome in LOST for r in failed):
        # The logs of a pod on a dead node only hang.
        yield ev.kubectl("", "describe", "node", node)
    elif _pods_of(ev, failed):
        yield ev.kubectl(namespace, "describe", "pod", subject)
        yield ev.kubectl(namespace, "logs", subject, "--all-containers", "--tail", "20")
    else:
        yield f"look at what is behind {failed[0].probe.path.target}"


@rule("SVC732", "intermittent", Severity.WARNING, reads={"Service"}, source=VIRTUAL_IPS)
def intermittent(ev: Evidence) -> Iterator[Match]:
    """**What.** The same way in answered some requests and failed others, while every endpoint answered on its own.

    **Why it matters.** Something on the way loses requests: a Service proxy that is behind after a change, a rollout in
    progress, a full connection table.

    **Known exceptions.** A new pod's first second may fail where the network plug-in is still setting it up; that is said
    said, and then it is no fault of the Service.
    """
    service = ev.snapshot.service
    if service is None:
        return
    mixed = [
        r
        for r in ev.results
        if r.outcome is Outcome.INTERMITTENT
        and r.probe.vantage is not Vantage.OTHER_NODE
        and r.probe.path.kind is not PathKind.CONTROL
        and not why_expected(ev.snapshot, r, ev.results)
    ]
    if not mixed:
        return
    is_early = all(r.failed_only_early for r in mixed)
    when = "at first, and fine a moment later" if is_early else "now and then"
    paths = listed(f"{r.probe.path.kind.value} {r.probe.path.target}" for r in mixed)
    yield Match(
        subject=service.ref,
        headline=f"{service.name} fails {when} at {paths}.",
        message=f"{paths} answered some requests and failed others.",
        evidence=tuple(f"{r.probe.path.target} from {r.probe.vantage.value}: {r.detail}" for r in mixed[:5]),
        fix=(ev.kubectl.svcprobe(service.namespace, service.name),),
        severity=Severity.INFO if is_early else None,
    )
