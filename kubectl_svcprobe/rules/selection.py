"""2xx: from the selector to pods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.policy import selects
from kubectl_svcprobe.facts.workload import Workload
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import close, count, labels, listed


@dataclass(frozen=True)
class NearMiss:
    """Labels that fail the selector: in which keys, how, and whose they are (`pods` of them exist)."""

    owner: ObjectRef
    differs: Mapping[str, str]
    pods: int
    ready: int

    def in_words(self, selector: Mapping[str, str]) -> str:
        """`app=devops instead of app=devop: one letter differs`."""
        return "; ".join(_difference(key, selector[key], self.differs[key]) for key in sorted(self.differs))


def _difference(key: str, wanted: str, actual: str) -> str:
    if not actual:
        return f"no label {key}"
    how = ""
    if wanted.lower() == actual.lower():
        how = ": only upper and lower case differ"
    elif close(wanted, actual, most=1):
        how = ": one letter differs"
    elif close(wanted, actual):
        how = ": nearly the same"
    return f"{key}={actual} instead of {key}={wanted}{how}"


def near_misses(ev: Evidence) -> list[NearMiss]:
    """What the selector nearly matches, best first: fewest differing labels, then differences that look like a slip."""
    selector = ev.service.selector
    pods = ev.snapshot.namespace_pods or ()
    candidates: dict[ObjectRef, Mapping[str, str]] = {w.ref: w.pod_labels for w in ev.snapshot.workloads or ()}
    existing, ready = Counter(pod.workload for pod in pods), Counter(pod.workload for pod in pods if pod.is_ready)
    for pod in pods:
        candidates.setdefault(pod.workload, pod.meta.labels)
    found = []
    for owner, found_labels in candidates.items():
        differs = {key: found_labels.get(key, "") for key, value in selector.items() if found_labels.get(key) != value}
        if differs and (len(differs) < len(selector) or _is_slip(selector, differs)):
            found.append(NearMiss(owner, differs, existing[owner], ready[owner]))
    return sorted(
        found, key=lambda miss: (not _is_slip(selector, miss.differs), len(miss.differs), -miss.ready, miss.owner)
    )


def _is_slip(selector: Mapping[str, str], differs: Mapping[str, str]) -> bool:
    """Whether all differing values look like slips of the pen."""
    return all(
        actual and (close(selector[k], actual) or selector[k].lower() == actual.lower())
        for k, actual in differs.items()
    )


@rule("SVC201", "selector-matches-no-pod", Severity.ERROR, reads={"Service", "Pod"}, source=DEBUG_SERVICE)
def selector_matches_no_pod(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service has a selector, and no pod of its namespace carries those labels.

    **Why it matters.** Without pods there are no endpoints: connections to the ClusterIP and to node ports are refused.
    Most often one label differs by a letter, by its case, or by a version that moved on.

    **What else is said.** The workload whose pods come nearest, and in which label they differ. A workload that would
    match but has no pods is another finding (SVC202, SVC203).

    **Known exceptions.** A Service that is made before its workload is meant to be empty for a while.
    """
    service = ev.snapshot.service
    if service is None or not service.selector or ev.snapshot.pods or _makers(ev):
        return
    selector, name, namespace = labels(service.selector), service.name, service.namespace
    misses = near_misses(ev)
    total = len(ev.snapshot.namespace_pods or ())
    evidence = [
        f"{miss.owner} ({count(miss.pods, 'pod')}, {miss.ready} ready) has {miss.in_words(service.selector)}"
        for miss in misses[:3]
    ]
    evidence += list(_label_sits_outside(ev))
    if not ev.snapshot.could_read("Deployment", "StatefulSet", "DaemonSet"):
        evidence.append("workloads could not be read: one that is scaled to zero would not be seen")
    yield Match(
        subject=service.ref,
        headline=f"{name} is down for everyone: its selector matches no pod.",
        message=f"The selector {selector} matches {_none_of(total)} in {namespace}.",
        evidence=tuple(evidence),
        fix=tuple(_selector_fixes(ev, misses)),
    )


