"""The ways through the API server, for where no pod may ask: its service proxy, and its port-forward into pods. Pure.

The service proxy has the API server itself ask one endpoint by HTTP: it proves the application and the control plane's way
to its pods, and says nothing about ClusterIP, Service proxies of nodes, DNS, or policies of other clients. A port-forward
enters the pod at its loopback: it proves that something listens there, and no way to it at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from kubectl_svcprobe.access.seam import Forwarded, Proxied
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.headers import printable
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import VIRTUAL_ATTEMPTS, Probe, Unprobed
from kubectl_svcprobe.probe.request import Request, choose
from kubectl_svcprobe.probe.results import PathResult

#: So many pods of a port are asked by port-forward.
MAX_PODS = 3

#: What is read of an answer: enough for a Status of the API server, or for the first line of HTTP.
ANSWER_BYTES = 4096

#: Said where nothing of the Service has an endpoint behind it.
NO_ENDPOINT = "it finds no endpoint"

CLOSED_INSIDE = "closed inside the pod"
OPEN_INSIDE = "open inside the pod"


@dataclass(frozen=True)
class ApiServerPlan:
    """What is asked through the API server, and what is not."""

    probes: tuple[Probe, ...] = ()
    unprobed: tuple[Unprobed, ...] = ()


def plan(snapshot: Snapshot, first_id: int, path: str | None = None, scheme: str = "") -> ApiServerPlan:
    """Every TCP port by the service proxy, where it speaks HTTP, and in some of its pods by port-forward."""
    service = snapshot.service
    if service is None or service.is_external_name:
        return ApiServerPlan()
    probes: list[Probe] = []
    unprobed: list[Unprobed] = []
    for port in service.ports:
        request = choose(snapshot, port, path, scheme)
        for one in _of_port(snapshot, service, port, request):
            if isinstance(one, Unprobed):
                unprobed.append(one)
            else:
                number = first_id + len(probes)
                attempts = VIRTUAL_ATTEMPTS if one.kind is PathKind.SERVICE_PROXY else 1
                probes.append(Probe(number, one, Vantage.API_SERVER, request, attempts))
    return ApiServerPlan(tuple(probes), tuple(unprobed))


def _of_port(
    snapshot: Snapshot, service: Service, port: ServicePort, request: Request
) -> Iterator[ExposurePath | Unprobed]:
    proxy = ExposurePath(PathKind.SERVICE_PROXY, f"services/{service.name}", port.port, port)
    if port.protocol != "TCP":  # there is no such way
        return
    if not snapshot.usable(port) and snapshot.could_read("EndpointSlice"):
        yield _not(proxy, "nothing is behind it")
    elif request.scheme not in ("http", "https"):
        yield _not(proxy, f"it speaks HTTP/1.1 only, and port {port.port} is asked by {_spoken(request.scheme)}")
    elif _leads_elsewhere(request.path):
        yield _not(proxy, f"the path {request.path} would lead out of it")
    else:
        yield proxy
    yield from _forwards(snapshot, port)


def _spoken(scheme: str) -> str:
    return {"tcp": "a TCP connect", "h2c": "HTTP/2", "grpc": "gRPC"}.get(scheme, scheme)


def _not(path: ExposurePath, why: str) -> Unprobed:
    return Unprobed(path.kind, path.target, why, Vantage.API_SERVER)


def _leads_elsewhere(path: str) -> bool:
    """Dot segments are taken out of a URL before it is sent, and would make it one of another object."""
    return any(part in (".", "..") for part in re.split(r"[/\\]", unquote(unquote(path))))


def _forwards(snapshot: Snapshot, port: ServicePort) -> Iterator[ExposurePath | Unprobed]:
    """The pods that are entered; those that get no traffic first, since they are the ones to be explained."""
    found = list(_insides(snapshot, port))
    chosen = sorted(found, key=lambda path: path.is_offered)[:MAX_PODS]
    yield from sorted(chosen, key=lambda path: path.subject)
    if len(found) > len(chosen):
        why = f"{len(chosen)} of {len(found):,} pods are entered"
        yield Unprobed(PathKind.PORT_FORWARD, f"{len(found) - len(chosen):,} more", why, Vantage.API_SERVER)


def _insides(snapshot: Snapshot, port: ServicePort) -> Iterator[ExposurePath]:
    """Each pod behind a port, by its slices; where those could not be read, by the pods that the selector matches."""
    pods = {pod.meta.name: pod for pod in snapshot.pods}
    usable = {e.endpoint.address for e in snapshot.usable(port)}
    for joined in snapshot.endpoints_of(port):
        target = joined.endpoint.target
        if target and target.kind == "Pod" and joined.port and _can_be_entered(pods.get(target.name)):
            yield _inside(target.name, joined.port, port, joined.endpoint.node, joined.endpoint.address in usable)
    if snapshot.could_read("EndpointSlice"):
        return
    for pod in snapshot.pods:
        number = _target_port(pod, port)
        if number and _can_be_entered(pod) and pod.phase == "Running":
            yield _inside(pod.meta.name, number, port, pod.node, pod.is_ready)


def _inside(pod: str, number: int, port: ServicePort, node: str, is_offered: bool) -> ExposurePath:
    return ExposurePath(
        PathKind.PORT_FORWARD, f"pod/{pod}", number, port, subject=pod, node=node, is_offered=is_offered
    )


def _can_be_entered(pod: Pod | None) -> bool:
    """A pod in its node's network has no loopback of its own; one that has finished has none any more."""
    return pod is None or not (pod.is_host_network or pod.is_finished)


