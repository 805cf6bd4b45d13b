"""7xx: what the packets met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.expect import LOST
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.foretold import unread_policies
from kubectl_svcprobe.rules.meshes import wants_mutual_tls
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, POLICY_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: Everything beyond the endpoints, which cannot be better than they are.
BEYOND = ("SVC701", "SVC511", "SVC512", "SVC521", "SVC530", "SVC732")

VERBS = {
    Outcome.REFUSED: "refuses connections",
    Outcome.TIMED_OUT: "does not answer connection attempts",
    Outcome.UNREACHABLE: "cannot be routed to",
    Outcome.NO_ANSWER: "accepts connections and then does not answer",
    Outcome.RESET: "resets connections",
    Outcome.INTERMITTENT: "answers only some requests",
    Outcome.DNS_FAILED: "cannot be found by name",
    Outcome.TLS_FAILED: "fails the TLS handshake",
}


def _vantage(ev: Evidence) -> str:
    who = ev.snapshot.client.who
    return f"{who} on {ev.probe.node}" if ev.probe and ev.probe.node else who


def _all_fail_with(ev: Evidence, port: ServicePort, outcomes: set[Outcome]) -> Sequence[PathResult]:
    results = ev.offered_endpoints(port)
    return results if results and all(r.outcome in outcomes for r in results) else ()


@rule(
    "SVC702",
    "accepts-but-does-not-answer",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=BEYOND,
    source=DEBUG_SERVICE,
)
def accepts_but_does_not_answer(ev: Evidence) -> Iterator[Match]:
    """**What.** Every endpoint accepts the connection, and then says nothing, or closes or resets it.

    **Why it matters.** The whole way is open: it is the application. It hangs, is overloaded, or speaks something else than
    was asked.

    **How it is known.** Where the connection was closed or reset, the same endpoint was asked in other ways too: in plain
    text or by TLS, by HTTP/2 from the first byte, with a line of the PROXY protocol in front. If it had understood one of
    them, that would be the finding (SVC706, SVC707, SVC709). A mesh that wants mutual TLS is another one (SVC740).

    **Known exceptions.** A page that takes longer than `--timeout`. A port that is no web server: `--path` or its name
    made this tool ask by HTTP.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, and `curl -v` at the port that it prints. If it is as silent
    there, it is the application; if it answers there, something between the probe pod and the application takes the request.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        results = _all_fail_with(ev, port, {Outcome.NO_ANSWER, Outcome.RESET})
        if not results or ev.closer.understands(port) or wants_mutual_tls(ev, results):
            continue
        outcome = Counter(r.outcome for r in results).most_common(1)[0][0]
        first = results[0]
        pods = {pod.meta.name: pod for pod in ev.snapshot.pods}
        pod = pods.get(first.probe.path.subject)
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{ev.part(port)} accepts connections but does not answer: the network is fine, its application is not.",
            message=f"{_every(results, 'endpoint')} {VERBS[outcome]} ({first.probe.request} on port {first.probe.path.port}).",
            evidence=tuple(_silence_evidence(ev, port, results)),
            fix=tuple(_silence_fixes(ev, results, pod)),
        )


def _silence_evidence(ev: Evidence, port: ServicePort, results: Sequence[PathResult]) -> Iterator[str]:
    yield from dict.fromkeys(r.detail for r in results if r.detail)
    yield f"asked this way {results[0].probe.request.reason}"
    if others := [r for r in ev.closer.dialects if r.probe.path.service_port == port]:
        yield f"no answer to {listed((str(r.probe.request) for r in others), 4)} either"


def _silence_fixes(ev: Evidence, results: Sequence[PathResult], pod: Pod | None) -> Iterator[str]:
    service = ev.service
    if pod:
        yield ev.kubectl(pod.meta.namespace, "logs", pod.meta.name, "--all-containers", "--tail", "20")
    else:
        yield f"look at the application at {results[0].probe.path.target}"
    if any(o.is_silent for r in results for o in r.observations):
        yield "if it only takes its time, this waits longer:"
        yield ev.kubectl.svcprobe(service.namespace, service.name, "--timeout", "30s")
        yield "if another path answers sooner:"
        yield ev.kubectl.svcprobe(service.namespace, service.name, "--path", "/healthz")


def from_beside(ev: Evidence, port: ServicePort) -> list[str]:
    """Silent endpoints that are so for a pod of their own node too: it is not the way between the nodes."""
    silent = [
        r
        for r in ev.from_other_node(PathKind.ENDPOINT, port)
        if r.outcome in LOST and r.probe.path.node == ev.other_node
    ]
    names = listed(r.probe.path.subject for r in silent)
    return [f"{names} does not answer a pod on its own node {ev.other_node} either"] if silent else []


def _every(results: Sequence[PathResult], noun: str) -> str:
    return f"The only {noun}" if len(results) == 1 else f"Each of the {len(results)} {noun}s"


