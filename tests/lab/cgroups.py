"""The one tree a lab shares with its machine: each lab has a directory of its own in every cgroup hierarchy."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def hierarchies() -> list[Path]:
    """Version 1 mounts one for each controller, version 2 one for all."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def make(name: str) -> None:
    for root in hierarchies():
        (root / name.lstrip("/")).mkdir(parents=True, exist_ok=True)


def remove(name: str) -> None:
    """Whose processes have ended."""
    for root in hierarchies():
        for directory, _, _ in os.walk(root / name.lstrip("/"), topdown=False):
            with contextlib.suppress(FileNotFoundError):
                Path(directory).rmdir()
