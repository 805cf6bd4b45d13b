"""2xx: from the selector to pods: why it matches nothing."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.near_misses import (
    HASHES,
    NearMiss,
    Why,
    best_of,
    elsewhere,
    is_plausible,
    labelled_outside,
    near_misses,
    relabel,
    why_nothing_matches,
    without,
)
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, LABELS_DOC, Match, rule
from kubectl_svcprobe.words import count, labels, listed


def _seen(ev: Evidence, misses: list[NearMiss]) -> Iterator[str]:
    """What comes near, here and elsewhere, and what was not looked at."""
    for miss in misses[:3]:
        said = miss.in_words(ev.service.selector)
        yield f"{miss.owner} ({count(miss.pods, 'pod')}, {miss.ready} ready) has {said}"
    for namespace, number in list(elsewhere(ev).items())[:3]:
        yield f"{count(number, 'pod')} with exactly these labels in namespace {namespace}, where this Service cannot reach"
    if not ev.snapshot.could_read("Deployment", "StatefulSet", "DaemonSet"):
        yield "workloads could not be read: one that is scaled to zero would not be seen"


def _message(ev: Evidence) -> str:
    total, selector = len(ev.snapshot.namespace_pods or ()), labels(ev.service.selector)
    if total == 1:
        return f"The selector {selector} does not match the only pod in {ev.service.namespace}."
    none = f"none of the {total:,} pods" if total else "nothing: there is no pod"
    return f"The selector {selector} matches {none} in {ev.service.namespace}."


@rule("SVC201", "selector-matches-no-pod", Severity.ERROR, reads={"Service", "Pod"}, source=DEBUG_SERVICE)
def selector_matches_no_pod(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service has a selector, and no pod of its namespace carries those labels.

    **Why it matters.** Without pods there are no endpoints: connections to the ClusterIP and to node ports are refused.
    Most often one label differs by a letter or by its case, or is not on the pods at all.

    **What else is said.** The workload whose pods come nearest, and in which label they differ. Causes that have a
    finding of their own: a label that only the Deployment carries (SVC207), another version (SVC208), pods of another
    namespace (SVC209), a workload that would match but has no pods (SVC202, SVC203).

    **Known exceptions.** A Service that is made before its workload is meant to be empty for a while.

    **How to confirm.** `kubectl get endpointslices -l kubernetes.io/service-name=NAME` shows no address. Compare
    `kubectl get service NAME -o wide` with `kubectl get pods --show-labels`, letter by letter.
    """
    if why_nothing_matches(ev) not in (Why.NEAR_MISS, Why.UNKNOWN):
        return
    service, misses = ev.service, near_misses(ev)
    what = _slip(ev, misses) or f"its selector {labels(service.selector)} matches no pod"
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is down for everyone: {what}.",
        message=_message(ev),
        evidence=tuple(_seen(ev, misses)),
        fix=tuple(_selector_fixes(ev, misses)),
    )


def _slip(ev: Evidence, misses: list[NearMiss]) -> str:
    """What is wrong, if one thing is plain; else nothing."""
    selector = ev.service.selector
    if len(best_of(selector, misses)) != 1:
        return ""
    best = misses[0]
    asked = labels({key: selector[key] for key in best.differs})
    if best.instead:
        return f"its selector says {asked}, {best.whose} carr{'ies' if best.owner.kind == 'Pod' else 'y'} {labels(best.instead)}"
    if is_plausible(selector, best.differs):
        return f"its selector says {asked}, {best.whose} say{'s' * (best.owner.kind == 'Pod')} {labels(best.differs)}"
    if len(best.absent) == len(best.differs):
        return f"its selector asks for {asked}, a label that {best.whose} lack{'s' * (best.owner.kind == 'Pod')}"
    return ""


def _selector_fixes(ev: Evidence, misses: list[NearMiss]) -> Iterator[str]:
    service = ev.service
    if not misses:
        yield "compare the selector with the labels of the pods that are meant:"
        yield ev.kubectl(service.namespace, "get", "pods", "--show-labels")
    for miss in best_of(service.selector, misses)[:2]:
        if not _slip(ev, misses):
            yield f"if {miss.whose} {'is' if miss.owner.kind == 'Pod' else 'are'} meant:"
        if len(miss.absent) == len(miss.differs) and not miss.instead:
            yield from list(without(ev, miss.owner, miss.absent)) or relabel(ev, miss.owner, miss.absent)
        else:
            yield ev.kubectl.patch(service.namespace, "service", service.name, {"spec": {"selector": miss.change}})
            yield f"this sends the traffic of {service.name} to {miss.whose}"


