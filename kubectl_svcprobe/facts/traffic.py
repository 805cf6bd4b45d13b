"""Whether NetworkPolicies admit a connection, by which rule, or which rules do not.

The semantics are those of the API's own documentation (k8s.io/api/networking/v1 types.go, quoted where they are used) and
of https://kubernetes.io/docs/concepts/services-networking/network-policies/ ("the concept page"). Where these leave it to
the network plug-in, or where something could not be read, the answer is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from kubectl_svcprobe.facts.policy import (
    NAMESPACE_NAME,
    AddressBlock,
    Answer,
    NetworkPolicy,
    PolicyPeer,
    PolicyRule,
)
from kubectl_svcprobe.facts.workload import Pod

INGRESS, EGRESS = "Ingress", "Egress"


@dataclass(frozen=True)
class End:
    """One end of a connection, as a policy sees it; without a namespace it is no pod.

    `namespace_labels` is None where they could not be read, `address` empty where it is not known. `named_ports` are the
    numbers of a pod's container ports by protocol and name.
    """

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] | None = None
    address: str = ""
    named_ports: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    node: str = ""
    is_host_network: bool = False
    name: str = ""

    @classmethod
    def of_pod(cls, pod: Pod, namespace_labels: Mapping[str, str] | None, address: str = "") -> End:
        """The end that a pod is, at one of its addresses."""
        found: dict[str, dict[str, tuple[int, ...]]] = {}
        for port in (port for container in (*pod.containers, *pod.sidecars) for port in container.ports):
            if port.name:
                found.setdefault(port.protocol, {})[port.name] = pod.port_numbers(port.name, port.protocol)
        return cls(
            namespace=pod.meta.namespace,
            labels=pod.meta.labels,
            namespace_labels=namespace_labels,
            address=address or next(iter(pod.ips), ""),
            named_ports=found,
            node=pod.node,
            is_host_network=pod.is_host_network,
            name=pod.meta.name,
        )

    @property
    def is_on_node(self) -> bool:
        """Whether it is a node itself, or a pod that has its node's address."""
        return self.is_host_network or (not self.namespace and bool(self.node))

    def is_in(self, block: AddressBlock, is_source: bool) -> Answer:
        """Whether a block of addresses covers it, where a policy sees its true address.

        The concept page on hostNetwork pods: "NetworkPolicy behaviour for hostNetwork pods is undefined". On ipBlock:
        "Cluster ingress and egress mechanisms often require rewriting the source or destination IP of packets. In cases
        where this happens, it is not defined whether this happens before or after NetworkPolicy processing".
        """
        if block.is_everything and (not self.address or (":" in block.cidr) == (":" in self.address)):
            return Answer.YES
        is_rewritten = self.is_on_node or (is_source and not self.namespace)
        return Answer.UNKNOWN if not self.address or is_rewritten else block.covers(self.address)


@dataclass(frozen=True)
class RuleAnswer:
    """What one rule says to one connection: whether the other end is among its peers, and the port among its ports."""

    policy: NetworkPolicy
    index: int
    rule: PolicyRule
    peer: Answer
    port: Answer

    @property
    def admits(self) -> Answer:
        """The traffic "must match both ports and from" (NetworkPolicyIngressRule)."""
        return min(self.peer, self.port)


@dataclass(frozen=True)
class Side:
    """What the policies of one end say in one direction.

    `isolating` are those that select the end; without any, everything is admitted.
    """

    direction: str
    isolating: tuple[NetworkPolicy, ...] = ()
    rules: tuple[RuleAnswer, ...] = ()
    is_exempt: bool = False
    is_undefined: bool = False

    @cached_property
    def admits(self) -> Answer:
        """Policies add up: what one rule of one policy admits is admitted.

        "Traffic is allowed to a pod if there are no NetworkPolicies selecting the pod (and cluster policy otherwise allows
        the traffic), OR if the traffic source is the pod's local node, OR if the traffic matches at least one ingress rule
        across all of the NetworkPolicy objects whose podSelector matches the pod. If this field is empty then this
        NetworkPolicy does not allow any traffic" (NetworkPolicySpec.ingress; egress likewise, but for the local node).
        """
        if not self.isolating or self.is_exempt:
            return Answer.YES
        found = max((rule.admits for rule in self.rules), default=Answer.NO)
        return max(found, Answer.UNKNOWN) if self.is_undefined else found


