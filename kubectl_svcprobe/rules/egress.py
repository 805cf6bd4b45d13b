"""604 and 605: NetworkPolicies that let nothing, or no question to the DNS, out of the probe's namespace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.around import DNS_LABELS, DNS_NAMESPACE
from kubectl_svcprobe.facts.policy import NAMESPACE_NAME, Answer, NetworkPolicy
from kubectl_svcprobe.facts.traffic import EGRESS, Decision, End, Side, decide
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome, name_servers
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.foretold import (
    Foretold,
    confidence,
    foretell,
    is_contradicted,
    kept_out,
    plugins,
    probe_end,
)
from kubectl_svcprobe.rules.policies import BECAUSE, CONSEQUENCES, WHY, names_of
from kubectl_svcprobe.rules.policy_words import added, admitting_rule, narrowest, why_not
from kubectl_svcprobe.rules.rule import POLICY_DOC, Match, rule
from kubectl_svcprobe.words import listed

DNS_PORT = 53


@rule(
    "SVC604",
    "network-policy-keeps-probe-in",
    Severity.WARNING,
    reads={"Service", "NetworkPolicy"},
    explains=("SVC903", *CONSEQUENCES, "SVC605", "SVC611"),
    source=POLICY_DOC,
)
def network_policy_keeps_probe_in(ev: Evidence) -> Iterator[Match]:
    """**What.** A NetworkPolicy of the probe pod's namespace restricts what leaves its pods, and does not let the probe pod
    out to the pods behind the Service.

    **Why it matters.** So the silence says nothing about the Service. It says something about clients in this namespace that
    the same policy selects: they do not reach the Service either. Where nothing at all can leave, the verdict is unknown.

    **Known exceptions.** None known: a policy that is not enforced (the probe got an answer all the same) is not named.

    **How to confirm.** Ask from a pod of another namespace, or let the probe pod out and ask again.
    """
    if ev.snapshot.service is not None and not ev.snapshot.client.stands_in:
        yield from kept_in(ev)


def kept_in(ev: Evidence) -> Iterator[Match]:
    """What the policies of the client's namespace do not let out, once if it is every port that was tried."""
    found = [(port, kept_out(ev, port, EGRESS)) for port in ev.service.ports]
    found = [(port, lost) for port, lost in found if lost and lost[0].side(EGRESS).admits is Answer.NO]
    tried = [p for p in ev.service.ports if any(_is_of(ev, p.port))]
    if not found:
        return
    lost = tuple(f for _, per_port in found for f in per_port)
    sure = Confidence.CERTAIN if _dns_answered(ev) else confidence(ev, lost, EGRESS)
    is_all = len(found) == len(tried) or len(ev.service.ports) == 1
    for port, _ in found[:1] if is_all else found:
        yield _kept_in(ev, lost, sure, 0 if is_all else port.port)


def _is_of(ev: Evidence, number: int) -> Iterator[bool]:
    for result in ev.results:
        path = result.probe.path
        if path.kind is PathKind.ENDPOINT and path.service_port and path.service_port.port == number:
            yield result.outcome is not Outcome.NOT_RUN


def _dns_answered(ev: Evidence) -> bool:
    """Whether a name was found: then what leaves the pod arrives, where it may leave."""
    return any(
        o.lookup_seconds > 0 and o.outcome is not Outcome.DNS_FAILED
        for r in ev.results
        if r.probe.vantage is Vantage.POD and any(letter.isalpha() for letter in r.probe.path.host)
        for o in r.observations
    )


def _kept_in(ev: Evidence, lost: Sequence[Foretold], sure: Confidence, port: int) -> Match:
    side, namespace, first = lost[0].side(EGRESS), ev.snapshot.client_namespace, lost[0]
    who, is_client = ev.snapshot.client.who, ev.snapshot.client.stands_in
    is_cut_off = not ev.vantage_is_sound and not is_client
    number = first.result.probe.path.port
    why = f"{BECAUSE[sure]} NetworkPolicy {names_of(side)} does not let it out"
    policy = narrowest(side.isolating, EGRESS)
    return Match(
        subject=ev.service.ref,
        port=port,
        headline=f"{ev.service.name}: could not tell, this probe reaches nothing, {why}."
        if is_cut_off
        else f"{who if is_client else 'This probe'} does not reach {ev.service.name}, {why}.",
        brief=f"could not tell, {why}" if is_cut_off else f"is out of reach of {who}, {why}",
        message=f"{names_of(side)} restricts what leaves pods of {namespace}, and does not let {who} out to "
        f"port {number} of the pods of {ev.service.name}, {WHY[sure]} nothing came back. "
        + ("This says nothing about the Service." if is_cut_off else "Clients in other namespaces are not concerned."),
        evidence=tuple(why_not(side, first.server, first.server, number, who)),
        fix=(
            ev.kubectl.json_patches(
                namespace, "networkpolicy", policy.meta.name, *added(policy, EGRESS, *_ways_out(ev, lost))
            ),
            f"this lets {_selected(policy)} out to the pods of {ev.service.name}"
            + (" and to the DNS" if _asks_dns(ev) else ""),
        ),
        severity=Severity.UNKNOWN if is_cut_off else None,
        confidence=sure,
    )


