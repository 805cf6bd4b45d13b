"""608, 609 and 617: what keeps a client that the user asked about from the Service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.client import STAND_IN_LABELS
from kubectl_svcprobe.facts.json_fields import text
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.traffic import INGRESS, RuleAnswer
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome, name_servers
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.egress import kept_in
from kubectl_svcprobe.rules.foretold import Foretold
from kubectl_svcprobe.rules.policies import (
    BECAUSE,
    CONSEQUENCES,
    WHY,
    excluded,
    lost_in_words,
    names_of,
    peer_of,
    separating_test,
    subject_of,
)
from kubectl_svcprobe.rules.policy_words import added, admitting_rule, narrowest, whom
from kubectl_svcprobe.rules.rule import DNS_DOC, POLICY_DOC, Match, rule
from kubectl_svcprobe.words import labels as in_words
from kubectl_svcprobe.words import listed

#: Labels that say how a pod was made, and not what it is: a policy had better not go by them.
ABOUT_MAKING = re.compile(
    r"app\.kubernetes\.io/(managed-by|version)|helm\.sh/.*|version|chart|release|heritage|sidecar\..*"
)


@rule(
    "SVC608",
    "network-policy-excludes-client",
    Severity.ERROR,
    reads={"Service", "NetworkPolicy"},
    explains=CONSEQUENCES,
    source=POLICY_DOC,
)
def network_policy_excludes_client(ev: Evidence) -> Iterator[Match]:
    """**What.** A pod that stands in for the client (`--from`, `--from-labels`) gets no answer from pods behind the Service,
    and the NetworkPolicies that select these pods admit others, but not this client.

    **Why it matters.** For this client the Service is down, however well it works for others: its packets are dropped. The
    evidence says for each rule whom it admits, and what the client lacks.

    **Known exceptions.** The stand-in lacks the labels by which controllers know their own pods (`pod-template-hash` and
    such, the report lists them): where a policy goes by one of these, the verdict is unknown. If the client is kept out on
    purpose, that is what was to be shown.

    **How to confirm.** `curl` in the client itself, or the same command with the labels that the policy asks for:
    `--from-labels`.
    """
    if not ev.snapshot.client.stands_in:
        return
    who = ev.snapshot.client.who
    for port, lost, found, openings in excluded(ev):
        untold = _untold(ev, openings)
        sure = Confidence.POSSIBLE if untold else found
        side = lost[0].side(INGRESS)
        admitted = listed(dict.fromkeys(whom(opening.rule, opening.policy.meta.namespace) for opening in openings), 2)
        only = "may not admit it" if sure is Confidence.POSSIBLE else f"admits only {admitted}"
        why = f"{BECAUSE[sure]} NetworkPolicy {names_of(side)} {only}"
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)}: could not tell whether NetworkPolicy {names_of(side)} lets {who} in: "
            "it goes by a label that only a controller gives."
            if untold
            else f"{who} cannot reach {subject_of(ev, port, lost)}, {why}.",
            brief=f"cannot be reached by {who}, {why}",
            message=f"{names_of(side)} restricts who may connect to the pods of {ev.service.name}, and {who} "
            f"{'may not be' if sure is Confidence.POSSIBLE else 'is not'} among them, {WHY[sure]} it gets no answer.",
            evidence=(*lost_in_words(ev, lost), *untold),
            severity=Severity.UNKNOWN if untold else None,
            fix=(
                *_admit_client(ev, lost, port),
                *separating_test(ev, sure, lost),
            ),
            confidence=sure,
        )


def _untold(ev: Evidence, openings: Sequence[RuleAnswer]) -> list[str]:
    """What keeps us from telling: rules that go by labels which the client has and the pod in its place has not."""
    selectors = (peer.pods for opening in openings for peer in opening.rule.peers if peer.pods)
    asked = {key for s in selectors for key in (*s.labels, *(r.key for r in s.requirements))}
    missing = sorted(asked & ev.snapshot.client.left_out)
    return [f"the pod in its place lacks {key}, which only its controller may give" for key in missing]


def _admit_client(ev: Evidence, lost: Sequence[Foretold], port: ServicePort) -> Iterator[str]:
    """The patch that admits pods with the client's labels, and whom it admits."""
    wanted = _telling(ev.snapshot.client.labels)
    policy = narrowest(lost[0].side(INGRESS).isolating, INGRESS)
    peer = peer_of(ev, {"podSelector": {"matchLabels": wanted} if wanted else {}})
    opened = admitting_rule(INGRESS, [peer], (lost[0].result.probe.path.port, port.protocol))
    yield ev.kubectl.json_patches(
        ev.service.namespace, "networkpolicy", policy.meta.name, *added(policy, INGRESS, opened)
    )
    whom_ = f"pods {in_words(wanted)}" if wanted else "all pods"
    yield f"this admits {whom_} of {ev.snapshot.client_namespace}, if they are meant to get in"


