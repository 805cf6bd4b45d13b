"""The same requests from the user's own machine: what an outside client meets at node ports and load balancers."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from functools import partial

from kubectl_svcprobe.probe import local_http
from kubectl_svcprobe.probe.local_sockets import connect, greet_by_http2, has_route, send_datagram
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.podspec import Timing
from kubectl_svcprobe.probe.underway import Underway

WORKERS = 24

#: Why an address of IPv6 is not tried: that is a matter of this machine and its network, and not of the Service.
NO_IPV6 = "this machine has no IPv6 route there"


class LocalRun(Underway):
    """Requests of this machine."""

    def __init__(self, probes: tuple[Probe, ...], timing: Timing) -> None:
        ask = partial(try_once, timing=timing)
        super().__init__(probes, ask, WORKERS, timing.connect + timing.transfer)


def try_once(probe: Probe, attempt: int, timing: Timing) -> Observation:
    """One request, never an exception: what fails is an outcome. Without IPv6 on this machine, nothing is tried by it."""
    started = time.monotonic()
    if ":" in probe.path.host and not has_route(probe.path.host):
        return Observation(probe.id, attempt, Outcome.NOT_RUN, detail=NO_IPV6)
    try:
        found = _ask(probe, attempt, timing)
    except Exception as error:  # whatever a library meets is an outcome
        outcome, detail = classify(error)
        found = Observation(probe.id, attempt, outcome, detail=detail)
    return replace(found, seconds=time.monotonic() - started)


def _ask(probe: Probe, attempt: int, timing: Timing) -> Observation:
    request = probe.request
    if request.is_http and not request.is_http2:
        return local_http.get(probe, attempt, timing)
    say = {"tcp": connect, "udp": send_datagram}.get(request.scheme, greet_by_http2)
    said = say(probe, timing)
    return Observation(probe.id, attempt, said.outcome, connect_seconds=said.connect_seconds, detail=said.detail)


#: The innermost cause decides; the order is from the particular to the general.
_BY_CAUSE: tuple[tuple[type[BaseException], Outcome, str], ...] = (
    (ConnectionRefusedError, Outcome.REFUSED, ""),
    (ConnectionResetError, Outcome.RESET, "reset once connected"),
    (socket.gaierror, Outcome.DNS_FAILED, "does not resolve"),
    (TimeoutError, Outcome.TIMED_OUT, ""),
)


def classify(error: BaseException) -> tuple[Outcome, str]:
    """What a failed request means, from the exceptions that `requests`, urllib3 and the socket wrapped into each other."""
    causes = _causes(error)
    names = {type(cause).__name__ for cause in causes}
    if names & {"ReadTimeoutError", "ReadTimeout"}:
        return Outcome.NO_ANSWER, "silent once connected"
    if names & {"SSLError", "SSLCertVerificationError"}:
        return Outcome.TLS_FAILED, "the TLS handshake failed"
    # Before ConnectionResetError, whose subclass http.client.RemoteDisconnected is.
    if names & {"RemoteDisconnected", "IncompleteRead"}:
        return Outcome.NO_ANSWER, "closed unanswered"
    for kind, outcome, detail in _BY_CAUSE:
        if any(isinstance(cause, kind) for cause in causes):
            return outcome, detail
    if names & {"ConnectTimeoutError", "ConnectTimeout"}:
        return Outcome.TIMED_OUT, ""
    if names & {"BadStatusLine", "InvalidHeader"}:
        return Outcome.CONNECTED, "it speaks, but not HTTP"
    if names & {"LineTooLong", "HTTPException"}:
        return Outcome.CONNECTED, "its answer is too long to be read"
    # Every exception of requests is an OSError too, but without a number.
    if reasons := [cause.strerror for cause in causes if isinstance(cause, OSError) and cause.strerror]:
        return Outcome.UNREACHABLE, reasons[-1].lower()
    return Outcome.NOT_RUN, f"{type(error).__name__}: {error}"


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and everything it was raised from or wraps, each once."""
    found: list[BaseException] = []
    waiting: list[BaseException] = [error]
    while waiting:
        cause = waiting.pop()
        if any(cause is known for known in found):
            continue
        found.append(cause)
        wrapped = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        waiting.extend(other for other in wrapped if isinstance(other, BaseException))
    return found
