"""A node: a network namespace, and in it one mount, PID, UTS and IPC namespace with containerd, kubelet and kube-proxy.

Everything a node runs is below the first process of its PID namespace, so that losing power is one step: that process
ends, and runtime, kubelet and every container with it. What a real node keeps on its disk (/var) it keeps too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import cgroups, network, pki
from .families import Family, node_index
from .layout import (
    AGNHOST_IMAGE,
    PACKAGE,
    PROXY_MODES,
    LabError,
    Layout,
    Settings,
    minimal_environment,
)

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
FILES = "/run/lab/etc"  # where a node sees the files prepared for it
PROGRAMS = "/run/lab/bin"
LOGS = "/run/lab/logs"

CONTAINERD = f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{AGNHOST_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{FILES}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""

# A kubelet sets these for the whole machine. It is shown files that say they are set, and leaves the machine alone.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


def cni_configuration(node: str, families: Sequence[Family]) -> dict[str, Any]:
    """Every packet of a pod is routed by its node, none bridged: policies and rules see all of them.

    A pod has a route to all there is instead of a default route: what is nowhere fails in the pod itself, at once.
    """
    routes = [{"dst": net} for family in families for net in (family.pods, family.services, family.link_net)]
    ranges = [[{"subnet": family.pods_of(node)}] for family in families]
    ipam = {"type": "host-local", "ranges": ranges, "routes": routes}
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": ipam},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet_configuration(cgroup: str, family: Family) -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{FILES}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{FILES}/node.crt",
        "tlsPrivateKeyFile": f"{FILES}/node.key",
        "clusterDNS": [family.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{FILES}/resolv.conf",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "failCgroupV1": False,
        "nodeLeaseDurationSeconds": 8,
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "10s",
        "syncFrequency": "10s",
        "fileCheckFrequency": "0s",
        "httpCheckFrequency": "0s",
        "imageGCHighThresholdPercent": 100,  # images cannot be pulled again
        "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%", "memory.available": "100Mi"},
        "maxPods": 250,
        "serializeImagePulls": False,
        "kubeAPIQPS": 100,
        "kubeAPIBurst": 200,
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    }


def proxy_configuration(node: str, settings: Settings) -> dict[str, Any]:
    """What comes from a pod it leaves as it is on its way to a Service, unless the lab is to masquerade that too."""
    conntrack = {"maxPerCore": 0, "min": 0}
    timeouts = ("tcpEstablishedTimeout", "tcpCloseWaitTimeout", "udpTimeout", "udpStreamTimeout")
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": settings.proxy_mode,
        "clusterCIDR": ",".join(family.pods for family in settings.families),
        "hostnameOverride": node,
        "clientConnection": {"kubeconfig": f"{FILES}/kube-proxy.kubeconfig"},
        "conntrack": {**conntrack, **dict.fromkeys(timeouts, "0s")},  # these sysctls are read-only here
        **{
            mode: {"minSyncPeriod": "100ms", "masqueradeAll": settings.masquerade == "services"} for mode in PROXY_MODES
        },
    }


def file_of(kernel_setting: str) -> str:
    return "kernel-" + kernel_setting.replace("/", "-")


class Node:
    def __init__(self, name: str, layout: Layout, settings: Settings) -> None:
        self.name, self.layout, self.settings = name, layout, settings
        self.base = layout.node(name)
        self.files = self.base / "etc"
        self.first: subprocess.Popen[bytes] | None = None

    @property
    def cgroup(self) -> str:
        return f"/{self.layout.identity}/{self.name}"

    @property
    def addresses(self) -> list[str]:
        """What the cluster knows of it."""
        return [family.node(self.name) for family in self.settings.families]

    @property
    def names(self) -> list[tuple[str, str]]:
        return [("127.0.0.1", "localhost"), *((address, self.name) for address in self.addresses)]

    # --- its link

    def plug_in(self, nodes: Sequence[str]) -> None:
        network.connect_node(self.name, nodes, self.settings.link_families)
        self.masquerade()

    def masquerade(self) -> None:
        if self.settings.masquerade != "off":
            network.masquerade(self.name, self.settings.families)

    # --- what is on its disk

    def prepare(self) -> None:
        for directory in ("lib", "log", "tmp", "cache", "lib/kubelet"):
            (self.base / "var" / directory).mkdir(parents=True, exist_ok=True)
        (self.base / "var/run").symlink_to("/run")
        (self.files / "cni").mkdir(parents=True)
        self.give_images()
        self.write("containerd.toml", CONTAINERD)
        self.write("cni/10-pods.conflist", cni_configuration(self.name, self.settings.families))
        self.write("kubelet.json", kubelet_configuration(self.cgroup, self.settings.families[0]))
        self.write("kube-proxy.json", proxy_configuration(self.name, self.settings))
        self.write("resolv.conf", "")
        for name, value in KERNEL_SETTINGS.items():
            self.write(file_of(name), f"{value}\n")
        self.write("hosts", "".join(f"{address} {name}\n" for address, name in self.names))

    def give_images(self) -> None:
        """Hard links to the image store of the cache: nothing to import, one copy in memory for all nodes."""
        source, target = Path(self.settings.images), self.base / "var/lib/containerd"
        how = "-al" if source.stat().st_dev == self.base.stat().st_dev else "-a"
        network.command(["cp", how, f"{source}/.", str(target)])
        for database in target.rglob("*.db"):  # the only files of a store that are ever written to
            own = database.with_suffix(".own")
            shutil.copy2(database, own)
            own.replace(database)

    def write(self, name: str, content: str | dict[str, Any]) -> None:
        (self.files / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=1))

    def certify(self) -> None:
        """Its identity, once there is an authority."""
        own, source = Path(FILES), self.layout.pki
        alternatives = ",".join([*(f"IP:{address}" for address in self.addresses), f"DNS:{self.name}"])
        pki.make_certificate(source, self.name, f"system:node:{self.name}", ("system:nodes",), alternatives)
        shutil.copy(source / "ca.crt", self.files)
        for suffix in ("crt", "key"):
            shutil.copy(source / f"{self.name}.{suffix}", self.files / f"node.{suffix}")
            shutil.copy(source / f"kube-proxy.{suffix}", self.files / f"kube-proxy.{suffix}")
        pki.write_kubeconfig(self.files / "kubelet.kubeconfig", own, "node")
        pki.write_kubeconfig(self.files / "kube-proxy.kubeconfig", own, "kube-proxy")

    # --- power

    def power_on(self) -> None:
        """Its first process, its mounts, its runtime."""
        cgroups.make(self.cgroup)
        log = (self.layout.logs / f"{self.name}.log").open("ab")
        spaces = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        self.first = subprocess.Popen(
            network.within(self.name, [*spaces, sys.executable, "-I", "-S", str(PACKAGE / "init.py")]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd="/", env=minimal_environment(),
            start_new_session=True,
        )  # fmt: skip
        for step in self.mounts():
            self.order("run", "", step)
        self.order("start", "containerd", ["containerd", "-c", f"{FILES}/containerd.toml"])

    def mounts(self) -> list[list[str]]:
        return [
            ["hostname", self.name],
            ["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"],
            ["mkdir", "-p", FILES, PROGRAMS, LOGS, "/run/netns", "/run/lock"],
            ["mount", "--bind", str(self.files), FILES],
            ["mount", "--bind", self.settings.programs, PROGRAMS],
            ["mount", "--bind", str(self.layout.logs), LOGS],
            ["mount", "--bind", f"{FILES}/hosts", "/etc/hosts"],
            *(["mount", "--bind", f"{FILES}/{file_of(name)}", f"/proc/sys/{name}"] for name in KERNEL_SETTINGS),
            ["mount", "--bind", str(self.base / "var"), "/var"],  # last: it may hide where the others came from
            ["mount", "--make-rshared", "/"],
        ]

    def power_off(self) -> None:
        """At once, as when the plug is pulled."""
        if self.first is None:
            return
        assert self.first.stdin
        self.first.stdin.close()  # its first process ends at this, and the kernel ends the rest
        self.first.wait(30)
        self.first = None
        cgroups.remove(self.cgroup)  # a kubelet waits long for containers it finds there

    @property
    def powered(self) -> bool:
        return self.first is not None and self.first.poll() is None

    # --- programs

    def order(self, do: str, name: str = "", argv: list[str] | None = None, **more: Any) -> dict[str, Any]:
        if self.first is None:
            raise LabError(f"{self.name} is off")
        assert self.first.stdin
        assert self.first.stdout
        environment = {**minimal_environment(), "TMPDIR": "/var/tmp"}
        log = f"{LOGS}/{self.name}-{name}.log" if name else None
        message = {"do": do, "name": name, "argv": argv, "log": log, "environment": environment, **more}
        self.first.stdin.write(json.dumps(message).encode() + b"\n")
        self.first.stdin.flush()
        answer = self.first.stdout.readline()
        if not answer:
            raise LabError(f"{self.name} has lost its first process; see {self.layout.logs}/{self.name}.log")
        reply: dict[str, Any] = json.loads(answer)
        if "error" in reply:
            raise LabError(f"{self.name} cannot {do} {name}: {reply['error']}")
        if reply.get("code"):
            raise LabError(f"{self.name}: {' '.join(argv or [])} failed; see {self.layout.logs}/{self.name}.log")
        return reply

    def start_kubelet(self) -> None:
        self.order("await", path=CONTAINERD_SOCKET, seconds=30)
        zone = "zone-" + "ab"[node_index(self.name) % 2]
        self.order("start", "kubelet", [
            f"{PROGRAMS}/kubelet", f"--config={FILES}/kubelet.json", f"--kubeconfig={FILES}/kubelet.kubeconfig",
            f"--hostname-override={self.name}", f"--node-ip={','.join(self.addresses)}",
            f"--node-labels=topology.kubernetes.io/zone={zone}",
        ])  # fmt: skip

    def start_kube_proxy(self) -> None:
        self.order("start", "kube-proxy", [f"{PROGRAMS}/kube-proxy", f"--config={FILES}/kube-proxy.json"])

    def stop_kube_proxy(self) -> None:
        self.order("stop", "kube-proxy")
