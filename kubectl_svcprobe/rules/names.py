"""61x: names between client and Service."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.readiness import why_not_ready
from kubectl_svcprobe.probe.exposure import DEFAULT_DOMAIN, PathKind
from kubectl_svcprobe.probe.observe import Outcome, cluster_domain, name_servers, search_domains
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import DNS_DOC, Match, rule
from kubectl_svcprobe.words import count, listed

#: Seconds from which a lookup is slow: a name server of the cluster takes milliseconds, a lost packet is repeated after 5 s.
SLOW = 1.0

UNANSWERED = "the name server did not answer"


def _is_name(result: PathResult) -> bool:
    return any(letter.isalpha() and letter not in "abcdef" for letter in result.probe.path.host)


def _failed(ev: Evidence) -> list[PathResult]:
    return [r for r in ev.from_pod(PathKind.DNS) if r.outcome is Outcome.DNS_FAILED]


def _unknown(ev: Evidence) -> list[PathResult]:
    """Names that the DNS says it does not know, which is more than that no answer came."""
    return [r for r in _failed(ev) if r.detail != UNANSWERED]


def _spelling(result: PathResult, known: Collection[str]) -> str:
    """A name as it was asked for: by which family of addresses, where the other one is known."""
    path = result.probe.path
    return f"{path.host} by {path.family}" if path.family and path.host in known else path.host


def _is_doubtful(ev: Evidence) -> bool:
    """A pod's first second may fail, or a busy node be late: where no settled pod repeated it, more is not known."""
    return not ev.plan.settle and not all(any(o.is_retry for o in r.ran) for r in _failed(ev))


CANNOT, FIRST = "cannot", "could at first not"

#: Ends the message of what is doubtful.
NOT_REPEATED = " This was a new pod's first second, and may be over: no other pod could repeat it."


@rule("SVC610", "name-does-not-resolve", Severity.ERROR, reads={"Service"}, source=DNS_DOC)
def name_does_not_resolve(ev: Evidence) -> Iterator[Match]:
    """**What.** The cluster's DNS answers, but does not know the Service's name.

    **Why it matters.** Clients use the name. CoreDNS learns of Services from the API server: one that it does not know it
    has not been told of, is not allowed to see, or is told to leave out.

    **What else is said.** Where only some spellings of the name do not resolve, which ones: then it is the search list of
    the client, or a rewrite in the DNS, and the others can be used meanwhile.

    **How to confirm.** In any pod: `nslookup SERVICE.NAMESPACE.svc.cluster.local.`, with the dot at its end, asks for the
    whole name and nothing else; `kubectl -n kube-system get configmap coredns -o yaml` shows what the DNS is told.

    **Known exceptions.** Where no second pod could repeat the lookup, it is not known whether the failure lasts. A
    headless Service without a ready pod has no address to answer with. With `ignore empty_service` in its Corefile,
    CoreDNS does not know a Service without endpoints; then that comes first.
    """
    service = ev.snapshot.service
    failed = _unknown(ev)
    if service is None or not failed or not _control_name_resolves(ev):
        return
    known = {r.probe.path.host for r in ev.from_pod(PathKind.DNS) if r.outcome is not Outcome.DNS_FAILED}
    hosts = list(dict.fromkeys(_spelling(r, known) for r in failed))
    doubtful = _is_doubtful(ev)
    names, verb = listed(hosts), "does" if len(hosts) == 1 else "do"
    found = sorted(known - {r.probe.path.host for r in failed})
    servers, domains = name_servers(ev.resolv_conf), search_domains(ev.resolv_conf)
    evidence = [f"name server {listed(servers)}"] if servers else []
    if found:
        evidence.append(f"{listed(found)} resolves, so it may be the search list: {' '.join(domains)}")
    yield Match(
        subject=service.ref,
        headline=f"{service.name} {FIRST if doubtful else CANNOT} be found by name: {names} {verb} not resolve.",
        message=f"{names} {verb} not resolve in a pod of {ev.snapshot.client_namespace}, while kubernetes.default.svc does."
        + (NOT_REPEATED if doubtful else ""),
        evidence=tuple(evidence),
        fix=(
            ev.kubectl("kube-system", "logs", "-l", "k8s-app=kube-dns", "--tail", "20"),
            "what the DNS is told to leave out or to rewrite:",
            ev.kubectl("kube-system", "get", "configmap", "coredns", "-o", "yaml"),
        ),
        severity=Severity.UNKNOWN if doubtful else None,
        confidence=Confidence.POSSIBLE if doubtful else Confidence.CERTAIN,
    )


