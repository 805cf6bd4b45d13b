"""What a load balancer hears when it asks the nodes whether they have an endpoint of their own."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import LOAD_BALANCER_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: Seconds after a pod became ready or not for which a node may not have heard of it.
SETTLING = 20.0


def _is_settling(ev: Evidence) -> bool:
    """Whether the endpoints have just changed, so that a node's answer may be about those before."""
    changes = (pod.conditions.get("Ready") for pod in ev.snapshot.pods)
    return any(c is not None and ev.age(c.since) < SETTLING for c in changes) or any(
        pod.is_terminating for pod in ev.snapshot.pods
    )


def _ready_nodes(ev: Evidence) -> frozenset[str]:
    """The nodes with a ready endpoint: what kube-proxy counts (pkg/proxy/endpointschangetracker.go)."""
    return frozenset(e.node for e in ev.snapshot.all_endpoints() if e.ready and e.node)


@rule(
    "SVC517",
    "health-check-disagrees",
    Severity.WARNING,
    reads={"Service", "EndpointSlice"},
    source=LOAD_BALANCER_DOC,
)
def health_check_disagrees(ev: Evidence) -> Iterator[Match]:
    """**What.** Under `externalTrafficPolicy: Local` a load balancer asks each node, at `healthCheckNodePort`, whether it has
    an endpoint of its own. A node gives another answer than the EndpointSlices.

    **Why it matters.** A node that says no gets no traffic, though it could serve it; a node that says yes and has none
    drops what it gets.

    **How it is known.** A pod asked the nodes. 200 means "yes", 503 "no".

    **Known exceptions.** For a moment after a change the nodes may not have heard of it: with pods that have just become
    ready, or are about to end, nothing is said. A kube-proxy that is not well says no as well.

    **How to confirm.** `curl http://NODE:HEALTHCHECKNODEPORT/` shows the number of endpoints that the node knows.
    """
    service = ev.snapshot.service
    if service is None or _is_settling(ev):
        return
    ready = _ready_nodes(ev)
    asked = ev.from_pod(PathKind.HEALTH_CHECK)
    denied = [r for r in asked if r.http_status == 503 and r.probe.path.node in ready]
    claimed = [r for r in asked if r.http_status == 200 and r.probe.path.node not in ready]
    for results, says, truth in ((denied, "no endpoint", "one"), (claimed, "an endpoint", "none")):
        if not results:
            continue
        nodes, is_one = listed(dict.fromkeys(r.probe.path.node for r in results)), len(results) == 1
        they = "it has" if is_one else "they have"
        yield Match(
            subject=service.ref,
            headline=f"{nodes} {'tells' if is_one else 'tell'} load balancers that {they} {says} of {service.name}; by its "
            f"EndpointSlices {they} {truth} that is ready.",
            message=f"Asked at health check node port {service.health_check_node_port}, {nodes} "
            f"{'answers' if is_one else 'answer'} {results[0].http_status}; by the EndpointSlices {they} {truth} that is ready.",
            fix=(
                f"look at the Service proxy of {results[0].probe.path.node}:",
                ev.kubectl("kube-system", "logs", "-l", "k8s-app=kube-proxy", "--tail", "20", "--prefix"),
            ),
        )


@rule(
    "SVC518",
    "health-check-refused",
    Severity.WARNING,
    reads={"Service", "EndpointSlice"},
    source=LOAD_BALANCER_DOC,
)
def health_check_refused(ev: Evidence) -> Iterator[Match]:
    """**What.** A node with an endpoint of the Service refuses at its `healthCheckNodePort`, where a load balancer asks
    whether it may send traffic there.

    **Why it matters.** A load balancer that gets no answer leaves the node out. Without any node left it has nowhere to
    send to.

    **How it is known.** A pod asked every node, and was refused.

    **Known exceptions.** Some load balancers, MetalLB among them, do not ask there. What replaces kube-proxy may not
    serve that port, so it is likely and not certain that this matters.

    **How to confirm.** `curl http://NODE:HEALTHCHECKNODEPORT/` from another machine of that network.
    """
    service = ev.snapshot.service
    if service is None or _is_settling(ev):
        return
    ready = _ready_nodes(ev)
    failed = [
        r for r in ev.from_pod(PathKind.HEALTH_CHECK) if r.outcome is Outcome.REFUSED and r.probe.path.node in ready
    ]
    if not failed:
        return
    nodes = listed(dict.fromkeys(r.probe.path.node for r in failed))
    answers_here = any(r.outcome.is_good for r in ev.from_here(PathKind.LOAD_BALANCER))
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is likely left out by load balancers at {nodes}: its health check node port "
        f"{service.health_check_node_port} refuses there.",
        message=f"{nodes} {'has' if len(failed) == 1 else 'have'} an endpoint of {service.name}, and "
        f"{'refuses' if len(failed) == 1 else 'refuse'} at health check node port {service.health_check_node_port}, where load "
        "balancers likely ask.",
        fix=(
            f"look at the Service proxy of {failed[0].probe.path.node}:",
            ev.kubectl("kube-system", "get", "pods", "-l", "k8s-app=kube-proxy", "-o", "wide"),
        ),
        severity=Severity.INFO if answers_here else None,
        confidence=Confidence.LIKELY,
    )
