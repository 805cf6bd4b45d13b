"""60x: NetworkPolicies at the Service's pods: whom they keep out, and whether anybody is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.policy import NAMESPACE_NAME, Answer
from kubectl_svcprobe.facts.traffic import INGRESS, End, RuleAnswer, Side, decide
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.foretold import Foretold, confidence, kept_out, other_kinds, probe_end
from kubectl_svcprobe.rules.near_peers import NearMiss, near_miss
from kubectl_svcprobe.rules.observed import BEYOND
from kubectl_svcprobe.rules.policy_words import added, admitting_rule, narrowest, whom, why_not
from kubectl_svcprobe.rules.rule import POLICY_DOC, Match, rule
from kubectl_svcprobe.words import count, listed

#: Workloads that `--from` takes.
CLIENT_KINDS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob")

#: What a policy at the pods is the cause of.
CONSEQUENCES = ("SVC703", "SVC731", *BEYOND)

WHY = {
    Confidence.CERTAIN: "which is why",
    Confidence.LIKELY: "which is probably why",
    Confidence.POSSIBLE: "which is possibly why",
}

BECAUSE = {
    Confidence.CERTAIN: "because",
    Confidence.LIKELY: "probably because",
    Confidence.POSSIBLE: "possibly because",
}


def openings_of(side: Side) -> tuple[RuleAnswer, ...]:
    """The rules that admit anybody at all to the port."""
    return tuple(answer for answer in side.rules if answer.port is not Answer.NO)


def exists(ev: Evidence, opening: RuleAnswer) -> Answer:
    """Whether a rule admits anything that there is."""
    around = ev.snapshot.around
    return max((around.exists(peer, opening.policy) for peer in opening.rule.peers), default=Answer.YES)


def names_of(side: Side) -> str:
    """The policies that select an end, as a noun."""
    return listed(sorted(policy.meta.name for policy in side.isolating))


def lost_in_words(ev: Evidence, lost: Sequence[Foretold]) -> Iterator[str]:
    """What was seen, and what each rule says to it."""
    first = lost[0]
    who = listed(f.server.name for f in lost)
    node = f" on {ev.probe.node}" if ev.probe and ev.probe.node else ""
    client = ev.snapshot.client.who
    yield f"connections from {client}{node} to {who} were dropped"
    yield from why_not(
        first.side(INGRESS), probe_end(ev, first.server.address), first.server, first.result.probe.path.port
    )
    if first.decision.egress.admits is Answer.NO:
        yield f"NetworkPolicy {names_of(first.decision.egress)} does not let {client} out to them either"
    if kinds := other_kinds(ev):
        yield f"policies of other kinds ({listed(kinds)}) may admit or refuse more"


def separating_test(ev: Evidence, sure: Confidence, lost: Sequence[Foretold]) -> Iterator[str]:
    """What tells a policy from a broken way between nodes: the same question on the pod's own node."""
    node = lost[0].server.node
    if sure is Confidence.CERTAIN or not node:
        return
    yield f"the way to {node} may be cut as well; if a probe pod on {node} gets an answer, that is it, and not the policy:"
    yield ev.kubectl.svcprobe(ev.service.namespace, ev.service.name, "--node", node)


def admit_namespace(ev: Evidence, lost: Sequence[Foretold], port: ServicePort) -> Iterator[str]:
    """The patch that admits the pods of the probe's namespace, and what it changes."""
    number, namespace = lost[0].result.probe.path.port, ev.snapshot.client_namespace
    policy = narrowest(lost[0].side(INGRESS).isolating, INGRESS)
    rule = admitting_rule(INGRESS, [peer_of(ev, {"podSelector": {}})], (number, port.protocol))
    yield ev.kubectl.json_patches(
        ev.service.namespace, "networkpolicy", policy.meta.name, *added(policy, INGRESS, rule)
    )
    whose = f"all pods of {namespace}" if policy.pods.is_empty else f"the pods {policy.pods}"
    yield f"this admits all pods of {namespace} to port {number} of {whose}; name your clients' labels instead if you can"


