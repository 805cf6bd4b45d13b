"""What a selector that matches nothing may have been meant to match."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.policy import selects
from kubectl_svcprobe.facts.workload import Workload
from kubectl_svcprobe.words import close, labels, nearest

#: Kinds whose pod template can be patched.
WITH_TEMPLATE = ("Deployment", "StatefulSet", "DaemonSet")

#: What controllers add to a template's labels: other values with every rollout, and no good to select by.
HASHES = ("pod-template-hash", "controller-revision-hash", "rollouts-pod-template-hash")

#: Labels that name a version or one half of a blue-green pair, and move on. Not `release` or `stage`: those name another
#: installation, to which nobody's traffic should be sent.
MOVES_ON = re.compile(
    rf"(^|[./-])(version|revision|rev|track|slot|colou?r|chart|build|commit|tag|{'|'.join(HASHES)})$",
    re.IGNORECASE,
)
VERSION = re.compile(r"v?\d+([._-]\w+)*|[0-9a-f]{7,40}|.*-v?\d+(\.\d+)+", re.IGNORECASE)


class Why(str, Enum):
    """Why a selector matches nothing."""

    UNKNOWN = "nobody comes near"
    NEAR_MISS = "a label differs, or is not there"
    OUTSIDE = "the label is on the workload, and not on its pod template"
    VERSION = "a label of another version"
    ELSEWHERE = "the pods are in another namespace"


@dataclass(frozen=True)
class NearMiss:
    """Labels that fail the selector: in which keys, how, and whose they are (`pods` of them exist).

    `instead` has the labels that carry the values of the absent keys, where every one of them is found under another key.
    """

    owner: ObjectRef
    differs: Mapping[str, str]
    pods: int
    ready: int
    instead: Mapping[str, str] = field(default_factory=dict)

    def in_words(self, selector: Mapping[str, str]) -> str:
        """`app=devops instead of app=devop: one letter differs`."""
        if self.instead:
            return f"{labels(self.instead)}, and no label {' or '.join(self.absent)}"
        return "; ".join(_difference(key, selector[key], self.differs[key]) for key in sorted(self.differs))

    @property
    def change(self) -> dict[str, str | None]:
        """What the selector would have to say: a merge patch, in which None takes a key out."""
        return {**{key: value or None for key, value in self.differs.items()}, **self.instead}

    @property
    def whose(self) -> str:
        """`the pods of deployment/web`, or a pod that nothing made."""
        return str(self.owner) if self.owner.kind == "Pod" else f"the pods of {self.owner}"

    @property
    def absent(self) -> list[str]:
        """The keys that are not there at all."""
        return sorted(key for key, value in self.differs.items() if not value)


def _difference(key: str, wanted: str, actual: str) -> str:
    if not actual:
        return f"no label {key}"
    how = ""
    if wanted.lower() == actual.lower():
        how = ": only upper and lower case differ"
    elif _is_version(key, wanted, actual):
        how = ""
    elif close(wanted, actual, most=1):
        how = ": one letter differs"
    elif close(wanted, actual):
        how = ": nearly the same"
    return f"{key}={actual} instead of {key}={wanted}{how}"


def _is_version(key: str, wanted: str, actual: str) -> bool:
    """Whether two values of a label look like two versions of the same."""
    both = bool(VERSION.fullmatch(wanted) and VERSION.fullmatch(actual))
    colours = {wanted, actual} in ({"blue", "green"}, {"stable", "canary"})
    return wanted.lower() != actual.lower() and (both or colours or bool(MOVES_ON.search(key)))


def near_misses(ev: Evidence) -> list[NearMiss]:
    """What the selector nearly matches, best first: fewest differing labels, then differences that look like a slip."""
    selector = ev.service.selector
    pods = ev.snapshot.namespace_pods or ()
    existing, ready = Counter(pod.workload for pod in pods), Counter(pod.workload for pod in pods if pod.is_ready)
    candidates = _candidates(ev)
    found = []
    for owner, found_labels in candidates.items():
        differs = {key: found_labels.get(key, "") for key, value in selector.items() if found_labels.get(key) != value}
        instead = _under_another_key(selector, differs, found_labels)
        is_near = len(differs) < len(selector) or instead or is_akin(selector, differs)
        if differs and (is_near or (len(candidates) == 1 and all(differs.values()))):
            found.append(NearMiss(owner, differs, existing[owner], ready[owner], instead))
    return sorted(found, key=lambda miss: (*_rank(selector, miss), -miss.ready, miss.owner))


def _candidates(ev: Evidence) -> dict[ObjectRef, Mapping[str, str]]:
    """Who could be meant, and the labels of its pods: those of the template, and what controllers add to them."""
    newest_last = sorted(ev.snapshot.namespace_pods or (), key=lambda pod: pod.meta.created)
    found = {pod.workload: pod.meta.labels for pod in newest_last}
    for workload in ev.snapshot.workloads or ():
        added = {key: value for key, value in found.get(workload.ref, {}).items() if key in HASHES}
        found[workload.ref] = {**added, **workload.pod_labels}
    return found


def _under_another_key(
    selector: Mapping[str, str], differs: Mapping[str, str], found: Mapping[str, str]
) -> dict[str, str]:
    """The labels with the values that are asked for, where all that differs is absent and found under another key."""
    instead: dict[str, str] = {}
    for key, actual in differs.items():
        other = next((k for k, v in sorted(found.items()) if v == selector[key] and k not in selector), "")
        if actual or not other:
            return {}
        instead[other] = selector[key]
    return instead


def _rank(selector: Mapping[str, str], miss: NearMiss) -> tuple[int, int]:
    """How far a miss is off; less is nearer."""
    return (0 if miss.instead else _likeness(selector, miss.differs)), len(miss.differs)


def best_of(selector: Mapping[str, str], misses: list[NearMiss]) -> list[NearMiss]:
    """The misses that come equally near, and differ in what they would have the selector say."""
    if not misses:
        return []
    ranks = [_rank(selector, miss) for miss in misses]
    equal = [miss for miss, rank in zip(misses, ranks, strict=True) if rank == ranks[0]]
    return list({str(miss.change): miss for miss in reversed(equal)}.values())[::-1]


def _likeness(selector: Mapping[str, str], differs: Mapping[str, str]) -> int:
    """0 is the most alike."""
    return next((place for place, is_so in enumerate((is_slip, is_plausible, is_akin)) if is_so(selector, differs)), 3)


def is_slip(selector: Mapping[str, str], differs: Mapping[str, str]) -> bool:
    """Whether all differing values look like slips of the pen."""
    return all(
        actual and (close(selector[k], actual) or selector[k].lower() == actual.lower())
        for k, actual in differs.items()
    )


def is_plausible(selector: Mapping[str, str], differs: Mapping[str, str]) -> bool:
    """Whether all differing values look like slips of the pen, or like another version; at least one is no version."""
    slips = {k: actual for k, actual in differs.items() if not (actual and _is_version(k, selector[k], actual))}
    return is_slip(selector, slips) and (bool(slips) or len(differs) < len(selector))


def is_akin(selector: Mapping[str, str], differs: Mapping[str, str]) -> bool:
    """Whether all differing values are slips, or one is part of the other, as `front` is of `web-front`."""
    return all(
        actual and (is_slip(selector, {key: actual}) or nearest(selector[key], [actual]))
        for key, actual in differs.items()
    )


def is_left_behind(selector: Mapping[str, str], miss: NearMiss) -> bool:
    """Whether the selector asks for another version of what is there, and for nothing else that is not."""
    return len(miss.differs) < len(selector) and all(
        actual and _is_version(key, selector[key], actual) for key, actual in miss.differs.items()
    )


def makers(ev: Evidence) -> list[Workload]:
    """The workloads whose pods the selector would match."""
    return [w for w in ev.snapshot.workloads or () if selects(ev.service.selector, w.pod_labels)]


def labelled_outside(ev: Evidence) -> list[Workload]:
    """The classic slip: the label is on the Deployment itself, and not on its pod template."""
    selector = ev.service.selector
    carriers = [w for w in ev.snapshot.workloads or () if selects(selector, w.meta.labels)]
    return [w for w in carriers if not selects(selector, w.pod_labels)]


def elsewhere(ev: Evidence) -> dict[str, int]:
    """The other namespaces in which pods carry exactly the selector's labels, and how many do that have not finished."""
    pods = [p for p in ev.snapshot.pods_elsewhere or () if not p.is_finished and not p.is_terminating]
    found = Counter(p.meta.namespace for p in pods if p.meta.namespace != ev.service.namespace)
    return dict(sorted(found.items()))


