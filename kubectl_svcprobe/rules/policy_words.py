"""Rules of NetworkPolicies in sentences: whom they admit where, and why that is not this connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubectl_svcprobe.facts.policy import (
    NAMESPACE_NAME,
    Answer,
    LabelSelector,
    NetworkPolicy,
    PolicyPeer,
    PolicyRule,
    Requirement,
)
from kubectl_svcprobe.facts.traffic import EGRESS, INGRESS, End, RuleAnswer, Side
from kubectl_svcprobe.words import listed

#: Who asks, where no client was asked for.
PROBE = "the probe pod"

#: Of how many rules a finding says why they do not admit a connection.
MOST_RULES = 4


def whom(rule: PolicyRule, namespace: str) -> str:
    """`pods app=front of namespaces team=x`; `everyone` without peers. `namespace` is the policy's own."""
    return listed(peer_words(peer, namespace) for peer in rule.peers) if rule.peers else "everyone"


def peer_words(peer: PolicyPeer, namespace: str) -> str:
    """One peer as a noun."""
    if peer.block is not None:
        return f"addresses in {peer.block}"
    pods = "all pods" if peer.pods is None or peer.pods.is_empty else f"pods {peer.pods}"
    if peer.namespaces is None:
        return f"{pods} of {namespace}" if pods == "all pods" else pods
    if peer.namespaces.is_empty:
        return f"{pods} of all namespaces"
    name = peer.namespaces.labels.get(NAMESPACE_NAME)
    if name and len(peer.namespaces.labels) == 1 and not peer.namespaces.requirements:
        return f"{pods} of namespace {name}"
    return f"{pods} of namespaces {peer.namespaces}"


def where(rule: PolicyRule) -> str:
    """`8080/TCP and 9090/TCP`, `every port`."""
    return listed(map(str, rule.ports)) if rule.ports else "every port"


def why_not(side: Side, other: End, destination: End, port: int, client: str = PROBE) -> Iterator[str]:
    """A line for each rule of the policies that isolate an end: whom it admits where, and what this connection lacks.

    `client` is a noun for whoever asks.
    """
    for policy in side.isolating:
        if not policy.rules(side.direction):
            does = "lets nothing out" if side.direction == EGRESS else "admits nobody"
            whose = "these pods" if side.direction == INGRESS else client
            yield f"{policy.meta.name} selects {whose} and has no {side.direction.lower()} rule: it {does}"
    for answer in side.rules[:MOST_RULES]:
        yield _line(answer, side, other, destination, port)
    if len(side.rules) > MOST_RULES:
        yield f"{len(side.rules) - MOST_RULES} more rules do not admit it either"


def _line(answer: RuleAnswer, side: Side, other: End, destination: End, port: int) -> str:
    verb, to = ("lets out to", "at") if side.direction == EGRESS else ("admits", "to")
    meta = answer.policy.meta
    rule = (
        f"rule {answer.index + 1} of {meta.name} {verb} {whom(answer.rule, meta.namespace)}, {to} {where(answer.rule)}"
    )
    return f"{rule}: {listed(_lacks(answer, side, other, destination, port))}"


def _lacks(answer: RuleAnswer, side: Side, other: End, destination: End, port: int) -> Iterator[str]:
    if answer.port is Answer.NO:
        yield _port_lacks(answer.rule, destination, port)
    if answer.peer is not Answer.YES:
        yield _peer_lacks(answer.rule.peers[0], answer.policy, other, other.name or PROBE)


def _port_lacks(rule: PolicyRule, destination: End, port: int) -> str:
    names = [p.port for p in rule.ports if isinstance(p.port, str)]
    declared = {name for ports in destination.named_ports.values() for name in ports}
    unknown = [name for name in names if name not in declared]
    if unknown and destination.name:
        return f"{destination.name} declares no port {listed(unknown)}"
    return f"not {port}"


def _peer_lacks(peer: PolicyPeer, policy: NetworkPolicy, other: End, who: str) -> str:
    if peer.block is not None:
        if not other.address:
            return f"the address of {who} is not known"
        inside = peer.block.covers(other.address)
        return f"{other.address} is not in it" if inside is Answer.NO else f"{other.address} may be seen as another"
    if not other.namespace:
        return f"{other.address} is no pod"
    if peer.namespaces is None and other.namespace != policy.meta.namespace:
        return f"{who} is in {other.namespace}"
    if peer.pods is not None and not peer.pods.matches(other.labels):
        return f"{who} {selector_lacks(peer.pods, other.labels)}"
    if peer.namespaces is not None and other.namespace_labels is None:
        return f"the labels of namespace {other.namespace} could not be read"
    if peer.namespaces is not None and not peer.namespaces.matches({**(other.namespace_labels or {})}):
        return f"namespace {other.namespace} {selector_lacks(peer.namespaces, other.namespace_labels or {})}"
    return f"what a policy says to {who} on the host network differs between network plug-ins"


def selector_lacks(selector: LabelSelector, labels: Mapping[str, str]) -> str:
    """The first requirement that labels do not meet: `has no label app`, `has app=web`."""
    asked = [Requirement(key, "In", (value,)) for key, value in sorted(selector.labels.items())]
    failed = next(r for r in (*asked, *selector.requirements) if not r.matches(labels))
    value = labels.get(failed.key)
    return f"has no label {failed.key}" if value is None else f"has {failed.key}={value}"


def admitting_rule(direction: str, peers: Iterable[Mapping[str, Any]], *ports: tuple[int, str]) -> dict[str, Any]:
    """A rule as JSON, to be added to a policy."""
    return {
        "from" if direction == INGRESS else "to": list(peers),
        "ports": [{"port": port, "protocol": protocol} for port, protocol in ports],
    }


def added(policy: NetworkPolicy, direction: str, *rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The operations of a JSON patch that add rules to a policy, whether it has any already or not."""
    path = f"/spec/{direction.lower()}"
    if policy.rules(direction):
        return [{"op": "add", "path": f"{path}/-", "value": rule} for rule in rules]
    return [{"op": "add", "path": path, "value": list(rules)}]


def narrowest(policies: Iterable[NetworkPolicy], direction: str) -> NetworkPolicy:
    """The policy that is the first to be changed: one about fewer pods, with rules already."""
    return min(policies, key=lambda p: (p.pods.is_empty, not p.rules(direction), p.meta.name))
