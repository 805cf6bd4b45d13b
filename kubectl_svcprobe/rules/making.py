"""2xx, continued: the selector is right, and what should make the pods does not; or they have all finished."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.node import Event
from kubectl_svcprobe.facts.scaling import Autoscaler
from kubectl_svcprobe.facts.times import in_words
from kubectl_svcprobe.facts.workload import Workload
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.admission import refusal
from kubectl_svcprobe.rules.near_misses import makers
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import count, labels, listed

#: Seconds after which a workload without pods, of which nobody says why, is a fault.
JUST_MADE = 10.0

KNATIVE = "serving.knative.dev/service"
#: Where kube-downscaler keeps the number of replicas of the working hours.
DOWNSCALER = "downscaler/original-replicas"
#: The Deployment controller's own words.
SCALED_DOWN = re.compile(r"Scaled down replica set \S+ from (\d+) to 0")


def _autoscaler(ev: Evidence, workload: Workload) -> Autoscaler | None:
    return next((a for a in ev.snapshot.autoscalers or () if a.target == workload.ref), None)


def _by_whom(ev: Evidence, workload: Workload) -> Iterator[str]:
    """Who put it to 0, as far as that can be read."""
    if name := workload.pod_labels.get(KNATIVE):
        yield f"it belongs to the Knative Service {name}, which scales to 0 what gets no traffic by way of its own route"
    if scaler := _autoscaler(ev, workload):
        if scaler.scaled_object:
            yield f"the KEDA ScaledObject {scaler.scaled_object} scales it, to 0 while its trigger is idle"
        elif scaler.least == 0:
            yield f"the autoscaler {scaler.meta.name} may scale it to 0 (minReplicas: 0)"
        else:
            yield f"the autoscaler {scaler.meta.name} leaves a workload with 0 replicas alone"
    if DOWNSCALER in workload.meta.annotations:
        yield f"kube-downscaler keeps it at 0 for now; it had {workload.meta.annotations[DOWNSCALER]} replicas"
    edit, event = workload.scaled_by, _scaling_down(ev, workload)
    if event:
        yield f"it was scaled down {in_words(ev.age(event.last))} ago: {event.message}"
    if edit and not edit.manager:
        yield "its 0 was set by way of the scale subresource, as kubectl scale and autoscalers do; by whom is not recorded"
    elif edit and edit.at == workload.meta.created:
        yield f"it was created so, {in_words(ev.age(edit.at))} ago, by {edit.manager}"
    elif edit:
        yield f"the number of its replicas was last set by {edit.manager}, {in_words(ev.age(edit.at))} ago"


def _scaling_down(ev: Evidence, workload: Workload) -> Event | None:
    """The latest event that says so; events are kept for an hour by most clusters."""
    found = [e for e in ev.snapshot.maker_events if e.about == workload.ref and SCALED_DOWN.fullmatch(e.message)]
    return max(found, key=lambda e: e.last, default=None)


def _before(ev: Evidence, workload: Workload) -> int:
    """How many replicas it had before, where an event or kube-downscaler says so; else 0."""
    kept = workload.meta.annotations.get(DOWNSCALER, "")
    event = _scaling_down(ev, workload)
    said = SCALED_DOWN.fullmatch(event.message) if event else None
    return int(kept) if kept.isdigit() else int(said[1]) if said else 0


def _scale_up(ev: Evidence, workload: Workload) -> Iterator[str]:
    kind, name, namespace = workload.ref.kind.lower(), workload.ref.name, workload.ref.namespace
    scaler = _autoscaler(ev, workload)
    if scaler and scaler.scaled_object:
        yield "to keep one pod whether the trigger is idle or not:"
        yield ev.kubectl.patch(namespace, "scaledobject", scaler.scaled_object, {"spec": {"minReplicaCount": 1}})
        return
    if scaler and scaler.least == 0:
        yield ev.kubectl.patch(namespace, "horizontalpodautoscaler", scaler.meta.name, {"spec": {"minReplicas": 1}})
    wanted = _before(ev, workload) or (max(scaler.least, 1) if scaler else 1)
    yield ev.kubectl(namespace, "scale", kind, name, "--replicas", str(wanted))


def _fit_a_node(ev: Evidence, workload: Workload) -> Iterator[str]:
    kind, name, namespace = workload.ref.kind.lower(), workload.ref.name, workload.ref.namespace
    if workload.node_selector:
        yield f"if it may run on every node, take {labels(workload.node_selector)} out of its pod template:"
        body = {"spec": {"template": {"spec": {"nodeSelector": dict.fromkeys(sorted(workload.node_selector))}}}}
        yield ev.kubectl.patch(namespace, kind, name, body)
    else:
        yield ev.kubectl(namespace, "describe", kind, name)


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

    **What else is said.** By whom, as far as that can be read: an autoscaler that may go to zero, KEDA, kube-downscaler,
    Knative, or whoever set the number of replicas last, by `metadata.managedFields`.

    **Known exceptions.** Scale-to-zero autoscalers (KEDA, Knative) do this on purpose and wake the workload by traffic
    that does not pass through this Service. For Knative it is a warning only.

    **How to confirm.** `kubectl get deployment NAME` says 0/0. `kubectl get deployment NAME -o yaml --show-managed-fields`
    names who wrote `f:replicas`, and when; `kubectl get hpa` shows autoscalers.
    """
    service = ev.snapshot.service
    if service is None or not service.selector or ev.snapshot.pods:
        return
    for workload in makers(ev):
        if workload.replicas == 0:
            is_daemon = workload.ref.kind == "DaemonSet"
            what, wants = ("fits no node", "0 nodes fit") if is_daemon else ("is scaled to 0", "wants 0 replicas")
            fits = labels(workload.node_selector)
            yield Match(
                subject=workload.ref,
                headline=f"{service.name} is down for everyone: {workload.ref} {what}.",
                message=f"The selector {labels(service.selector)} matches {workload.ref}, which {wants}.",
                evidence=tuple(_by_whom(ev, workload))
                if not is_daemon
                else ((f"its pods want a node with {fits}",) if workload.node_selector else ()),
                fix=tuple(_fit_a_node(ev, workload) if is_daemon else _scale_up(ev, workload)),
                severity=Severity.WARNING if KNATIVE in workload.pod_labels else None,
            )


