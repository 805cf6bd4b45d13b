"""61x: names between client and Service."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome, name_servers
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import DNS_DOC, Match, rule
from kubectl_svcprobe.words import listed


def _is_name(result: PathResult) -> bool:
    return any(letter.isalpha() and letter not in "abcdef" for letter in result.probe.path.host)


@rule("SVC610", "name-does-not-resolve", Severity.ERROR, reads={"Service"}, source=DNS_DOC)
def name_does_not_resolve(ev: Evidence) -> Iterator[Match]:
    """**What.** The cluster's DNS answers, but does not know the Service's name.

    **Why it matters.** Clients use the name. CoreDNS learns of Services from the API server: one that it does not know it
    has not been told of, is not allowed to see, or is told to leave out.

    **Known exceptions.** A headless Service without a ready pod has no address to answer with.
    """
    service = ev.snapshot.service
    failed = [r for r in ev.from_pod(PathKind.DNS) if r.outcome is Outcome.DNS_FAILED]
    if service is None or not failed or not _control_name_resolves(ev):
        return
    names = listed(dict.fromkeys(r.probe.path.host for r in failed))
    yield Match(
        subject=service.ref,
        headline=f"{service.name} cannot be found by name: {names} does not resolve.",
        message=f"{names} does not resolve in a pod of {ev.snapshot.namespace}, while kubernetes.default.svc does.",
        evidence=(f"name server {listed(name_servers(ev.resolv_conf))}",) if name_servers(ev.resolv_conf) else (),
        fix=(ev.kubectl("kube-system", "logs", "-l", "k8s-app=kube-dns", "--tail", "20"),),
    )


@rule("SVC611", "cluster-dns-does-not-answer", Severity.ERROR, reads={"Service"}, source=DNS_DOC)
def cluster_dns_does_not_answer(ev: Evidence) -> Iterator[Match]:
    """**What.** No name resolves in the probe pod, not even `kubernetes.default.svc`, while addresses answer.

    **Why it matters.** It concerns every client by name, not only this Service's: CoreDNS is down, its Service has no
    endpoints, or DNS is not admitted out of this namespace.

    **Known exceptions.** A NetworkPolicy that lets the probe pod out, but not to the DNS; its policies are named.
    """
    service = ev.snapshot.service
    failed = [r for r in ev.from_pod(PathKind.DNS) if r.outcome is Outcome.DNS_FAILED]
    if service is None or not failed or _control_name_resolves(ev):
        return
    by_address = any(r.outcome.reached for r in (*ev.from_pod(PathKind.CLUSTER_IP), *ev.from_pod(PathKind.ENDPOINT)))
    servers = listed(name_servers(ev.resolv_conf)) or "the name server"
    egress = sorted(p.meta.name for p in ev.snapshot.policies if "Egress" in p.types)
    evidence = [f"asked name server {servers}, as the pod's resolv.conf says"]
    if egress:
        evidence.append(f"NetworkPolicy {listed(egress)} restricts what leaves pods of {ev.snapshot.namespace}")
    yield Match(
        subject=service.ref,
        headline=f"{service.name} cannot be found by name: cluster DNS does not answer"
        + (", though its address works." if by_address else "."),
        message=f"No name resolves in a pod of {ev.snapshot.namespace}, not even kubernetes.default.svc.",
        evidence=tuple(evidence),
        fix=(ev.kubectl("kube-system", "get", "pods,endpointslices", "-l", "k8s-app=kube-dns", "-o", "wide"),),
    )


def _control_name_resolves(ev: Evidence) -> bool:
    names = [r for r in ev.from_pod(PathKind.CONTROL) if _is_name(r)]
    return any(r.outcome is not Outcome.DNS_FAILED for r in names)
