"""What popeye says of the faults, beside what the plugin says of them in the same run.

python -m tests.peers.comparison [NAME…] [--write]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.command import Answer, svcprobe
from tests.faults.__main__ import chosen
from tests.faults.fault import Fault
from tests.faults.stage import LOOKED_AT, Stage
from tests.lab import Lab
from tests.lab.layout import CHECKOUT
from tests.lab.progress import Progress

from . import build, popeye
from .popeye import Issue, Named

PAGE = CHECKOUT / "docs" / "comparison.md"
PRESENT = 24  # faults in the cluster at a time

INTRODUCTION = """# Compared with popeye

[popeye](https://github.com/derailed/popeye) {version} is the linter for whole clusters that also looks at Services. It reads
objects and never sends a packet; `kubectl svcprobe` looks at one Service, and does. So they are made for different questions,
and this is only about one: **a Service is broken; who says why?** popeye was run on Kubernetes {server} while the faults of
[tests/faults](../tests/faults) were in the lab, and `kubectl svcprobe` on each of them a moment later; `make popeye` repeats
that and writes this page.

For popeye, any finding of any level counts as the *cause* that speaks of the same thing, and as a *symptom* that something of
the fault is reported as unhealthy; which of its codes count for what stands in
[tests/peers/popeye.yaml](../tests/peers/popeye.yaml). For `kubectl svcprobe`, what counts is the finding that the fault's file
demands, in the first place, and *perhaps* is put where it says that it is not certain. The faults were collected for this plugin,
from bug reports and the documentation; that it knows them is no wonder, what popeye sees of them is the measurement."""
HEALTHY = """
## Healthy Services that look odd

Of these nothing is broken. What each says about the Service at the level of a warning or an error is a false alarm. Not counted
is what popeye says about how things are written, which is its purpose: of pods and workloads {style} warnings here, such as
missing limits, and of Services that there is a single endpoint (POP-1109), which is true of most of these.
"""


@dataclass(frozen=True)
class Row:
    """What came of one fault."""

    fault: Fault
    issues: list[Issue]
    answer: Answer

    @property
    def is_healthy(self) -> bool:
        """Also where a fault of the cluster does the Service no harm."""
        return self.fault.group == "healthy" or not popeye.causes(self.fault)

    @property
    def ours(self) -> str:
        """The codes that the plugin found, of information only what is the cause."""
        findings = self.answer.report.json["findings"]
        causes = popeye.causes(self.fault)
        sure = all(found["confidence"] == "certain" for found in findings if found["code"] in causes)
        codes = (found["code"] for found in findings if found["severity"] != "info" or found["code"] in causes)
        return ("" if sure else "perhaps ") + ", ".join(dict.fromkeys(codes))

    @property
    def named(self) -> Named:
        """How much of the fault the plugin named; the cause has to stand first."""
        findings = [found["code"] for found in self.answer.report.json["findings"]]
        causes = popeye.causes(self.fault)
        there = [code for code in causes if code in findings]
        if there == list(causes) and findings[0] == causes[0]:
            return Named.CAUSE
        return Named.PART if there else Named.SYMPTOM if self.answer.report.codes else Named.NOTHING

    @property
    def our_alarms(self) -> str:
        return ", ".join(self.answer.report.codes)

    @property
    def own(self) -> list[Issue]:
        return [issue for issue in self.issues if issue.namespace in self.fault.namespaces]

    @property
    def style(self) -> int:
        """How much popeye has to say about everything else that is there."""
        return sum(issue.level >= popeye.WARNING and issue.section != "services" for issue in self.own)


def portions(faults: Sequence[Fault]) -> Iterator[list[Fault]]:
    """As many as go together; what breaks the cluster is alone."""
    aside = [fault for fault in faults if fault.breaks or fault.group == "cluster"]
    together = [fault for fault in faults if fault not in aside]
    yield from (together[first : first + PRESENT] for first in range(0, len(together), PRESENT))
    yield from ([fault] for fault in aside)


def measure(lab: Lab, faults: Sequence[Fault], program: Path, progress: Progress) -> list[Row]:
    stage, rows = Stage(lab), list[Row]()
    with contextlib.closing(stage.watcher):
        for portion in portions(faults):
            rows += look_at(stage, portion, program)
            progress.line(f"{len(rows)} of {len(faults)}")
    return rows


def look_at(stage: Stage, portion: Sequence[Fault], program: Path) -> list[Row]:
    """One look at all of them, or at those that have come about."""
    stage.prepare(portion)
    with contextlib.ExitStack() as stack:
        stack.callback(stage.clear, portion)
        with ThreadPoolExecutor(PRESENT) as pool:
            have = [*pool.map(lambda fault: succeeds(fault, stage.come_about), portion)]
        present = []
        for fault, has in zip(portion, have, strict=True):
            stack.enter_context(stage.made(fault))
            if has and succeeds(fault, lambda fault: stack.enter_context(stage.broken(fault))):
                present.append(fault)
        issues = popeye.look(stage.lab, program)
        with ThreadPoolExecutor(LOOKED_AT) as pool:
            answers = pool.map(lambda fault: svcprobe(stage.lab, *fault.command), present)
            return [Row(fault, issues, answer) for fault, answer in zip(present, answers, strict=True)]


def succeeds(fault: Fault, step: Callable[[Fault], object]) -> bool:
    """What does not come about is told, and the page is about the others."""
    try:
        step(fault)
    except Exception as error:
        print(f"{fault.name}: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    return True


def cell(named: Named, said: str) -> str:
    return "–" if named is Named.NOTHING else f"{named.value}: {said}" if said else named.value


def broken_table(rows: Sequence[Row], judgement: popeye.Judgement) -> tuple[str, dict[str, Counter[Named]]]:
    lines = ["| fault | what is wrong | kubectl svcprobe | popeye |", "|---|---|---|---|"]
    counts: dict[str, Counter[Named]] = {"kubectl svcprobe": Counter(), "popeye": Counter()}
    for entry in rows:
        named, issues = judgement.of(entry.fault, entry.issues)
        counts["kubectl svcprobe"][entry.named] += 1
        counts["popeye"][named] += 1
        codes = ", ".join(sorted({issue.code for issue in issues}))
        cells = cell(entry.named, entry.ours), cell(named, codes)
        lines.append(f"| `{entry.fault.name}` | {entry.fault.cause} | {' | '.join(cells)} |")
    return "\n".join(lines), counts


def healthy_table(rows: Sequence[Row], judgement: popeye.Judgement) -> tuple[str, int, int]:
    """And how many Services each raises an alarm about."""
    lines = ["| Service | what is odd | kubectl svcprobe | popeye |", "|---|---|---|---|"]
    theirs = 0
    for entry in rows:
        alarms = judgement.alarms(entry.fault, entry.issues)
        theirs += bool(alarms)
        codes = ", ".join(sorted({issue.code for issue in alarms}))
        lines.append(f"| `{entry.fault.name}` | {entry.fault.cause} | {entry.our_alarms or '–'} | {codes or '–'} |")
    return "\n".join(lines), sum(bool(entry.our_alarms) for entry in rows), theirs


def total_table(counts: dict[str, Counter[Named]]) -> str:
    lines = ["| of the faults, it says | " + " | ".join(counts) + " |", "|---|" + "---|" * len(counts)]
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
    healthy = [entry for entry in rows if entry.is_healthy]
    broken = [entry for entry in rows if not entry.is_healthy]
    table, counts = broken_table(broken, judgement)
    odd, our_alarms, their_alarms = healthy_table(healthy, judgement)
    totals = (
        f"\n{len(broken)} faults:\n\n{total_table(counts)}\n\nAlarms about {len(healthy)} healthy Services: "
        f"`kubectl svcprobe` {our_alarms}, popeye {their_alarms}.\n\n## The faults\n"
    )
    style = sum(entry.style for entry in healthy)
    parts = [
        INTRODUCTION.format(version=build.version("popeye"), server=server), totals, table,
        HEALTHY.format(style=style), odd,
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


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
