"""Shows that a long build lives: its step, the time that has passed, and what is being compiled."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

EVERY = 15.0  # seconds between lines where nobody watches a terminal


class Progress:
    def __init__(self, output: TextIO = sys.stderr) -> None:
        self.output = output
        self.terminal = output.isatty()
        self.began = time.monotonic()
        self.current, self.detail = "", ""
        self.said = self.began
        self.lock = threading.Lock()

    def line(self, text: str) -> None:
        with self.lock:
            self.erase()
            print(f"[{time.monotonic() - self.began:5.0f} s] {text}", file=self.output, flush=True)
            self.said = time.monotonic()

    def step(self, name: str) -> None:
        self.current = name
        self.line(name)

    def at(self, detail: str) -> None:
        """What the step is busy with: on a terminal at once, else now and then."""
        self.detail = detail
        if self.terminal:
            with self.lock:
                text = f"[{time.monotonic() - self.began:5.0f} s] {self.current}: {detail}"
                print(f"\r\x1b[K{text[:110]}", end="", file=self.output, flush=True)
        elif time.monotonic() - self.said > EVERY:
            self.line(f"{self.current}: {detail}")

    def alive(self) -> None:
        """Called every second while nothing else is heard of a step."""
        if self.detail:
            self.at(self.detail)

    def erase(self) -> None:
        if self.terminal:
            print("\r\x1b[K", end="", file=self.output)

    def done(self) -> None:
        with self.lock:
            self.erase()
