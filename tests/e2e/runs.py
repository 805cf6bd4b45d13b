"""Runs of the command that do not come to their own end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.cluster import Namespace, deployment, service

#: Signals do what they do in a shell, even if these tests run in the background or under nohup.
SIGNALS = ["env", "--default-signal=INT,HUP"]


def command(web: Namespace, kubeconfig: Path, *arguments: str) -> list[str]:
    """`kubectl svcprobe …` in this namespace, by a kubeconfig."""
    return [*SIGNALS, "kubectl", "svcprobe", *arguments, "-n", web.name, "--kubeconfig", str(kubeconfig)]


@contextmanager
def started(web: Namespace, kubeconfig: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command, which each program on the way to it becomes; whatever happens, it has ended afterwards."""
    pipe = subprocess.PIPE
    with web.lab.popen(command(web, kubeconfig, *arguments), stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def is_the_plugin(process: int) -> bool:
    """Whether this process is the one that signals are meant for."""
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return any(word.endswith(b"/kubectl-svcprobe") for word in words)


def still_there(web: Namespace, pods: list[str]) -> list[str]:
    """Those of these pods that do not go within a few seconds."""
    wait = ["kubectl", "-n", web.name, "wait", "--for=delete", "--timeout=10s", *(f"pod/{pod}" for pod in pods)]
    if not pods or web.lab.run(wait, check=False).returncode == 0:
        return []
    return [pod for pod in pods if pod in web.names("pods")]


def set_up(namespace: Namespace) -> None:
    """Services: `web` and `other` work, nothing listens at the port of `refused`, and `silent` accepts and says nothing."""
    behind_web = {"app": "web"}
    silent = deployment("silent")
    (container,) = silent["spec"]["template"]["spec"]["containers"]
    for key in ("args", "readinessProbe"):
        del container[key]
    container["command"] = ["nc", "-ll", "-p", "8080", "-e", "sleep", "3600"]
    refused = service("refused", selector=behind_web, ports=[{"name": "http", "port": 80, "targetPort": 9}])
    namespace.apply(
        *(deployment(), service(), service("other", selector=behind_web), refused, silent, service("silent"))
    )
    namespace.roll_out("web")
    namespace.roll_out("silent")
