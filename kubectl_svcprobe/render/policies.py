"""What traffic policies let expect of each node, beside what was seen: a small table where such a policy is set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_svcprobe.probe.expect import BEYOND_REACH
from kubectl_svcprobe.render.paths import BESIDE_HEADER
from kubectl_svcprobe.render.terminal import Paper, cut
from kubectl_svcprobe.report import NodeExpectation, Report
from kubectl_svcprobe.words import listed

HEADERS = ("NODE", "READY", "ASKED FROM", "EXPECTED", "OBSERVED")

GOOD = {"answered", "connected", "http-error"}

#: The least that a node's name keeps of its width.
NODE_WIDTH = 8

#: So many nodes are named in one row.
MOST_NAMES = 3


def policy_tables(report: Report, paper: Paper) -> Iterator[str]:
    """A table for each policy and address; nodes of which the same holds share a row."""
    by_policy: dict[tuple[str, str], list[NodeExpectation]] = {}
    for row in report.expectations:
        by_policy.setdefault((row.policy, row.target), []).append(row)
    for (policy, target), rows in by_policy.items():
        if not any(row.observed for row in rows):
            continue
        yield ""
        yield from paper.wrapped(f"{policy}, asked at {target}")
        yield from _table(rows, paper)


def _table(rows: Sequence[NodeExpectation], paper: Paper) -> Iterator[str]:
    from tabulate import tabulate

    cells = [list(cells) for cells in _folded(rows)]
    headers = list(HEADERS)
    if len({row.asked_from for row in rows}) == 1:
        headers.remove("ASKED FROM")
        for row in cells:
            del row[2]
    widths = [max(len(header) + BESIDE_HEADER, *(len(row[i]) for row in cells)) for i, header in enumerate(headers)]
    room = paper.width - sum(widths[1:]) - 2 * (len(headers) - 1)
    for row in cells:
        row[0] = cut(row[0], max(room, NODE_WIDTH))
    for number, line in enumerate(tabulate(cells, headers, tablefmt="plain", disable_numparse=True).splitlines()):
        symbol = cells[number - 1][-1][:1] if number else ""
        yield paper.paint(line.rstrip(), symbol) if symbol == "✖" else line.rstrip()


def _folded(rows: Sequence[NodeExpectation]) -> Iterator[tuple[str, str, str, str, str]]:
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for row in rows:
        leaving = f"{row.ready}, ending" if row.terminating else str(row.ready)
        key = (leaving, row.asked_from, _expected(row), observed(row))
        groups.setdefault(key, []).append(row.node)
    for (ready, asked_from, expected, seen), nodes in groups.items():
        names = listed(nodes) if len(nodes) <= MOST_NAMES else f"{nodes[0]} and {len(nodes) - 1} more"
        yield names, ready, asked_from, expected, seen


def _expected(row: NodeExpectation) -> str:
    """Where traffic is kept near, why so is all there is to say: it is always answered."""
    return row.because if row.policy.startswith("trafficDistribution") else row.expected


def observed(row: NodeExpectation) -> str:
    """What was seen, with a symbol that says whether it is as it has to be; where it was not asked, a question mark."""
    seen = set(row.observed.split(", "))
    words = row.observed.replace("-", " ")
    if not row.observed or row.observed == BEYOND_REACH:
        return "? out of reach" if row.observed else "? not asked"
    if seen <= GOOD:
        return f"✔ {words}" if row.expected in ("answers", "either") else "✔ all the same"
    return f"{'✖' if row.expected == 'answers' else '–'} {'now and then' if seen & GOOD else words}"
