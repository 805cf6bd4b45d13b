"""NetworkPolicies as declared: which pods each one selects, and what its rules admit.

What admits whom is decided in `facts.traffic`. An absent selector and an empty one differ here as they do in the API:
a peer without a `namespaceSelector` means the policy's own namespace, one with an empty one all namespaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import ip_address, ip_network

from kubectl_svcprobe.facts.json_fields import integer, items, mapping, strings, text, texts
from kubectl_svcprobe.facts.model import Json, Meta

#: The label that the API server itself puts on every namespace; nobody can change it (KEP-2161).
NAMESPACE_NAME = "kubernetes.io/metadata.name"


class Answer(IntEnum):
    """Whether something holds. Of alternatives the greatest counts (`max`), of conditions the least (`min`)."""

    NO = 0
    UNKNOWN = 1
    YES = 2

    @classmethod
    def of(cls, fact: bool) -> Answer:
        """What is known for certain."""
        return cls.YES if fact else cls.NO


@dataclass(frozen=True)
class Requirement:
    """One entry of `matchExpressions`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """`NotIn` also admits objects that lack the key (apimachinery labels/selector.go)."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        return (value is not None) == (self.operator == "Exists")

    def __str__(self) -> str:
        """As kubectl writes it: `tier in (a,b)`, `tier`, `!tier`."""
        if self.operator in ("In", "NotIn"):
            return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"
        return self.key if self.operator == "Exists" else f"!{self.key}"


@dataclass(frozen=True)
class LabelSelector:
    """A LabelSelector; an empty one selects everything."""

    labels: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()

    @property
    def is_empty(self) -> bool:
        """It asks for nothing."""
        return not self.labels and not self.requirements

    def matches(self, labels: Mapping[str, str]) -> bool:
        """All of its labels and requirements hold."""
        return selects(self.labels, labels) and all(r.matches(labels) for r in self.requirements)

    def judge(self, known: Mapping[str, str], all_known: bool) -> Answer:
        """Whether it matches labels of which perhaps only some are known."""
        if all_known:
            return Answer.of(self.matches(known))
        asked = [Requirement(key, "In", (value,)) for key, value in self.labels.items()]
        answers = [
            Answer.of(requirement.matches(known)) if requirement.key in known else Answer.UNKNOWN
            for requirement in (*asked, *self.requirements)
        ]
        return min(answers, default=Answer.YES)

    def __str__(self) -> str:
        """As kubectl writes selectors: `app=web,tier in (a,b)`."""
        pairs = (f"{key}={value}" for key, value in sorted(self.labels.items()))
        return ",".join((*pairs, *map(str, self.requirements)))

    @classmethod
    def from_json(cls, obj: Json) -> LabelSelector:
        """Read `matchLabels` and `matchExpressions`."""
        expressions = items(obj, "matchExpressions")
        return cls(
            strings(obj, "matchLabels"),
            tuple(Requirement(text(e, "key"), text(e, "operator"), texts(e, "values")) for e in expressions),
        )


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every label of the selector is there with the same value."""
    return all(labels.get(key) == value for key, value in selector.items())


@dataclass(frozen=True)
class AddressBlock:
    """An `ipBlock`: a range of addresses, and ranges within it that are left out."""

    cidr: str
    excluded: tuple[str, ...] = ()

    @property
    def is_everything(self) -> bool:
        """All addresses of its family, without exception."""
        return self.cidr.endswith("/0") and not self.excluded

    def covers(self, address: str) -> Answer:
        """Whether an address is in it; addresses of the other family never are."""
        try:
            ip = ip_address(address)
            inside = ip in ip_network(self.cidr, strict=False)
            left_out = any(ip in ip_network(block, strict=False) for block in self.excluded)
        except ValueError:
            return Answer.UNKNOWN
        return Answer.of(inside and not left_out)

    def __str__(self) -> str:
        """`10.0.0.0/8 except 10.1.0.0/16`."""
        return f"{self.cidr} except {', '.join(self.excluded)}" if self.excluded else self.cidr


