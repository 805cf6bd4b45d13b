"""3xx: from pods to endpoints: readiness, and slices that differ from the pods."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.readiness import why_not_ready
from kubectl_svcprobe.facts.times import in_words
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.request import OWN_PROBE
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, READINESS_DOC, SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import count, gist, labels, listed

#: Seconds for which a new pod may be not ready, or a ready one not listed, without a word.
STARTING = 60.0
SLICE_LAG = 30.0


def _reasons(ev: Evidence, pods: list[Pod]) -> list[str]:
    """Why pods are not ready, pods with the same reason together."""
    by_reason: dict[str, list[Pod]] = {}
    for pod in pods:
        by_reason.setdefault(why_not_ready(pod, ev.snapshot), []).append(pod)
    return [f"{listed(pod.meta.name for pod in same)}: {reason}" for reason, same in by_reason.items()]


def _answers_although_not_ready(ev: Evidence) -> Iterator[str]:
    """What an application's answers say of its readiness probe; an error at the probe's own path only confirms it."""
    by_probe = {p.meta.name for p in _running(ev) if "readiness probe" in why_not_ready(p, ev.snapshot).lower()}
    tried = [r for r in ev.from_pod(PathKind.ENDPOINT) if r.probe.path.subject in by_probe]
    answering = [r for r in tried if r.outcome.is_good]
    confirming = [r for r in answering if r.http_status >= 400 and r.probe.request.why == OWN_PROBE]
    doubting = [r for r in answering if r not in confirming]
    if confirming:
        who = listed(dict.fromkeys(r.probe.path.subject for r in confirming))
        yield f"asked the same way, {who} answered this probe with {confirming[0].http_status} too"
    if doubting:
        names = list(dict.fromkeys(r.probe.path.subject for r in doubting))
        said = "answers at its port although it is" if len(names) == 1 else "answer at their port although they are"
        yield f"{listed(names)} {said} not ready: suspect the readiness probe before the application"


def _running(ev: Evidence) -> list[Pod]:
    return [pod for pod in ev.snapshot.pods if not pod.is_finished]


def _describe(ev: Evidence, pod: Pod) -> str:
    crashed = any(s.restarts or (s.state == "terminated" and s.exit_code) for s in pod.statuses)
    if crashed:
        return ev.kubectl(pod.meta.namespace, "logs", pod.meta.name, "--all-containers", "--previous", "--tail", "20")
    return ev.kubectl(pod.meta.namespace, "describe", "pod", pod.meta.name)


@rule(
    "SVC301",
    "no-pod-ready",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=("SVC302", "SVC304"),
    source=READINESS_DOC,
)
def no_pod_ready(ev: Evidence) -> Iterator[Match]:
    """**What.** The selector matches pods, and none of them is ready.

    **Why it matters.** Only ready pods get traffic; with none, connections to the Service are refused. The reason is in
    the pods: an image that cannot be pulled, a container that crashes, a readiness probe that fails, no node to run on.

    **What else is said.** What each pod gives as its reason, and whether an application answers although its pod is not
    ready: then the readiness probe itself is the suspect.

    **Known exceptions.** `publishNotReadyAddresses` sends traffic to pods that are not ready. While all pods are being
    deleted, those that still serve get the traffic. Neither is found.
    """
    service = ev.snapshot.service
    pods = _running(ev)
    if service is None or not pods or any(pod.is_ready for pod in pods) or service.publish_not_ready_addresses:
        return
    if any(ev.snapshot.usable(port) for port in service.ports):
        return
    reasons = _reasons(ev, pods)
    reasons.extend(_answers_although_not_ready(ev))
    first = gist(reasons[0].split(": ", 1)[1])
    is_starting = all(0 < ev.age(pod.meta.created) < STARTING / 2 for pod in pods) and "starting" in first
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is down for everyone: "
        + (
            f"its only pod is not ready ({first})."
            if len(pods) == 1
            else f"none of its {len(pods)} pods is ready ({first})."
        ),
        message=f"The selector {labels(service.selector)} matches {count(len(pods), 'pod')}, 0 ready, "
        f"so nothing is behind {service.name}." + (" They were created less than 30 s ago." if is_starting else ""),
        evidence=tuple(reasons),
        fix=(_describe(ev, pods[0]),),
        brief=f"no pod ready: {first}",
    )


@rule("SVC302", "some-pods-not-ready", Severity.WARNING, reads={"Service", "Pod"}, source=READINESS_DOC)
def some_pods_not_ready(ev: Evidence) -> Iterator[Match]:
    """**What.** Some pods behind the Service are ready, and others are not.

    **Why it matters.** The Service works, with less capacity than declared.

    **Known exceptions.** A pod younger than a minute that is still starting, or one that is terminating, as in every
    rollout, is only information.
    """
    service = ev.snapshot.service
    pods = _running(ev)
    unready = [pod for pod in pods if not pod.is_ready and not pod.is_terminating]
    if service is None or not unready or not any(pod.is_ready for pod in pods):
        return
    is_rollout = all(ev.age(pod.meta.created) < STARTING for pod in unready)
    yield Match(
        subject=service.ref,
        headline=f"{service.name} works, but {len(unready)} of its {count(len(pods), 'pod')} "
        + ("is not ready." if len(unready) == 1 else "are not ready."),
        message=f"{count(len(unready), 'pod')} behind {service.name} "
        + ("is not ready and gets no traffic." if len(unready) == 1 else "are not ready and get no traffic."),
        evidence=tuple(_reasons(ev, unready)),
        fix=(_describe(ev, unready[0]),),
        brief=f"{len(unready)} of {count(len(pods), 'pod')} not ready: {gist(why_not_ready(unready[0], ev.snapshot))}",
        severity=Severity.INFO if is_rollout else None,
    )


@rule(
    "SVC303",
    "ready-pod-not-in-endpoints",
    Severity.WARNING,
    reads={"Service", "Pod", "EndpointSlice"},
    source=SERVICE_DOC,
)
def ready_pod_not_in_endpoints(ev: Evidence) -> Iterator[Match]:
    """**What.** A pod that the selector matches has been ready for a while, and no EndpointSlice lists it.

    **Why it matters.** It gets no traffic. The EndpointSlice controller is behind or stopped, or somebody keeps the slices
    by hand.

    **Known exceptions.** A pod that became ready within the last 30 s.
    """
    service = ev.snapshot.service
    if service is None or not service.selector:
        return
    listed_pods = {endpoint.target.name for endpoint in ev.snapshot.all_endpoints() if endpoint.target}
    missing = [
        pod
        for pod in _running(ev)
        if pod.is_ready
        and pod.ips
        and not pod.is_terminating
        and pod.meta.name not in listed_pods
        and ev.age(pod.conditions["Ready"].since) > SLICE_LAG
    ]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        yield Match(
            subject=service.ref,
            headline=f"{service.name}: {count(len(missing), 'ready pod')} {verb} missing from its EndpointSlices.",
            message=f"{listed(p.meta.name for p in missing)} {verb} ready and selected, "
            f"but in no EndpointSlice of {service.name}.",
            evidence=(f"ready for {in_words(ev.age(missing[0].conditions['Ready'].since))}",),
            fix=(
                "the EndpointSlice controller (in kube-controller-manager) is behind or stopped, or the slices are kept by hand:",
                ev.kubectl(
                    service.namespace,
                    "get",
                    "endpointslices",
                    "-l",
                    f"kubernetes.io/service-name={service.name}",
                ),
            ),
        )


@rule(
    "SVC304",
    "endpoint-on-lost-node",
    Severity.WARNING,
    reads={"Service", "EndpointSlice", "Node"},
    source=DEBUG_SERVICE,
)
def endpoint_on_lost_node(ev: Evidence) -> Iterator[Match]:
    """**What.** An endpoint still counts as ready, and the node that it is on is not ready.

    **Why it matters.** It takes the control plane up to a minute to notice that a node is gone, and until then a share of
    the requests goes there. Its pods come back elsewhere once their toleration is over (5 minutes by default).

    **Known exceptions.** A node whose kubelet is down but whose pods run on still serves: then the paths answer.
    """
    service = ev.snapshot.service
    if service is None:
        return
    lost = [
        e for e in ev.snapshot.all_endpoints() if e.ready and (node := ev.snapshot.node(e.node)) and not node.is_ready
    ]
    gone = [
        p for p in ev.snapshot.pods if (node := ev.snapshot.node(p.node)) and not node.is_ready and not p.is_terminating
    ]
    nodes = sorted({e.node for e in lost} | {p.node for p in gone})
    if nodes:
        total = sum(1 for _ in ev.snapshot.all_endpoints())
        verb = "is" if len(nodes) == 1 else "are"
        listed_there = (
            f"{count(len(lost), 'endpoint')} of {total} {'is' if len(lost) == 1 else 'are'} still listed as ready there"
        )
        yield Match(
            subject=service.ref,
            headline=f"{service.name} has pods on {listed(nodes)}, which {verb} not ready.",
            message=f"{listed(nodes)} {verb} not ready; {listed_there}; {count(len(gone), 'pod')} not yet replaced.",
            evidence=tuple(filter(None, (_node_condition(ev, name) for name in nodes))),
            fix=(ev.kubectl("", "describe", "node", nodes[0]),),
        )


def _node_condition(ev: Evidence, name: str) -> str:
    node = ev.snapshot.node(name)
    ready = node.conditions.get("Ready") if node else None
    return f"{name}: {ready.reason}: {ready.message}, for {in_words(ev.age(ready.since))}" if ready else ""
