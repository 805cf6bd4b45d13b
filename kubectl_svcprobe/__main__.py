"""The program: `kubectl svcprobe`, `kubectl-svcprobe` or `python -m kubectl_svcprobe`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run, and end with the exit code that docs/exit-codes.md explains."""
    try:
        from kubectl_svcprobe.cli import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        # Before `run` attends to signals, or after: nothing in the cluster is ours then.
        code = 130
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # Whoever read our output has left: nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    # Not `sys.exit`: taking the interpreter apart costs as much as several requests, and would wait for those that are
    # still under way after an interrupt or an error.
    os._exit(code)


if __name__ == "__main__":
    main()
