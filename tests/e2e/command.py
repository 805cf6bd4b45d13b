"""The command under test, as its user runs it: `kubectl svcprobe`, on the workstation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.lab import Lab


@dataclass(frozen=True)
class Report:
    """One Service's report, as the JSON document has it."""

    json: dict[str, Any]

    @property
    def verdict(self) -> str:
        return str(self.json["verdict"])

    @property
    def summary(self) -> str:
        return str(self.json["summary"])

    @property
    def codes(self) -> list[str]:
        """The codes of all findings but mere information, the worst first."""
        return [f["code"] for f in self.json["findings"] if f["severity"] != "info"]

    @property
    def information(self) -> list[str]:
        return [f["code"] for f in self.json["findings"] if f["severity"] == "info"]

    def finding(self, code: str) -> dict[str, Any]:
        """The only finding of that code."""
        (found,) = (f for f in self.json["findings"] if f["code"] == code)
        return dict(found)

    def paths(self, kind: str = "", vantage: str = "") -> list[dict[str, Any]]:
        return [p for p in self.json["paths"] if kind in ("", p["kind"]) and vantage in ("", p["vantage"])]

    def outcomes(self, kind: str, vantage: str = "") -> dict[str, str]:
        """What became of every path of a kind, by its target."""
        return {p["target"]: p["outcome"] for p in self.paths(kind, vantage)}

    @property
    def pods(self) -> set[str]:
        return {pod["name"] for pod in self.json["pods"]}

    @property
    def ready_addresses(self) -> set[str]:
        return {e["address"] for e in self.json["endpoints"] if e["ready"]}

    @property
    def skipped(self) -> dict[str, str]:
        return {s["what"]: s["why"] for s in self.json["skipped"]}


@dataclass(frozen=True)
class Answer:
    """What a run left behind for its user."""

    code: int
    stdout: str
    stderr: str

    @property
    def reports(self) -> list[Report]:
        """The documents of `-o json`."""
        document = json.loads(self.stdout)
        assert (document["apiVersion"], document["kind"]) == ("svcprobe/v1", "ReportList")
        return [Report(report) for report in document["reports"]]

    @property
    def report(self) -> Report:
        """The only one."""
        (report,) = self.reports
        return report


def kubectl_svcprobe(lab: Lab, *arguments: str, env: Mapping[str, str] | None = None) -> Answer:
    """One run to its end."""
    done = lab.run(["kubectl", "svcprobe", *arguments], check=False, timeout=120, env=env)
    assert "Traceback" not in done.stderr, done.stderr
    return Answer(done.returncode, done.stdout, done.stderr)


def svcprobe(lab: Lab, *arguments: str, env: Mapping[str, str] | None = None) -> Answer:
    """One run with `-o json`."""
    return kubectl_svcprobe(lab, *arguments, "-o", "json", env=env)
