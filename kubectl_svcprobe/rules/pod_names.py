"""The names of single pods behind a headless Service, as the members of a StatefulSet use them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.snapshot import JoinedEndpoint
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import DNS_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: Seconds for which the DNS may still hold the answer from before: CoreDNS keeps an answer, and that there is none, for 30 s.
CACHED = 60.0


def _named(ev: Evidence) -> tuple[PathResult, ...]:
    return ev.from_pod(PathKind.POD_NAME)


def _endpoint(ev: Evidence, result: PathResult) -> JoinedEndpoint | None:
    """The endpoint whose name was asked."""
    port = result.probe.path.service_port
    found = ev.snapshot.endpoints_of(port) if port else ()
    return next((e for e in found if e.name == result.probe.path.subject), None)


def _is_fresh(ev: Evidence, results: Sequence[PathResult]) -> bool:
    """Whether one of these pods became ready so lately that the DNS may not have heard of it, or may have: its pod is unread."""
    pods = [e.pod for r in results if (e := _endpoint(ev, r))]
    ready = [pod.conditions.get("Ready") if pod else None for pod in pods]
    return any(condition is None or ev.age(condition.since) < CACHED for condition in ready)


@rule("SVC535", "pod-name-does-not-resolve", Severity.ERROR, reads={"Service", "EndpointSlice"}, source=DNS_DOC)
def pod_name_does_not_resolve(ev: Evidence) -> Iterator[Match]:
    """**What.** A pod behind a headless Service has a name of its own, as the members of a StatefulSet do, and that name does
    not resolve, though the Service's own name does.

    **Why it matters.** Members of a StatefulSet find each other by these names. One that is not found is left out.

    **How it is known.** The EndpointSlice gives the endpoint a `hostname`; a pod asked for it below the Service's name.

    **Known exceptions.** In the first minute after a pod became ready the DNS may remember that there was no such name: then
    it is only possible that it lasts, and a warning.

    **How to confirm.** In any pod: `nslookup POD.SERVICE.NAMESPACE.svc.cluster.local.`, with the dot at its end.
    """
    service = ev.snapshot.service
    failed = [r for r in _named(ev) if r.outcome is Outcome.DNS_FAILED]
    by_name = [r for r in ev.from_pod(PathKind.DNS) if r.outcome is not Outcome.DNS_FAILED]
    if service is None or not failed or not by_name:
        return
    fresh = _is_fresh(ev, failed)
    names = listed(dict.fromkeys(r.probe.path.host for r in failed))
    pods = listed(dict.fromkeys(r.probe.path.subject for r in failed))
    yield Match(
        subject=service.ref,
        headline=f"{pods} cannot be found by name: {names} does not resolve"
        + (", which may only be too early." if fresh else "."),
        message=f"In a pod of {ev.snapshot.client_namespace}, {names} does not resolve, while {service.name} does.",
        evidence=("the DNS remembers for half a minute that there was no such name",) if fresh else (),
        fix=(
            "what the DNS is told, and whether it says why:",
            ev.kubectl("kube-system", "logs", "-l", "k8s-app=kube-dns", "--tail", "20"),
        ),
        severity=Severity.WARNING if fresh else None,
        confidence=Confidence.POSSIBLE if fresh else Confidence.CERTAIN,
    )


@rule("SVC536", "pod-name-leads-elsewhere", Severity.WARNING, reads={"Service", "EndpointSlice"}, source=DNS_DOC)
def pod_name_leads_elsewhere(ev: Evidence) -> Iterator[Match]:
    """**What.** The name of a pod behind a headless Service resolves to another address than the pod's.

    **Why it matters.** Whoever asks for this member of a StatefulSet gets another one, or one that is gone.

    **How it is known.** The connection that a pod made by that name went to an address that is not the endpoint's.

    **Known exceptions.** A pod that was made anew in the last minute has another address than the DNS remembers: that
    passes, and is left out here.

    **How to confirm.** In any pod: `nslookup POD.SERVICE.NAMESPACE.svc.cluster.local.` beside `kubectl get pod POD -o wide`.
    """
    service = ev.snapshot.service
    for result in _named(ev) if service else ():
        endpoint = _endpoint(ev, result)
        if endpoint is None or service is None or _is_fresh(ev, [result]):
            continue
        ips = {endpoint.endpoint.address, *(endpoint.pod.ips if endpoint.pod else ())}
        met = sorted({o.remote_ip for o in result.ran if o.outcome.reached and o.remote_ip} - ips)
        if not met:
            continue
        path = result.probe.path
        yield Match(
            subject=service.ref,
            headline=f"The name {path.host} leads to {listed(met)}, which is not {path.subject}.",
            message=f"In a pod of {ev.snapshot.client_namespace}, {path.host} resolves to {listed(met)}; {path.subject} is at "
            f"{listed(sorted(ips))}.",
            fix=(
                "what the DNS is told to rewrite:",
                ev.kubectl("kube-system", "get", "configmap", "coredns", "-o", "yaml"),
            ),
        )
