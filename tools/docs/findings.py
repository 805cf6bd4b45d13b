"""docs/findings.md, from the rules: the pages that `kubectl svcprobe explain` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules import BY_CODE, RETIRED, RULES
from kubectl_svcprobe.rules.rule import Rule
from tools.docs.markdown import head, table, text

INTRODUCTION = """\
Every finding has a code, which never changes its meaning and is never given to another. `kubectl svcprobe explain CODE`
prints the same text without a network. Messages, evidence and fixes name the objects of the cluster at hand and are not
listed here.
"""

SEVERITIES = {
    Severity.ERROR: "requests fail, all or some of them; the verdict is `broken`",
    Severity.UNKNOWN: "something could not be looked at; the verdict is `unknown` where no error decides",
    Severity.WARNING: "it works, but not all is as declared; the verdict is `warning`",
    Severity.INFO: "worth knowing; the verdict stays `ok`",
}


def page() -> str:
    """An index, and a section a rule, by code."""
    rules = sorted(RULES, key=lambda rule: rule.code)
    index = table(
        ["Code", "Name", "Severity"],
        [(f"[{rule.code}](#{anchor(rule.code)})", rule.name, rule.severity.value) for rule in rules],
    )
    severities = table(["Severity", "Meaning"], [(severity.value, words) for severity, words in SEVERITIES.items()])
    lines = [*head("Findings", "the rules in `kubectl_svcprobe/rules/`"), INTRODUCTION, *severities, *index]
    for rule in rules:
        lines.extend(_section(rule))
    return text([*lines, *_retired()])


def anchor(code: str) -> str:
    """What to put behind `#`; set by hand, since every host makes its own of headings."""
    return code.lower()


def links(codes: Iterable[str]) -> str:
    """Links within the page. A code of a rule that does not exist (yet) is left plain."""
    return ", ".join(f"[{code}](#{anchor(code)})" if code in BY_CODE else code for code in codes)


def _section(rule: Rule) -> Iterator[str]:
    yield f'<a id="{anchor(rule.code)}"></a>'
    yield ""
    yield f"## {rule.code} {rule.name}"
    yield ""
    yield f"Severity: **{rule.severity.value}**"
    yield ""
    yield rule.page
    yield ""
    if rule.explains:
        yield f"**Explains.** Where it is found, these are its consequences: {links(rule.explains)}."
        yield ""
    if rule.reads:
        yield f"**Reads.** {', '.join(sorted(rule.reads))}; skipped, and said so, where one of them cannot be read."
        yield ""
    yield f"Source: <{rule.source}>. Since {rule.since}."
    yield ""


def _retired() -> list[str]:
    if not RETIRED:
        return []
    return ["## Retired codes", "", *table(["Code", "Why"], sorted(RETIRED.items()))]
