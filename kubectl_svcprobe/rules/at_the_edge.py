"""54x, continued: what a proxy at the edge of the cluster answered, beside what the Service itself did."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kubectl_svcprobe.certificates import EXPIRED, NOT_YET_VALID, SELF_SIGNED, WRONG_NAME, certificate_of
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.route import Route
from kubectl_svcprobe.probe.expect import why_expected
from kubectl_svcprobe.probe.exposure import AT_THE_EDGE, PathKind, Vantage
from kubectl_svcprobe.probe.makers import answered_by
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.edges import leading
from kubectl_svcprobe.rules.rule import INGRESS_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: What a proxy says when it has nobody to ask, or got no answer (RFC 9110, section 15.6).
OWN_STATUS = {502: "got no proper answer from what it asked", 503: "has nobody to ask", 504: "got no answer in time"}


@rule("SVC545", "fails-at-the-edge", Severity.WARNING, reads={"Service"}, source=INGRESS_DOC)
def fails_at_the_edge(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service itself answers, and a request by an Ingress, a Gateway or a Route of OpenShift fails, or is
    answered 502, 503 or 504.

    **Why it matters.** The Service is well, so that the proxy, or the way from the proxy to the pods, is the first
    suspect: a NetworkPolicy that does not admit the proxy's pods, a protocol that the proxy does not expect of the backend
    (TLS, HTTP/2), a proxy that has not taken up the latest endpoints.

    **Known exceptions.** Where nobody at all is met at the proxy's address, nothing is said: it may be private, or behind
    a firewall. A 502, 503 or 504 may be the application's own answer to that host and path; where the Service was asked
    for another path than the proxy, or other backends share the rule, this is only possible.

    **How to confirm.** `kubectl logs` of the proxy's pods while asking it again with the printed command.
    """
    for route, result in _failed(ev):
        direct = _direct(ev, result)
        if not direct:
            continue
        status, path = result.http_status, result.probe.path
        what = f"answers {status}" if status else f"does not answer ({result.outcome.value.replace('-', ' ')})"
        is_sure = _asks_alone(ev, route, result) and all(_asked(r) == _asked(result) for r in direct)
        word = "is probably the proxy's own doing" if is_sure else "may be the proxy's doing, or the application's"
        yield Match(
            subject=route.ref,
            headline=f"{ev.service.name} answers, and {route.kind} {route.meta.name} {what}, which {word}.",
            message=f"{route.kind} {route.meta.name} {what} to {_asked(result)} for {path.authority or path.host}, while the "
            f"Service itself answers {_asked(direct[0])}. That {word}.",
            evidence=(*_evidence(result, direct[0]), *_policies(ev, result)),
            fix=(_command(result), ev.kubectl(route.meta.namespace, "describe", route.kind.lower(), route.meta.name)),
            port=path.service_port.port if path.service_port else 0,
            confidence=Confidence.LIKELY if is_sure else Confidence.POSSIBLE,
        )


@rule("SVC546", "unknown-at-the-edge", Severity.INFO, reads={"Service"}, source=INGRESS_DOC)
def unknown_at_the_edge(ev: Evidence) -> Iterator[Match]:
    """**What.** A request by an Ingress, a Gateway or a Route of OpenShift is answered 404, and what the Service itself was
    asked is not.

    **Why it matters.** Either the application has nothing at that path, which is no fault, or the proxy has no rule for
    that host and path: it has not taken up the route, or a class, a host or a path is not what it seems.

    **Known exceptions.** The two cannot be told apart by the answer alone; that is why this is information only.

    **How to confirm.** Ask with the printed command for a path that the application surely has. A body such as
    `default backend - 404` is the proxy's.
    """
    for route, result in _at_the_edge(ev):
        direct = _direct(ev, result)
        if result.http_status != 404 or any(r.http_status == 404 for r in direct):
            continue
        beside = f" The Service itself answers {direct[0].http_status} to {_asked(direct[0])}." if direct else ""
        yield Match(
            subject=route.ref,
            headline=f"{ev.service.name}: {route.kind} {route.meta.name} answers 404, possibly without asking it.",
            message=f"{route.kind} {route.meta.name} answers 404 to {_asked(result)} for "
            f"{result.probe.path.authority or result.probe.path.host}: "
            f"possibly the proxy's own answer, or else the application's.{beside}",
            evidence=tuple(_evidence(result, direct[0] if direct else None)),
            fix=(_command(result),),
            port=result.probe.path.service_port.port if result.probe.path.service_port else 0,
            confidence=Confidence.POSSIBLE,
        )


#: What clients that verify certificates object to, in a few words.
OBJECTIONS = {
    EXPIRED: "has expired",
    NOT_YET_VALID: "is not valid yet",
    WRONG_NAME: "is for other names",
    SELF_SIGNED: "nobody vouches for, possibly on purpose",
}


