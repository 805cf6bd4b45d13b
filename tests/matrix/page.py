"""The matrix as a table, on a terminal and in docs/matrix.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.lab.layout import CHECKOUT

from .run import Seen

PAGE = CHECKOUT / "docs" / "matrix.md"

INTRODUCTION = """# The matrix

Every type of Service by every protocol, all of them healthy, as `kubectl svcprobe` sees them on the lab with three nodes.
`make matrix`, `make matrix-nftables` and `make dual-stack` repeat it; with `MATRIX=--write` each of them writes its part of this
page. What is expected stands in [tests/matrix](../tests/matrix); a cell that was not as expected would be marked ✖.

*Answered* is an answer of the application. *Connected* is a connection that stood: the server for `tcp` is a mute one, and by
`h2c` this machine says no more than the greeting of HTTP/2, which was returned. *Resolved* is a name that was looked up and not
asked, *not tried* what this vantage cannot do: curl cannot speak UDP. The servers for `https` show certificates of an authority
of the lab's own, and self-signed ones outside the cluster.
"""
#: The parts of the page, by the labs that they are run in.
TITLES = {
    "here": "kube-proxy in iptables mode",
    "nftables": "kube-proxy in nftables mode",
    "dual-stack": "IPv4 and IPv6",
}
WORDS = {"not-run": "not tried"}


@dataclass(frozen=True)
class Run:
    """What came of one lab."""

    title: str
    version: str
    seen: list[Seen]
    seconds: float

    @property
    def right(self) -> int:
        return sum(not seen.told for seen in self.seen)


def said(paths: Mapping[tuple[str, str], Sequence[str]], vantage: str) -> str:
    """Kinds that met the same, together: `Endpoint, ClusterIP: answered`."""
    by_outcome: dict[str, list[str]] = {}
    for (kind, place), outcomes in paths.items():
        if place == vantage:
            by_outcome.setdefault(", ".join(WORDS.get(one, one) for one in outcomes), []).append(kind)
    return "; ".join(f"{', '.join(kinds)}: {outcome}" for outcome, kinds in by_outcome.items()) or "–"


def verdict(seen: Seen) -> str:
    report = seen.answer.report
    codes = ", ".join(report.codes)
    return f"{report.verdict}, {seen.answer.code}" + (f" ({codes})" if codes else "")


def row(seen: Seen) -> str:
    """A line of the table on a terminal; what was wrong follows below."""
    lines = [f"{'✖' if seen.told else '✔'} {seen.cell.name:34} {verdict(seen) if seen.answer.stdout else 'no report'}"]
    return "\n".join([*lines, *(f"    {text}" for text in seen.told)])


def table(run: Run) -> Iterator[str]:
    yield "| | Service | verdict, exit code | from the probe pod | from this machine |"
    yield "|---|---|---|---|---|"
    for seen in run.seen:
        cell = seen.cell
        cells = [
            f"{cell.type} × {cell.column}",
            verdict(seen),
            said(seen.paths, "probe pod"),
            said(seen.paths, "this machine"),
        ]
        yield f"| {'✖' if seen.told else '✔'} | {' | '.join(cells)} |"


def page(run: Run, former: str) -> str:
    """The former page with this run in place of the one of its kind; in the order of `TITLES`."""
    parts = dict(part.split("\n", 1) for part in former.split("\n## ")[1:])
    count = f"{run.right} of {len(run.seen)} as expected, on Kubernetes {run.version}."
    parts[run.title] = "\n".join(["", count, "", *table(run), ""])
    known = [f"## {title}\n{parts[title].rstrip()}\n" for title in TITLES.values() if title in parts]
    return "\n".join([INTRODUCTION, *known])
