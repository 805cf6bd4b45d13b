"""The fault matrix: python -m tests.faults [NAME…] [--show] [--keep] [--list]."""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from tests.e2e.command import kubectl_svcprobe
from tests.e2e.conftest import is_running
from tests.lab import Lab

from .fault import Fault, load_all
from .judge import Judgement, found
from .stage import Trial, trials

MARKS = {Judgement.RIGHT: "✔", Judgement.COULD_NOT_TELL: "?", Judgement.WRONG: "✖"}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m tests.faults", description="Faults on the lab, and what is said of them."
    )
    top.add_argument(
        "names", nargs="*", metavar="NAME", help="as the files are called: selector-typo, healthy/tls, pairs"
    )
    top.add_argument("--show", "-v", action="store_true", help="print what a user would see, too")
    top.add_argument("--keep", action="store_true", help="leave the namespaces as they are")
    top.add_argument("--list", action="store_true", help="only print what there is")
    return top


def chosen(names: Sequence[str]) -> list[Fault]:
    """Those of these names; the name of a folder is all of it; no name is everything."""
    faults = load_all()
    unknown = [name for name in names if not any(name in (fault.name, fault.group) for fault in faults)]
    if unknown:
        raise SystemExit(f"no such fault: {', '.join(unknown)}")
    return [fault for fault in faults if not names or fault.name in names or (fault.group and fault.group in names)]


def row(fault: Fault, codes: str, judged: str, told: Sequence[str] = ()) -> str:
    """A line of the table; the cause is cut to its column, and what was wrong follows below."""
    cause = textwrap.shorten(fault.cause, 62, placeholder="…")
    expected = ", ".join(fault.expect.codes) or "–"
    lines = [f"{fault.name:42} {cause:62} {expected:22} {codes:22} {judged}"]
    return "\n".join([*lines, *(f"    {text}" for text in told)])


def tell(fault: Fault, future: Future[Trial]) -> Judgement:
    """Print a fault's line once it has come to its end."""
    try:
        trial = future.result()
    except Exception as error:
        print(row(fault, "", f"{MARKS[Judgement.WRONG]} not tried", [f"{type(error).__name__}: {error}"]), flush=True)
        return Judgement.WRONG
    try:
        codes = ", ".join(found(trial.answer.report, fault.expect)) or "–"
    except ValueError:
        codes = "no report"
    fixed = ", fixed" if trial.repaired and not trial.told else ""
    print(row(fault, codes, f"{MARKS[trial.judgement]} {trial.judgement.value}{fixed}", trial.told), flush=True)
    return trial.judgement


def show(lab: Lab, fault: Fault) -> None:
    """What its user would see; called while the fault is there."""
    answer = kubectl_svcprobe(lab, *fault.command)
    print(f"\n# {fault.name}: {fault.cause}\n$ kubectl svcprobe {' '.join(fault.command)}")
    print(answer.stdout + answer.stderr, end="", flush=True)


def totals(faults: Sequence[Fault], judged: Mapping[Judgement, int], fixed: int, seconds: float) -> str:
    groups = Counter(fault.group or "of one thing" for fault in faults)
    sourced = sum(bool(fault.source) for fault in faults if fault.group != "healthy")
    return (
        f"\n{len(faults)} ({', '.join(f'{count} {group}' for group, count in groups.items())}), {sourced} with a source: "
        + ", ".join(f"{judgement.value} {judged.get(judgement, 0)}" for judgement in Judgement)
        + f"; repaired by the printed fix {fixed} ({seconds:.0f} s)"
    )


def main() -> int:
    options = parser().parse_args()
    faults = chosen(options.names)
    if options.list:
        print("\n".join(row(fault, "", "") for fault in faults))
        return 0
    was_running = is_running()
    lab = Lab.ensure()
    began = time.monotonic()
    try:
        with trials(lab, faults, keep=options.keep, show=show if options.show else None) as futures:
            judged = Counter(tell(fault, futures[fault.name]) for fault in faults)
            done = [future.result() for future in futures.values() if not future.exception()]
        fixed = sum(1 for trial in done if trial.repaired and not trial.told)
        print(totals(faults, judged, fixed, time.monotonic() - began))
    finally:
        if not was_running:
            lab.stop()
    return 1 if judged[Judgement.WRONG] else 0


if __name__ == "__main__":
    sys.exit(main())