def why_nothing_matches(ev: Evidence) -> Why | None:
    """The likeliest cause; None where there is a selector that matches, no selector, or a workload that would match."""
    service = ev.snapshot.service
    if service is None or not service.selector or ev.snapshot.pods or makers(ev):
        return None
    if labelled_outside(ev):
        return Why.OUTSIDE
    misses = near_misses(ev)
    if misses and is_left_behind(service.selector, misses[0]):
        return Why.VERSION
    if misses and (misses[0].instead or is_plausible(service.selector, misses[0].differs)):
        return Why.NEAR_MISS
    if elsewhere(ev):
        return Why.ELSEWHERE
    return Why.NEAR_MISS if misses else Why.UNKNOWN


def relabel(ev: Evidence, owner: ObjectRef, keys: list[str]) -> Iterator[str]:
    """Give a workload's pods the labels that the selector asks for."""
    wanted = {key: ev.service.selector[key] for key in keys}
    if owner.kind in WITH_TEMPLATE:
        body = {"spec": {"template": {"metadata": {"labels": wanted}}}}
        yield ev.kubectl.patch(owner.namespace, owner.kind.lower(), owner.name, body)
        yield f"this gives the pods of {owner} the label {labels(wanted)}, and replaces them one after the other"
    elif owner.kind == "Pod":
        yield ev.kubectl(owner.namespace, "label", "pod", owner.name, *(f"{k}={v}" for k, v in sorted(wanted.items())))
        yield f"this gives {owner} the label {labels(wanted)}"
    else:
        yield f"give the pod template of {owner} the label {labels(wanted)}"


def without(ev: Evidence, owner: ObjectRef, keys: list[str]) -> Iterator[str]:
    """Ask for less: without those keys, if then nobody else's pods match."""
    rest = {key: value for key, value in ev.service.selector.items() if key not in keys}
    workloads = {w.ref for w in ev.snapshot.workloads or () if selects(rest, w.pod_labels)}
    pods = {pod.workload for pod in ev.snapshot.namespace_pods or () if selects(rest, pod.meta.labels)}
    if rest and workloads | pods == {owner}:
        body = {"spec": {"selector": dict.fromkeys(keys)}}
        yield ev.kubectl.patch(ev.service.namespace, "service", ev.service.name, body)
        yield f"this takes {' and '.join(keys)} out of the selector; {labels(rest)} matches {owner} only"
