"""9xx: what the API server's own ways to a Service told, where no pod did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef, ServicePort
from kubectl_svcprobe.probe.apiserver import NO_ENDPOINT
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import Match, rule
from kubectl_svcprobe.words import count, listed

PROXY_DOC = "https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster-services/"
FORWARD_DOC = "https://kubernetes.io/docs/tasks/access-application-cluster/port-forward-access-application-cluster/"


def no_pod_told(ev: Evidence) -> bool:
    """Whether no pod met anything that counts; then the API server's ways are all that there is."""
    return not ev.vantage_is_sound or not any(
        r.probe.vantage.is_pod and r.outcome is not Outcome.NOT_RUN for r in ev.results
    )


def through_api(ev: Evidence, kind: PathKind, port: ServicePort | None = None) -> list[PathResult]:
    """What was asked through the API server in one way, and came to something."""
    return [
        r
        for r in ev.results
        if r.probe.vantage is Vantage.API_SERVER
        and r.probe.path.kind is kind
        and (port is None or r.probe.path.service_port == port)
        and r.outcome is not Outcome.NOT_RUN
    ]


def said_through_api(ev: Evidence) -> tuple[str, ...]:
    """What answered through the API server, in a line for evidence."""
    good = [r for kind in (PathKind.SERVICE_PROXY, PathKind.PORT_FORWARD) for r in through_api(ev, kind)]
    targets = dict.fromkeys(r.probe.path.target for r in good if r.outcome.is_good)
    return (f"through the API server {listed(targets)} answered",) if targets else ()


def proxy_answers(ev: Evidence) -> bool:
    """Whether the application answered the API server itself."""
    return any(r.outcome.is_good for r in through_api(ev, PathKind.SERVICE_PROXY))


def _get_raw(ev: Evidence, result: PathResult) -> str:
    path, scheme = result.probe.request.path, "https:" if result.probe.request.scheme == "https" else ""
    name = f"{scheme}{ev.snapshot.name}:{result.probe.path.port}"
    return ev.kubectl(
        ev.snapshot.namespace, "get", "--raw", f"/api/v1/namespaces/{ev.snapshot.namespace}/services/{name}/proxy{path}"
    )


@rule(
    "SVC904",
    "api-server-finds-no-endpoint",
    Severity.ERROR,
    reads=set(),
    explains=("SVC905", "SVC908"),
    source=PROXY_DOC,
)
def api_server_finds_no_endpoint(ev: Evidence) -> Iterator[Match]:
    """**What.** This user may not read the EndpointSlices, and the API server's service proxy says that it finds no endpoint
    that is ready for this port.

    **Why it matters.** Nothing that is sent to the Service arrives anywhere. Only the reason is unknown: no pod matches the
    selector, none is ready, or the port has a name that no pod declares.

    **How to confirm.** `kubectl get --raw /api/v1/namespaces/NAMESPACE/services/NAME:PORT/proxy/`, and by someone who may
    read them, `kubectl get endpointslices -l kubernetes.io/service-name=NAME`.

    **Known exceptions.** Where the EndpointSlices could be read, they say it themselves, with the reason.
    """
    if ev.snapshot.service is None or ev.snapshot.could_read("EndpointSlice"):
        return
    for port in ev.service.ports:
        found = through_api(ev, PathKind.SERVICE_PROXY, port)
        if not found or any(r.detail != NO_ENDPOINT for r in found):
            continue
        yield Match(
            subject=ev.service.ref,
            headline=f"{ev.part(port)} is down for everyone: the API server finds no ready endpoint behind it.",
            message="The reason is beyond what this user may read: the pods, or the EndpointSlices.",
            evidence=(f"service proxy of {found[0].probe.path.target}: no endpoints available",),
            fix=(
                "have someone who may read them look:",
                f"kubectl -n {ev.snapshot.namespace} get pods,endpointslices -o wide",
            ),
            port=port.port,
            brief="no ready endpoint, says the API server",
        )


