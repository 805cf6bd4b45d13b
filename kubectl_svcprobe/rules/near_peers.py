"""What a policy's peer that selects nothing was probably meant to select. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kubectl_svcprobe.facts.around import Around
from kubectl_svcprobe.facts.policy import NAMESPACE_NAME, LabelSelector, PolicyPeer
from kubectl_svcprobe.facts.traffic import RuleAnswer
from kubectl_svcprobe.words import close
from kubectl_svcprobe.words import labels as in_words


@dataclass(frozen=True)
class NearMiss:
    """The labels that would select something, where in the policy they belong, and what they would select.

    `instead` is the change in a few words: `app=front instead of app=fornt`.
    """

    policy: str
    path: str
    labels: Mapping[str, str]
    instead: str
    found: str


def near_miss(around: Around, opening: RuleAnswer) -> NearMiss | None:
    """The nearest thing to a rule's peers that exists; None where nothing resembles them."""
    return next(_misses(around, opening), None)


def _misses(around: Around, opening: RuleAnswer) -> Iterator[NearMiss]:
    for index, peer in enumerate(opening.rule.peers):
        path = f"/spec/ingress/{opening.index}/from/{index}"
        yield from _namespace_misses(around, opening, peer, path)
        yield from _pod_misses(around, opening, peer, path)


def _namespace_misses(around: Around, opening: RuleAnswer, peer: PolicyPeer, path: str) -> Iterator[NearMiss]:
    if peer.namespaces is None or around.meant_namespaces(peer, opening.policy) or not around.is_whole:
        return
    for labels, wrong in _corrections(peer.namespaces, around.namespaces.values()):
        names = [name for name, own in sorted(around.namespaces.items()) if labels.items() <= own.items()]
        instead = f"{in_words(dict(labels.items() - peer.namespaces.labels.items()))} instead of {wrong}"
        where = f"{path}/namespaceSelector/matchLabels"
        yield NearMiss(opening.policy.meta.name, where, labels, instead, f"namespace {names[0]}")


def _pod_misses(around: Around, opening: RuleAnswer, peer: PolicyPeer, path: str) -> Iterator[NearMiss]:
    meant = around.meant_namespaces(peer, opening.policy) or ()
    pods = [pod for pod in around.pods if pod.meta.namespace in meant]
    if peer.pods is None:
        return
    for labels, wrong in _corrections(peer.pods, [pod.meta.labels for pod in pods]):
        found = next(pod for pod in pods if labels.items() <= pod.meta.labels.items())
        instead = f"{in_words(dict(labels.items() - peer.pods.labels.items()))} instead of {wrong}"
        where = f"{path}/podSelector/matchLabels"
        yield NearMiss(opening.policy.meta.name, where, labels, instead, f"{found.ref} of {found.meta.namespace}")


def _corrections(
    selector: LabelSelector, candidates: Iterable[Mapping[str, str]]
) -> Iterator[tuple[Mapping[str, str], str]]:
    """The selector's labels with one of them changed so that something matches, and the one that was wrong."""
    if selector.requirements:
        return
    for own in candidates:
        wrong = [(key, value) for key, value in selector.labels.items() if own.get(key) != value]
        if len(wrong) != 1:
            continue
        key, value = wrong[0]
        if right := _nearest(key, value, own):
            yield {**{k: v for k, v in selector.labels.items() if k != key}, right[0]: right[1]}, f"{key}={value}"


def _nearest(key: str, value: str, own: Mapping[str, str]) -> tuple[str, str] | None:
    """The label that was meant: nearly this value, the same value under nearly this key, or a namespace's name."""
    if key in own and _resembles(own[key], value):
        return key, own[key]
    if own.get(NAMESPACE_NAME) == value:
        return NAMESPACE_NAME, value
    return next(((k, v) for k, v in sorted(own.items()) if v == value and _resembles(k, key)), None)


def _resembles(one: str, other: str) -> bool:
    return one.lower() == other.lower() or close(one, other)
