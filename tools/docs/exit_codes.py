"""docs/exit-codes.md, from `ExitCode`."""

from __future__ import annotations

from kubectl_svcprobe.errors import ExitCode
from tools.docs.markdown import head, table, text

INTRODUCTION = """\
The exit code is for scripts: it says what the findings come to, not how many there are. A finding decides before a doubt:
3 is returned only where no finding at or above `--fail-on` was made. With several Services on one command line the worst
of them counts. `--fail-on never` leaves 0 and 3.
"""


def page() -> str:
    """A row a code."""
    rows = [(str(code.value), code.name, code.meaning) for code in ExitCode]
    lines = head("Exit codes", "`ExitCode` in `kubectl_svcprobe/errors.py`")
    return text([*lines, INTRODUCTION, *table(["Code", "Name", "Meaning"], rows)])
