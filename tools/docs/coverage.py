"""docs/coverage.md: every known way in which a Service breaks, what finds it, and how that is proven."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from kubectl_svcprobe.words import listed
from tools.docs.markdown import head, table, text

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "docs" / "catalogue.yaml"
FAULTS = ROOT / "tests" / "faults"

INTRODUCTION = """\
Every way known to us in which a Service breaks, one row each, and none is left out: it has a finding, or it is among the
[limits](limits.md), which say what is told instead and how a person can tell. Proven by

- **the lab**: broken on a real cluster and looked at with the installed command (the files of `tests/faults`);
- **real sockets**: a real server of that kind, asked with the real curl and the probe's own arguments (`tests/sockets`);
- **constructed objects**: the objects as the API server sends them, and answers as curl reports them (`tests/cases`).
"""


@dataclass(frozen=True)
class Row:
    """One way to break. `codes` find it; `limit` is a heading of docs/limits.md where that is all that can be said, and
    `instead` an answer that is no finding.
    """

    id: str
    area: str
    what: str
    codes: tuple[str, ...]
    limit: str
    instead: str
    cases: tuple[str, ...]
    sockets: tuple[str, ...]
    faults: tuple[str, ...]


@cache
def catalogue() -> tuple[Row, ...]:
    """All rows, in the order of the file."""
    broken_by = faults()
    areas: Mapping[str, list[dict[str, object]]] = yaml.safe_load(CATALOGUE.read_text("utf-8"))
    return tuple(
        Row(
            id=str(entry["id"]),
            area=area,
            what=str(entry["what"]),
            codes=_words(entry.get("codes")),
            limit=str(entry.get("limit", "")),
            instead=str(entry.get("instead", "")),
            cases=_words(entry.get("cases")),
            sockets=_words(entry.get("sockets")),
            faults=tuple(broken_by.get(str(entry["id"]), ())),
        )
        for area, entries in areas.items()
        for entry in entries
    )


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def faults() -> dict[str, list[str]]:
    """The names of the lab's faults by the rows that they say they are."""
    found: dict[str, list[str]] = {}
    for file in sorted(FAULTS.rglob("*.yaml")):
        header = next(yaml.safe_load_all(file.read_text("utf-8")))
        for row in header.get("rows", ()):
            found.setdefault(row, []).append(file.stem)
    return found


def page() -> str:
    """A table an area."""
    rows = catalogue()
    lines = [*head("Coverage", "`docs/catalogue.yaml`, `tests/faults`"), INTRODUCTION, *_totals(rows)]
    for area in dict.fromkeys(row.area for row in rows):
        cells = [_cells(row) for row in rows if row.area == area]
        lines += [f"## {area}", "", *table(["Row", "What breaks", "Found as", "Proven by"], cells)]
    return text(lines)


def _totals(rows: Iterable[Row]) -> Iterator[str]:
    rows = list(rows)
    ways = [
        ("rows", rows),
        ("with a finding", [r for r in rows if r.codes]),
        ("limits only", [r for r in rows if not r.codes]),
        ("proven on the lab", [r for r in rows if r.codes and r.faults]),
        ("proven with real sockets", [r for r in rows if r.codes and r.sockets]),
        ("proven with constructed objects", [r for r in rows if r.codes and r.cases]),
    ]
    yield from table(["", "Rows"], [(words, str(len(found))) for words, found in ways])


def _cells(row: Row) -> tuple[str, str, str, str]:
    found = ", ".join(f"[{code}](findings.md#{code.lower()})" for code in row.codes)
    limit = f"[limits](limits.md#{anchor(row.limit)})" if row.limit else ""
    return row.id, row.what, ", ".join(filter(None, [found, row.instead, limit])), "; ".join(_proofs(row))


def _proofs(row: Row) -> Iterator[str]:
    for how, names in (("lab", row.faults), ("real sockets", row.sockets), ("constructed objects", row.cases)):
        if names:
            yield f"{how}: {listed([f'`{name}`' for name in names])}"


def anchor(heading: str) -> str:
    """What a host makes of a heading for links."""
    kept = "".join(c for c in heading.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")