def _telling(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that say what a pod is."""
    kept = {k: v for k, v in labels.items() if k not in STAND_IN_LABELS}
    return {k: v for k, v in kept.items() if not ABOUT_MAKING.fullmatch(k)} or kept


@rule(
    "SVC609",
    "network-policy-keeps-client-in",
    Severity.ERROR,
    reads={"Service", "NetworkPolicy"},
    explains=("SVC903", *CONSEQUENCES, "SVC605", "SVC611"),
    source=POLICY_DOC,
)
def network_policy_keeps_client_in(ev: Evidence) -> Iterator[Match]:
    """**What.** A NetworkPolicy of the client's namespace selects the client (`--from`, `--from-labels`) and does not let it
    out to the pods behind the Service.

    **Why it matters.** For this client the Service is down, and nothing at the Service shows it: a plain probe pod, which
    the policy does not select, gets an answer.

    **Known exceptions.** The stand-in lacks the labels by which controllers know their own pods; a policy that goes by one of
    these would not select it.

    **How to confirm.** `kubectl describe networkpolicy` in the client's namespace; `curl` in the client itself.
    """
    if ev.snapshot.service is not None and ev.snapshot.client.stands_in:
        yield from kept_in(ev)


@rule(
    "SVC617",
    "client-asks-no-cluster-dns",
    Severity.ERROR,
    reads={"Service"},
    explains=("SVC611", "SVC612", "SVC610"),
    source=DNS_DOC,
)
def client_asks_no_cluster_dns(ev: Evidence) -> Iterator[Match]:
    """**What.** The client (`--from`) has a `dnsPolicy` by which it does not ask the cluster's DNS, and the names of the Service
    do not resolve in a pod with the same settings.

    **Why it matters.** With `Default` a pod asks the name servers of its node, and with `None` those of its own `dnsConfig`:
    neither knows the cluster's Services. The client fails at the first step, while other pods find the name.

    **Known exceptions.** Where these name servers forward to the cluster's DNS, names resolve, and nothing is said.

    **How to confirm.** `kubectl exec` into the client and look at `/etc/resolv.conf`.
    """
    client = ev.snapshot.client
    policy = text(client.spec, "dnsPolicy")
    failed = [r for r in ev.from_pod(PathKind.DNS) if r.outcome is Outcome.DNS_FAILED]
    if ev.snapshot.service is None or client.of is None or policy not in ("Default", "None") or not failed:
        return
    servers = listed(name_servers(ev.resolv_conf)) or "none"
    yield Match(
        subject=ev.service.ref,
        headline=f"{client.who} cannot find {ev.service.name} by name: its dnsPolicy {policy} does not ask the cluster's DNS.",
        message=f"{listed(dict.fromkeys(r.probe.path.host for r in failed))} did not resolve with its settings.",
        evidence=(f"dnsPolicy {policy} of {client.of}", f"name servers in its resolv.conf: {servers}"),
        fix=tuple(_let_it_ask(ev)),
    )


def _let_it_ask(ev: Evidence) -> Iterator[str]:
    """The patch of what makes the pods; a pod's own policy, and a Job's, cannot be changed."""
    client, of = ev.snapshot.client, ev.snapshot.client.of
    if of is None or of.kind not in ("Deployment", "StatefulSet", "DaemonSet", "CronJob"):
        yield f"give {of} dnsPolicy ClusterFirst where it is made, if it is to use names of Services"
        return
    yield f"let {of} ask the cluster's DNS, if it is to use names of Services (new pods take the place of its own):"
    yield ev.kubectl.strategic_patch(client.namespace, of.kind.lower(), of.name, _with_cluster_dns(of.kind))


def _with_cluster_dns(kind: str) -> dict[str, Any]:
    spec: dict[str, Any] = {"template": {"spec": {"dnsPolicy": "ClusterFirst"}}}
    return {"spec": {"jobTemplate": {"spec": spec}}} if kind == "CronJob" else {"spec": spec}