@rule(
    "SVC703",
    "endpoints-unreachable",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=BEYOND,
    source=POLICY_DOC,
)
def endpoints_unreachable(ev: Evidence) -> Iterator[Match]:
    """**What.** No endpoint answers the probe pod's connection attempts; the packets vanish.

    **Why it matters.** Something between the nodes and pods drops them: a NetworkPolicy of the network plug-in's own kind,
    a firewall, a broken tunnel; or, for endpoints that somebody wrote by hand, nothing is there.

    **How to confirm.** `kubectl svcprobe SERVICE --node NODE` on the node of one of the pods: what answers there is cut off
    on the way, what does not is the pod, or a policy on it.

    **Known exceptions.** Where NetworkPolicies do not admit the probe, that is named first (SVC601, SVC602, SVC603, SVC604).
    Where policies or pods could not be read, such a one may be the reason, and the verdict is unknown.

    **How to confirm.** `kubectl port-forward pod/POD :PORT` goes by the API server and the node: if the application answers
    there, it is the way between the pods. `ping` and `curl` from a pod of the same node tell the nodes' tunnel apart.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        results = _all_fail_with(ev, port, {Outcome.TIMED_OUT, Outcome.UNREACHABLE})
        if not results:
            continue
        nodes = sorted({r.probe.path.node for r in results if r.probe.path.node})
        by_hand = sorted({s.meta.name for s in ev.snapshot.slices if s.managed_by != "endpointslice-controller.k8s.io"})
        evidence = [
            f"asked from {_vantage(ev)}; the endpoints are on {listed(nodes)}"
            if nodes
            else f"asked from {_vantage(ev)}"
        ]
        evidence += from_beside(ev, port)
        if by_hand:
            evidence.append(
                f"EndpointSlice {listed(by_hand)} is not kept by the control plane: are its addresses still right?"
            )
        none = (
            "its only endpoint does not answer"
            if len(results) == 1
            else f"none of its {len(results)} endpoints answers"
        )
        unread = unread_policies(ev, results)
        if unread:
            evidence.append(f"a NetworkPolicy may be the reason, or a cut way: {unread} could not be read")
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{ev.part(port)} cannot be reached from {_vantage(ev)}: {none}"
            + (f"; a NetworkPolicy may be why, {unread} could not be read." if unread else "."),
            severity=Severity.UNKNOWN if unread else None,
            confidence=Confidence.POSSIBLE if unread else Confidence.CERTAIN,
            message=f"Connection attempts to {listed(r.probe.path.target for r in results)} were not answered.",
            evidence=tuple(evidence),
            fix=(ev.kubectl(service.namespace, "get", "endpointslice", by_hand[0], "-o", "yaml"),)
            if by_hand
            else (
                "look for what drops packets between pods: policies of the network plug-in, firewalls between nodes",
                ev.kubectl(service.namespace, "get", "networkpolicies"),
            ),
        )


@rule("SVC704", "http-error-status", Severity.WARNING, reads={"Service"}, explains=("SVC907",), source=DEBUG_SERVICE)
def http_error_status(ev: Evidence) -> Iterator[Match]:
    """**What.** The application answers with an HTTP status of 500 or above.

    **Why it matters.** The whole way from the client to the application works; the application itself, or a proxy in front
    of it, reports an error.

    **Known exceptions.** Statuses below 500 (redirects, 401, 404) are answers like any other: this tool asks for `/` or
    for the path of the pod's own probe, which need not exist for it. `--path` asks for another one.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `curl -i` at the port that it prints: the body and the log
    say what the application minds.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        results = [r for r in ev.offered_endpoints(port) if r.outcome is Outcome.HTTP_ERROR] or [
            r
            for r in (*ev.from_pod(PathKind.CLUSTER_IP, port), *ev.from_here(PathKind.NODE_PORT, port))
            if r.outcome is Outcome.HTTP_ERROR
        ]
        if not results:
            continue
        total = len(ev.offered_endpoints(port))
        statuses = listed(sorted({str(r.http_status) for r in results}))
        some = f"{len(results)} of its {total} endpoints {'answers' if len(results) == 1 else 'answer'}"
        who = "its application answers" if len(results) >= total else some
        pod = next((p for p in ev.snapshot.pods if p.meta.name == results[0].probe.path.subject), None)
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{ev.part(port)} can be reached, but {who} {statuses}.",
            message=f"{results[0].probe.request} on port {results[0].probe.path.port} was answered with {statuses}.",
            evidence=(f"from {listed((r.probe.path.subject or r.probe.path.target) for r in results)}",),
            fix=(ev.kubectl(pod.meta.namespace, "logs", pod.meta.name, "--all-containers", "--tail", "20"),)
            if pod
            else (),
        )