@rule("SVC611", "cluster-dns-does-not-answer", Severity.ERROR, reads={"Service"}, source=DNS_DOC)
def cluster_dns_does_not_answer(ev: Evidence) -> Iterator[Match]:
    """**What.** No name resolves in the probe pod, not even `kubernetes.default.svc`, while addresses answer.

    **Why it matters.** It concerns every client by name, not only this Service's: CoreDNS is down, its Service has no
    endpoints, or DNS is not admitted out of this namespace.

    **What else is said.** Whether something ready is behind the cluster's DNS. If so, and it was silent, curl up to 8.17
    may be the reason: it takes a name for unresolved where the DNS drops the question for IPv6 addresses (AAAA), though
    most clients go on.

    **How to confirm.** In any pod, `nslookup kubernetes.default` and the same with the address of a DNS pod as the server:
    if only that answers, it is the way to the DNS Service. `nslookup -type=a` leaves the question for IPv6 out.

    **Known exceptions.** A NetworkPolicy that lets the probe pod out, but not to the DNS, is named as the cause (SVC605);
    where policies could not be read, one may be the reason, and the verdict is unknown. Where names resolve for a pod on
    another node, it is the node, and nothing is said here. Where no second pod could repeat the lookups, it is not known
    whether the failure lasts.
    """
    service = ev.snapshot.service
    failed = _failed(ev)
    if service is None or not failed or _control_name_resolves(ev) or _resolves_elsewhere(ev):
        return
    doubtful = _is_doubtful(ev)
    by_address = any(r.outcome.reached for r in (*ev.from_pod(PathKind.CLUSTER_IP), *ev.from_pod(PathKind.ENDPOINT)))
    servers = listed(name_servers(ev.resolv_conf)) or "the name server"
    where = ev.snapshot.client_namespace
    egress = sorted(p.meta.name for p in ev.snapshot.policies if "Egress" in p.types and p.meta.namespace == where)
    evidence = [f"asked name server {servers}, as the pod's resolv.conf says"]
    ready = _ready_servers(ev)
    if ready:
        evidence.append(f"{count(len(ready), 'endpoint')} of the cluster's DNS ready: {listed(ready)}")
    if ready and any(r.detail == UNANSWERED for r in failed) and ev.probe:
        evidence.append(f"curl {ev.probe.curl_version} may also give up where a DNS drops questions for IPv6 addresses")
    if egress:
        evidence.append(f"NetworkPolicy {listed(egress)} restricts what leaves pods of {where}")
    # Without the pods, nobody can say whether a policy admits those of the DNS.
    doubted = ("NetworkPolicy", "Pod") if egress else ("NetworkPolicy",)
    unread = listed(u.what for u in ev.snapshot.unread if u.kind in doubted)
    doubt = f"; a NetworkPolicy may be why, {unread} could not be read" if unread else ""
    yield Match(
        subject=service.ref,
        headline=f"{service.name} {FIRST if doubtful else CANNOT} be found by name: cluster DNS does not answer"
        + (", though its address works" if by_address else "")
        + f"{doubt}.",
        message=f"No name resolves in a pod of {ev.snapshot.client_namespace}, not even kubernetes.default.svc."
        + (NOT_REPEATED if doubtful else ""),
        evidence=tuple(evidence),
        fix=(ev.kubectl("kube-system", "get", "pods,endpointslices", "-l", "k8s-app=kube-dns", "-o", "wide"),),
        severity=Severity.UNKNOWN if doubtful or unread else None,
        confidence=Confidence.POSSIBLE if doubtful or unread else Confidence.CERTAIN,
    )