def peer_of(ev: Evidence, peer: Mapping[str, Any]) -> dict[str, Any]:
    """A peer in the client's namespace, as a policy of the Service's has to name it."""
    if ev.snapshot.client_namespace == ev.service.namespace:
        return dict(peer)
    where = {"namespaceSelector": {"matchLabels": {NAMESPACE_NAME: ev.snapshot.client_namespace}}}
    return {**where, **{key: value for key, value in peer.items() if value}}


def subject_of(ev: Evidence, port: ServicePort, lost: Sequence[Foretold]) -> str:
    """The Service's port, or so many of its endpoints."""
    total = len(ev.offered_endpoints(port)) or len(lost)
    part = ev.part(port)
    return part if len(lost) >= total else f"{len(lost)} of {count(total, 'endpoint')} of {part}"


def excluded(
    ev: Evidence,
) -> Iterator[tuple[ServicePort, tuple[Foretold, ...], Confidence, tuple[RuleAnswer, ...]]]:
    """The ports whose endpoints the policies at them keep from whoever asked while they admit others, and those rules."""
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        lost = kept_out(ev, port, INGRESS)
        if not lost:
            continue
        sure, openings = confidence(ev, lost, INGRESS), openings_of(lost[0].side(INGRESS))
        if sure is Confidence.POSSIBLE or any(exists(ev, opening) is not Answer.NO for opening in openings):
            yield port, lost, sure, openings


def _ask_as_one_admitted(ev: Evidence, lost: Sequence[Foretold], openings: Sequence[RuleAnswer]) -> Iterator[str]:
    """The command that asks as a client that is admitted, if one is known to run."""
    admitted = list(_admitted(ev, lost[0], openings))
    if not admitted:
        yield "if the probe pod is not meant to get in, all may be well; ask as a client that is, by --from"
        return
    name, namespace = admitted[0].workload, admitted[0].meta.namespace
    ref = str(name if name.kind in CLIENT_KINDS else admitted[0].ref)
    are = "is" if len(admitted) == 1 else "are"
    whose = listed(dict.fromkeys(f"{pod.workload} of {pod.meta.namespace}" for pod in admitted), 3)
    yield f"probably as intended: {count(len(admitted), 'running pod')} {are} admitted, of {whose}; ask as one of them:"
    where = () if namespace == ev.service.namespace else ("--from-namespace", namespace)
    yield ev.kubectl.svcprobe(ev.service.namespace, ev.service.name, "--from", ref, *where)


def _admitted(ev: Evidence, lost: Foretold, openings: Sequence[RuleAnswer]) -> Iterator[Pod]:
    """The pods that run and that the policies admit for certain, as far as they were read; none on the host network."""
    around = ev.snapshot.around
    meant = {pod.ref: pod for o in openings for peer in o.rule.peers for pod in around.pods_meant(peer, o.policy)}
    for pod in meant.values():
        client = End.of_pod(pod, around.namespaces.get(pod.meta.namespace))
        path = lost.result.probe.path
        found = decide(ev.snapshot.policies, client, lost.server, path.port, "TCP")
        if not pod.is_host_network and pod.ref.name != lost.server.name and found.ingress.admits is Answer.YES:
            yield pod


