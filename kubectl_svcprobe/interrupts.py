"""Signals that end the program, held back while something in the cluster is ours to remove."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from kubectl_svcprobe.errors import Interrupted

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupts:
    """Turns the first signal into `Interrupted`, raised in the main thread, where that can lose nothing.

    Inside `held()` a signal waits, except inside a nested `allowed()`. It is raised once; whoever presses Ctrl-C again
    while the pod is being removed is told so through `on_impatience`, and the removal, which is bounded, goes on.
    """

    def __init__(self, on_impatience: Callable[[], None] = lambda: None) -> None:
        self._on_impatience = on_impatience
        self._received: int | None = None
        self._may_raise = True
        self._raised = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._received is not None:
            self._on_impatience()
            return
        self._received = number
        if self._may_raise:
            self._raise()

    def _raise(self) -> None:
        # Never a second time, so that what the first one set in motion is not itself interrupted.
        self._may_raise = False
        self._raised = True
        assert self._received is not None
        raise Interrupted(self._received)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Until its end a signal only takes note of itself."""
        self._may_raise = False
        try:
            yield
        except BaseException:
            self._may_raise = not self._raised
            raise
        self._release()

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Inside `held()`: here a signal may break in, and one that waits does so at once."""
        self._release()
        try:
            yield
        finally:
            self._may_raise = False

    def _release(self) -> None:
        if self._received is not None and not self._raised:
            self._raise()
        self._may_raise = not self._raised
