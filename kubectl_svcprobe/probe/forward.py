"""Port-forwards under way: whether something listens inside a pod, asked through the API server without a word to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError
from kubectl_svcprobe.probe.closer import CLOSED_PORT, MAX_PODS, Inside, Question, judged

#: Seconds for a pod, connection and answer each; and those after a refusal in which all other refusals have come.
LIMIT_SECONDS = 1.5
QUIET_SECONDS = 0.3


class ForwardRun:
    """Questions to the insides of pods; they start at once and `found` waits for them."""

    def __init__(self, cluster: ClusterApi, namespace: str, questions: Sequence[Question]) -> None:
        self._pool = ThreadPoolExecutor(MAX_PODS) if questions else None
        self._futures: dict[Question, Future[Inside]] = {
            question: self._pool.submit(ask, cluster, namespace, question) for question in questions if self._pool
        }
        self._until = time.monotonic() + 2 * LIMIT_SECONDS

    def found(self) -> tuple[Inside, ...]:
        """What was found inside each pod."""
        wait(self._futures.values(), timeout=max(0.0, self._until - time.monotonic()))
        return tuple(
            future.result() if future.done() else Inside(question.pod, problem="no answer within the time allowed")
            for question, future in self._futures.items()
        )

    def close(self) -> None:
        """Let go of what is still under way."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)


def ask(cluster: ClusterApi, namespace: str, question: Question) -> Inside:
    """One pod, never an exception: what cannot be asked is a problem that is told."""
    ports = (*question.ports, CLOSED_PORT)
    try:
        complaints = cluster.port_forward(namespace, question.pod, ports, timeout=LIMIT_SECONDS, quiet=QUIET_SECONDS)
    except AccessError as error:
        return Inside(question.pod, problem=str(error))
    return judged(question, complaints)
