"""What NetworkPolicies foretell of each connection that was tried, beside what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.policy import Answer
from kubectl_svcprobe.facts.traffic import INGRESS, Decision, End, Side, decide
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence
from kubectl_svcprobe.words import listed

#: What a packet that no policy admits looks like.
DROPPED = (Outcome.TIMED_OUT, Outcome.UNREACHABLE)

#: API groups of network plug-ins that enforce NetworkPolicies and bring policies of their own: kinds as kubectl takes them.
PLUGINS = {
    "cilium.io": ("Cilium", ("ciliumnetworkpolicies", "ciliumclusterwidenetworkpolicies")),
    "crd.projectcalico.org": (
        "Calico",
        ("networkpolicies.crd.projectcalico.org", "globalnetworkpolicies.crd.projectcalico.org"),
    ),
    "crd.antrea.io": ("Antrea", ("networkpolicies.crd.antrea.io", "clusternetworkpolicies.crd.antrea.io")),
    "policy.networking.k8s.io": (
        "the cluster's administrators",
        ("adminnetworkpolicies", "baselineadminnetworkpolicies"),
    ),
}


@dataclass(frozen=True)
class Foretold:
    """A result of the probe pod, and what the policies say to that connection."""

    result: PathResult
    server: End
    decision: Decision

    def side(self, direction: str) -> Side:
        """What the policies of one end say."""
        return self.decision.ingress if direction == INGRESS else self.decision.egress

    @property
    def is_dropped(self) -> bool:
        """No packet came back."""
        return self.result.outcome in DROPPED


def probe_end(ev: Evidence, address: str = "") -> End:
    """The probe pod as a policy sees it; its address is the one of the same family as `address`."""
    ips = ev.probe.ips if ev.probe else ()
    own = next((ip for ip in ips if (":" in ip) == (":" in address)), "") if address else ""
    namespace = ev.snapshot.client_namespace
    node = ev.probe.node if ev.probe else ""
    client, labels = ev.snapshot.client, ev.snapshot.around.namespaces.get(namespace)
    return End(namespace, client.labels, labels, own, node=node, name=client.who)


def foretell(ev: Evidence, port: ServicePort) -> tuple[Foretold, ...]:
    """Each endpoint of a port that gets traffic and was tried from the pod, also from one that reaches nothing."""
    pods = {e.endpoint.address: e.pod for e in ev.snapshot.endpoints_of(port)}
    labels = ev.snapshot.around.namespaces.get(ev.snapshot.namespace)
    found = []
    for result in ev.results:
        path = result.probe.path
        is_asked = path.kind is PathKind.ENDPOINT and path.service_port == port and path.is_offered
        if not is_asked or result.probe.vantage is not Vantage.POD or result.outcome is Outcome.NOT_RUN:
            continue
        pod = pods.get(path.host)
        server = End.of_pod(pod, labels, path.host) if pod else End(address=path.host)
        client = probe_end(ev, path.host)
        found.append(Foretold(result, server, decide(ev.snapshot.policies, client, server, path.port, port.protocol)))
    return tuple(found)


def kept_out(ev: Evidence, port: ServicePort, direction: str) -> tuple[Foretold, ...]:
    """The endpoints that were lost and that the policies of one end do not admit; if none for certain, not surely admit.

    Nothing where one of them answered all the same: then the policies are not what decides.
    """
    found = foretell(ev, port)
    if is_contradicted(found, direction):
        return ()
    lost = tuple(f for f in found if f.is_dropped)
    return tuple(f for f in lost if f.side(direction).admits is Answer.NO) or tuple(
        f for f in lost if f.side(direction).admits is Answer.UNKNOWN
    )


def is_contradicted(found: Iterable[Foretold], direction: str) -> bool:
    """Whether an answer came from where the policies of one end certainly admit nothing: then they are not enforced."""
    return any(f.result.outcome.reached and f.side(direction).admits is Answer.NO for f in found)


def confidence(ev: Evidence, lost: Sequence[Foretold], direction: str) -> Confidence:
    """How surely the policies are what lost the packets.

    Certain where the cluster has a network plug-in that enforces them, and where nothing else lies between: on the pod's
    own node, or where what the policies do admit came through.
    """
    if any(f.side(direction).admits is not Answer.NO for f in lost):
        return Confidence.POSSIBLE
    is_certain = _is_local(ev, lost) or plugins(ev) or _is_the_difference(ev, lost)
    return Confidence.CERTAIN if is_certain else Confidence.LIKELY


def _is_local(ev: Evidence, lost: Sequence[Foretold]) -> bool:
    """Whether one was lost on its own node: to the probe pod, or to a second one that asked from there."""
    here = ev.probe.node if ev.probe else ""
    there = {
        (r.probe.path.host, r.probe.path.port)
        for port in ev.service.ports
        for r in ev.from_other_node(PathKind.ENDPOINT, port)
        if ev.probe and r.probe.path.node == ev.probe.other_node and r.outcome in DROPPED
    }
    return any(
        (f.server.node and f.server.node == here) or (f.result.probe.path.host, f.result.probe.path.port) in there
        for f in lost
    )


def _is_the_difference(ev: Evidence, lost: Sequence[Foretold]) -> bool:
    """Whether the same pods, or others on their nodes, answer where the policies admit: then the way there is sound."""
    pods = {f.server.name for f in lost}
    nodes = {f.server.node for f in lost if f.server.node}
    return any(
        f.result.outcome.reached
        and f.decision.admits is Answer.YES
        and (f.server.name in pods or f.server.node in nodes)
        for port in ev.service.ports
        for f in foretell(ev, port)
    )


def plugins(ev: Evidence) -> tuple[str, ...]:
    """The API groups of network plug-ins with policies of their own that this cluster knows."""
    return tuple(group for group in PLUGINS if group in ev.snapshot.api_groups)


def other_kinds(ev: Evidence) -> tuple[str, ...]:
    """The kinds of policy beside NetworkPolicy that may be there, as kubectl takes them."""
    return tuple(kind for group in plugins(ev) for kind in PLUGINS[group][1])


def unread_policies(ev: Evidence, results: Iterable[PathResult]) -> str:
    """What could not be read of policies and the pods they select, where results look as if policies were the reason."""
    missing = listed(u.what for u in ev.snapshot.unread if u.kind in ("NetworkPolicy", "Pod"))
    return missing if all(r.outcome in DROPPED for r in results) else ""
