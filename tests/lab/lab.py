"""The lab as its user sees it: start it, use it as the workstation, break and mend it, stop it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import cache, ingress, life, pki, prerequisites, workstation
from .families import FAMILIES
from .layout import DELAY, LOAD_BALANCERS, MASQUERADE, PROXY_MODES, LabError, Layout, Settings, default_home
from .life import AlreadyRunningError, NotRunningError
from .progress import Progress


class Lab:
    """A running lab."""

    def __init__(self, home: Path | None = None) -> None:
        self.layout = Layout((home or default_home()).resolve())
        self.supervisor = life.supervisor_pid(self.layout)
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
        *,
        family: str = "ipv4",
        masquerade: str = "off",
    ) -> Lab:
        """A fresh lab; one that runs in that home already is an error."""
        if proxy_mode not in PROXY_MODES or load_balancer not in LOAD_BALANCERS or not 0 <= nodes <= 50:
            raise LabError(f"no lab has {nodes} nodes, proxy mode {proxy_mode} and load balancer {load_balancer}")
        if family not in FAMILIES or masquerade not in MASQUERADE:
            raise LabError(f"no lab has the family {family} and masquerades {masquerade}")
        progress = progress or Progress()
        prerequisites.ensure(progress)
        store, programs = cache.image_store(progress), cache.programs(progress)
        settings = Settings(
            nodes, proxy_mode, load_balancer if nodes else "off", str(programs), str(store), family, masquerade
        )
        layout = Layout((home or default_home()).resolve())
        with life.only_one(layout.home):
            with contextlib.suppress(NotRunningError), life.connect(layout):
                raise AlreadyRunningError(f"a lab runs in {layout.home} already")
            life.remove_remains(layout, keep=True)
            layout.save(settings)
            ingress.fetch(layout, progress)
            life.launch(layout, progress)
        return cls(layout.home)

    @classmethod
    def ensure(cls, nodes: int = 3, home: Path | None = None, **options: Any) -> Lab:
        """The lab that runs, if it is whole and large enough, or a fresh one."""
        try:
            return cls.start(nodes, home, **options)
        except AlreadyRunningError:
            lab = cls(home)
        if lab.settings.nodes < nodes:
            raise LabError(f"the lab in {lab.layout.home} has {lab.settings.nodes} nodes, not {nodes}; stop it first")
        if lab.whole():
            return lab
        lab.stop()
        return cls.start(nodes, home, **options)

    def whole(self) -> bool:
        """None of its programs has ended by itself."""
        found = self.status()
        groups = [found["components"], *(programs or {} for programs in found["nodes"].values())]
        return all(code is None for programs in groups for code in programs.values())

    def stop(self) -> None:
        life.stop(self.layout)

    # --- being the workstation

    @property
    def network(self) -> Path:
        """The workstation's network namespace, for a thread or a process to enter."""
        return workstation.network(self.supervisor)

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
        with life.connect(self.layout) as client, client.makefile("rwb") as stream:
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

    def break_(
        self,
        what: str,
        node: str | None = None,
        other: str | None = None,
        *,
        flush: bool = False,
        wait: bool = True,
        delay: int = DELAY,
    ) -> None:
        """`what`: node, kube-proxy (both with a node's name), path and slow (with two), coredns, pool.

        With `flush` kube-proxy's rules go too. `delay` is that of a slow link, in ms each way.
        """
        self.order("break", what=what, node=node, other=other, flush=flush, wait=wait, delay=delay)

    def mend(self, what: str, node: str | None = None, other: str | None = None) -> None:
        self.order("mend", what=what, node=node, other=other)

    @contextlib.contextmanager
    def broken(self, what: str, node: str | None = None, other: str | None = None, **how: Any) -> Iterator[None]:
        """For the length of a test."""
        self.break_(what, node, other, **how)
        try:
            yield
        finally:
            self.mend(what, node, other)