def _selected(policy: NetworkPolicy) -> str:
    return f"all pods of {policy.meta.namespace}" if policy.pods.is_empty else f"the pods {policy.pods}"


def _ways_out(ev: Evidence, lost: Sequence[Foretold]) -> Iterator[dict[str, Any]]:
    """The rules that would let the probe pod out: to the Service's pods, and to the DNS if it may not ask that either."""
    ports = dict.fromkeys((f.result.probe.path.port, "TCP") for f in lost)
    if ev.service.selector and lost[0].server.namespace:
        peer: dict[str, Any] = {"podSelector": {"matchLabels": dict(ev.service.selector)}}
        if ev.snapshot.client_namespace != ev.service.namespace:
            peer["namespaceSelector"] = {"matchLabels": {NAMESPACE_NAME: ev.service.namespace}}
        yield admitting_rule(EGRESS, [peer], *ports)
    else:
        addresses = dict.fromkeys(f.server.address for f in lost)
        blocks = [{"ipBlock": {"cidr": f"{a}/{ip_address(a).max_prefixlen}"}} for a in addresses]
        yield admitting_rule(EGRESS, blocks, *ports)
    if _asks_dns(ev):
        yield _way_to_dns(ev)


def _asks_dns(ev: Evidence) -> bool:
    """Whether the policies are not known to let questions out to the DNS."""
    found = [d.egress.admits for d in _dns_decisions(ev, "UDP")]
    return not found or any(answer is not Answer.YES for answer in found)


def _way_to_dns(ev: Evidence) -> dict[str, Any]:
    ports = ((DNS_PORT, "UDP"), (DNS_PORT, "TCP"))
    local = [server for server in name_servers(ev.resolv_conf) if _is_node_local(server)]
    if local:
        return admitting_rule(
            EGRESS, [{"ipBlock": {"cidr": f"{s}/{ip_address(s).max_prefixlen}"}} for s in local], *ports
        )
    peer = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_NAME: DNS_NAMESPACE}},
        "podSelector": {"matchLabels": DNS_LABELS},
    }
    return admitting_rule(EGRESS, [peer], *ports)


def _is_node_local(server: str) -> bool:
    """NodeLocal DNSCache listens on a link-local address of every node (169.254.20.10 by default)."""
    try:
        return ip_address(server).is_link_local
    except ValueError:
        return False


def _dns_decisions(ev: Evidence, protocol: str) -> Iterator[Decision]:
    """What the policies say to a question: to the node-local cache if the pod asks that, else to each pod of the DNS."""
    for server in name_servers(ev.resolv_conf):
        if _is_node_local(server):
            yield decide(ev.snapshot.policies, probe_end(ev, server), End(address=server), DNS_PORT, protocol)
            return
    for end in _dns_ends(ev):
        numbers = end.named_ports.get("UDP", {}).get("dns", (DNS_PORT,))
        yield decide(ev.snapshot.policies, probe_end(ev, end.address), end, numbers[0], protocol)


def _dns_ends(ev: Evidence) -> list[End]:
    """The DNS's pods; where none was read, one that is like most clusters' (kubeadm's labels and port names)."""
    around = ev.snapshot.around
    labels = around.namespaces.get(DNS_NAMESPACE)
    named = {"UDP": {"dns": (DNS_PORT,)}, "TCP": {"dns-tcp": (DNS_PORT,)}}
    usual = End(DNS_NAMESPACE, DNS_LABELS, labels, named_ports=named, name="the DNS")
    return [End.of_pod(pod, labels) for pod in around.dns] or [usual]


