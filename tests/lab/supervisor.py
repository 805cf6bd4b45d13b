"""The program that is the lab: brings everything up, then does what it is asked over a socket in the lab's home.

It runs in mount, PID and network namespaces of the lab's own, as the child of their first process. Whatever it starts
ends with that process, so no trace of it can outlive the lab.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from . import addons, cache, control_plane, ingress, network, pki, policy_agent
from .api import Api, condition
from .component import Component
from .faults import Faults
from .layout import LabError, Layout
from .load_balancer import LoadBalancer
from .node import Node

Reply = dict[str, Any]

OUTSIDE_SERVERS = (
    "https=443",
    "h2c=5000",
    "tcp=6379",
    "udp=9999",
    "--certificate=self-signed",
    "--names=www.example.test",
)
NO_RESOLVER = "# nobody resolves names for the workstation\noptions timeout:1 attempts:1\n"


class Supervisor:
    def __init__(self, home: Path) -> None:
        self.layout = Layout(home)
        self.settings = self.layout.load()
        self.programs = Path(self.settings.programs)
        self.nodes = {name: Node(name, self.layout, self.settings) for name in self.settings.node_names}
        self.components: list[Component] = []
        self.kubectl = addons.Kubectl(self.layout, self.settings)
        self.lock = threading.Lock()
        self.began = time.monotonic()

    # --- coming up

    def report(self, **event: Any) -> None:
        """To whoever started the lab and may have gone."""
        with contextlib.suppress(OSError):
            os.write(1, json.dumps({"seconds": round(time.monotonic() - self.began, 2), **event}).encode() + b"\n")

    def start(self) -> None:
        network.command(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"])
        self.layout.logs.mkdir()
        with ThreadPoolExecutor() as pool:
            disks = [pool.submit(node.prepare) for node in self.nodes.values()]
            links = pool.submit(self.make_network)
            pki.make_control_plane_certificates(self.layout)
            links.result()
            self.api = Api(self.layout.pki)
            certificates = [pool.submit(node.certify) for node in self.nodes.values()]
            for disk in disks:
                disk.result()
            runtimes = [pool.submit(node.power_on) for node in self.nodes.values()]
            self.components += control_plane.start_api_server(self.layout, self.settings, self.api)
            self.components += control_plane.start_controllers(self.layout, self.settings)
            self.report(step="control plane ready")
            for task in [*certificates, *runtimes]:
                task.result()
            self.start_outside()
            if self.nodes:
                self.components.append(policy_agent.start(self.layout, [*self.nodes]))
                self.components.append(ingress.start(self.layout, self.settings))
            for task in [pool.submit(self.start_node_programs, node) for node in self.nodes.values()]:
                task.result()
            self.balancer = LoadBalancer(self.kubectl, self.api, self.programs / "metallb-crds", self.settings.families)
            families = self.settings.families
            self.faults = Faults(self.nodes, self.kubectl, self.api, self.balancer, self.layout, families)
            if self.nodes:
                self.start_addons(pool)

    def make_network(self) -> None:
        network.make_network([*self.nodes], self.settings.link_families)
        for node in self.nodes.values():
            node.masquerade()

    def start_addons(self, pool: ThreadPoolExecutor) -> None:
        addons.install_coredns(self.kubectl, self.settings)
        addons.tell_proxy_mode(self.kubectl, self.settings)
        balancer = pool.submit(self.balancer.switch, self.settings.load_balancer)
        self.await_nodes([*self.nodes])
        self.report(step=f"nodes Ready: {len(self.nodes)}")
        addons.await_running(self.api, "kube-system", "deployments", "coredns")
        self.report(step="CoreDNS available")
        balancer.result()
        self.report(step=f"load balancer {self.settings.load_balancer}")

    def start_node_programs(self, node: Node) -> None:
        node.start_kubelet()
        node.start_kube_proxy()

    def start_outside(self) -> None:
        """Servers that are not in the cluster: what an ExternalName or an outside address leads to."""
        files = self.layout.workstation
        files.mkdir()
        (files / "resolv.conf").write_text(NO_RESOLVER)
        names = [f"{family.outside} www.example.test" for family in self.settings.link_families]
        hosts = ["127.0.0.1 localhost workstation", "::1 localhost", *names]
        (files / "hosts").write_text("\n".join(hosts) + "\n")
        agnhost = [str(self.programs / "agnhost"), "netexec", "--http-port=80", "--udp-port=-1"]
        servers = [str(self.programs / "servers"), *OUTSIDE_SERVERS]
        for name, program in (("outside", agnhost), ("outside-servers", servers)):
            self.components.append(Component(name, network.within(network.OUTSIDE, program), self.layout.logs))

    def await_nodes(self, names: list[str], seconds: float = 180) -> None:
        def met(found: list[dict[str, Any]]) -> bool:
            return {item["metadata"]["name"] for item in found if condition(item, "Ready")} >= set(names)

        self.api.until("/api/v1/nodes", met, f"nodes {', '.join(names)} Ready", seconds)

    # --- orders

    def status(self) -> Reply:
        programs = {component.name: component.process.poll() for component in self.components}
        nodes: dict[str, Any] = {}
        for name, node in self.nodes.items():
            nodes[name] = node.order("list") if node.powered else None
        return {
            "load_balancer": self.balancer.mode,
            "broken": self.faults.present,
            "components": programs,
            "nodes": nodes,
            "memory": memory(),
            "uptime": round(time.monotonic() - self.began),
        }

    def obey(self, order: dict[str, Any]) -> Reply:
        orders: dict[str, Callable[..., Reply | None]] = {
            "status": self.status,
            "load-balancer": self.balancer.switch,
            "break": self.faults.break_,
            "mend": self.faults.mend,
        }
        wanted = order.pop("do")
        if wanted not in orders:
            raise LabError(f"the lab knows no order {wanted!r}")
        with self.lock:
            return orders[wanted](**order) or {}

    def answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            line = stream.readline()
            if not line:
                return
            try:
                reply = {"ok": True, **self.obey(json.loads(line))}
            except Exception as error:  # the asker is told, the lab lives on
                text = str(error) if isinstance(error, LabError) else f"{type(error).__name__}: {error}"
                reply = {"ok": False, "error": text}
            with contextlib.suppress(OSError):
                stream.write(json.dumps(reply).encode() + b"\n")
                stream.flush()

    def serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()


def memory() -> int:
    """Bytes the lab's processes use, with shared pages counted once."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for line in (process / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


@contextlib.contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """By way of its directory's descriptor: a socket's name has 107 bytes at most, a home may be deeper."""
    directory = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
        os.close(directory)
        listener.listen()
        yield listener


def main() -> None:
    supervisor = Supervisor(Path(sys.argv[1]))
    with cache.used_by_us(supervisor.programs), listening(supervisor.layout.control_socket) as listener:
        try:
            supervisor.start()
        except LabError as error:
            supervisor.report(error=str(error))
            raise SystemExit(1) from error
        supervisor.report(ready=True)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        supervisor.serve(listener)


if __name__ == "__main__":
    main()
