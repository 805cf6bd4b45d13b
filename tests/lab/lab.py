"""The lab as its user sees it: start it, use it as the workstation, break and mend it, stop it."""

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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import cache, cgroups, pki, prerequisites, workstation
from .layout import (
    CHECKOUT,
    LOAD_BALANCERS,
    PACKAGE,
    PROXY_MODES,
    LabError,
    Layout,
    Settings,
    default_home,
    minimal_environment,
)
from .progress import Progress


class NotRunningError(LabError):
    pass


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Starting and stopping wait for each other. The lock is the home itself, so that it goes when that goes."""
    while True:
        home.mkdir(parents=True, exist_ok=True)
        directory = os.open(home, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if home.stat().st_ino == os.fstat(directory).st_ino:
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


class Lab:
    """A running lab."""

    def __init__(self, home: Path | None = None) -> None:
        self.layout = Layout((home or default_home()).resolve())
        self.supervisor = supervisor_pid(self.layout)
        self.settings = self.layout.load()
        self.kubeconfig = self.layout.kubeconfig("admin")

    # --- life cycle

    @classmethod
    def current(cls, home: Path | None = None) -> Lab:
        return cls(home)

    @classmethod
    def start(
        cls,
        nodes: int = 3,
        home: Path | None = None,
        proxy_mode: str = "iptables",
        load_balancer: str = "on",
        progress: Progress | None = None,
    ) -> Lab:
        """A fresh lab; one that runs in that home already is an error."""
        if proxy_mode not in PROXY_MODES or load_balancer not in LOAD_BALANCERS or not 0 <= nodes <= 50:
            raise LabError(f"no lab has {nodes} nodes, proxy mode {proxy_mode} and load balancer {load_balancer}")
        progress = progress or Progress()
        prerequisites.ensure(progress)
        store, programs = cache.image_store(progress), cache.programs(progress)
        settings = Settings(nodes, proxy_mode, load_balancer if nodes else "off", str(programs), str(store))
        layout = Layout((home or default_home()).resolve())
        with only_one(layout.home):
            with contextlib.suppress(NotRunningError), connect(layout):
                raise LabError(f"a lab runs in {layout.home} already")
            remove_remains(layout, keep=True)
            layout.save(settings)
            launch(layout, progress)
        return cls(layout.home)

    @classmethod
    def ensure(cls, home: Path | None = None, nodes: int = 3, **options: Any) -> Lab:
        """The lab that runs, or a new one."""
        with contextlib.suppress(NotRunningError):
            return cls(home)
        try:
            return cls.start(nodes, home, **options)
        except LabError:
            return cls(home)  # somebody else was faster

    def stop(self) -> None:
        stop(self.layout)

    # --- being the workstation

    def argv(self, command: Sequence[str | Path]) -> list[str]:
        return [*workstation.prefix(self.layout, self.supervisor), *map(str, command)]

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**workstation.environment(self.layout, self.settings), **(extra or {})}

    def run(
        self,
        command: Sequence[str | Path],
        *,
        check: bool = True,
        timeout: float | None = 60,
        input: str | None = None,  # noqa: A002 — the name subprocess gives it
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the workstation and collect what it prints."""
        result = subprocess.run(
            self.argv(command), input=input, env=self.environment(env), timeout=timeout, text=True,
            stdin=subprocess.DEVNULL if input is None else None, capture_output=True, check=False,
        )  # fmt: skip
        if check and result.returncode:
            said = result.stdout + result.stderr
            raise LabError(f"{' '.join(map(str, command))}: exit code {result.returncode}\n{said}")
        return result

    def popen(
        self, command: Sequence[str | Path], env: Mapping[str, str] | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        return subprocess.Popen(self.argv(command), env=self.environment(env), **options)

    def kubectl(self, *arguments: str, check: bool = True, timeout: float | None = 60, input: str | None = None) -> str:  # noqa: A002
        return self.run(["kubectl", *arguments], check=check, timeout=timeout, input=input).stdout

    def apply(self, manifest: str) -> str:
        return self.kubectl("apply", "-f", "-", input=manifest)

    def user(self, name: str, groups: Sequence[str] = (), namespace: str = "default") -> Path:
        return pki.make_user(self.layout, name, groups, namespace)

    # --- orders

    def order(self, do: str, timeout: float = 180, **arguments: Any) -> dict[str, Any]:
        with connect(self.layout) as client, client.makefile("rwb") as stream:
            client.settimeout(timeout)
            stream.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
            stream.flush()
            answer = stream.readline()
        if not answer:
            raise NotRunningError(f"the lab in {self.layout.home} has ended")
        reply: dict[str, Any] = json.loads(answer)
        if not reply.pop("ok"):
            raise LabError(reply["error"])
        return reply

    def status(self) -> dict[str, Any]:
        return self.order("status")

    def load_balancer(self, mode: str) -> None:
        self.order("load-balancer", mode=mode)

    def break_(self, what: str, node: str | None = None, *, flush: bool = False, wait: bool = True) -> None:
        """`what`: node, kube-proxy (both with a node's name), coredns, pool. With `flush` kube-proxy's rules go too."""
        self.order("break", what=what, node=node, flush=flush, wait=wait)

    def mend(self, what: str, node: str | None = None) -> None:
        self.order("mend", what=what, node=node)

    @contextlib.contextmanager
    def broken(self, what: str, node: str | None = None, *, flush: bool = False, wait: bool = True) -> Iterator[None]:
        """For the length of a test."""
        self.break_(what, node, flush=flush, wait=wait)
        try:
            yield
        finally:
            self.mend(what, node)


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
                return
        raise LabError(f"the lab ended while it started; the end of {log}:\n{log.read_text()[-1500:]}")
    except BaseException:
        process.kill()  # and with it, by --kill-child, all of the lab
        process.wait()
        cgroups.remove(layout.identity)
        raise


def stop(layout: Layout) -> None:
    """End a lab, or what one that was killed has left."""
    if not layout.home.exists():
        return
    with only_one(layout.home):
        with contextlib.suppress(NotRunningError, FileNotFoundError, ProcessLookupError):
            first = os.pidfd_open(first_process(layout))
            try:
                signal.pidfd_send_signal(first, signal.SIGKILL)
                select.select([first], [], [], 60)  # readable once it has ended, and that is after all others have
            finally:
                os.close(first)
        remove_remains(layout, keep=False)


def remove_remains(layout: Layout, keep: bool) -> None:
    """The lab's files and cgroups and nothing else; with `keep`, its (empty) home stays."""
    cgroups.remove(layout.identity)
    for entry in layout.home.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    if not keep:
        layout.home.rmdir()
