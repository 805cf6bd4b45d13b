"""Builds Kubernetes, etcd, kubectl, agnhost, CoreDNS and MetalLB from their Go modules, and the lab's own servers.

This file and the Go sources beside it are all that a build depends on: an edit here builds everything anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from . import prerequisites
from .layout import PACKAGE, LabError
from .progress import Progress

SOURCES = PACKAGE / "go"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet")
PLAIN = "-s -w"

Maker = Callable[[Path, Progress], None]


def go(directory: Path, *arguments: str) -> str:
    command = ["go", *arguments]
    result = subprocess.run(command, cwd=directory, env=environment(), capture_output=True, text=True, check=False)
    if result.returncode:
        raise LabError(f"{' '.join(command)} failed:\n{result.stderr.strip()}")
    return result.stdout.strip()


def environment() -> dict[str, str]:
    """Here, and only here, the machine's own settings count: its proxies and its Go module mirror."""
    return {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=mod -buildvcs=false -trimpath"}


def compile_package(directory: Path, flags: str, target: Path, packages: list[str], progress: Progress) -> None:
    """`go build -v` names every package it has compiled, and every module it has fetched."""
    process = subprocess.Popen(
        ["go", "build", "-v", "-ldflags", flags, "-o", str(target), *packages],
        cwd=directory, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    ended = threading.Event()

    def tick() -> None:
        while not ended.wait(1):
            progress.alive()

    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    said: list[str] = []
    assert process.stderr
    try:
        for count, line in enumerate(process.stderr, 1):
            said = [*said[-30:], line.rstrip()]
            progress.at(f"{count}, {line.strip()}")
        if process.wait():
            raise LabError("go build failed:\n" + "\n".join(said))
    finally:
        ended.set()
        ticker.join()
        if process.poll() is None:
            process.terminate()
            process.wait()


def version_flags(directory: Path) -> str:
    """What `kubectl version` and the node list show, as in a release."""
    version = go(directory, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
    minor = version.split(".")[1]
    flags = PLAIN
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        flags += f" -X {package}.gitVersion={version} -X {package}.gitMajor=1 -X {package}.gitMinor={minor}"
    return flags


def build_all(target: Path, progress: Progress) -> None:
    """The programs, kubectl in a directory of its own (for a PATH), and MetalLB's resource definitions."""
    prerequisites.ensure_go(progress)
    with tempfile.TemporaryDirectory(prefix="lab-build") as copy:  # Go may write to go.sum; the checkout stays as it is
        sources = Path(shutil.copytree(SOURCES, Path(copy) / "go"))
        kube, metallb = sources / "kube", sources / "metallb"
        progress.step("Go modules")
        flags = version_flags(kube)
        kubectl = target / "cli" / "kubectl"
        kubectl.parent.mkdir()
        agnhost = "k8s.io/kubernetes/test/images/agnhost"
        balancer = ["go.universe.tf/metallb/controller", "go.universe.tf/metallb/speaker"]
        for name, directory, given, output, packages in (
            ("kubectl", kube, flags, kubectl, ["./kubectl"]),
            ("Kubernetes and etcd (minutes, the first time)", kube, flags, target / "kube", ["./server"]),
            ("agnhost", kube, PLAIN, target / "agnhost", [agnhost]),
            ("CoreDNS", sources / "coredns", PLAIN, target / "coredns", ["."]),
            ("MetalLB", metallb, PLAIN, target, balancer),
            ("servers", sources / "servers", PLAIN, target / "servers", ["."]),
        ):
            progress.step(name)
            compile_package(directory, given, output, packages, progress)
        for component in COMPONENTS:
            (target / component).symlink_to("kube")
        module = Path(go(metallb, "list", "-m", "-f", "{{.Dir}}", "go.universe.tf/metallb"))
        shutil.copytree(module / "config" / "crd" / "bases", target / "metallb-crds", copy_function=shutil.copyfile)
    progress.step("built")