@rule("SVC547", "certificate-at-the-edge", Severity.WARNING, reads={"Service"}, source=INGRESS_DOC)
def certificate_at_the_edge(ev: Evidence) -> Iterator[Match]:
    """**What.** The proxy of an Ingress, a Gateway or a Route of OpenShift shows a certificate that has expired, is not
    valid yet, or is for other names than the host that it was asked by; or one that nobody vouches for.

    **Why it matters.** Clients that verify certificates, as browsers do, go no further. A proxy that cannot use the Secret
    which the route names (it is missing, of another namespace, or for another host) shows a default certificate.

    **Known exceptions.** One that is self-signed may be meant so, and is information only. Of one by an authority that
    this machine does not know nothing is said. Where a client's way leads by another server (a CDN), that one's
    certificate counts.

    **How to confirm.** `openssl s_client -connect ADDRESS:443 -servername HOST </dev/null | openssl x509 -noout -dates -ext
    subjectAltName`, and the Secret in `kubectl describe ingress NAME`.
    """
    for route, result in _at_the_edge(ev):
        path = result.probe.path
        host = path.authority or path.host
        found = certificate_of(ev.snapshot, result, (host,)) if host else None
        if found is None or found.state not in OBJECTIONS:
            continue
        is_own = found.state == SELF_SIGNED
        what = f"a certificate that {OBJECTIONS[found.state]}"
        made_out = listed(found.names, 4) or "no name at all"
        yield Match(
            subject=route.ref,
            headline=f"{ev.service.name}: {route.kind} {route.meta.name} shows {what}.",
            message=f"{route.kind} {route.meta.name}, asked for {host}, shows {what}: clients that verify it go no further.",
            evidence=(f"made out to {made_out}, by {found.issuer}, from {found.not_before} until {found.not_after}",),
            fix=(ev.kubectl(route.meta.namespace, "describe", route.kind.lower(), route.meta.name),),
            port=path.service_port.port if path.service_port else 0,
            severity=Severity.INFO if is_own else None,
            confidence=Confidence.POSSIBLE if is_own else Confidence.CERTAIN,
        )


def _at_the_edge(ev: Evidence) -> Iterator[tuple[Route, PathResult]]:
    """What was met at each route, from outside if it could be tried from there, else from the probe pod."""
    for route in leading(ev):
        found = [
            r
            for r in (*(r for kind in AT_THE_EDGE for r in ev.from_here(kind)), *_from_pod(ev))
            if r.probe.path.subject == str(route.ref) and not why_expected(ev.snapshot, r, ev.results)
        ]
        # Where Envoy says that it passed an answer on, it is not its own.
        if found and not any(o.is_passed_on for o in found[0].observations):
            yield route, found[0]


def _from_pod(ev: Evidence) -> Iterator[PathResult]:
    for kind in AT_THE_EDGE:
        yield from ev.from_pod(kind)


def _failed(ev: Evidence) -> Iterator[tuple[Route, PathResult]]:
    """Those that failed every time, or were answered in the proxy's own words."""
    for route, result in _at_the_edge(ev):
        is_own = result.outcome is Outcome.HTTP_ERROR and result.http_status in OWN_STATUS
        is_lost = result.outcome.is_bad and result.outcome is not Outcome.INTERMITTENT
        if (is_own and all(o.http_status in OWN_STATUS for o in result.ran)) or is_lost:
            yield route, result


def _direct(ev: Evidence, result: PathResult) -> tuple[PathResult, ...]:
    """What the Service answered without the proxy; nothing where any of that failed, or was an error too."""
    port = result.probe.path.service_port
    kinds = (PathKind.ENDPOINT, PathKind.CLUSTER_IP)
    found = [r for kind in kinds for r in ev.from_pod(kind, port) if r.probe.path.is_offered]
    is_well = all(r.outcome.is_good and r.http_status < 500 for r in found)
    return tuple(found) if is_well else ()


def _asks_alone(ev: Evidence, route: Route, result: PathResult) -> bool:
    """Whether only this Service's backends answer for the rule that was tried."""
    why = result.probe.request.why
    return all(b.is_only for b in route.leads_to(ev.service.name) if why.startswith(b.rule))


def _asked(result: PathResult) -> str:
    """`GET /path`, whatever is spoken underneath."""
    request = result.probe.request
    return f"GET {request.path}" if request.is_http else "a TCP connection"


def _evidence(result: PathResult, direct: PathResult | None) -> Iterator[str]:
    """Who says that it answered, where that differs."""
    status = result.http_status
    if status in OWN_STATUS:
        yield f"By {status} a proxy says that it {OWN_STATUS[status]}."
    at_edge, own = _server(result), _server(direct) if direct else ""
    if at_edge and own and at_edge != own:
        yield f"Server of this answer: {at_edge}; of the Service's own: {own}"
    elif at_edge:
        yield f"Server of this answer: {at_edge}"
    if maker := answered_by(result):
        yield f"By its headers, the answer is {maker}'s own."
    who = "this machine" if result.probe.vantage is Vantage.HERE else "the probe pod"
    yield f"Asked from {who}."


def _policies(ev: Evidence, result: PathResult) -> Iterator[str]:
    """The policies that may keep the proxy's pods out, which are not known here."""
    found = {p.meta.name for pod in ev.snapshot.pods for p in ev.snapshot.policies_on(pod.meta.labels, "Ingress")}
    if found and result.http_status in (502, 504):
        yield f"Of its pods, NetworkPolicy {listed(sorted(found), 3)} decides who gets in; possibly not the proxy."


def _server(result: PathResult) -> str:
    return next((o.server for o in result.observations if o.server), "")


def _command(result: PathResult) -> str:
    """curl, by the same name at the same address."""
    path, request = result.probe.path, result.probe.request
    name, address = path.authority or path.host, f"[{path.host}]" if ":" in path.host else path.host
    words = ["curl", "-sS", "-i", "-k"] if request.scheme == "https" else ["curl", "-sS", "-i"]
    if path.authority:
        words += ["--connect-to", f"{name}:{path.port}:{address}:{path.port}"]
    scheme = "https" if request.scheme == "https" else "http"
    host = name if path.authority or ":" not in name else address
    return shlex.join([*words, f"{scheme}://{host}:{path.port}{request.path}"])
