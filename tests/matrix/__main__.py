"""The matrix: python -m tests.matrix [NAME…] [--lab here|nftables|dual-stack] [--show] [--write]."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.e2e.command import kubectl_svcprobe
from tests.e2e.conftest import is_running
from tests.lab import Lab

from .cell import NAMESPACE, Cell, dual_stack, matrix
from .page import PAGE, Run, page, row
from .run import Seen, look

#: What is run in which lab, and how that is started. The first is the lab of this checkout.
LABS: dict[str, tuple[str, Callable[[], list[Cell]], dict[str, Any]]] = {
    "here": ("kube-proxy in iptables mode", matrix, {}),
    "nftables": ("kube-proxy in nftables mode", matrix, {"proxy_mode": "nftables"}),
    "dual-stack": ("IPv4 and IPv6", dual_stack, {"family": "dual"}),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    top.add_argument("names", nargs="*", metavar="NAME", help="a type, a protocol, or a Service: nodeport-https")
    top.add_argument("--lab", choices=[*LABS], default="here", help="the lab of this checkout, or one of its own")
    top.add_argument("--show", "-v", action="store_true", help="print what a user would see, too")
    top.add_argument("--write", action="store_true", help=f"run all three, and write {PAGE.name}")
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
    options = LABS[which][2]
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
    title, cells, _ = LABS[which]
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
    done = Run(title, version, seen, time.monotonic() - began)
    print(f"\n{done.title}: {done.right} of {len(seen)} right ({done.seconds:.0f} s)\n", flush=True)
    return done


def main() -> int:
    options = parser().parse_args()
    runs = [run(which, options.names, options.show) for which in (LABS if options.write else [options.lab])]
    if options.write:
        PAGE.write_text(page(runs), encoding="utf-8")
    return 0 if all(done.right == len(done.seen) for done in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