@rule(
    "SVC207",
    "label-not-on-pod-template",
    Severity.ERROR,
    reads={"Service", "Pod", "Deployment", "StatefulSet", "DaemonSet"},
    source=LABELS_DOC,
)
def label_not_on_pod_template(ev: Evidence) -> Iterator[Match]:
    """**What.** The labels that the selector asks for are on the workload itself, and not on its pod template.

    **Why it matters.** A Service selects pods. What stands under `metadata.labels` of a Deployment stays there; only
    `spec.template.metadata.labels` reaches the pods. So there are no endpoints, and connections are refused.

    **Known exceptions.** None known.

    **How to confirm.** `kubectl get deployment NAME --show-labels` has the label, `kubectl get pods --show-labels` has not.
    """
    if why_nothing_matches(ev) is not Why.OUTSIDE:
        return
    service, workload = ev.service, labelled_outside(ev)[0]
    missing = sorted(key for key, value in service.selector.items() if workload.pod_labels.get(key) != value)
    said = labels({key: service.selector[key] for key in missing})
    yield Match(
        subject=workload.ref,
        headline=f"{service.name} is down for everyone: {workload.ref} carries {said} itself, but its pods do not.",
        message=f"{_message(ev)} {workload.ref} carries these labels under metadata.labels; its pod template, which is "
        f"what the pods get, says {labels(workload.pod_labels)}.",
        evidence=tuple(_seen(ev, near_misses(ev))),
        fix=tuple(_outside_fixes(ev, missing)),
    )


def _outside_fixes(ev: Evidence, missing: list[str]) -> Iterator[str]:
    """The template first: the labels on the workload say that they were meant for it; less invasive, the selector."""
    workload = labelled_outside(ev)[0]
    blocked = [key for key in missing if key in workload.match_labels]
    if not blocked:
        yield from relabel(ev, workload.ref, missing)
    only_service = list(without(ev, workload.ref, missing))
    if only_service:
        yield from (["or, without touching the pods:"] if not blocked else [])
        yield from only_service
    elif blocked:
        body = {"spec": {"selector": {key: workload.pod_labels.get(key) for key in missing}}}
        yield ev.kubectl.patch(ev.service.namespace, "service", ev.service.name, body)
        yield f"this sends the traffic of {ev.service.name} to the pods of {workload.ref}"


@rule(
    "SVC208",
    "selector-names-another-version",
    Severity.ERROR,
    reads={"Service", "Pod"},
    source=LABELS_DOC,
)
def selector_names_another_version(ev: Evidence) -> Iterator[Match]:
    """**What.** The selector is pinned to a version, release or colour that no pod has any more; all its other labels fit.

    **Why it matters.** A release changed the label on the pods, and the Service still asks for the one before. There are
    no endpoints, and connections are refused.

    **Known exceptions.** Blue-green releases switch exactly this label. If the pods of the version that is asked for are
    gone by mistake, the workload has to come back, and not the selector to change.

    **How to confirm.** `kubectl get pods -L version` (or the label that is named) shows only other values.
    """
    if why_nothing_matches(ev) is not Why.VERSION:
        return
    service, misses = ev.service, near_misses(ev)
    best = misses[0]
    asked, found = labels({key: service.selector[key] for key in best.differs}), labels(best.differs)
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is down for everyone: its selector asks for {asked}, "
        f"and the pods of {best.owner} are {found}.",
        message=_message(ev),
        evidence=tuple(_seen(ev, misses)),
        fix=tuple(_version_fixes(ev, best)),
    )


def _version_fixes(ev: Evidence, best: NearMiss) -> Iterator[str]:
    """The version that is there; a controller's hash is taken out instead, since the next rollout brings another one."""
    service, hashes = ev.service, [key for key in best.differs if key in HASHES]
    if hashes == list(best.differs) and (less := list(without(ev, best.owner, hashes))):
        yield from less
        yield f"{' and '.join(hashes)} would be another one after the next rollout"
        return
    yield ev.kubectl.patch(service.namespace, "service", service.name, {"spec": {"selector": dict(best.differs)}})
    yield f"this sends the traffic of {service.name} to the pods of {best.owner}"


@rule("SVC209", "pods-in-another-namespace", Severity.ERROR, reads={"Service", "Pod"}, source=DEBUG_SERVICE)
def pods_in_another_namespace(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod of the Service's namespace carries its labels, and pods of another namespace do.

    **Why it matters.** A Service reaches pods of its own namespace only. There are no endpoints, and connections are
    refused.

    **Known exceptions.** Where the same application is installed in several namespaces, its pods elsewhere prove nothing:
    it may just not be installed here. So this is never more than likely.

    **How to confirm.** `kubectl get pods -A -l SELECTOR` shows them. If a Service in that namespace selects them, clients
    reach it as `NAME.NAMESPACE`.
    """
    if why_nothing_matches(ev) is not Why.ELSEWHERE:
        return
    service, where = ev.service, elsewhere(ev)
    there = next(iter(where))
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is down for everyone: no pod of {service.namespace} has its labels; "
        f"perhaps those in {listed(where)} are meant, which it cannot reach.",
        message=_message(ev),
        evidence=tuple(_seen(ev, near_misses(ev))),
        fix=(
            f"if the pods in {there} are meant, clients need a Service there, by the name SERVICE.{there}; there are:",
            ev.kubectl(there, "get", "services", "-o", "wide"),
            f"if not, the workload is still to be installed in {service.namespace}",
        ),
        confidence=Confidence.LIKELY,
    )
