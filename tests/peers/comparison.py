"""The same faults, looked at by the plugin and by popeye.

python -m tests.peers.comparison [NAME…] [--write]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from tests.faults.__main__ import chosen
from tests.faults.fault import Fault
from tests.faults.stage import Trial, trials
from tests.lab import Lab
from tests.lab.layout import CHECKOUT
from tests.lab.progress import Progress

from . import build, popeye
from .popeye import Issue, Named

PAGE = CHECKOUT / "docs" / "comparison.md"

INTRODUCTION = """# Compared with popeye

[popeye](https://github.com/derailed/popeye) {version} is the linter for whole clusters that also looks at Services. It reads
objects and never sends a packet; `kubectl svcprobe` looks at one Service, and does. So they are made for different questions,
and this is only about one: **a Service is broken; who says why?** Both were run on Kubernetes {server} while each of the faults
of [tests/faults](../tests/faults) was in the lab. `make popeye` repeats that and writes this page.

For `kubectl svcprobe`, the *cause* counts as said where all its findings are those that the fault's file expects, with `exit` and
verdict, and *perhaps* is put where the finding itself says that it is not certain. For popeye, any finding of any level counts
that speaks of the same thing, and *symptom* that something of the fault's objects is reported as unhealthy; which of its
codes count for what stands in [tests/peers/popeye.yaml](../tests/peers/popeye.yaml). The faults were collected for this plugin,
from bug reports and the documentation; that it knows them is no wonder, what popeye sees of them is the measurement."""
HEALTHY = """
## Healthy Services that look odd

Of these nothing is broken. What each says about the Service at the level of a warning or an error is a false alarm. What popeye
says about how pods are written ({style} warnings here, such as missing limits) is its purpose, and not counted.
"""


@dataclass(frozen=True)
class Row:
    """What came of one fault."""

    fault: Fault
    ours: str
    ours_named: Named
    issues: list[Issue]

    @property
    def alarms(self) -> list[Issue]:
        """What popeye holds against the Service itself."""
        return [
            issue
            for issue in self.issues
            if issue.section == "services"
            and issue.namespace in self.fault.namespaces
            and issue.level >= popeye.WARNING
        ]


def ours(trial: Trial) -> tuple[str, Named]:
    """What the plugin said, and how much of the fault that was."""
    findings = [found for found in trial.answer.report.json["findings"] if found["severity"] != "info"]
    codes = ", ".join(found["code"] for found in findings)
    expected = popeye.causes(trial.fault)
    said = [found for found in findings if found["code"] in expected]
    if not trial.told:
        unsure = [found for found in said if found["confidence"] != "certain"]
        return f"{'perhaps ' if unsure else ''}{codes}", Named.CAUSE if said else Named.NOTHING
    return codes, Named.SYMPTOM if findings else Named.NOTHING


def measure(lab: Lab, faults: Sequence[Fault], program: Path, progress: Progress) -> list[Row]:
    issues: dict[str, list[Issue]] = {}

    def look(lab: Lab, fault: Fault) -> None:
        issues[fault.name] = popeye.look(lab, program)
        progress.at(f"{len(issues)} of {len(faults)}, {fault.name}")

    unrepaired = [dataclasses.replace(fault, repair=None) for fault in faults]
    with trials(lab, unrepaired, show=look) as futures:
        rows = [row(fault, futures[fault.name], issues) for fault in unrepaired]
    return [*filter(None, rows)]


def row(fault: Fault, future: Future[Trial], issues: dict[str, list[Issue]]) -> Row | None:
    """None where the fault did not come about, or popeye gave up; that is told, and the page is about the others."""
    try:
        trial = future.result()
    except Exception as error:
        print(f"{fault.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return None
    for told in trial.told:
        print(f"{fault.name}: {told}", file=sys.stderr)
    return Row(fault, *ours(trial), issues[fault.name])


def cell(named: Named, said: str) -> str:
    return "–" if named is Named.NOTHING else f"{named.value}: {said}" if said else named.value


def broken_table(rows: Sequence[Row], judgement: popeye.Judgement) -> tuple[str, dict[str, Counter[Named]]]:
    lines = ["| fault | what is wrong | kubectl svcprobe | popeye |", "|---|---|---|---|"]
    counts: dict[str, Counter[Named]] = {"kubectl svcprobe": Counter(), "popeye": Counter()}
    for entry in rows:
        named, issues = judgement.of(entry.fault, entry.issues)
        counts["kubectl svcprobe"][entry.ours_named] += 1
        counts["popeye"][named] += 1
        codes = ", ".join(sorted({issue.code for issue in issues}))
        cells = cell(entry.ours_named, entry.ours), cell(named, codes)
        lines.append(f"| `{entry.fault.name}` | {entry.fault.cause} | {' | '.join(cells)} |")
    return "\n".join(lines), counts


def healthy_table(rows: Sequence[Row]) -> tuple[str, int, int]:
    """And how many Services each raised an alarm about."""
    lines = ["| Service | what is odd | kubectl svcprobe | popeye |", "|---|---|---|---|"]
    for entry in rows:
        codes = ", ".join(sorted({issue.code for issue in entry.alarms}))
        lines.append(f"| `{entry.fault.name}` | {entry.fault.cause} | {entry.ours or '–'} | {codes or '–'} |")
    return "\n".join(lines), sum(bool(entry.ours) for entry in rows), sum(bool(entry.alarms) for entry in rows)


def total_table(counts: dict[str, Counter[Named]]) -> str:
    lines = ["| of the faults, it said | " + " | ".join(counts) + " |", "|---|" + "---|" * len(counts)]
    words = {
        Named.CAUSE: "the cause",
        Named.PART: "one of two causes",
        Named.SYMPTOM: "that something is wrong, not what",
        Named.NOTHING: "nothing",
    }
    for named, text in words.items():
        lines.append(f"| {text} | " + " | ".join(str(count[named]) for count in counts.values()) + " |")
    return "\n".join(lines)


def page(rows: Sequence[Row], judgement: popeye.Judgement, server: str) -> str:
    broken = [entry for entry in rows if entry.fault.group != "healthy"]
    healthy = [entry for entry in rows if entry.fault.group == "healthy"]
    table, counts = broken_table(broken, judgement)
    odd, our_alarms, their_alarms = healthy_table(healthy)
    totals = f"\n{len(broken)} faults:\n\n{total_table(counts)}\n\nTo {len(healthy)} healthy Services, "
    totals += (
        f"`kubectl svcprobe` raised an alarm {our_alarms} times and popeye {their_alarms} times.\n\n## The faults\n"
    )
    style = sum(style_warnings(entry) for entry in healthy)
    parts = [
        INTRODUCTION.format(version=build.version("popeye"), server=server), totals, table,
        HEALTHY.format(style=style), odd,
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def style_warnings(entry: Row) -> int:
    return sum(
        issue.level >= popeye.WARNING and issue.section != "services" and issue.namespace in entry.fault.namespaces
        for issue in entry.issues
    )


def in_lab(do: Callable[[Lab], str], progress: Progress) -> str:
    with tempfile.TemporaryDirectory(prefix="lab-comparison") as home:
        lab = Lab.start(3, Path(home, "home"), progress=progress)
        try:
            return do(lab)
        finally:
            lab.stop()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.peers.comparison", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of faults, or of folders of them; all without one")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(CHECKOUT)}")
    options = parser.parse_args()
    progress = Progress()
    program = build.program("popeye", progress)
    faults = chosen(options.names)
    missed: list[str] = []

    def compare(lab: Lab) -> str:
        progress.step("faults")
        server = json.loads(lab.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
        rows = measure(lab, faults, program, progress)
        missed.extend({fault.name for fault in faults} - {entry.fault.name for entry in rows})
        return page(rows, popeye.Judgement.load(), server)

    text = in_lab(compare, progress)
    if options.write:
        PAGE.write_text(text, encoding="utf-8")
    else:
        print(text)
    if missed:
        print(f"not compared: {', '.join(sorted(missed))}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
