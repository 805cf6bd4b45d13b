"""What is installed into the cluster: CoreDNS, and what tells of kube-proxy."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from .api import Api, settled
from .layout import PACKAGE, LabError, Layout, Settings, minimal_environment

MANIFESTS = PACKAGE / "manifests"


class Kubectl:
    """The lab's kubectl with the administrator's rights, from the control plane."""

    def __init__(self, layout: Layout, settings: Settings) -> None:
        program = Path(settings.programs) / "cli" / "kubectl"
        self.prefix = [str(program), "--kubeconfig", str(layout.kubeconfig("admin"))]

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        result = subprocess.run(
            [*self.prefix, *arguments],
            input=stdin,
            env=minimal_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise LabError(f"kubectl {' '.join(arguments)} failed: {result.stderr.strip()}")
        return result.stdout


def install_coredns(kubectl: Kubectl, settings: Settings) -> None:
    manifest = (MANIFESTS / "coredns.yaml").read_text()
    outside = "\n            ".join(f"{family.outside} www.example.test" for family in settings.families)
    kubectl("apply", "-f", "-", stdin=manifest.replace("OUTSIDE", outside).replace("DNS", settings.families[0].dns))


def tell_proxy_mode(kubectl: Kubectl, settings: Settings) -> None:
    """The ConfigMap that kubeadm writes, by which others learn the mode; the kube-proxies here have files of their own."""
    pods = ",".join(family.pods for family in settings.families)
    lines = ["apiVersion: kubeproxy.config.k8s.io/v1alpha1", "kind: KubeProxyConfiguration"]
    lines += [f"clusterCIDR: {pods}", f"mode: {settings.proxy_mode}", ""]
    metadata = {"name": "kube-proxy", "namespace": "kube-system", "labels": {"app": "kube-proxy"}}
    found = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.conf": "\n".join(lines)}}
    kubectl("apply", "-f", "-", stdin=json.dumps(found))


def await_running(api: Api, namespace: str, kind: str, name: str) -> None:
    """Not the condition Available: a Deployment that has just been scaled from none still carries the old one."""
    api.until(
        f"/apis/apps/v1/namespaces/{namespace}/{kind}?fieldSelector=metadata.name%3D{name}",
        lambda found: bool(found) and settled(found[0]),
        f"{namespace}/{name} running",
    )