@rule("SVC905", "endpoints-refuse-the-api-server", Severity.ERROR, reads=set(), explains=("SVC906",), source=PROXY_DOC)
def endpoints_refuse_the_api_server(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod could ask, and the API server was refused when it connected to an endpoint by its service proxy.

    **Why it matters.** A refusal comes from where the connection ends: nothing listens there at that port. A port-forward
    into the pods tells more: refused inside too, and nothing listens at all; open inside, and the application likely listens
    on 127.0.0.1 only.

    **How to confirm.** `kubectl get --raw /api/v1/namespaces/NAMESPACE/services/NAME:PORT/proxy/`, and
    `kubectl port-forward pod/NAME PORT`, then `curl 127.0.0.1:PORT`.

    **Known exceptions.** A NetworkPolicy that rejects instead of dropping may refuse the API server and nobody else: so it
    is only likely, unless the port is closed inside the pods too.
    """
    if ev.snapshot.service is None or not no_pod_told(ev):
        return
    for port in ev.service.ports:
        for result in through_api(ev, PathKind.SERVICE_PROXY, port):
            if any(o.outcome is Outcome.REFUSED for o in result.observations):
                yield _refused(ev, port, result)


def _refused(ev: Evidence, port: ServicePort, result: PathResult) -> Match:
    inside = [r for r in through_api(ev, PathKind.PORT_FORWARD, port) if r.probe.path.is_offered]
    shut = [r for r in inside if r.outcome is Outcome.REFUSED]
    is_open = [r for r in inside if r.outcome.reached]
    number = inside[0].probe.path.port if inside else port.target_port
    refused = sum(o.outcome is Outcome.REFUSED for o in result.ran)
    is_all = refused == len(result.ran)
    evidence = [f"service proxy of {result.probe.path.target}: {refused} of {len(result.ran)} connections refused"]
    if shut:
        evidence.append(f"port-forward to {_pods(shut)}: port {number} is closed inside too")
    if is_open:
        evidence.append(f"port-forward to {_pods(is_open)}: port {number} is open inside")
    part = ev.part(port)
    if is_all and is_open and not shut:
        text = f"{part} refuses connections: its pods likely listen on 127.0.0.1 only at port {number}."
        sure = Confidence.LIKELY
    elif is_all and shut and not is_open:
        text, sure = f"{part} is down: nothing listens at port {number} of its pods.", Confidence.CERTAIN
    elif is_all:
        text, sure = f"{part} likely refuses everyone: its endpoints refuse the API server.", Confidence.LIKELY
    else:
        text = f"{part} likely fails for some requests: not every endpoint accepts the API server's connections."
        sure = Confidence.LIKELY
    return Match(
        subject=ev.service.ref,
        headline=text,
        message="No pod could ask; this is what the API server met on its own way to the endpoints.",
        evidence=tuple(evidence),
        fix=(
            "have the application listen there, or lead the Service to the port at which it listens (targetPort):",
            ev.kubectl(ev.snapshot.namespace, "edit", "service", ev.snapshot.name),
            "see it by hand:",
            _get_raw(ev, result),
        ),
        severity=None if is_all else Severity.WARNING,
        port=port.port,
        confidence=sure,
    )


def _pods(results: Sequence[PathResult]) -> str:
    return listed([r.probe.path.subject for r in results], 2)


@rule("SVC906", "closed-inside-its-pods", Severity.WARNING, reads=set(), source=FORWARD_DOC)
def closed_inside_its_pods(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod could ask, and a port-forward into every pod that was entered found the Service's target port closed
    at 127.0.0.1.

    **Why it matters.** Most applications listen on all addresses of their pod, and then a port that is closed inside is one
    at which nothing listens.

    **How to confirm.** `kubectl exec POD -- ss -ltn`, or `kubectl port-forward pod/NAME PORT` and a connection to it.

    **Known exceptions.** An application that listens on its pod's own address alone (Cassandra and Elasticsearch can) is
    closed at 127.0.0.1 and serves all the same: so this is only possible, and not said where a readiness probe of a ready
    pod asks that very port.
    """
    if ev.snapshot.service is None or not no_pod_told(ev):
        return
    probed = {pod.meta.name: pod.readiness_ports() for pod in ev.snapshot.pods if pod.is_ready}
    for port in ev.service.ports:
        inside = [r for r in through_api(ev, PathKind.PORT_FORWARD, port) if r.probe.path.is_offered]
        is_shut = bool(inside) and all(r.outcome is Outcome.REFUSED for r in inside)
        is_asked = any(r.probe.path.port in probed.get(r.probe.path.subject, ()) for r in inside)
        if not is_shut or is_asked or any(r.outcome.reached for r in through_api(ev, PathKind.SERVICE_PROXY, port)):
            continue
        number = inside[0].probe.path.port
        yield Match(
            subject=ev.service.ref,
            headline=f"{ev.part(port)} may be down: port {number} is closed inside {count(len(inside), 'pod')} of it.",
            message=f"Nothing listens on 127.0.0.1 at port {number}; possibly the application listens at another port, or on "
            "the pod's own address alone.",
            evidence=(f"port-forward to {_pods(inside)}: port {number} is closed",),
            fix=(
                "what it listens at, where its image has a tool for it:",
                ev.kubectl(ev.snapshot.namespace, "exec", inside[0].probe.path.subject, "--", "netstat", "-ltn"),
            ),
            port=port.port,
            confidence=Confidence.POSSIBLE,
        )


@rule("SVC907", "http-error-through-the-api-server", Severity.WARNING, reads=set(), source=PROXY_DOC)
def http_error_through_the_api_server(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod could ask, and the application answered the API server's service proxy with a status of 500 or more.

    **Why it matters.** The way to the application is open, and what it says is that it, or something behind it, does not
    work. A proxy in front of nothing says 502 or 503.

    **How to confirm.** `kubectl get --raw /api/v1/namespaces/NAMESPACE/services/NAME:PORT/proxy/` shows the whole answer.

    **Known exceptions.** An application may say so to everyone whom it does not know, and to a path that it does not have;
    `--path` asks for another one.
    """
    if ev.snapshot.service is None or not no_pod_told(ev):
        return
    for port in ev.service.ports:
        for result in through_api(ev, PathKind.SERVICE_PROXY, port):
            if result.outcome is not Outcome.HTTP_ERROR:
                continue
            path = result.probe.request.path
            yield Match(
                subject=ev.service.ref,
                headline=f"{ev.part(port)} answers {result.http_status} through the API server.",
                message=f"The application was reached, and answered GET {path} with {result.http_status}.",
                evidence=(f"service proxy of {result.probe.path.target}: {result.detail or result.http_status}",),
                fix=("the whole answer:", _get_raw(ev, result)),
                port=port.port,
            )


@rule("SVC908", "out-of-the-api-servers-reach", Severity.INFO, reads=set(), source=PROXY_DOC)
def out_of_the_api_servers_reach(ev: Evidence) -> Iterator[Match]:
    """**What.** The API server's service proxy did not get through to an endpoint, although a pod did, or although the port is
    open inside its pods.

    **Why it matters.** Nothing for clients in the cluster. But an admission webhook or an aggregated API behind this Service
    is called by the API server, on the same way; so are `kubectl proxy` and links of dashboards.

    **How to confirm.** `kubectl get --raw /api/v1/namespaces/NAMESPACE/services/NAME:PORT/proxy/`.

    **Known exceptions.** Usual where the control plane is outside the pods' network: a managed cluster with an overlay
    network, or a firewall that lets it reach some ports of nodes only. A NetworkPolicy that does not admit it does the same.
    """
    if ev.snapshot.service is None:
        return
    lost = (Outcome.TIMED_OUT, Outcome.UNREACHABLE, Outcome.REFUSED)
    for port in ev.service.ports:
        unreached = [
            r for r in through_api(ev, PathKind.SERVICE_PROXY, port) if r.outcome in lost and r.detail != NO_ENDPOINT
        ]
        from_pods = [r for r in ev.offered_endpoints(port) if r.outcome.reached]
        inside = [r for r in through_api(ev, PathKind.PORT_FORWARD, port) if r.outcome.reached]
        if not unreached or not (from_pods or inside):
            continue
        if unreached[0].outcome is Outcome.REFUSED and not from_pods:
            continue
        who = "a pod reached them" if from_pods else f"port {inside[0].probe.path.port} is open inside its pods"
        how = unreached[0].outcome.value.replace("-", " ")
        yield Match(
            subject=ObjectRef("Service", ev.snapshot.namespace, ev.snapshot.name),
            headline=f"The API server does not get through to the endpoints of {ev.part(port)}.",
            message=f"It matters for webhooks, aggregated APIs and kubectl proxy only; {who}.",
            evidence=(f"service proxy of {unreached[0].probe.path.target}: {how}",),
            port=port.port,
        )
