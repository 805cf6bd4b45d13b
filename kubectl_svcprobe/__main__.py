"""The program: `kubectl svcprobe`, `kubectl-svcprobe` or `python -m kubectl_svcprobe`."""

from __future__ import annotations

import os
import sys
import threading


def main() -> None:
    """Run, and end with the exit code that docs/exit-codes.md explains."""
    from kubectl_svcprobe.cli import run

    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # Whoever read our output has left: nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if threading.active_count() > 1:
        # Requests that are still under way, after an interrupt or an error, are not waited for.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
