"""How a lab begins and ends, seen from outside it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from . import cgroups, workstation
from .layout import CHECKOUT, PACKAGE, LabError, Layout, minimal_environment
from .progress import Progress

_started: dict[Path, subprocess.Popen[bytes]] = {}  # by this process, which therefore has to take note of their end


class NotRunningError(LabError):
    pass


class AlreadyRunningError(LabError):
    pass


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Starting and stopping wait for each other. The lock is the home itself, so that it goes when that goes."""
    while True:
        home.mkdir(parents=True, exist_ok=True)
        directory = os.open(home, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            if home.exists() and os.path.samestat(home.stat(), os.fstat(directory)):
                yield
                return
        finally:
            os.close(directory)


def connect(layout: Layout) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    try:
        directory = os.open(layout.home, os.O_RDONLY)
        try:
            client.connect(f"/proc/self/fd/{directory}/{layout.control_socket.name}")
        finally:
            os.close(directory)
    except PermissionError as error:
        client.close()
        raise LabError(f"the lab in {layout.home} is root's") from error
    except OSError as error:
        client.close()
        raise NotRunningError(f"no lab runs in {layout.home}; start one: python -m tests.lab up") from error
    return client


def supervisor_pid(layout: Layout) -> int:
    """Whoever listens on the lab's socket, as the kernel knows it: no file to go stale."""
    with connect(layout) as client:
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def status_field(pid: int, name: str) -> list[str]:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1:]
    raise LabError(f"process {pid} has no {name}")


def first_process(layout: Layout) -> int:
    """The process all others of the lab end with."""
    parent = int(status_field(supervisor_pid(layout), "PPid")[0])
    if status_field(parent, "NSpid")[-1] != "1":
        raise LabError(f"process {parent} is not the first of the lab in {layout.home}")
    return parent


def launch(layout: Layout, progress: Progress) -> None:
    """Start the first process and follow what it reports until the lab is ready."""
    spaces = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc"]
    supervise = [sys.executable, "-P"] if sys.version_info >= (3, 11) else [sys.executable]
    supervise += ["-m", "tests.lab.supervisor", str(layout.home)]
    first = [sys.executable, "-I", "-S", str(PACKAGE / "init.py"), str(layout.home)]
    log = layout.home / "supervisor.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*spaces, *first, *supervise], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=output, cwd="/",
            env={**minimal_environment(), "PYTHONPATH": str(CHECKOUT)}, start_new_session=True,
        )  # fmt: skip
    assert process.stdout
    try:
        for line in process.stdout:
            event = json.loads(line)
            if "error" in event:
                raise LabError(event["error"])
            progress.line(event.get("step") or f"ready after {event['seconds']:.1f} s")
            if event.get("ready"):
                process.stdout.close()
                _started[layout.home] = process
                return
        raise LabError(f"the lab ended while it started; the end of {log}:\n{log.read_text()[-1500:]}")
    except BaseException:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for first_of_lab in children.split():
            end(int(first_of_lab))
        process.kill()
        process.wait()
        process.stdout.close()
        cgroups.remove(layout.identity)
        raise


def stop(layout: Layout) -> None:
    """End a lab, or what one that was killed has left."""
    if not layout.home.exists():
        return
    with only_one(layout.home):
        with contextlib.suppress(NotRunningError, FileNotFoundError):
            end(first_process(layout))
        remove_remains(layout, keep=False)


def forget(layout: Layout) -> None:
    if process := _started.pop(layout.home, None):
        process.wait(30)


def end(process: int) -> None:
    """And return once it has ended; ending a lab's first process ends all others before it."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(process)
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], 60)
        finally:
            os.close(descriptor)


def remove_remains(layout: Layout, keep: bool) -> None:
    """The lab's files and cgroups and nothing else; with `keep`, its (empty) home stays."""
    forget(layout)
    mark = layout.settings_file  # goes last
    entries = sorted(layout.home.iterdir(), key=lambda entry: entry == mark)
    if entries and entries[-1] != mark:
        raise LabError(f"{layout.home} is no lab's home, and not empty")
    for process in workstation.processes(layout):
        end(process)
    cgroups.remove(layout.identity)
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if not keep:
        layout.home.rmdir()
