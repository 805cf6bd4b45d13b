"""What a lab could leave on the machine it runs on, and what it must never touch."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab import Lab
from tests.lab.cgroups import hierarchies
from tests.lab.layout import Layout
from tests.lab.life import first_process

# Where a node's programs write by default.
DIRECTORIES = (
    "/run", "/run/netns", "/run/containerd", "/run/lock", "/tmp", "/opt", "/etc/cni", "/var/tmp",
    "/var/lib", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/var/log", "/var/log/containers", "/var/log/pods",
)  # fmt: skip
SETTINGS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
)


@dataclass(frozen=True)
class Machine:
    """A picture of it, to compare with a later one."""

    mounts: list[str]
    interfaces: list[str]
    files: dict[str, list[str]]
    settings: dict[str, str]
    cgroups: list[str]


def picture(home: Path, ours: tuple[str, ...] = ()) -> Machine:
    """Without the lab's own home, and the names in /tmp of those who test beside us."""
    mounts = sorted(line.split(" ", 3)[3] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    files = {directory: names(Path(directory), home) for directory in DIRECTORIES if directory != "/tmp"}
    files["/tmp"] = [
        name for name in names(Path("/tmp"), home) if name.startswith(("lab", "containerd", "kube", *ours))
    ]
    settings = {name: Path("/proc/sys", name).read_text().strip() for name in SETTINGS}
    groups = sorted(str(entry) for root in hierarchies() for entry in root.iterdir() if named(entry.name, home))
    return Machine(mounts, [link.split(": ")[1] for link in links], files, settings, groups)


def named(cgroup: str, home: Path) -> bool:
    """As a lab of ours is, or as what a container runtime or a kubelet makes when it is not told where."""
    return cgroup in (Layout(home).identity, "k8s.io", "kubepods")


def names(directory: Path, home: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in directory.iterdir() if not home.is_relative_to(entry))
    except FileNotFoundError:
        return ["does not exist"]


def members(lab: Lab) -> set[int]:
    """The lab's first process and all its descendants."""
    children: dict[int, list[int]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            after_name = (process / "stat").read_text().rpartition(")")[2]
            children.setdefault(int(after_name.split()[1]), []).append(int(process.name))
    found, pending = set(), [first_process(lab.layout)]
    while pending:
        found.add(parent := pending.pop())
        pending += children.get(parent, [])
    return found


def alive(processes: set[int]) -> set[int]:
    """Those that have not ended; one whose parent has yet to take note of its end has."""
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX":
                found.add(process)
    return found


def namespaces(processes: set[int], kind: str) -> set[str]:
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):  # it has ended, or is not ours to look at
            found.add(str(Path(f"/proc/{process}/ns/{kind}").readlink()))
    return found


def holders(kind: str, wanted: set[str]) -> set[int]:
    """Processes of this machine that are in one of the namespaces."""
    return {int(entry.name) for entry in Path("/proc").glob("[0-9]*") if namespaces({int(entry.name)}, kind) & wanted}
