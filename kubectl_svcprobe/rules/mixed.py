"""7xx, continued: some answer, and some do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.expect import why_expected
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules import apples
from kubectl_svcprobe.rules.each_node import answers_another_node, could_not_ask
from kubectl_svcprobe.rules.foretold import unread_policies
from kubectl_svcprobe.rules.observed import VERBS
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, VIRTUAL_IPS, Match, rule
from kubectl_svcprobe.rules.way_back import patched
from kubectl_svcprobe.words import count, listed


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

    **What else is said.** Which pods, what they share and the others have not (workload, node, zone, image, version), and
    about which share of the requests fails: of the clients, where the Service has session affinity.

    **Known exceptions.** With session affinity a client always meets the same endpoint. Topology-aware routing prefers
    endpoints near the client, so the share differs from node to node. Where policies or pods could not be read, and packets
    were dropped, a NetworkPolicy on some of the pods may be the reason, and the verdict is unknown.

    **How to confirm.** Ask each pod on its own: `kubectl get pods -l SELECTOR -o wide`, then `curl POD-IP:PORT` from a pod.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        results = ev.offered_endpoints(port)
        failed = [r for r in results if r.outcome.is_bad and not answers_another_node(ev, r)]
        if not failed or len(failed) == len(results) or all(r.outcome is Outcome.TLS_FAILED for r in failed):
            continue
        outcome = Counter(r.outcome for r in failed).most_common(1)[0][0]
        noun = count(len(results), "endpoint")
        # With session affinity it is clients that fail, and not requests.
        share = f"about {count(len(failed), 'client' if service.session_affinity == 'ClientIP' else 'request')} in {len(results)}"
        who = f"one of its {noun}" if len(failed) == 1 else f"{len(failed)} of its {noun}"
        verb = VERBS[outcome] if len(failed) == 1 else _plural(VERBS[outcome])
        subject = failed[0].probe.path.subject
        unread, group = unread_policies(ev, failed), apples.Apples(ev, failed, results)
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
            evidence=(*apples.evidence(group), *could_not_ask(ev, {r.probe.path.node for r in failed})),
            fix=tuple(apples.fixes(group)),
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


@rule("SVC732", "intermittent", Severity.WARNING, reads={"Service"}, source=VIRTUAL_IPS)
def intermittent(ev: Evidence) -> Iterator[Match]:
    """**What.** The same way in answered some requests and failed others, while every endpoint answered on its own.

    **Why it matters.** Something on the way loses requests: a Service proxy that is behind after a change, a rollout in
    progress, a full connection table.

    **What else is said.** Pods that are being deleted just now: a server that ends before the Service proxies have taken
    it out loses requests, unless it waits a little (a preStop sleep) and ends what it began.

    **Known exceptions.** A new pod's first second may fail where the network plug-in is still setting it up; that is said,
    and then it is no fault of the Service.

    **How to confirm.** Ask in a loop from a pod: `while sleep 0.2; do curl -so /dev/null -w '%{http_code}\\n' NAME; done`.
    """
    service = ev.snapshot.service
    if service is None:
        return
    mixed = [
        r
        for r in ev.results
        if r.outcome is Outcome.INTERMITTENT
        and r.probe.vantage not in (Vantage.OTHER_NODE, Vantage.API_SERVER)
        and r.probe.path.kind is not PathKind.CONTROL
        and not why_expected(ev.snapshot, r, ev.results)
    ]
    if not mixed:
        return
    is_early = all(r.failed_only_early for r in mixed)
    leaving = [pod for pod in ev.snapshot.pods if pod.is_terminating]
    when = "at first, and fine a moment later" if is_early else "now and then"
    paths = listed(dict.fromkeys(f"{r.probe.path.kind.value} {r.probe.path.target}" for r in mixed))
    nodes = list(dict.fromkeys(r.probe.node for r in mixed)) if ev.asked_nodes else []
    where = f" from {listed(nodes)}" if nodes and len(nodes) < len(ev.asked_nodes) else ""
    yield Match(
        subject=service.ref,
        headline=f"{service.name} fails {when} at {paths}{where}.",
        message=f"{paths} answered some requests and failed others.",
        evidence=(
            *(f"{r.probe.path.target} from {_vantage(ev, r)}: {r.detail}" for r in mixed[:5]),
            *((f"{listed(p.meta.name for p in leaving)} {_is(leaving)} being deleted just now",) if leaving else ()),
        ),
        fix=(*_end_gracefully(ev, leaving), ev.kubectl.svcprobe(service.namespace, service.name)),
        severity=Severity.INFO if is_early else None,
    )


def _vantage(ev: Evidence, result: PathResult) -> str:
    """Where it was asked from; one of several nodes by its name."""
    return f"a pod on {result.probe.node}" if ev.asked_nodes and result.probe.node else result.probe.vantage.value


def _is(pods: Sequence[Pod]) -> str:
    return "is" if len(pods) == 1 else "are"


def _end_gracefully(ev: Evidence, leaving: Sequence[Pod]) -> Iterator[str]:
    """A pause before the end lets the Service proxies take a pod out first."""
    if leaving and leaving[0].containers:
        sleep = {"preStop": {"sleep": {"seconds": 10}}}
        body = {"containers": [{"name": leaving[0].containers[0].name, "lifecycle": sleep}]}
        yield "if it happens with every rollout, let containers wait before they end, so that nobody is sent there any more:"
        yield from patched(ev, leaving[0].workload, body)