@rule(
    "SVC601",
    "network-policy-excludes-probe",
    Severity.WARNING,
    reads={"Service", "NetworkPolicy"},
    explains=CONSEQUENCES,
    source=POLICY_DOC,
)
def network_policy_excludes_probe(ev: Evidence) -> Iterator[Match]:
    """**What.** The probe pod gets no answer from pods behind the Service, and the NetworkPolicies that select these pods
    admit others, but not the probe pod.

    **Why it matters.** A policy that does not admit a client drops its packets, which looks like a dead network. Perhaps
    that is as it should be: the probe pod carries none of the labels that policies usually admit, so real clients may
    well get an answer. The evidence says for each rule whom it admits, and what the probe pod lacks.

    **Known exceptions.** What a policy means for pods on the host network, and for addresses that are rewritten on the
    way, differs between network plug-ins: there it is a possible cause. A policy that is not enforced (the probe got an
    answer all the same) is not named.

    **How to confirm.** Ask from a pod that the policy admits, or admit the probe pod and ask again.
    """
    if ev.snapshot.client.stands_in:
        return
    for port, lost, sure, openings in excluded(ev):
        side = lost[0].side(INGRESS)
        admitted = listed(dict.fromkeys(whom(opening.rule, opening.policy.meta.namespace) for opening in openings), 2)
        only = "may not admit it" if sure is Confidence.POSSIBLE else f"admits only {admitted}"
        why = f"{BECAUSE[sure]} NetworkPolicy {names_of(side)} {only}"
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"This probe gets no answer from {subject_of(ev, port, lost)}, {why}.",
            brief=f"gives this probe no answer, {why}",
            message=f"{names_of(side)} restricts who may connect to the pods of {ev.service.name}, and the probe pod "
            f"{'may not be' if sure is Confidence.POSSIBLE else 'is not'} among them, {WHY[sure]} it gets no answer. "
            "This says nothing yet about the real clients.",
            evidence=tuple(lost_in_words(ev, lost)),
            fix=(
                *_ask_as_one_admitted(ev, lost, openings),
                "to admit the probe pod itself:",
                *admit_namespace(ev, lost, port),
                *separating_test(ev, sure, lost),
            ),
            confidence=sure,
        )


@rule(
    "SVC603",
    "network-policy-peers-do-not-exist",
    Severity.ERROR,
    reads={"Service", "NetworkPolicy"},
    explains=CONSEQUENCES,
    source=POLICY_DOC,
)
def network_policy_peers_do_not_exist(ev: Evidence) -> Iterator[Match]:
    """**What.** The NetworkPolicies that select the pods behind the Service admit only pods or namespaces that do not exist:
    no pod, or no namespace, has the labels.

    **Why it matters.** Then nothing that is there gets an answer. Often one letter of a label differs, or a namespace is
    selected by a label `name` that nobody put on it: every namespace bears `kubernetes.io/metadata.name`.

    **Known exceptions.** Clients that are scaled to zero, or jobs that run later, do not exist now: if nothing resembles the
    labels, it is a warning. Peers that are addresses, and what could not be read, are taken to exist.

    **How to confirm.** `kubectl get pods --show-labels` and `kubectl get namespaces --show-labels`, beside
    `kubectl describe networkpolicy`.
    """
    if ev.snapshot.service is None:
        return
    for port in ev.service.ports:
        lost = kept_out(ev, port, INGRESS)
        sure = confidence(ev, lost, INGRESS) if lost else Confidence.POSSIBLE
        openings = openings_of(lost[0].side(INGRESS)) if lost else ()
        if sure is Confidence.POSSIBLE or not openings or any(exists(ev, o) is not Answer.NO for o in openings):
            continue
        miss = next(filter(None, (near_miss(ev.snapshot.around, opening) for opening in openings)), None)
        admitted = listed(dict.fromkeys(whom(opening.rule, opening.policy.meta.namespace) for opening in openings), 2)
        names = names_of(lost[0].side(INGRESS))
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{subject_of(ev, port, lost)} cannot be reached, {BECAUSE[Confidence.LIKELY]} NetworkPolicy {names} "
            f"admits only {admitted}, and there {'is' if len(openings) == 1 else 'are'} none"
            + (f": {miss.instead}?" if miss else "."),
            message=f"{names} admits {admitted} to the pods of {ev.service.name}; nothing that exists is selected by that"
            + (f", but {miss.found} is likely meant." if miss else ", at least now: perhaps its clients come and go."),
            evidence=tuple(lost_in_words(ev, lost)),
            fix=(*_correct(ev, miss, lost, port), *separating_test(ev, sure, lost)),
            severity=None if miss else Severity.WARNING,
            confidence=Confidence.LIKELY,
        )


def _correct(ev: Evidence, miss: NearMiss | None, lost: Sequence[Foretold], port: ServicePort) -> Iterator[str]:
    if miss is None:
        yield "if clients are missing from its rules, add them; this command admits the namespace:"
        yield from admit_namespace(ev, lost, port)
        return
    operation: dict[str, Any] = {"op": "replace", "path": miss.path, "value": dict(miss.labels)}
    yield ev.kubectl.json_patches(ev.service.namespace, "networkpolicy", miss.policy, operation)
    yield f"this admits {miss.found}"
