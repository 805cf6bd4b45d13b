"""What else a port may speak that accepts connections and gives no answer: the same endpoint is asked in other ways. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.request import Request
from kubectl_svcprobe.probe.results import PathResult

#: What an application does that was spoken to in a way that it does not understand. Where it is silent until the time is
#: over, it is waited for as long in every other way, and hangs more likely.
PUZZLED = (Outcome.RESET, Outcome.NO_ANSWER)


def dialect_probes(results: Sequence[PathResult], first_id: int) -> tuple[Probe, ...]:
    """For each port of the Service that no endpoint gives an answer at: the first of them, in every other way."""
    found: list[Probe] = []
    for result in _puzzled(results):
        path = replace(result.probe.path, is_offered=False)
        for request in _other_ways(result.probe.request):
            found.append(Probe(first_id + len(found), path, Vantage.POD, request, is_aside=True))
    return tuple(found)


def _puzzled(results: Sequence[PathResult]) -> Iterator[PathResult]:
    """One result for each port at which all endpoints end the connection without an answer."""
    by_port: dict[object, list[PathResult]] = {}
    for result in results:
        path = result.probe.path
        if path.kind is PathKind.ENDPOINT and path.is_offered and result.probe.vantage is Vantage.POD:
            by_port.setdefault(path.service_port, []).append(result)
    for of_port in by_port.values():
        if all(r.probe.request.is_http and _ends_unanswered(r) for r in of_port):
            yield of_port[0]


def _ends_unanswered(result: PathResult) -> bool:
    return result.outcome in PUZZLED and not any(o.is_silent for o in result.observations)


def _other_ways(request: Request) -> Iterator[Request]:
    """In plain or with TLS, by HTTP/2 from the first byte, and with the line in front that load balancers write."""
    own = "h2c" if request.is_http2 else request.scheme
    for scheme in ("http", "https", "h2c"):
        if scheme != own:
            yield replace(request, scheme=scheme, path="/" if request.scheme == "grpc" else request.path)
    yield replace(request, is_proxied=True)
