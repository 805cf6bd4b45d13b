"""3xx: from pods to endpoints: readiness, and slices that differ from the pods."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.readiness import Kind, cause_of
from kubectl_svcprobe.facts.times import in_words
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, READINESS_DOC, SERVICE_DOC, Match, rule
from kubectl_svcprobe.rules.unready import (
    HENCE,
    STARTING,
    cause_now,
    colliding_line,
    down_by,
    last_words,
    reasons,
    running,
)
from kubectl_svcprobe.rules.way_back import fixes, patched, rollout_evidence
from kubectl_svcprobe.words import count, gist, listed

#: Seconds for which a ready pod may be not listed, without a word.
SLICE_LAG = 30.0
#: Failed readiness probes that make a habit.
FLAPS = 3
#: Seconds since which a pod is ready again, for that to be news.
LATELY = 600.0


def _why(ev: Evidence, unready: list[Pod]) -> Iterator[str]:
    yield from reasons(ev, unready)
    yield from last_words(ev, unready)
    yield from rollout_evidence(ev, unready[0])


@rule("SVC302", "some-pods-not-ready", Severity.WARNING, reads={"Service", "Pod"}, source=READINESS_DOC)
def some_pods_not_ready(ev: Evidence) -> Iterator[Match]:
    """**What.** Some pods behind the Service are ready, and others are not.

    **Why it matters.** The Service works, with less capacity than declared.

    **Known exceptions.** A pod younger than a minute that is still starting, or one that is terminating, as in every
    rollout, is only information. Where `publishNotReadyAddresses` is set, readiness is not what decides.

    **How to confirm.** `kubectl get pods -l SELECTOR` shows 0/1 under READY for some.
    """
    service = ev.snapshot.service
    pods = running(ev)
    unready = [pod for pod in pods if not pod.is_ready and not pod.is_terminating]
    if service is None or not unready or not any(pod.is_ready for pod in pods) or service.publish_not_ready_addresses:
        return
    is_rollout = all(ev.age(pod.meta.created) < STARTING for pod in unready)
    yield Match(
        subject=service.ref,
        headline=f"{service.name} works, but {len(unready)} of its {count(len(pods), 'pod')} "
        + ("is not ready." if len(unready) == 1 else "are not ready."),
        message=f"{count(len(unready), 'pod')} behind {service.name} "
        + ("is not ready and gets no traffic." if len(unready) == 1 else "are not ready and get no traffic."),
        evidence=tuple(_why(ev, unready)),
        fix=tuple(fixes(ev, unready[0], cause_of(unready[0], ev.snapshot))),
        brief=f"{len(unready)} of {count(len(pods), 'pod')} not ready: {gist(cause_of(unready[0], ev.snapshot).clause)}",
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

    **How to confirm.** Compare `kubectl get pods -l SELECTOR -o wide` with `kubectl get endpointslices -l
    kubernetes.io/service-name=NAME -o yaml`.
    """
    service = ev.snapshot.service
    if service is None or not service.selector:
        return
    listed_pods = {endpoint.target.name for endpoint in ev.snapshot.all_endpoints() if endpoint.target}
    missing = [
        pod
        for pod in running(ev)
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

    **How to confirm.** `kubectl get nodes`, and `kubectl get pods -l SELECTOR -o wide` for who is on them.
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


@rule(
    "SVC314",
    "readiness-not-noticed",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=DEBUG_SERVICE,
)
def readiness_not_noticed(ev: Evidence) -> Iterator[Match]:
    """**What.** All containers of the pods are ready, no readiness gate is asked for, and the pods are still not marked so.

    **Why it matters.** They get no traffic, although they would serve. It is left over from a node that was lost for a
    moment, in kubelets of old versions, or the kubelet is behind.

    **Known exceptions.** In the second in which a pod becomes ready this may be seen in passing; so it is never more
    than likely.

    **How to confirm.** `kubectl get pod NAME -o jsonpath={.status.conditions}` has ContainersReady true and Ready false.
    """
    for match in down_by(ev, Kind.UNNOTICED):
        yield Match(
            match.subject,
            match.headline,
            f"{match.message} The kubelet may be behind, or this is left over from a loss of the node.",
            match.evidence,
            match.fix,
            brief=match.brief,
            confidence=Confidence.LIKELY,
        )


@rule(
    "SVC315",
    "service-variables-collide",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=SERVICE_DOC,
)
def service_variables_collide(ev: Evidence) -> Iterator[Match]:
    """**What.** The container ends with a complaint about something like `tcp://10.96.0.7:80`.

    **Why it matters.** For each Service, Kubernetes sets variables such as `WEB_PORT=tcp://10.96.0.7:80` in every pod of
    the namespace. An application that reads a variable of that name for its own settings chokes on it as soon as a
    Service of the same name exists.

    **Known exceptions.** The line is only taken for a sign, so this is never more than likely.

    **How to confirm.** `kubectl exec POD -- env`, while it runs, shows the variables; `enableServiceLinks: false` in the
    pod template switches them off.
    """
    line, found = colliding_line(ev), cause_now(ev)
    if not line or found is None:
        return
    pod, name = found[0], ev.service.name
    variable = f"{name.upper().replace('-', '_')}_PORT"
    yield Match(
        subject=pod.workload,
        headline=f"{name} is down for everyone: {pod.workload} ends at once, "
        f"probably since it takes a variable that Kubernetes sets, such as {variable}, for its own.",
        message=f"Its last line has an address as Kubernetes writes it into variables like {variable}.",
        evidence=(*reasons(ev, running(ev)), *last_words(ev, running(ev))),
        fix=(
            *patched(ev, pod.workload, {"enableServiceLinks": False}),
            f"this keeps those variables out of the pods of {pod.workload}, and replaces them",
        ),
        confidence=Confidence.LIKELY,
    )


@rule("SVC316", "readiness-flaps", Severity.WARNING, reads={"Service", "Pod"}, source=READINESS_DOC)
def readiness_flaps(ev: Evidence) -> Iterator[Match]:
    """**What.** All pods are ready now, and one became so again only minutes ago, after its readiness probe had failed.

    **Why it matters.** Each time a pod drops out, its connections are cut, and the others get its share. A probe that
    fails under load takes pods away exactly when they are needed.

    **Known exceptions.** One failure during a deployment of something that the pod depends on is no habit: fewer than
    three failed probes are not found, nor is a pod that was restarted.

    **How to confirm.** `kubectl get events --field-selector reason=Unhealthy` shows how often; `kubectl get pods -w`
    shows READY change.
    """
    service = ev.snapshot.service
    if service is None or not all(pod.is_ready for pod in running(ev)):
        return
    for pod in running(ev):
        events = [
            e
            for e in ev.snapshot.pod_events
            if e.about.name == pod.meta.name and e.reason == "Unhealthy" and e.message.startswith("Readiness")
        ]
        times = sum(event.count for event in events)
        if times < FLAPS or ev.age(pod.conditions["Ready"].since) > LATELY or any(s.restarts for s in pod.statuses):
            continue
        latest = max(events, key=lambda event: event.last)
        yield Match(
            subject=pod.ref,
            headline=f"{service.name} works, but {pod.meta.name} drops out now and then: "
            f"its readiness probe failed {times} times lately.",
            message=f"{pod.meta.name} is ready again since {in_words(ev.age(pod.conditions['Ready'].since))}.",
            evidence=(latest.message.strip().splitlines()[0],),
            fix=tuple(_more_patience(ev, pod)),
        )
        return


def _more_patience(ev: Evidence, pod: Pod) -> Iterator[str]:
    probes = [(c.name, c.readiness) for c in pod.containers if c.readiness]
    if probes:
        name, probe = probes[0]
        change = {"timeoutSeconds": max(5, 2 * probe.timeout), "failureThreshold": 5}
        yield "if the application is slow under load, and not broken, give the probe more patience:"
        yield from patched(ev, pod.workload, {"containers": [{"name": name, "readinessProbe": change}]})
    yield ev.kubectl(pod.meta.namespace, "describe", "pod", pod.meta.name)
