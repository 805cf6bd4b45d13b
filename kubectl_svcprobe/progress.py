"""What is being waited for, on stderr and only on a terminal."""

from __future__ import annotations

import itertools
import shutil
import threading
from types import TracebackType
from typing import TextIO

from kubectl_svcprobe.render.terminal import clean, cut

FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
SECONDS_A_FRAME = 0.1


class Progress:
    """A spinner with a few words. On anything but a terminal it says nothing at all."""

    def __init__(self, stream: TextIO, enabled: bool | None = None) -> None:
        self._stream = stream
        self._enabled = stream.isatty() if enabled is None else enabled
        self._text = ""
        self._stop = threading.Event()
        # Whoever presses Ctrl-C again gets a note from a signal's handler, maybe in the middle of another one.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def say(self, text: str) -> None:
        """Show this until something else is said."""
        self._text = clean(text)
        if self._enabled and self._thread is None:
            self._thread = threading.Thread(target=self._spin, daemon=True)
            self._thread.start()

    def note(self, text: str) -> None:
        """Lines that stay, terminal or not; what they quote acts on no terminal."""
        with self._lock:
            self._erase()
            self._write("".join(f"{clean(line)}\n" for line in text.splitlines()))

    def close(self) -> None:
        """Leave no trace of the spinner."""
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None
            self._erase()
        self._stop.clear()

    def _spin(self) -> None:
        for frame in itertools.cycle(FRAMES):
            with self._lock:
                self._erase()
                width = shutil.get_terminal_size().columns
                self._write(cut(f"{frame} {self._text}", max(width - 1, 10)))
            if self._stop.wait(SECONDS_A_FRAME):
                return

    def _erase(self) -> None:
        if self._enabled:
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except RuntimeError:
            # The same, in the middle of another note's writing: this one is lost.
            pass
        except (OSError, ValueError):
            self._enabled = False
