"""Popeye, a linter of whole clusters: what it says while a fault is there, and whether that names the cause."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from tests.faults.fault import Fault
from tests.lab import Lab

INFORMATION, WARNING = 1, 2
PROBE_POD = "svcprobe-"  # what the plugin left a moment ago is no part of the fault


class Named(str, Enum):
    """How much of a fault was said."""

    CAUSE = "cause"
    PART = "one of two causes"
    SYMPTOM = "symptom"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Issue:
    section: str
    namespace: str
    name: str
    level: int
    message: str  # with its code in front: 1106 No target ports match…

    @property
    def code(self) -> str:
        return f"POP-{self.message.split()[0]}"


@dataclass(frozen=True)
class Judgement:
    names: Mapping[str, Sequence[str]]
    symptoms: Sequence[str]
    advice: Sequence[str]

    @classmethod
    def load(cls) -> Judgement:
        said = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
        return cls(said["names"], said["symptoms"], said["advice"])

    def of(self, fault: Fault, issues: Iterable[Issue]) -> tuple[Named, list[Issue]]:
        """And what it rests on."""
        of_fault = [issue for issue in issues if belongs(issue, fault)]
        named = [matching(of_fault, self.names.get(code, ())) for code in causes(fault)]
        told = [issue for found in named for issue in found]
        if named and all(named):
            return Named.CAUSE, told
        if told:
            return Named.PART, told
        shown = [issue for issue in matching(of_fault, self.symptoms) if issue.level >= WARNING]
        return (Named.SYMPTOM if shown else Named.NOTHING), shown

    def alarms(self, fault: Fault, issues: Iterable[Issue]) -> list[Issue]:
        """What it holds against a fault's Services themselves."""
        own = [issue for issue in issues if issue.section == "services" and issue.namespace in fault.namespaces]
        advice = matching(own, self.advice)
        return [issue for issue in own if issue.level >= WARNING and issue not in advice]


def causes(fault: Fault) -> Sequence[str]:
    """As codes of the plugin's: in a pair each, else the first, which the others only accompany."""
    codes = fault.expect.codes or fault.expect.information
    return codes if fault.group == "pairs" else codes[:1]


def belongs(issue: Issue, fault: Fault) -> bool:
    if issue.section == "pods" and issue.name.startswith(PROBE_POD):
        return False
    return issue.namespace in fault.namespaces or (
        fault.group == "cluster" and not issue.namespace.startswith("fault-")
    )


def matching(issues: Iterable[Issue], patterns: Sequence[str]) -> list[Issue]:
    return [issue for issue in issues if any(re.match(rf"(?:{pattern})(?!\d)", issue.message) for pattern in patterns)]


def look(lab: Lab, program: Path) -> list[Issue]:
    """All it says of the whole cluster."""
    command: list[str | Path] = [program, "-A", "-o", "json", "-l", "info", "--force-exit-zero", "--logs", "/dev/null"]
    return read(json.loads(lab.run(command, timeout=120).stdout))


def read(document: dict[str, Any]) -> list[Issue]:
    found = []
    for section in document["popeye"]["sections"]:
        for place, issues in (section.get("issues") or {}).items():
            namespace, _, name = place.rpartition("/")
            for issue in issues:
                message = re.sub(r"^\[POP-(\d+)\]", r"\1", issue["message"])
                found.append(Issue(section["linter"], namespace, name, issue["level"], message))
    return found
