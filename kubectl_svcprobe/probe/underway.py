"""Requests that start at once, side by side, and are waited for later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from math import ceil

from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Probe

#: Beyond what the limits of all requests come to.
GRACE_SECONDS = 1.0


class Underway:
    """Every attempt of every probe; `observations` waits for them.

    `ask` makes one attempt, and never an exception; it may take `limit` seconds, and `workers` of them run at a time.
    """

    def __init__(
        self, probes: Iterable[Probe], ask: Callable[[Probe, int], Observation], workers: int, limit: float
    ) -> None:
        wanted = [(probe, attempt) for probe in probes for attempt in range(probe.attempts)]
        self._pool = ThreadPoolExecutor(workers) if wanted else None
        self._futures: dict[tuple[int, int], Future[Observation]] = {}
        if self._pool:
            self._futures = {(p.id, attempt): self._pool.submit(ask, p, attempt) for p, attempt in wanted}
        self._until = time.monotonic() + ceil(len(wanted) / workers) * limit + GRACE_SECONDS

    def observations(self) -> list[Observation]:
        """What came back, in no particular order.

        A name server that is silent, or a server that sends its answer letter by letter, outlasts the limits of the socket;
        that is `not run`.
        """
        wait(self._futures.values(), timeout=max(0.0, self._until - time.monotonic()))
        return [
            future.result()
            if future.done()
            else Observation(number, attempt, Outcome.NOT_RUN, detail="no end of it within the time allowed")
            for (number, attempt), future in self._futures.items()
        ]

    def close(self) -> None:
        """Let go of what is still under way."""
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)
