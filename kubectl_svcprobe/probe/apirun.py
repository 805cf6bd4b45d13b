"""Requests through the API server under way: its service proxy, and port-forwards into pods."""

from __future__ import annotations

import time

from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError, Forbidden
from kubectl_svcprobe.probe import apiserver
from kubectl_svcprobe.probe.closer import Question
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.forward import LIMIT_SECONDS, ask
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.underway import Underway

WORKERS = 12


class ApiServerRun(Underway):
    """Questions to the API server. `transfer` limits each, in seconds."""

    def __init__(
        self, cluster: ClusterApi, namespace: str, service: str, probes: tuple[Probe, ...], transfer: float
    ) -> None:
        self._cluster, self._namespace, self._service, self._transfer = cluster, namespace, service, transfer
        super().__init__(probes, self._ask, WORKERS, max(transfer, 2 * LIMIT_SECONDS))

    def _ask(self, probe: Probe, attempt: int) -> Observation:
        """One request, never an exception: what cannot be asked is a reason that is told."""
        started = time.monotonic()
        try:
            if probe.path.kind is PathKind.SERVICE_PROXY:
                return self._by_proxy(probe, attempt)
            if probe.request.scheme == "http":
                return self._by_request(probe, attempt)
            return self._by_connection(probe, attempt)
        except Forbidden:
            return Observation(probe.id, attempt, Outcome.NOT_RUN, detail=f"forbidden: {_missing(probe)}")
        except AccessError as error:
            took = time.monotonic() - started
            is_proxy = probe.path.kind is PathKind.SERVICE_PROXY
            if is_proxy and "no answer within the request timeout" in str(error):
                return Observation(probe.id, attempt, Outcome.TIMED_OUT, detail="no answer in time", seconds=took)
            return Observation(probe.id, attempt, Outcome.NOT_RUN, detail=str(error))

    def _by_proxy(self, probe: Probe, attempt: int) -> Observation:
        started = time.monotonic()
        request = probe.request
        answer = self._cluster.service_proxy(
            self._namespace,
            self._service,
            request.scheme,
            probe.path.port,
            request.path,
            timeout=self._transfer,
            limit_bytes=apiserver.ANSWER_BYTES,
        )
        return apiserver.proxied(probe, attempt, answer, time.monotonic() - started)

    def _by_request(self, probe: Probe, attempt: int) -> Observation:
        started = time.monotonic()
        came = self._cluster.forward_request(
            self._namespace,
            probe.path.subject,
            probe.path.port,
            apiserver.http_request(probe),
            timeout=self._transfer,
            limit_bytes=len("HTTP/1.1 200 "),
        )
        return apiserver.forwarded(probe, attempt, came, time.monotonic() - started)

    def _by_connection(self, probe: Probe, attempt: int) -> Observation:
        """In silence; whether silence means "open" is told by a port that is surely closed."""
        port = probe.path.port
        inside = ask(self._cluster, self._namespace, Question(probe.path.subject, (port,)))
        if port in inside.open:
            return Observation(probe.id, attempt, Outcome.CONNECTED, detail=apiserver.OPEN_INSIDE)
        if port in inside.closed:
            return Observation(probe.id, attempt, Outcome.REFUSED, detail=apiserver.CLOSED_INSIDE)
        detail = f"forbidden: {_missing(probe)}" if "forbidden" in inside.problem else inside.problem
        return Observation(probe.id, attempt, Outcome.NOT_RUN, detail=detail or "no answer within the time allowed")


def _missing(probe: Probe) -> str:
    what = "get services/proxy" if probe.path.kind is PathKind.SERVICE_PROXY else "create pods/portforward"
    return f"this user may not {what}"
