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
        directory = root / name.lstrip("/")
        directory.mkdir(parents=True, exist_ok=True)
        for parent in reversed(directory.parents):
            if parent.is_relative_to(root):
                pass_on_controllers(parent)


def pass_on_controllers(directory: Path) -> None:
    """In version 2 a directory has the controllers that its parent passes on; a kubelet insists on them."""
    with contextlib.suppress(FileNotFoundError):
        for controller in (directory / "cgroup.controllers").read_text().split():
            with contextlib.suppress(OSError):  # those that cannot be passed on are not needed either
                (directory / "cgroup.subtree_control").write_text(f"+{controller}")


def remove(name: str) -> None:
    """Whose processes have ended."""
    for root in hierarchies():
        for directory, _, _ in os.walk(root / name.lstrip("/"), topdown=False):
            with contextlib.suppress(FileNotFoundError):
                Path(directory).rmdir()
