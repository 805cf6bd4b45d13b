"""NetworkPolicies: which pods each one selects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubectl_svcprobe.facts.json_fields import items, mapping, strings, text, texts
from kubectl_svcprobe.facts.model import Json, Meta


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


@dataclass(frozen=True)
class LabelSelector:
    """A LabelSelector; an empty one selects everything."""

    labels: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """All of its labels and requirements hold."""
        return selects(self.labels, labels) and all(r.matches(labels) for r in self.requirements)

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
class NetworkPolicy:
    """A NetworkPolicy; `types` holds Ingress, Egress or both."""

    meta: Meta
    pods: LabelSelector
    types: frozenset[str] = frozenset({"Ingress"})

    def isolates(self, labels: Mapping[str, str], direction: str) -> bool:
        """Whether it isolates a pod of its namespace with these labels, in direction Ingress or Egress."""
        return direction in self.types and self.pods.matches(labels)

    @classmethod
    def from_json(cls, obj: Json) -> NetworkPolicy:
        """Without policyTypes it is Ingress, and Egress too where egress rules exist (NetworkPolicySpec's documentation)."""
        spec = mapping(obj, "spec")
        types = frozenset(texts(spec, "policyTypes"))
        defaults = frozenset({"Ingress", "Egress"} if spec.get("egress") else {"Ingress"})
        return cls(Meta.from_json(obj), LabelSelector.from_json(mapping(spec, "podSelector")), types or defaults)
