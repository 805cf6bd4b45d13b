"""One run's surroundings: the flags, the connection, and where words go."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kubectl_svcprobe import __version__
from kubectl_svcprobe.access import kubeconfig
from kubectl_svcprobe.access.kube import Cluster
from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.diagnose import Choice
from kubectl_svcprobe.errors import ExitCode, UsageError
from kubectl_svcprobe.facts.client import ClientWish
from kubectl_svcprobe.facts.reader import label_selector
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.probe.podspec import DEFAULT_IMAGE, Timing
from kubectl_svcprobe.progress import Progress
from kubectl_svcprobe.render.terminal import Paper
from kubectl_svcprobe.report import Report, Severity, Verdict
from kubectl_svcprobe.run import Options


@dataclass
class Session:
    """What the actions need. Connecting is left until it is needed. Raises AccessError then."""

    flags: dict[str, Any]
    paper: Paper
    interrupts: Interrupts
    progress: Progress

    @cached_property
    def access(self) -> kubeconfig.Access:
        """The resolved kubeconfig."""
        return kubeconfig.load(self.flags["kubeconfig"], self.flags["context"], os.environ)

    @cached_property
    def cluster(self) -> Cluster:
        """The API server as this user sees it."""
        return Cluster.connect(
            self.access,
            user_agent=f"kubectl-svcprobe/{__version__}",
            request_timeout=self.flags["request_timeout"],
            on_request=self._log_request if self.flags["verbose"] else None,
        )

    @property
    def namespace(self) -> str:
        """`-n`, else the context's."""
        return self.flags["namespace"] or self.access.namespace or "default"

    @property
    def kubectl(self) -> Kubectl:
        """Writes commands that reach the same cluster."""
        return Kubectl(self.flags["context"] or "", self.flags["kubeconfig"] or "", tuple(self._vantage()))

    def _vantage(self) -> Iterator[tuple[str, str]]:
        """The flags that say for whom the probe pod asks, as they would be given again."""
        flags = self.flags
        if flags.get("from_"):
            yield "--from", f"{flags['from_'][0].lower()}/{flags['from_'][1]}"
        if flags.get("from_namespace"):
            yield "--from-namespace", flags["from_namespace"]
        if flags.get("from_labels"):
            yield "--from-labels", label_selector(flags["from_labels"])
        if flags.get("mesh", "auto") != "auto":
            yield "--mesh", flags["mesh"]
        for secret in flags.get("image_pull_secret", ()):
            yield "--image-pull-secret", secret

    @property
    def options(self) -> Options:
        """The flags, as far as one Service's inspection is concerned."""
        flags = self.flags
        return Options(
            probe=not flags["no_probe"],
            through_api_server=flags["output"] == "wide",
            inside=flags["in_"] or "",
            container=flags["container"] or "",
            from_here=flags["from_here"],
            image=flags["image"] or DEFAULT_IMAGE,
            node=flags["node"] or "",
            ports=tuple(word for words in flags["ports"] for word in words),
            scheme="" if flags["scheme"] == "auto" else flags["scheme"],
            path=flags["path"],
            samples=flags["samples"],
            keep_pod=flags["keep_pod"],
            trace=flags["trace"],
            one_pod=flags["one_pod"],
            client=_client_wish(flags),
            all_nodes=flags["all_nodes"],
            choice=Choice(flags["only"], flags["skip"]),
            timing=Timing(
                connect=min(2.0, flags["timeout"]), transfer=flags["timeout"], silent=min(2.0, flags["timeout"])
            ),
        )

    @property
    def is_text(self) -> bool:
        """Whether reports are for people, who need not wait for the last one."""
        return self.flags["output"] in ("text", "wide")

    def write(self, text: str) -> None:
        """Put the document on stdout, after the spinner has left."""
        self.progress.close()
        sys.stdout.write(text)
        sys.stdout.flush()

    def exit_code(self, reports: list[Report]) -> ExitCode:
        """1 where something is at or above `--fail-on`; else 3 where something could not be told; else 0."""
        limits = {"error": Severity.ERROR, "warning": Severity.WARNING}
        limit = limits.get(self.flags["fail_on"])
        severities = [f.severity for report in reports for f in report.findings if f.severity is not Severity.UNKNOWN]
        if limit and any(severity.rank <= limit.rank for severity in severities):
            return ExitCode.FINDINGS
        return ExitCode.UNKNOWN if any(report.verdict is Verdict.UNKNOWN for report in reports) else ExitCode.OK

    def _log_request(self, method: str, path: str, status: int, size: int) -> None:
        self.progress.note(f"{method} {path} {status} {size} bytes")


def _client_wish(flags: dict[str, Any]) -> ClientWish:
    """Whom the probe pod is to stand in for. Raises UsageError where no pod is to run at all."""
    kind, name = flags["from_"] or ("", "")
    given = [flag for flag in ("from_", "from_labels", "from_namespace") if flags[flag]]
    if flags["no_probe"] and given:
        raise UsageError(
            f"error: --{given[0].strip('_').replace('_', '-')} is about the probe pod, and --no-probe starts none"
        )
    return ClientWish(
        kind=kind,
        name=name,
        namespace=flags["from_namespace"] or "",
        labels=flags["from_labels"] or {},
        mesh=flags["mesh"],
        pull_secrets=flags["image_pull_secret"],
    )
