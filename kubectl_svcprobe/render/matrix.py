"""Several nodes asked alike: which of them meet what. Nodes that meet the same share a row, and what differs stands out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_svcprobe.render.paths import KIND_WORDS, result_of, symbol_of
from kubectl_svcprobe.render.terminal import Paper, cut, ended
from kubectl_svcprobe.report import NodeProbe, PathFacts, Report
from kubectl_svcprobe.words import count, listed

#: What a cell says where every path of its kind answers.
GOOD = "✔"

#: Kinds whose paths are told apart by the node that they lead to.
BY_NODE = ("Endpoint", "PodName", "NodePort", "HealthCheck")

#: A row's name is no wider.
ROW_WIDTH = 28

#: A cell's width: as it likes, else no more than this; where that is too wide still, there is no table.
CELL_WIDTHS = (100, 20)

#: So many nodes are named in a row.
MOST_NAMES = 3


def asked(report: Report) -> list[NodeProbe]:
    """The nodes that were asked from; none where only one was meant to be."""
    return [node for node in report.probe.each_node if not node.problem] if report.probe else []


def not_asked(report: Report) -> list[NodeProbe]:
    """The nodes that could not be asked from."""
    return [node for node in report.probe.each_node if node.problem] if report.probe else []


def groups(paths: Sequence[PathFacts], report: Report) -> list[tuple[list[str], dict[str, str]]]:
    """The nodes that meet the same, and what that is for each kind of path; the view of the report's main node first."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for node in asked(report):
        cells = cells_of([path for path in paths if path.from_node == node.node], len(report.service.ports) > 1)
        found.setdefault(tuple(cells.items()), []).append(node.node)
    main = report.probe.node if report.probe else ""
    rows = [(names, dict(cells)) for cells, names in found.items()]
    return sorted(rows, key=lambda row: main not in row[0])


def from_pods(paths: Sequence[PathFacts], report: Report) -> str:
    """The nodes that meet what the main one meets, as the place that is asked from; empty where there is but that one."""
    names = next((names for names, _ in groups(paths, report)), [])
    every = len(names) == len(asked(report))
    return "" if len(names) < 2 else f"pods on {count(len(names), 'node') if every else names_of(names)}"


def cells_of(paths: Sequence[PathFacts], has_ports: bool) -> dict[str, str]:
    """What one node meets, by kind of path."""
    return {
        kind: _cell([p for p in paths if p.kind == kind], has_ports) for kind in dict.fromkeys(p.kind for p in paths)
    }


def _cell(paths: Sequence[PathFacts], has_ports: bool) -> str:
    odd = [path for path in paths if symbol_of(path) != "✔"]
    if not odd:
        return GOOD
    worst = min(odd, key=lambda path: "✖!–".index(symbol_of(path)))
    same = [path for path in odd if symbol_of(path) == symbol_of(worst)]
    if len(same) == len(paths):
        return result_of(worst)
    names = dict.fromkeys(filter(None, (_where(path, has_ports) for path in same)))
    return f"{symbol_of(worst)} {listed(names, 2)}" if names else result_of(worst)


def _where(path: PathFacts, has_ports: bool) -> str:
    """What tells this path from others of its kind."""
    port = f":{path.port_name}" if has_ports and path.port_name else ""
    return (path.node if path.kind in BY_NODE else "") + port


def matrix(paths: Sequence[PathFacts], report: Report, paper: Paper) -> Iterator[str]:
    """The rows that differ, and the nodes that could not be asked; nothing where all nodes meet the same."""
    rows = groups(paths, report)
    if len(rows) > 1:
        yield ""
        yield from _table(rows, paper)
    by_problem: dict[str, list[str]] = {}
    for node in not_asked(report):
        by_problem.setdefault(node.problem, []).append(node.node)
    for problem, names in by_problem.items():
        yield ""
        yield from paper.wrapped(f"? {names_of(names)}: could not ask from there: {problem}", rest="  ")
    if report.probe and report.probe.unasked_nodes:
        more = count(report.probe.unasked_nodes, "more node")
        yield ""
        yield from paper.wrapped(
            f"{more} not asked: {len(asked(report))} are enough for one run; --node asks from one."
        )


def _table(rows: Sequence[tuple[list[str], dict[str, str]]], paper: Paper) -> Iterator[str]:
    for width in CELL_WIDTHS:
        table = _lines(rows, width)
        if max(map(len, table)) <= paper.width:
            for number, line in enumerate(table):
                symbol = _worst(rows[number - 1][1]) if number else ""
                yield paper.paint(line, symbol) if symbol in ("✖", "!") else line
            return
    yield from _stacked(rows, paper)


def _lines(rows: Sequence[tuple[list[str], dict[str, str]]], width: int) -> list[str]:
    from tabulate import tabulate

    kinds = list(dict.fromkeys(kind for _, cells in rows for kind in cells))
    lines = [
        [cut(names_of(names), ROW_WIDTH), *(ended(cells.get(kind, ""), width) for kind in kinds)]
        for names, cells in rows
    ]
    headers = ["ASKED FROM", *(_header(kind).upper() for kind in kinds)]
    table = tabulate(lines, headers, tablefmt="plain", disable_numparse=True)
    return [line.rstrip() for line in table.splitlines()]


def _stacked(rows: Sequence[tuple[list[str], dict[str, str]]], paper: Paper) -> Iterator[str]:
    """The same on paper that is too narrow for it."""
    for names, cells in rows:
        yield f"Asked from {names_of(names)}:"
        good = [_header(kind) for kind, cell in cells.items() if cell == GOOD]
        if good:
            yield from paper.wrapped(f"  {GOOD} {', '.join(good)}", rest="    ")
        for kind, cell in cells.items():
            if cell != GOOD:
                (first, *rest) = paper.wrapped(f"  {cell[0]} {_header(kind)}:{cell[1:]}", rest="    ")
                yield from (paper.paint(line, cell[0]) for line in (first, *rest))


def names_of(names: Sequence[str]) -> str:
    """`node-1`, `node-1 and node-3`, or how many."""
    return listed(names) if len(names) <= MOST_NAMES else f"{names[0]} and {len(names) - 1} more"


def _header(kind: str) -> str:
    return KIND_WORDS.get(kind, kind)


def _worst(cells: dict[str, str]) -> str:
    symbols = {cell[:1] for cell in cells.values()}
    return next((symbol for symbol in "✖!–✔" if symbol in symbols), "")
