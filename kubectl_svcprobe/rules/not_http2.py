"""7xx, continued: a port that is said to speak HTTP/2, and speaks something older."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.request import AS_ASKED, Request
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.protocols import APP_PROTOCOL_DOC, say_app_protocol, understood
from kubectl_svcprobe.rules.rule import Match, rule
from kubectl_svcprobe.words import mapping


@rule("SVC719", "not-http-2", Severity.WARNING, reads={"Service"}, explains=("SVC702",), source=APP_PROTOCOL_DOC)
def not_http_2(ev: Evidence) -> Iterator[Match]:
    """**What.** The port was asked by HTTP/2 from the first byte, or by gRPC, and no endpoint answers so. Asked by HTTP/1.1,
    or by TLS, one does; or it speaks, and not HTTP/2.

    **Why it matters.** Gateways and meshes go by `appProtocol` and the port's name, and would speak HTTP/2 to it. Clients
    that speak as the application does get through.

    **How it is known.** One endpoint was asked in the other ways too.

    **Known exceptions.** Where it was the user who wished to ask so (`--scheme`, a pasted URL), nothing is declared wrongly.
    An application that speaks neither is only likely to be no HTTP/2.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `curl -v http://127.0.0.1:…/` and the same with
    `--http2-prior-knowledge`, at the port that it prints.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        if not results or not results[0].probe.request.is_http2:
            continue
        spoken = next((scheme for scheme in ("http", "https") if understood(ev, port, scheme)), "")
        if not spoken and not all(r.outcome is Outcome.CONNECTED and r.detail for r in results):
            continue
        request, number = results[0].probe.request, results[0].probe.path.port
        name, wanted = ev.part(port), "gRPC" if request.scheme == "grpc" else "HTTP/2"
        instead = {"http": "HTTP/1.1", "https": "TLS"}.get(spoken, "")
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{name} does not speak {wanted} on port {number}: it answers by {instead}."
            if instead
            else f"{name} speaks on port {number}, but likely not {wanted}.",
            message=f"{mapping(port)}: asked by {request}, {request.reason}, no endpoint answers; asked by {instead}, one does."
            if instead
            else f"{mapping(port)}: asked by {request}, {request.reason}: {results[0].detail}, so it is likely no {wanted}.",
            fix=tuple(_fixes(ev, port, request, spoken)),
            confidence=Confidence.CERTAIN if instead else Confidence.LIKELY,
        )


def _fixes(ev: Evidence, port: ServicePort, request: Request, spoken: str) -> Iterator[str]:
    if request.why == AS_ASKED:
        service = ev.service
        yield "ask as the application speaks:"
        yield ev.kubectl.svcprobe(service.namespace, service.name, "--scheme", spoken or "tcp")
        return
    yield "if the application is to stay as it is:"
    yield from say_app_protocol(ev, port, spoken or "tcp")