def _none_of(total: int) -> str:
    return {0: "nothing: there is no pod", 1: "not the only pod"}.get(total, f"none of the {total:,} pods")


def _labelled_outside(ev: Evidence) -> list[Workload]:
    """The classic slip: the label is on the Deployment itself, and not on its pod template."""
    selector = ev.service.selector
    carriers = [w for w in ev.snapshot.workloads or () if selects(selector, w.meta.labels)]
    return [w for w in carriers if not selects(selector, w.pod_labels)]


def _label_sits_outside(ev: Evidence) -> Iterator[str]:
    for workload in _labelled_outside(ev):
        yield (
            f"{workload.ref} carries these labels itself, but its pod template does not: "
            "only the template's reach the pods"
        )


def _selector_fixes(ev: Evidence, misses: list[NearMiss]) -> Iterator[str]:
    service = ev.service
    if outside := _labelled_outside(ev):
        ref = outside[0].ref
        yield f"add {labels(service.selector)} to spec.template.metadata.labels of {ref}:"
        yield ev.kubectl(service.namespace, "edit", ref.kind.lower(), ref.name)
    elif misses and all(misses[0].differs.values()):
        patch = {"spec": {"selector": dict(misses[0].differs)}}
        yield ev.kubectl.patch(service.namespace, "service", service.name, patch)
        yield f"this sends the traffic of {service.name} to the pods of {misses[0].owner}"
    elif misses:
        missing = sorted(key for key, value in misses[0].differs.items() if not value)
        yield f"give the pod template of {misses[0].owner} the label {listed(f'{k}={service.selector[k]}' for k in missing)}"
    else:
        yield "compare the selector with the labels of the pods that are meant:"
        yield ev.kubectl(service.namespace, "get", "pods", "--show-labels")


def _makers(ev: Evidence) -> list[Workload]:
    """The workloads whose pods the selector would match."""
    return [w for w in ev.snapshot.workloads or () if selects(ev.service.selector, w.pod_labels)]


@rule(
    "SVC202",
    "workload-scaled-to-zero",
    Severity.ERROR,
    reads={"Service", "Pod", "Deployment", "StatefulSet", "DaemonSet"},
    source=SERVICE_DOC,
)
def workload_scaled_to_zero(ev: Evidence) -> Iterator[Match]:
    """**What.** The selector is right, and the workload behind it is scaled to zero, or is a DaemonSet that no node fits.

    **Why it matters.** No pods, no endpoints: connections are refused until it is scaled up.

    **Known exceptions.** Scale-to-zero autoscalers (KEDA, Knative) do this on purpose and wake the workload by traffic
    that does not pass through this Service.
    """
    service = ev.snapshot.service
    if service is None or not service.selector or ev.snapshot.pods:
        return
    for workload in _makers(ev):
        if workload.replicas == 0:
            kind, name, namespace = workload.ref.kind.lower(), workload.ref.name, service.namespace
            is_daemon = workload.ref.kind == "DaemonSet"
            what, wants = ("fits no node", "0 nodes fit") if is_daemon else ("is scaled to 0", "wants 0 replicas")
            yield Match(
                subject=workload.ref,
                headline=f"{service.name} is down for everyone: {workload.ref} {what}.",
                message=f"The selector {labels(service.selector)} matches {workload.ref}, which {wants}.",
                fix=(
                    ev.kubectl(namespace, "describe", kind, name)
                    if is_daemon
                    else ev.kubectl(namespace, "scale", kind, name, "--replicas", "1"),
                ),
            )