def _control_name_resolves(ev: Evidence) -> bool:
    names = [r for r in ev.from_pod(PathKind.CONTROL) if _is_name(r)]
    return any(r.outcome is not Outcome.DNS_FAILED for r in names)


def _resolves_elsewhere(ev: Evidence) -> bool:
    names = [r for r in ev.from_other_node(PathKind.CONTROL) if _is_name(r)]
    return any(r.outcome is not Outcome.DNS_FAILED for r in names)


def _ready_servers(ev: Evidence) -> list[str]:
    found = [e for piece in ev.snapshot.dns_slices or () for e in piece.endpoints if e.ready]
    return list(dict.fromkeys(e.target.name if e.target else e.address for e in found))


@rule("SVC612", "cluster-dns-is-down", Severity.ERROR, reads={"Service"}, explains=("SVC611",), source=DNS_DOC)
def cluster_dns_is_down(ev: Evidence) -> Iterator[Match]:
    """**What.** No name resolves in the probe pod, and nothing ready is behind the cluster's DNS, the Service
    `kube-system/kube-dns`: it is scaled to nothing, or its pods are not ready.

    **Why it matters.** No pod of the cluster finds anything by name.

    **How to confirm.** `kubectl -n kube-system get deployments,pods,endpointslices -l k8s-app=kube-dns`.

    **Known exceptions.** A DNS that is not behind a Service of that name is not looked at; where kube-system may not be
    read, SVC611 says what was met.
    """
    service, slices = ev.snapshot.service, ev.snapshot.dns_slices
    if service is None or not slices or not _failed(ev) or _control_name_resolves(ev) or _ready_servers(ev):
        return
    pods = [pod for pod in ev.snapshot.dns_pods or () if not pod.is_finished]
    idle = next((w for w in ev.snapshot.dns_workloads if w.replicas == 0), None)
    if idle:
        why = f"{idle.ref} in kube-system is scaled to 0"
    elif pods:
        why = f"none of its {count(len(pods), 'pod')} is ready ({why_not_ready(pods[0], ev.snapshot)})"
    else:
        why = "it has no pod"
    yield Match(
        subject=service.ref,
        headline=f"{service.name} cannot be found by name, nor can anything else: the cluster's DNS is down, {why}.",
        message=f"No endpoint of service/kube-dns in kube-system is ready: {why}.",
        evidence=tuple(f"{p.meta.name} on {p.node or 'no node'}: {why_not_ready(p, ev.snapshot)}" for p in pods[:3]),
        fix=tuple(_dns_fixes(ev, idle.ref.name if idle else "", pods[0].meta.name if pods else "")),
    )


def _dns_fixes(ev: Evidence, idle: str, pod: str) -> Iterator[str]:
    if idle:
        yield ev.kubectl("kube-system", "scale", f"deployment/{idle}", "--replicas", "2")
        yield "starts two pods of it, on which every lookup in the cluster depends"
        return
    if pod:
        yield ev.kubectl("kube-system", "describe", "pod", pod)
        yield ev.kubectl("kube-system", "logs", pod, "--tail", "20")
    for workload in ev.snapshot.dns_workloads[:1]:
        yield "if its pods hang, make new ones, one after the other:"
        yield ev.kubectl("kube-system", "rollout", "restart", f"deployment/{workload.ref.name}")
    if not pod and not ev.snapshot.dns_workloads:
        yield ev.kubectl("kube-system", "get", "deployments,pods,endpointslices", "-l", "k8s-app=kube-dns")