def _reason(ev: Evidence, workload: Workload) -> str:
    """In the words of the API server: the ReplicaFailure condition, or the latest FailedCreate event about it."""
    failure = workload.conditions.get("ReplicaFailure")
    if failure and failure.status == "True" and failure.message:
        return failure.message
    events = [
        e
        for e in ev.snapshot.maker_events
        if e.reason == "FailedCreate"
        and (
            e.about.name == workload.ref.name
            or (e.about.kind == "ReplicaSet" and e.about.name.rpartition("-")[0] == workload.ref.name)
        )
    ]
    return max(events, key=lambda e: e.last).message if events else ""


@rule(
    "SVC203",
    "pods-cannot-be-created",
    Severity.ERROR,
    reads={"Service", "Pod", "Deployment", "StatefulSet"},
    source=DEBUG_SERVICE,
)
def pods_cannot_be_created(ev: Evidence) -> Iterator[Match]:
    """**What.** The selector is right, the workload wants pods, and there are none.

    **Why it matters.** Something refuses them: a quota, an admission webhook, Pod Security, a LimitRange, a missing
    service account. The workload's ReplicaFailure condition, or its FailedCreate event, says which, and is quoted.

    **Known exceptions.** A workload that was created some seconds ago and of which nobody says why it has no pods yet is
    a warning only: look again.

    **How to confirm.** `kubectl describe replicaset -l SELECTOR` (or `describe statefulset NAME`) ends with the event.
    """
    service = ev.snapshot.service
    if service is None or not service.selector or ev.snapshot.pods:
        return
    for workload in makers(ev):
        if workload.replicas > 0:
            yield _without_pods(ev, workload, _reason(ev, workload))


def _without_pods(ev: Evidence, workload: Workload, reason: str) -> Match:
    service, ref = ev.service, workload.ref
    known = refusal(reason) if reason else None
    is_new = not reason and 0 < ev.age(workload.meta.created) < JUST_MADE
    if is_new:
        headline = f"{service.name} has no pods yet: {ref} was created {in_words(ev.age(workload.meta.created))} ago."
    else:
        why = f": {known.gist}" if known else ""
        headline = f"{service.name} is down for everyone: the pods of {ref} cannot be created{why}."
    fix = (
        known.fix(ev, workload) if known else iter([ev.kubectl(ref.namespace, "describe", ref.kind.lower(), ref.name)])
    )
    return Match(
        subject=ref,
        headline=headline,
        message=f"{ref} wants {count(workload.replicas, 'pod')} with {labels(service.selector)}, and none exists.",
        evidence=(reason,) if reason else (),
        fix=tuple(fix),
        severity=Severity.WARNING if is_new else None,
    )


@rule("SVC205", "selected-pods-have-finished", Severity.ERROR, reads={"Service", "Pod"}, source=DEBUG_SERVICE)
def selected_pods_have_finished(ev: Evidence) -> Iterator[Match]:
    """**What.** All pods that the selector matches have run to their end (Succeeded or Failed).

    **Why it matters.** A finished pod is no endpoint. A Job's pods, or evicted pods that were not replaced, are the usual
    ones.

    **Known exceptions.** None known.

    **How to confirm.** `kubectl get pods -l SELECTOR` shows only Completed, Error or Evicted.
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