@dataclass(frozen=True)
class PolicyPeer:
    """Whom a rule admits: pods of some namespaces, or a block of addresses. None is "not given", which is not empty."""

    pods: LabelSelector | None = None
    namespaces: LabelSelector | None = None
    block: AddressBlock | None = None

    @classmethod
    def from_json(cls, obj: Json) -> PolicyPeer:
        """Read a NetworkPolicyPeer."""
        block = mapping(obj, "ipBlock")
        return cls(
            pods=_selector(obj, "podSelector"),
            namespaces=_selector(obj, "namespaceSelector"),
            block=AddressBlock(text(block, "cidr"), texts(block, "except")) if block else None,
        )


def _selector(obj: Json, key: str) -> LabelSelector | None:
    """None where there is none, which is not an empty one."""
    return LabelSelector.from_json(mapping(obj, key)) if isinstance(obj.get(key), Mapping) else None


@dataclass(frozen=True)
class PolicyPort:
    """A port that a rule admits: a number, a range, a container port's name, or None for all of the protocol."""

    port: int | str | None = None
    end: int = 0
    protocol: str = "TCP"

    def covers(self, port: int, protocol: str, named: Mapping[str, tuple[int, ...]]) -> bool:
        """Whether it admits a port; `named` are the destination's container ports of this protocol by name."""
        if protocol != self.protocol:
            return False
        if self.port is None:
            return True
        if isinstance(self.port, str):
            return port in named.get(self.port, ())
        return self.port <= port <= max(self.end, self.port)

    def __str__(self) -> str:
        """`8080/TCP`, `8000-8999/TCP`, `http/TCP`, `all TCP ports`."""
        if self.port is None:
            return f"all {self.protocol} ports"
        return f"{self.port}-{self.end}/{self.protocol}" if self.end else f"{self.port}/{self.protocol}"

    @classmethod
    def from_json(cls, obj: Json) -> PolicyPort:
        """Read a NetworkPolicyPort; the protocol is TCP where none is given."""
        port = obj.get("port")
        is_port = isinstance(port, (int, str)) and not isinstance(port, bool)
        return cls(port if is_port else None, integer(obj, "endPort"), text(obj, "protocol") or "TCP")


@dataclass(frozen=True)
class PolicyRule:
    """One entry of `ingress` or `egress`: any of its peers at any of its ports; without peers all, without ports all."""

    peers: tuple[PolicyPeer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()

    @classmethod
    def from_json(cls, obj: Json, peers: str) -> PolicyRule:
        """Read a rule whose peers are under `from` or `to`."""
        return cls(
            tuple(PolicyPeer.from_json(peer) for peer in items(obj, peers)),
            tuple(PolicyPort.from_json(port) for port in items(obj, "ports")),
        )


@dataclass(frozen=True)
class NetworkPolicy:
    """A NetworkPolicy; `types` holds Ingress, Egress or both."""

    meta: Meta
    pods: LabelSelector
    types: frozenset[str] = frozenset({"Ingress"})
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()

    def isolates(self, labels: Mapping[str, str], direction: str) -> bool:
        """Whether it isolates a pod of its namespace with these labels, in direction Ingress or Egress."""
        return direction in self.types and self.pods.matches(labels)

    def rules(self, direction: str) -> tuple[PolicyRule, ...]:
        """Its rules of one direction, which count only if it is of that type."""
        return self.ingress if direction == "Ingress" else self.egress

    @classmethod
    def from_json(cls, obj: Json) -> NetworkPolicy:
        """Without policyTypes it is Ingress, and Egress too where egress rules exist (NetworkPolicySpec's documentation)."""
        spec = mapping(obj, "spec")
        types = frozenset(texts(spec, "policyTypes"))
        defaults = frozenset({"Ingress", "Egress"} if spec.get("egress") else {"Ingress"})
        return cls(
            Meta.from_json(obj),
            LabelSelector.from_json(mapping(spec, "podSelector")),
            types or defaults,
            tuple(PolicyRule.from_json(rule, "from") for rule in items(spec, "ingress")),
            tuple(PolicyRule.from_json(rule, "to") for rule in items(spec, "egress")),
        )