@dataclass(frozen=True)
class Decision:
    """Both directions: "the egress policy on the source and the ingress policy on the destination both need to allow"."""

    ingress: Side
    egress: Side

    @property
    def admits(self) -> Answer:
        """YES only if both sides admit it for certain, NO if either certainly does not."""
        return min(self.ingress.admits, self.egress.admits)

    @property
    def refusing(self) -> tuple[Side, ...]:
        """The sides that certainly do not admit it."""
        return tuple(side for side in (self.ingress, self.egress) if side.admits is Answer.NO)


def decide(policies: Iterable[NetworkPolicy], client: End, server: End, port: int, protocol: str = "TCP") -> Decision:
    """What these policies (of any namespaces) say to a connection from `client` to `port` of `server`."""
    found = tuple(policies)
    if client.namespace and (client.namespace, client.name) == (server.namespace, server.name) and client.name:
        return Decision(
            Side(INGRESS, is_exempt=True), Side(EGRESS, is_exempt=True)
        )  # "a pod cannot block access to itself"
    return Decision(
        _side(found, INGRESS, of=server, other=client, destination=server, port=port, protocol=protocol),
        _side(found, EGRESS, of=client, other=server, destination=server, port=port, protocol=protocol),
    )


def _side(
    policies: tuple[NetworkPolicy, ...],
    direction: str,
    *,
    of: End,
    other: End,
    destination: End,
    port: int,
    protocol: str,
) -> Side:
    isolating = tuple(
        policy
        for policy in policies
        if of.namespace and policy.meta.namespace == of.namespace and policy.isolates(of.labels, direction)
    )
    named = destination.named_ports.get(protocol, {})
    rules = tuple(
        RuleAnswer(
            policy, index, rule, peer_answer(rule, policy, other, direction), _port_answer(rule, port, protocol, named)
        )
        for policy in isolating
        for index, rule in enumerate(policy.rules(direction))
    )
    is_local = bool(of.node) and other.node == of.node and other.is_on_node
    return Side(
        direction,
        isolating,
        rules,
        is_exempt=is_local and direction == INGRESS,
        is_undefined=of.is_host_network or (is_local and direction == EGRESS),
    )


def _port_answer(rule: PolicyRule, port: int, protocol: str, named: Mapping[str, tuple[int, ...]]) -> Answer:
    """ "If this field is empty or missing, this rule matches all ports (traffic not restricted by port)"."""
    return Answer.of(not rule.ports or any(admitted.covers(port, protocol, named) for admitted in rule.ports))


def peer_answer(rule: PolicyRule, policy: NetworkPolicy, other: End, direction: str) -> Answer:
    """ "If this field is empty or missing, this rule matches all sources (traffic not restricted by source)"."""
    if not rule.peers:
        return Answer.YES
    return max(_is_peer(peer, policy, other, direction) for peer in rule.peers)


def _is_peer(peer: PolicyPeer, policy: NetworkPolicy, other: End, direction: str) -> Answer:
    """ "If this field [ipBlock] is set then neither of the other fields can be"."""
    if peer.block is not None:
        return other.is_in(peer.block, is_source=direction == INGRESS)
    if not other.namespace:
        return Answer.NO
    found = min(_namespace_answer(peer, policy, other), Answer.of(peer.pods is None or peer.pods.matches(other.labels)))
    return min(found, Answer.UNKNOWN) if other.is_host_network else found


def _namespace_answer(peer: PolicyPeer, policy: NetworkPolicy, other: End) -> Answer:
    """With a namespaceSelector "the pods matching podSelector in the namespaces selected by namespaceSelector",
    "otherwise […] the pods matching podSelector in the policy's own namespace"; "if present but empty, it selects all".
    """
    if peer.namespaces is None:
        return Answer.of(other.namespace == policy.meta.namespace)
    labels = {**(other.namespace_labels or {}), NAMESPACE_NAME: other.namespace}
    return peer.namespaces.judge(labels, all_known=other.namespace_labels is not None)
