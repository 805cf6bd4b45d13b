"""How the requests of `--samples` fared, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.measured import SampleFacts
from kubectl_svcprobe.render.terminal import Paper
from kubectl_svcprobe.report import Report
from kubectl_svcprobe.words import count, listed

INDENT = " " * 11


def samples(report: Report, paper: Paper) -> Iterator[str]:
    """A line for each port, and who answered."""
    for number, facts in enumerate(report.samples):
        lead = "Samples" if number == 0 else ""
        yield from paper.wrapped(_answered(facts), f"{lead:<{len(INDENT)}}", INDENT)
        if facts.succeeded:
            yield from paper.wrapped(_spread(facts, report), INDENT, INDENT)


def _answered(facts: SampleFacts) -> str:
    said = f"{facts.succeeded:,} of {facts.asked:,} answered at {facts.kind} {facts.target}"
    if len(facts.outcomes) > 1 or facts.succeeded < facts.asked:
        said += f" ({', '.join(f'{word}: {number:,}' for word, number in facts.outcomes.items())})"
    if facts.succeeded:
        said += f" · median {_ms(facts.p50)}, 95 % within {_ms(facts.p95)}, slowest {_ms(facts.longest)}"
    return said


def _ms(milliseconds: float) -> str:
    return "below 1 ms" if milliseconds < 1 else f"{milliseconds:,.0f} ms"


def _spread(facts: SampleFacts, report: Report) -> str:
    if not facts.endpoints:
        return "which endpoint answered is not told by the answers"
    by = "by the address that the name led to" if facts.told_by == "address" else f"by the header {facts.told_by}"
    if facts.told_by == "address" and len(facts.endpoints) == 1 < facts.succeeded:
        by += ": one client keeps to what it has looked up"
    said = f"{listed((f'{name} {number:,}' for name, number in facts.endpoints.items()), 8)}, {by}"
    if report.service.session_affinity == "ClientIP" and not report.service.headless and len(facts.endpoints) > 1:
        said += (
            f"; session affinity did not keep this client to one endpoint: {count(len(facts.endpoints), 'endpoint')} answered"
            " (requests that begin together may be spread before it takes hold)"
        )
    return said
