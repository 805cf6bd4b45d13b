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

    Inside `held()` a signal waits, except inside a nested `allowed()`. It is raised there once; whoever presses Ctrl-C
    again while the pod is being removed is told so through `on_impatience`, and the removal, which is bounded, goes on.
    A signal that is ignored when the program starts, as under nohup, stays so.
    """

    def __init__(self, on_impatience: Callable[[], None] = lambda: None) -> None:
        self._on_impatience = on_impatience
        self._received: int | None = None
        self._is_held = False
        self._may_raise = True
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        is_first = self._received is None
        if is_first:
            self._received = number
        if self._may_raise:
            # While something is ours never a second time, so that its removal is not itself interrupted.
            self._may_raise = not self._is_held
            self._raise()
        elif not is_first:
            self._on_impatience()

    def _raise(self) -> None:
        """What was received, if anything was; again, where an exception was lost in some destructor."""
        if self._received is not None:
            raise Interrupted(self._received)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Until its end a signal only takes note of itself."""
        try:
            self._is_held, self._may_raise = True, False
            yield
        finally:
            self._is_held, self._may_raise = False, True
        self._raise()

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """Inside `held()`: here a signal may break in, and one that waits does so at once."""
        try:
            # In this order, so that a signal in between does not wait for the end of what it may break into.
            self._may_raise = True
            self._raise()
            yield
        finally:
            self._may_raise = False
