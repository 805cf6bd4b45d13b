"""9xx: what could not be looked at."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.granting import to_ask_inside, to_probe, to_read, user_of
from kubectl_svcprobe.rules.rule import POLICY_DOC, RBAC_DOC, Match, rule
from kubectl_svcprobe.rules.through_api import proxy_answers, said_through_api
from kubectl_svcprobe.words import listed


def _ref(ev: Evidence) -> ObjectRef:
    return ObjectRef("Service", ev.snapshot.namespace, ev.snapshot.name)


@rule("SVC901", "facts-unread", Severity.UNKNOWN, reads=set(), source=RBAC_DOC)
def facts_unread(ev: Evidence) -> Iterator[Match]:
    """**What.** Pods or EndpointSlices could not be read, and no request went through the Service either.

    **Why it matters.** Without both, nothing can be said: an empty list that was refused is not an empty list.

    **What else is said.** Where the EndpointSlices could be read and hold nothing ready, or the ClusterIP refused the
    probe pod, the Service is down, and only the reason is unknown.

    **How to confirm.** `kubectl auth can-i list pods` and `kubectl auth can-i list endpointslices.discovery.k8s.io`, in the
    namespace.

    **Known exceptions.** Where the Service's own address answered the probe pod, that decides, and the refused reads are
    only listed.

    **How to confirm.** `kubectl auth can-i list pods` and `kubectl auth can-i list endpointslices.discovery.k8s.io`, with
    `-n` and the namespace.
    """
    service = ev.snapshot.service
    if service is None or service.is_external_name or ev.snapshot.could_read("Pod", "EndpointSlice"):
        return
    if any(r.outcome.is_good for r in ev.from_pod(PathKind.CLUSTER_IP)):
        return
    missing = [u for u in ev.snapshot.unread if u.kind in ("Pod", "EndpointSlice")]
    what = listed(u.what for u in missing)
    refused = all(u.why == "forbidden" for u in missing)
    could_not = f"this user may not list {what}" if refused else f"{what} could not be read"
    down = _down_all_the_same(ev)
    yield Match(
        subject=_ref(ev),
        headline=f"{ev.snapshot.name} {down}; why cannot be told, {could_not}."
        if down
        else f"{ev.snapshot.name}: could not tell, {could_not}{_nevertheless(ev)}.",
        message=f"The rules that need {what} were skipped.",
        evidence=(*(u.message for u in missing), *_answered(ev)),
        fix=(
            *to_read(ev.snapshot.namespace, ev.snapshot.unread),
            "what this user may do now:",
            ev.kubectl(ev.snapshot.namespace, "auth", "can-i", "--list"),
        )
        if refused
        else (),
        severity=Severity.ERROR if down else None,
        brief=f"{down or 'could not tell'}: {could_not}",
    )


def _down_all_the_same(ev: Evidence) -> str:
    """What is certain without the missing lists; empty if nothing is. (Silence is not: a policy may be its reason.)"""
    if ev.snapshot.could_read("EndpointSlice"):
        return (
            ""
            if any(ev.snapshot.usable(port) for port in ev.service.ports)
            else "is down for everyone, nothing ready is behind it"
        )
    tried = ev.from_pod(PathKind.CLUSTER_IP)
    refused = [r for r in tried if r.outcome is Outcome.REFUSED]
    return (
        f"refuses connections at its ClusterIP {refused[0].probe.path.target}"
        if refused and len(refused) == len(tried)
        else ""
    )


@rule("SVC902", "probe-pod-failed", Severity.UNKNOWN, reads=set(), source=RBAC_DOC)
def probe_pod_failed(ev: Evidence) -> Iterator[Match]:
    """**What.** The probe pod could not be created, did not start, or its result could not be read.

    **Why it matters.** Then nothing was tried from inside the cluster, and this is not the Service's fault. The reason is
    quoted as the cluster gives it: a permission, a quota, an admission webhook, an image, no node.

    **How to confirm.** `kubectl svcprobe SERVICE --dry-run` prints the pod; `kubectl create -f` of that, and `kubectl describe
    pod`, show the same refusal.

    **Known exceptions.** None: where the objects alone show what is broken, that finding comes first.

    **How to confirm.** `kubectl svcprobe NAME --dry-run | kubectl create -f -` makes the very pod; `kubectl describe pod`
    then says what became of it.
    """
    if ev.probe is None or not ev.probe.problem:
        return
    yield Match(
        subject=_ref(ev),
        headline=f"{ev.snapshot.name}: could not tell from inside the cluster, {_no_answer(ev)}{_nevertheless(ev)}.",
        message=ev.probe.problem[0].upper() + ev.probe.problem[1:],
        evidence=_answered(ev),
        fix=tuple(_pod_fixes(ev)),
    )


def _no_answer(ev: Evidence) -> str:
    problem = ev.probe.problem if ev.probe else ""
    if ev.probe and ev.probe.inside:
        return f"nothing could be asked inside pod/{ev.probe.pod}"
    if user_of(problem):
        may_not = "create pods" if "cannot create" in problem else "read the log of the probe pod"
        return f"this user may not {may_not} in {ev.snapshot.client_namespace}"
    return "the probe pod did not run"


def _nevertheless(ev: Evidence) -> str:
    """What is known all the same, as the end of a sentence."""
    return "; through the API server it answers" if proxy_answers(ev) else ""


def _answered(ev: Evidence) -> tuple[str, ...]:
    """What answered elsewhere than a pod, a line for each vantage."""
    here = [r for r in ev.results if r.probe.vantage is Vantage.HERE and r.outcome.is_good]
    targets = dict.fromkeys(f"{r.probe.path.kind.value} {r.probe.path.target}" for r in here)
    line = (f"this machine got an answer from {listed(targets)}",) if targets else ()
    return (*said_through_api(ev), *line)


def _pod_fixes(ev: Evidence) -> Iterator[str]:
    problem = ev.probe.problem if ev.probe else ""
    namespace, name = ev.snapshot.client_namespace, ev.snapshot.name
    if ev.probe and ev.probe.inside:
        yield from to_ask_inside(namespace, problem)
        yield "from a probe pod in its place:"
        yield ev.kubectl.svcprobe(
            ev.snapshot.namespace, name, "--from", f"pod/{ev.probe.pod}", "--from-namespace", namespace
        )
    elif user_of(problem):
        yield from to_probe(namespace, problem)
    elif "exceeded quota" in problem:
        yield "what the quota allows, and what uses it:"
        yield ev.kubectl(namespace, "describe", "resourcequota")
        yield from _elsewhere(ev)
    elif "admission webhook" in problem or "violates PodSecurity" in problem:
        yield from _elsewhere(ev)
    elif any(word in problem.lower() for word in ("image", "pull")):
        yield "name an image with curl in it that the nodes can pull:"
        yield ev.kubectl.svcprobe(ev.snapshot.namespace, name, "--image", "REGISTRY/curl:TAG")
    yield "without a pod, from the objects, through the API server and from this machine:"
    yield ev.kubectl.svcprobe(ev.snapshot.namespace, name, "--no-probe")


def _elsewhere(ev: Evidence) -> Iterator[str]:
    yield "start the pod in another namespace (policies may treat it differently there):"
    yield ev.kubectl.svcprobe(ev.snapshot.namespace, ev.snapshot.name, "--from-namespace", "NAMESPACE")


@rule("SVC903", "probe-pod-is-cut-off", Severity.UNKNOWN, reads=set(), explains=("SVC611",), source=POLICY_DOC)
def probe_pod_is_cut_off(ev: Evidence) -> Iterator[Match]:
    """**What.** The probe pod reached nothing at all: neither the Service nor the `kubernetes` Service.

    **Why it matters.** So its failures say nothing about this Service. An egress policy of the namespace, a node without a
    working network or Service proxy, or both.

    **How to confirm.** The same command with any other Service, and with `--node` for another node: if nothing is reached
    from there either, it is the namespace's policies.

    **Known exceptions.** None known.

    **How to confirm.** `kubectl svcprobe NAME --node` with another node, and
    `kubectl get networkpolicies` of the namespace, whose `policyTypes` name Egress.
    """
    if ev.snapshot.service is None or ev.vantage_is_sound or ev.probe is None:
        return
    where = ev.snapshot.client_namespace
    egress = sorted(p.meta.name for p in ev.snapshot.policies if "Egress" in p.types and p.meta.namespace == where)
    evidence = [f"{r.probe.path.target}: {r.outcome.value}" for r in ev.from_pod(PathKind.CONTROL)]
    if egress:
        evidence.append(f"NetworkPolicy {listed(egress)} restricts what leaves pods of {where}")
    node = ev.probe.node
    yield Match(
        subject=_ref(ev),
        headline=f"{ev.snapshot.name}: could not tell, the probe pod on {node} reaches nothing, not even the API server.",
        message=f"The probe pod on {node} reached neither {ev.snapshot.name} nor service/kubernetes, "
        f"so this says nothing about {ev.snapshot.name}.",
        evidence=(*evidence, *said_through_api(ev)),
        fix=(
            "try from another node:",
            ev.kubectl.svcprobe(ev.snapshot.namespace, ev.snapshot.name, "--node", ev.another_node(node)),
        ),
    )
