"""Whether the unit tests notice small faults: a seeded sample of the mutants that cosmic-ray makes of the pure modules.

    python -m tests.mutants [--seed N] [--count N] [--at-least PERCENT] [--only WORD]

Each mutant is one change of one operator, number, condition or loop. The tests run on it in a copy of the repository, one
copy a processor, and stop at the first failure: then it is killed. Survivors are printed with their change.
"""

from __future__ import annotations

import argparse
import linecache
import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkResult

from tests.pure import PACKAGE, pure_modules

ROOT = Path(__file__).parents[1]
TESTS = ("tests/unit/core", "tests/unit/flow", "tests/unit/rules", "tests/unit/render")

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")

#: Bounds for one run of the tests; an endless loop is a fault noticed.
PROCESSOR_SECONDS = 60
TIMEOUT = 600.0

#: What is no fault here: `|` only joins types in annotations, which are never evaluated; a decorator is no decision; and
#: for what is compared here (None, enums, interned words) identity and equality are the same, and order is nobody's slip.
COMPARISON = "core/ReplaceComparisonOperator_"
NOT_MUTATED = (
    "core/ReplaceBinaryOperator_BitOr",
    "core/RemoveDecorator",
    *(COMPARISON + pair for pair in ("Eq_Is", "NotEq_IsNot", "Is_Eq", "IsNot_NotEq")),
    *(COMPARISON + f"{of}_{order}" for of in ("Is", "IsNot") for order in ("Lt", "LtE", "Gt", "GtE")),
)

Verdict = tuple[MutationSpec, WorkResult]


def main() -> int:
    """Print the outcome; 1 if fewer are killed than asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--at-least", type=float, default=85.0, metavar="PERCENT")
    parser.add_argument("--only", default="", metavar="WORD", help="only modules with this word in their path")
    asked = parser.parse_args()
    sample = choose(asked.seed, asked.count, asked.only)
    workers = os.cpu_count() or 1
    print(f"{len(sample)} mutants, seed {asked.seed}, {workers} at a time", flush=True)
    verdicts: list[Verdict] = []
    with ProcessPoolExecutor(workers) as pool:
        for part in pool.map(try_all, [sample[index::workers] for index in range(workers)]):
            verdicts.extend(part)
    return report(verdicts, asked.at_least)


def choose(seed: int, count: int, only: str) -> list[MutationSpec]:
    """So many mutants, the same for the same seed and sources."""
    modules = [PACKAGE.relative_to(ROOT) / path for path in pure_modules() if only in str(path)]
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as folder:
        database = WorkDB(str(Path(folder) / "all.sqlite"), WorkDB.Mode.create)
        init(modules, database, {})
        every = (item.mutations[0] for item in database.work_items)
        mutants = sorted((m for m in every if not is_no_fault(m)), key=place)
        database.close()
    return random.Random(seed).sample(mutants, min(count, len(mutants)))


def is_no_fault(mutant: MutationSpec) -> bool:
    """Whether the change can only make the same program again; that nothing writes to a frozen class is mypy's to see."""
    name = mutant.operator_name
    line = linecache.getline(str(ROOT / mutant.module_path), mutant.start_pos[0])
    return name in NOT_MUTATED or name.startswith(NOT_MUTATED[0]) or line.startswith("@dataclass(")


def place(mutant: MutationSpec) -> tuple[str, str, int]:
    """Where it is, and which."""
    return str(mutant.module_path), mutant.operator_name, mutant.occurrence


def try_all(mutants: Sequence[MutationSpec]) -> list[Verdict]:
    """Run the tests on each, in a copy of the repository of this process's own."""
    with tempfile.TemporaryDirectory() as folder:
        copy(Path(folder))
        os.chdir(folder)
        # Without a mutant all is well, or nothing is proven. This also compiles everything; mutants are never written as
        # bytecode (cosmic-ray sees to that).
        subprocess.run([*PYTEST, "-x", *TESTS], check=True)
        return [(mutant, mutate_and_test([mutant], command(mutant), TIMEOUT)) for mutant in tell(mutants)]


def tell(mutants: Sequence[MutationSpec]) -> Iterator[MutationSpec]:
    """Each in turn; a word now and then, since this takes minutes."""
    for number, mutant in enumerate(mutants, 1):
        yield mutant
        if number % 10 == 0 or number == len(mutants):
            print(f"  {number} of {len(mutants)}", flush=True)


def copy(folder: Path) -> None:
    """The files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def command(mutant: MutationSpec) -> str:
    """The tests, those of the mutant's own kind first; on the copy, since the working directory comes before what is installed.

    An endless loop is bounded by the processor's time and not by the clock, whatever else this machine does.
    """
    layer = Path(mutant.module_path).parts[1]
    tests = sorted(TESTS, key=lambda folder: not folder.endswith(f"/{layer}"))
    return shlex.join(["sh", "-c", f"ulimit -t {PROCESSOR_SECONDS}; exec {shlex.join([*PYTEST, '-x', *tests])}"])


def report(verdicts: Iterable[Verdict], at_least: float) -> int:
    """Survivors with their change, then the figures."""
    tried = [(mutant, result) for mutant, result in verdicts if result.test_outcome is not None]
    survivors = [(mutant, result) for mutant, result in tried if result.test_outcome == TestOutcome.SURVIVED]
    for mutant, result in sorted(survivors, key=lambda pair: place(pair[0])):
        changed = [
            line for line in (result.diff or "").splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")
        ]
        print(f"\nsurvived: {mutant.module_path}:{mutant.start_pos[0]} {mutant.operator_name}")
        print("\n".join(changed))
    killed = len(tried) - len(survivors)
    percent = 100 * killed / len(tried) if tried else 0.0
    print(f"\n{killed} of {len(tried)} killed: {percent:.1f} % (at least {at_least:g} % are asked for)")
    return 0 if percent >= at_least else 1


if __name__ == "__main__":
    sys.exit(main())
