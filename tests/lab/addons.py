"""What is installed into the cluster: CoreDNS."""

from __future__ import annotations

import subprocess
from pathlib import Path

from .api import Api, condition
from .layout import PACKAGE, LabError, Layout, Settings, minimal_environment

MANIFESTS = PACKAGE / "manifests"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments"


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


def install_coredns(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", str(MANIFESTS / "coredns.yaml"))


def await_available(api: Api, namespace: str, name: str, seconds: float = 60) -> None:
    api.until(
        DEPLOYMENTS.format(namespace),
        lambda found: any(item["metadata"]["name"] == name and condition(item, "Available") for item in found),
        f"Deployment {namespace}/{name} Available",
        seconds,
    )