def _target_port(pod: Pod, port: ServicePort) -> int:
    if isinstance(port.target_port, int):
        return port.target_port or port.port
    declared = (p for c in (*pod.containers, *pod.sidecars) for p in c.ports)
    return next((p.number for p in declared if p.name == port.target_port and p.protocol == port.protocol), 0)


def is_needed(results: Sequence[PathResult], is_sound: bool) -> bool:
    """Whether no pod told anything: none was to ask, none could, or the one that did reached nothing at all."""
    told = [r for r in results if r.probe.vantage.is_pod and r.outcome is not Outcome.NOT_RUN]
    return not told or not is_sound


def http_request(probe: Probe) -> bytes:
    """What is sent through a forwarded port."""
    request = probe.request
    host = request.host or "localhost"
    return (
        f"GET {request.path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: kubectl-svcprobe\r\nAccept: */*\r\n"
        "Connection: close\r\n\r\n"
    ).encode("ascii", "replace")


#: What the API server says where it could not reach the endpoint that it chose (apimachinery, util/proxy/transport.go),
#: and how Go's net and tls packages call what went wrong.
_UNREACHED = "error trying to reach service: "
_REASONS = (
    ("connection refused", Outcome.REFUSED, ""),
    ("no route to host", Outcome.UNREACHABLE, "no route"),
    ("network is unreachable", Outcome.UNREACHABLE, "no route"),
    ("i/o timeout", Outcome.TIMED_OUT, ""),
    ("deadline exceeded", Outcome.TIMED_OUT, ""),
    ("connection reset", Outcome.RESET, "reset once connected"),
    ("gave HTTP response to HTTPS client", Outcome.TLS_FAILED, "it answers in plain text"),
    ("tls:", Outcome.TLS_FAILED, "the TLS handshake failed"),
    ("x509:", Outcome.TLS_FAILED, "the certificate was not accepted"),
    ("malformed HTTP", Outcome.CONNECTED, "it speaks, but not HTTP"),
    ("EOF", Outcome.NO_ANSWER, "closed unanswered"),
)


def proxied(probe: Probe, attempt: int, answer: Proxied, seconds: float) -> Observation:
    """What an answer through the service proxy means: the application's, or a word of the API server's own."""
    said = _status(answer)
    outcome, detail = _own_word(said) if said else (None, "")
    if outcome is not None:
        return Observation(probe.id, attempt, outcome, seconds=seconds, detail=detail)
    return Observation(
        probe.id,
        attempt,
        Outcome.HTTP_ERROR if answer.status >= 500 else Outcome.ANSWERED,
        http_status=answer.status,
        seconds=seconds,
        server=printable(answer.headers.get("server", "")),
    )


def _status(answer: Proxied) -> dict[str, Any]:
    """The Status object in an answer, if there is one."""
    if answer.status < 400 or "json" not in answer.headers.get("content-type", ""):
        return {}
    try:
        found = json.loads(answer.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and found.get("kind") == "Status" else {}


def _own_word(status: dict[str, Any]) -> tuple[Outcome | None, str]:
    """An outcome where the API server speaks for itself; None where an application answers with a Status of its own."""
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    if reason == "Forbidden" and "services/proxy" in message:
        return Outcome.NOT_RUN, "forbidden: this user may not get services/proxy"
    if message.startswith("no endpoints available for service"):
        return Outcome.UNREACHABLE, NO_ENDPOINT
    if message.startswith("no service port"):
        return Outcome.UNREACHABLE, NO_ENDPOINT
    if reason == "Timeout" and "within" in message:
        return Outcome.TIMED_OUT, ""
    if not message.startswith(_UNREACHED):
        return None, ""
    said = message.removeprefix(_UNREACHED)
    for word, outcome, detail in _REASONS:
        if word in said:
            return outcome, detail
    return Outcome.UNREACHABLE, printable(said)


def forwarded(probe: Probe, attempt: int, came: Forwarded, seconds: float) -> Observation:
    """What came back for a GET through a forwarded port."""
    if came.complaint:
        refused = "refused" in came.complaint.lower()
        outcome = Outcome.REFUSED if refused else Outcome.NOT_RUN
        return Observation(
            probe.id, attempt, outcome, detail=CLOSED_INSIDE if refused else printable(came.complaint), seconds=seconds
        )
    if found := re.match(rb"HTTP/\d(?:\.\d)? (\d{3})\b", came.answer):
        status = int(found.group(1))
        outcome = Outcome.HTTP_ERROR if status >= 500 else Outcome.ANSWERED
        return Observation(probe.id, attempt, outcome, http_status=status, seconds=seconds)
    if came.answer:
        return Observation(probe.id, attempt, Outcome.CONNECTED, detail="it speaks, but not HTTP", seconds=seconds)
    if came.is_ended:
        return Observation(probe.id, attempt, Outcome.NO_ANSWER, detail="closed unanswered")
    return Observation(probe.id, attempt, Outcome.TIMED_OUT, detail="no answer from inside the pod")
