"""Where everything of a lab is, and the numbers all its parts agree on."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]

NODE_NET = "172.30.0"  # /24: the link that the control plane, the nodes and the workstation share
API_ADDRESS = f"{NODE_NET}.1"
OUTSIDE_ADDRESS = f"{NODE_NET}.50"
WORKSTATION_ADDRESS = f"{NODE_NET}.100"
POOL = tuple(f"{NODE_NET}.{host}" for host in range(200, 220))  # what LoadBalancers are given
POD_NET = "10.244"  # /16, a /24 of it for each node
SERVICE_NET = "10.96.0.0/16"
DNS_ADDRESS = "10.96.0.10"
UNREACHABLE = "192.0.2.1"  # never leaves any namespace of the lab

AGNHOST_IMAGE = "lab.test/agnhost:1"
CONFORMANCE_IMAGE = "lab.test/e2e-test-images/agnhost:2.43"  # the same under the name that tests of policies use
CURL_IMAGE = "lab.test/curl:1"
COREDNS_IMAGE = "lab.test/coredns:1"
METALLB_IMAGE = "lab.test/metallb:1"
SERVERS_IMAGE = "lab.test/servers:1"  # go/servers
CURL_STAND_IN = "docker.io/curlimages/curl:8.17.0"  # the plugin's default image by name, with the machine's curl

PROXY_MODES = ("iptables", "nftables")
LOAD_BALANCERS = ("off", "on", "full", "class")
LOAD_BALANCER_CLASS = "lab.test/load-balancer"

COMMON_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class LabError(Exception):
    """Something about the lab that its user has to know; the message says what to do."""


def cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser().resolve() / "kubectl-svcprobe-lab"


def default_home() -> Path:
    """The lab of this checkout, so that two checkouts never share one."""
    if chosen := os.environ.get("LAB_HOME"):
        return Path(chosen).expanduser().resolve()
    return cache_root() / "labs" / hashlib.sha256(str(CHECKOUT).encode()).hexdigest()[:12]


def node_address(node: str) -> str:
    return f"{NODE_NET}.{10 + node_index(node)}"


def node_index(node: str) -> int:
    return int(node.removeprefix("node-"))


@dataclass(frozen=True)
class Settings:
    """What `up` decided, kept in the lab's home for everything that comes later."""

    nodes: int
    proxy_mode: str
    load_balancer: str
    programs: str
    images: str

    @property
    def node_names(self) -> list[str]:
        return [f"node-{index}" for index in range(1, self.nodes + 1)]


@dataclass(frozen=True)
class Layout:
    """The files of one lab, all below its home."""

    home: Path

    @property
    def identity(self) -> str:
        """Names the lab where names are machine-wide: in the cgroup tree."""
        return "svcprobe-lab-" + hashlib.sha256(str(self.home).encode()).hexdigest()[:12]

    @property
    def settings_file(self) -> Path:
        return self.home / "lab.json"

    @property
    def control_socket(self) -> Path:
        return self.home / "control.sock"

    @property
    def pki(self) -> Path:
        return self.home / "pki"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.log"

    @property
    def workstation(self) -> Path:
        return self.home / "workstation"

    def kubeconfig(self, name: str) -> Path:
        return self.home / f"{name}.kubeconfig"

    def node(self, name: str) -> Path:
        return self.home / name

    def save(self, settings: Settings) -> None:
        self.settings_file.write_text(json.dumps(asdict(settings)))

    def load(self) -> Settings:
        fields: dict[str, Any] = json.loads(self.settings_file.read_text())
        try:
            return Settings(**fields)
        except TypeError as error:
            raise LabError(
                f"the lab in {self.home} was started by another version of this code; stop it first"
            ) from error


def minimal_environment() -> dict[str, str]:
    """For everything the lab runs: no proxy variables, nothing personal."""
    return {"PATH": COMMON_PATH, "HOME": "/root", "LANG": "C.UTF-8"}