@rule(
    "SVC203",
    "pods-cannot-be-created",
    Severity.ERROR,
    reads={"Service", "Pod", "Deployment", "StatefulSet"},
    source=DEBUG_SERVICE,
)
def pods_cannot_be_created(ev: Evidence) -> Iterator[Match]:
    """**What.** The selector is right, the workload wants pods, and there are none.

    **Why it matters.** Something refuses them: a quota, an admission webhook, Pod Security, a missing service account.
    The workload's ReplicaFailure condition says which, and is quoted.

    **Known exceptions.** A workload that was created a moment ago is found too: look again.
    """
    service = ev.snapshot.service
    if service is None or not service.selector or ev.snapshot.pods:
        return
    for workload in _makers(ev):
        failure = workload.conditions.get("ReplicaFailure")
        if workload.replicas > 0:
            reason = failure.message if failure and failure.status == "True" else ""
            namespace, kind, name = service.namespace, workload.ref.kind.lower(), workload.ref.name
            yield Match(
                subject=workload.ref,
                headline=f"{service.name} is down for everyone: the pods of {workload.ref} cannot be created.",
                message=f"{workload.ref} wants {count(workload.replicas, 'pod')} with {labels(service.selector)}, "
                "and none exists.",
                evidence=(reason,) if reason else (),
                fix=(ev.kubectl(namespace, "describe", kind, name),),
            )


@rule(
    "SVC204", "selectorless-without-endpoints", Severity.ERROR, reads={"Service", "EndpointSlice"}, source=SERVICE_DOC
)
def selectorless_without_endpoints(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service has no selector, and no EndpointSlice gives it an address.

    **Why it matters.** Without a selector nobody makes EndpointSlices for it: whoever made the Service has to. A slice
    belongs to it by its label `kubernetes.io/service-name`, and its port names must equal the Service's.

    **Known exceptions.** ExternalName Services need none. A controller that fills the slices later.
    """
    service = ev.snapshot.service
    if service is None or service.selector or service.is_external_name or any(ev.snapshot.all_endpoints()):
        return
    name, namespace = service.name, service.namespace
    yield Match(
        subject=service.ref,
        headline=f"{name} is down for everyone: it has no selector, and no EndpointSlice gives it an address.",
        message=f"{name} selects no pods, so its addresses have to come from EndpointSlices "
        f"labelled kubernetes.io/service-name={name}. "
        + (
            f"The {count(len(ev.snapshot.slices), 'slice')} with that label hold no address."
            if ev.snapshot.slices
            else "There is none."
        ),
        brief="no selector, and no EndpointSlice with an address",
        fix=(
            "if it is meant for pods of this namespace, give it their labels as selector:",
            ev.kubectl(namespace, "get", "pods", "--show-labels"),
            f"else create an EndpointSlice with the label kubernetes.io/service-name={name}",
        ),
    )


@rule("SVC205", "selected-pods-have-finished", Severity.ERROR, reads={"Service", "Pod"}, source=DEBUG_SERVICE)
def selected_pods_have_finished(ev: Evidence) -> Iterator[Match]:
    """**What.** All pods that the selector matches have run to their end (Succeeded or Failed).

    **Why it matters.** A finished pod is no endpoint. A Job's pods, or evicted pods that were not replaced, are the usual
    ones.

    **Known exceptions.** None known.
    """
    service = ev.snapshot.service
    if service is None or not ev.snapshot.pods or not all(pod.is_finished for pod in ev.snapshot.pods):
        return
    pods = ev.snapshot.pods
    states = listed(sorted({f"{pod.phase}{f' ({pod.reason})' if pod.reason else ''}" for pod in pods}))
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is down for everyone: "
        + ("its only pod has finished." if len(pods) == 1 else f"all {len(pods)} pods behind it have finished."),
        message=f"The selector {labels(service.selector)} matches {listed(pod.meta.name for pod in pods)}: {states}.",
        evidence=tuple(dict.fromkeys(pod.message for pod in pods if pod.message)),
        fix=(ev.kubectl(service.namespace, "get", "pods", "-l", labels(service.selector), "-o", "wide"),),
    )
