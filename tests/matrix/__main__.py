"""The matrix: python -m tests.matrix [NAME…] [--lab here|nftables|dual-stack] [--show] [--write]."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.command import kubectl_svcprobe
from tests.e2e.conftest import is_running
from tests.lab import Lab
from tests.lab.__main__ import end_orderly
from tests.lab.layout import CHECKOUT

from .cell import NAMESPACE, Cell, dual_stack, matrix
from .page import PAGE, TITLES, Run, page, row
from .run import Seen, look

#: What is run in which lab, and how that is started. The first is the lab of this checkout.
LABS: dict[str, tuple[Callable[[], list[Cell]], dict[str, Any]]] = {
    "here": (matrix, {}),
    "nftables": (matrix, {"proxy_mode": "nftables"}),
    "dual-stack": (dual_stack, {"family": "dual"}),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    top.add_argument("names", nargs="*", metavar="NAME", help="a type, a protocol, or a Service: nodeport-https")
    top.add_argument("--lab", choices=[*LABS], default="here", help="the lab of this checkout, or one of its own")
    top.add_argument("--show", "-v", action="store_true", help="print what a user would see, too")
    top.add_argument("--write", action="store_true", help=f"write its part of {PAGE.relative_to(CHECKOUT)}")
    return top


def chosen(cells: Sequence[Cell], names: Sequence[str]) -> list[Cell]:
    """Those of these names; no name is everything."""
    by_name = {name.lower(): True for cell in cells for name in (cell.type, cell.column, cell.name)}
    if unknown := [name for name in names if name.lower() not in by_name]:
        raise SystemExit(f"no cell of the matrix is called {', '.join(unknown)}")
    wanted = {name.lower() for name in names}
    return [c for c in cells if not wanted or wanted & {c.type.lower(), c.column.lower(), c.name}]


@contextlib.contextmanager
def in_lab(which: str) -> Iterator[Lab]:
    """The lab of this checkout, left as it was found; or one of its own, which ends."""
    options = LABS[which][1]
    if not options:
        was_running = is_running()
        lab = Lab.ensure()
        try:
            yield lab
        finally:
            if not was_running:
                lab.stop()
        return
    with tempfile.TemporaryDirectory(prefix="lab-matrix") as home:
        lab = Lab.start(3, Path(home, "home"), **options)
        try:
            yield lab
        finally:
            lab.stop()


def run(which: str, names: Sequence[str], show: bool) -> Run:
    """Tell of each cell as soon as it is known."""
    cells, _ = LABS[which]
    wanted = chosen(cells(), names)
    with in_lab(which) as lab:
        began, seen = time.monotonic(), list[Seen]()
        version = json.loads(lab.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
        with look(lab, wanted) as futures:
            for future in futures.values():
                seen.append(future.result())
                print(row(seen[-1]), flush=True)
                if show:
                    answer = kubectl_svcprobe(lab, seen[-1].cell.name, "-n", NAMESPACE)
                    print(answer.stdout + answer.stderr, flush=True)
    done = Run(TITLES[which], version, seen, time.monotonic() - began)
    print(f"\n{done.title}: {done.right} of {len(seen)} right ({done.seconds:.0f} s)\n", flush=True)
    return done


def main() -> int:
    options = parser().parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_orderly)
    if options.write and options.names:
        raise SystemExit("--write is for a whole part of the page, not for some cells of it")
    done = run(options.lab, options.names, options.show)
    if options.write:
        PAGE.write_text(page(done, PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""), encoding="utf-8")
    return 0 if done.right == len(done.seen) else 1


if __name__ == "__main__":
    sys.exit(main())