@rule("SVC615", "names-resolve-late", Severity.WARNING, reads={"Service"}, explains=("SVC732",), source=DNS_DOC)
def names_resolve_late(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service's name resolves, but some lookup took longer than a second, or was not answered in the time
    that a connection has (2 s).

    **Why it matters.** A lost question is repeated by the client after 5 s, so single requests take 5 or 10 s longer, at
    random. Known reasons are two questions at once from one port that meet in the node's connection tracking, one of
    several DNS pods that is not reachable, and a DNS that is overloaded.

    **How to confirm.** In a pod, twenty times `time nslookup SERVICE`; then the same with the address of each DNS pod as
    the server. If every pod answers quickly on its own, it is the way to them.

    **Known exceptions.** A busy node delays everything; so the reason is possible, and no more.
    """
    service = ev.snapshot.service
    named = ev.from_pod(PathKind.DNS)
    attempts = [o for r in named for o in r.ran if o.is_retry or not any(p.is_retry for p in r.ran)]
    lost = [o for o in attempts if o.outcome is Outcome.DNS_FAILED and o.detail == UNANSWERED]
    slow = [o for o in attempts if o.outcome is not Outcome.DNS_FAILED and o.lookup_seconds >= SLOW]
    if service is None or not (lost or slow) or len(lost) == len(attempts) or not _control_name_resolves(ev):
        return
    how = (
        f"{len(lost)} of {len(attempts)} lookups went unanswered"
        if lost
        else f"a lookup took {slow[0].lookup_seconds:.1f} s"
    )
    ready = _ready_servers(ev)
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is found by name late, or not at once: {how}.",
        message=f"Of {len(attempts)} lookups in a pod of {ev.snapshot.client_namespace}, {len(lost)} went unanswered and "
        f"{len(slow)} took longer than {SLOW:g} s; questions or answers may be lost on the way to the DNS.",
        evidence=(
            *((f"{count(len(ready), 'endpoint')} of the cluster's DNS ready: {listed(ready)}",) if ready else ()),
            *((f"name server {listed(name_servers(ev.resolv_conf))}",) if name_servers(ev.resolv_conf) else ()),
        ),
        fix=(
            ev.kubectl("kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "wide"),
            "ask each of these by address; if all of them are quick, NodeLocal DNSCache avoids the way that is not",
        ),
        confidence=Confidence.POSSIBLE,
    )


@rule("SVC616", "name-leads-elsewhere", Severity.ERROR, reads={"Service", "EndpointSlice"}, source=DNS_DOC)
def name_leads_elsewhere(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service's name resolves in the probe pod, to an address that is neither the Service's nor an endpoint's.

    **Why it matters.** Clients talk to somebody else, who may even answer. A domain of the search list that answers for
    every name does that, as does a rewrite or a static record in the DNS.

    **How to confirm.** In any pod: `nslookup SERVICE` and `nslookup SERVICE.NAMESPACE.svc.cluster.local.`, with the dot.

    **Known exceptions.** Network plug-ins that connect a client straight to an endpoint show its address; that is no
    difference. Where no connection stood, the address is not known.
    """
    service = ev.snapshot.service
    if service is None or service.is_external_name:
        return
    own = {*service.cluster_ips, *(e.address for e in ev.snapshot.all_endpoints())}
    strange = [
        (r.probe.path.host, o.remote_ip)
        for r in ev.from_pod(PathKind.DNS)
        for o in r.ran
        if o.outcome.reached and o.remote_ip and o.remote_ip not in own
    ]
    if not strange or not own:
        return
    name, address = strange[0]
    domains = search_domains(ev.resolv_conf)
    whole = f"{service.name}.{service.namespace}.svc.{cluster_domain(ev.resolv_conf) or DEFAULT_DOMAIN}"
    is_short = whole not in {host for host, _ in strange}
    yield Match(
        subject=service.ref,
        headline=f"The name {name} leads to {address}, which is not {service.name}.",
        message=f"In a pod of {ev.snapshot.client_namespace}, {listed(dict.fromkeys(n for n, _ in strange))} resolves to "
        f"{address}; {service.name} is at {listed(service.cluster_ips) or 'the addresses of its endpoints'}.",
        evidence=(f"search list {' '.join(domains)}",) if domains else (),
        fix=(
            "what the DNS is told to rewrite:",
            ev.kubectl("kube-system", "get", "configmap", "coredns", "-o", "yaml"),
            *((f"until then, clients that ask for {whole}. (with the dot) may be right",) if is_short else ()),
        ),
    )