@rule(
    "SVC605",
    "network-policy-keeps-dns-away",
    Severity.WARNING,
    reads={"Service", "NetworkPolicy"},
    explains=("SVC611",),
    source=POLICY_DOC,
)
def network_policy_keeps_dns_away(ev: Evidence) -> Iterator[Match]:
    """**What.** No name resolves in the probe pod while addresses answer, and a NetworkPolicy of its namespace restricts what
    leaves its pods without letting them ask the cluster's DNS.

    **Why it matters.** Clients use names: every pod that the policy selects fails at the first step. A restriction of egress
    has to admit port 53, by UDP and by TCP, to the DNS.

    **What else is said.** Where pods ask NodeLocal DNSCache (a link-local name server in resolv.conf), a rule that admits
    the pods of kube-dns does not help: the cache runs on the host's network, and is admitted as an `ipBlock`.

    **Known exceptions.** A policy that selects only some pods concerns only those: then it is a warning.

    **How to confirm.** `nslookup kubernetes.default` in a pod that the policy selects, and in one that it does not.
    """
    failed = [r for r in ev.from_pod(PathKind.DNS) if r.outcome is Outcome.DNS_FAILED]
    names = [r for r in ev.from_pod(PathKind.CONTROL) if any(letter.isalpha() for letter in r.probe.path.host)]
    if ev.snapshot.service is None or not failed or any(r.outcome is not Outcome.DNS_FAILED for r in names):
        return
    if is_contradicted((f for port in ev.service.ports for f in foretell(ev, port)), EGRESS):
        return
    sides = [decision.egress for decision in _dns_decisions(ev, "UDP")]
    if not sides or any(side.admits is not Answer.NO for side in sides):
        return
    side = sides[0]
    policy = narrowest(side.isolating, EGRESS)
    sure = Confidence.CERTAIN if plugins(ev) else Confidence.LIKELY
    if not ev.snapshot.around.dns and not any(map(_is_node_local, name_servers(ev.resolv_conf))):
        sure = Confidence.POSSIBLE
    servers = listed(name_servers(ev.resolv_conf)) or "the cluster's DNS"
    rules = added(policy, EGRESS, _way_to_dns(ev))
    everyone = any(p.pods.is_empty for p in side.isolating)
    client, namespace = ev.snapshot.client, ev.snapshot.client_namespace
    whose = client.who if client.stands_in else f"any pod of {namespace}" if everyone else namespace
    yield Match(
        subject=ev.service.ref,
        headline=f"{ev.service.name} cannot be found by name from {whose}, "
        f"{BECAUSE[sure]} NetworkPolicy {names_of(side)} lets no question out to the DNS.",
        message=f"{names_of(side)} restricts what leaves pods of {namespace}, and does not let them ask "
        f"{servers} at port {DNS_PORT}/UDP, {WHY[sure]} no name resolves there.",
        evidence=tuple(_dns_evidence(ev, side, servers)),
        fix=(
            ev.kubectl.json_patches(namespace, "networkpolicy", policy.meta.name, *rules),
            f"this lets {_selected(policy)} ask the DNS, at port {DNS_PORT} by UDP and TCP",
            *_dns_test(ev, sure),
        ),
        severity=Severity.ERROR if everyone or client.stands_in else None,
        confidence=sure,
    )


def _dns_test(ev: Evidence, sure: Confidence) -> Iterator[str]:
    if sure is Confidence.POSSIBLE:
        yield "if nothing is ready there, it is the DNS itself, and not the policy:"
        yield ev.kubectl(DNS_NAMESPACE, "get", "pods", "-l", "k8s-app=kube-dns")


def _dns_evidence(ev: Evidence, side: Side, servers: str) -> Iterator[str]:
    yield f"asked name server {servers}, as the pod's resolv.conf says"
    local = [server for server in name_servers(ev.resolv_conf) if _is_node_local(server)]
    if local:
        yield f"{listed(local)} is NodeLocal DNSCache on the host's network: a rule for the pods of kube-dns does not admit it"
        yield from why_not(side, End(address=local[0]), End(address=local[0]), DNS_PORT, ev.snapshot.client.who)
    else:
        end = _dns_ends(ev)[0]
        yield from why_not(side, end, end, DNS_PORT, ev.snapshot.client.who)
        if not ev.snapshot.around.dns:
            yield "the DNS's pods were not read; they are taken to have the usual labels. The DNS may also be down"
