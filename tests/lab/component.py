"""One long-running program of the lab with its log."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .layout import LabError, minimal_environment


def tail(log: Path, lines: int = 8) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


class Component:
    """A child of the supervisor, in the control plane's namespace unless the command enters another."""

    def __init__(self, name: str, argv: Sequence[str | Path], logs: Path) -> None:
        self.name, self.log = name, logs / f"{name}.log"
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(part) for part in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                env=minimal_environment(),
                start_new_session=True,
            )

    def check(self) -> None:
        code = self.process.poll()
        if code is not None:
            raise LabError(f"{self.name} has ended with code {code}; the end of {self.log}:\n{tail(self.log)}")

    def await_state(self, ready: Callable[[], bool], seconds: float = 60) -> None:
        """Programs that tell nobody when they are ready are asked again and again, and not waited for once dead."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} is not ready after {seconds:g} s; {self.log} ends:\n{tail(self.log)}")
            time.sleep(0.05)
