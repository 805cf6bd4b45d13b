"""The page of one finding, from the rule itself: offline, and never out of date. Pure."""

from __future__ import annotations

import re

from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.render.terminal import Paper
from kubectl_svcprobe.rules import BY_CODE, RETIRED
from kubectl_svcprobe.rules.rule import Rule
from kubectl_svcprobe.words import listed


def find(code: str) -> Rule:
    """The rule of a code or name, in whatever case. Raises UsageError where there is none."""
    by_name = {rule.name: rule for rule in BY_CODE.values()}
    found = BY_CODE.get(code.upper()) or by_name.get(code.lower())
    if found:
        return found
    if code.upper() in RETIRED:
        raise UsageError(f"error: {code.upper()} is retired: {RETIRED[code.upper()]}")
    raise UsageError(f"error: no finding has the code {code}; there are {listed(sorted(BY_CODE), len(BY_CODE))}")


def page(rule: Rule, paper: Paper) -> str:
    """The page as text."""
    lines = [paper.bold(f"{rule.code}  {rule.name} · {rule.severity.value}"), ""]
    for paragraph in rule.page.split("\n\n"):
        lines += [*paper.wrapped(re.sub(r"\*\*|`", "", " ".join(paragraph.split()))), ""]
    if rule.explains:
        lines += [*paper.wrapped(f"Where it is found, these are its consequences: {listed(rule.explains, 20)}."), ""]
    lines.append(f"Source: {rule.source}")
    return "\n".join(lines) + "\n"
