"""602: NetworkPolicies that admit nobody at all to the port that a Service leads to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.policy import Answer, PolicyPort
from kubectl_svcprobe.facts.traffic import INGRESS, End, RuleAnswer, Side, decide
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.foretold import Foretold, confidence, kept_out, plugins, probe_end
from kubectl_svcprobe.rules.policies import (
    BECAUSE,
    CONSEQUENCES,
    admit_namespace,
    lost_in_words,
    names_of,
    openings_of,
    separating_test,
    subject_of,
)
from kubectl_svcprobe.rules.policy_words import where, whom
from kubectl_svcprobe.rules.rule import POLICY_DOC, Match, rule
from kubectl_svcprobe.words import listed


@rule(
    "SVC602",
    "network-policy-admits-nobody",
    Severity.ERROR,
    reads={"Service", "NetworkPolicy"},
    explains=CONSEQUENCES,
    source=POLICY_DOC,
)
def network_policy_admits_nobody(ev: Evidence) -> Iterator[Match]:
    """**What.** NetworkPolicies select the pods behind the Service, and no rule of theirs admits anybody to the port that the
    Service leads to: there is no rule at all (a default deny without a second policy that admits), or the rules name other
    ports.

    **Why it matters.** Then no other pod gets an answer. A frequent reason is the Service's own port in the rule: policies
    are about the port of the pods, which is `targetPort`.

    **Known exceptions.** A node may always reach its own pods, so their readiness probes succeed. Policies of the network
    plug-in's own kinds may admit what NetworkPolicies do not: where the cluster knows such kinds, it is a warning. So it is
    where the Service's other ports are admitted. Where no packet was tried it is information: not every network plug-in
    enforces policies.

    **How to confirm.** `kubectl describe networkpolicy`; then compare its ports with `kubectl get endpointslices`.
    """
    if ev.snapshot.service is None:
        return
    for port in ev.service.ports:
        lost = kept_out(ev, port, INGRESS)
        if lost and not any(f.side(INGRESS).admits is not Answer.NO or openings_of(f.side(INGRESS)) for f in lost):
            yield _nobody(ev, port, lost)
        elif not lost and ev.probe is None:
            yield from _nobody_untried(ev, port)


def _nobody(ev: Evidence, port: ServicePort, lost: Sequence[Foretold]) -> Match:
    side, server, sure = lost[0].side(INGRESS), lost[0].server, confidence(ev, lost, INGRESS)
    number = lost[0].result.probe.path.port
    mild = bool(plugins(ev)) or _opens_another_port(ev, side, port, server)
    return Match(
        subject=ev.service.ref,
        port=port.port,
        headline=f"{subject_of(ev, port, lost)} cannot be reached, {BECAUSE[sure]} NetworkPolicy {names_of(side)} "
        f"admits nobody to port {number} of its pods.",
        message=f"{_why_nobody(ev, side, server, port, number)}, so no other pod gets in"
        + ("." if sure is Confidence.CERTAIN else ": probably why connections are dropped."),
        evidence=tuple(lost_in_words(ev, lost)),
        fix=(*_open(ev, lost, port, side, server), *separating_test(ev, sure, lost)),
        severity=Severity.WARNING if mild else None,
        confidence=sure,
    )


def _nobody_untried(ev: Evidence, port: ServicePort) -> Iterator[Match]:
    """Without a packet: what the objects alone say, if they say it of every pod."""
    client, around = probe_end(ev), ev.snapshot.around
    sides = []
    for joined in ev.snapshot.usable(port):
        if joined.pod is None:
            return
        server = End.of_pod(joined.pod, around.namespaces.get(joined.pod.meta.namespace), joined.endpoint.address)
        side = decide(ev.snapshot.policies, client, server, joined.port, port.protocol).ingress
        if side.admits is not Answer.NO or openings_of(side):
            return
        sides.append((side, server, joined.port))
    if not sides or plugins(ev):
        return
    side, server, number = sides[0]
    policy = side.isolating[0].meta.name
    yield Match(
        subject=ev.service.ref,
        port=port.port,
        headline=f"{ev.part(port)} may be out of reach: "
        f"NetworkPolicy {names_of(side)} admits nobody to port {number} of its pods.",
        message=f"{_why_nobody(ev, side, server, port, number)}; no packet was tried, and it may not be enforced here.",
        fix=(ev.kubectl(ev.service.namespace, "describe", "networkpolicy", policy),),
        severity=Severity.INFO,
        confidence=Confidence.POSSIBLE,
    )


def _why_nobody(ev: Evidence, side: Side, server: End, port: ServicePort, number: int) -> str:
    """In one clause: no rule, the Service's port, a name that no container declares, other ports."""
    name = names_of(side)
    if not side.rules:
        return f"{name} selects the pods of {ev.service.name} and has no ingress rule"
    if slip := _slip(side, server, port, number):
        return (
            f"{name} opens port {slip[2]}, which is the Service's port and not the {number} of its pods"
            if slip[2].port == port.port
            else f"{name} opens port {slip[2]}, a name that leads to no {number} in these pods"
        )
    opened = listed(dict.fromkeys(where(answer.rule) for answer in side.rules))
    return f"{name} opens {opened} of the pods of {ev.service.name}, and not {number}"


def _slip(side: Side, server: End, port: ServicePort, number: int) -> tuple[RuleAnswer, int, PolicyPort] | None:
    """A port in a rule that was meant to be this one: the Service's own, or a name that no container has."""
    for answer in side.rules:
        for index, admitted in enumerate(answer.rule.ports):
            is_service_port = admitted.port == port.port != number and not admitted.end
            is_name = isinstance(admitted.port, str) and not server.named_ports.get(port.protocol, {}).get(
                admitted.port
            )
            if admitted.protocol == port.protocol and (is_service_port or is_name):
                return answer, index, admitted
    return None


def _opens_another_port(ev: Evidence, side: Side, port: ServicePort, server: End) -> bool:
    """Whether the policies open another port of the Service at these pods, and this one was perhaps left out on purpose."""
    others = [e.port for p in ev.service.ports if p != port for e in ev.snapshot.usable(p)]
    named = server.named_ports
    return any(
        not answer.rule.ports or any(p.covers(n, p.protocol, named.get(p.protocol, {})) for p in answer.rule.ports)
        for answer in side.rules
        for n in others
    )


def _open(ev: Evidence, lost: Sequence[Foretold], port: ServicePort, side: Side, server: End) -> Iterator[str]:
    """Put the right port into the rule that has a wrong one; else admit the namespace."""
    number = lost[0].result.probe.path.port
    slip = _slip(side, server, port, number)
    if slip is None:
        yield from admit_namespace(ev, lost, port)
        return
    answer, index, wrong = slip
    path = f"/spec/ingress/{answer.index}/ports/{index}/port"
    name = answer.policy.meta.name
    yield ev.kubectl.json_patch(ev.service.namespace, "networkpolicy", name, path, number)
    yield f"this opens {number} instead of {wrong.port} to {whom(answer.rule, answer.policy.meta.namespace)}"
