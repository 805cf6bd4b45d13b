"""Where everything of a lab is, and the numbers all its parts agree on."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .families import FAMILIES, IPV4, IPV6, Family

PACKAGE = Path(__file__).resolve().parent
CHECKOUT = PACKAGE.parents[1]

API_ADDRESS, OUTSIDE_ADDRESS, WORKSTATION_ADDRESS = IPV4.api, IPV4.outside, IPV4.workstation
POOL = IPV4.pool
DNS_ADDRESS = IPV4.dns
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
DELAY = 200  # ms, of a slow link, unless told otherwise
MASQUERADE = ("off", "outside", "services")
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
    return IPV4.node(node)


@dataclass(frozen=True)
class Settings:
    """What `up` decided, kept in the lab's home for everything that comes later."""

    nodes: int
    proxy_mode: str
    load_balancer: str
    programs: str
    images: str
    family: str = "ipv4"
    masquerade: str = "off"

    @property
    def families(self) -> tuple[Family, ...]:
        """Of nodes, pods and Services, the first one first."""
        return FAMILIES[self.family]

    @property
    def link_families(self) -> tuple[Family, ...]:
        """Of the link, by which the lab's own parts meet: always IPv4 too."""
        return (IPV4, IPV6) if IPV6 in self.families else (IPV4,)

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
