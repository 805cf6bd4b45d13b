"""What is said below the table of paths: the certificates that were shown."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.measured import CertificateFacts
from kubectl_svcprobe.render.terminal import Paper
from kubectl_svcprobe.report import Report
from kubectl_svcprobe.words import listed

STATES = {
    "right": "right",
    "unknown issuer": "right for clients that trust this issuer",
}


def measured(report: Report, paper: Paper) -> Iterator[str]:
    """A paragraph for each kind of certificate: pods may have one each that says the same."""
    for said in dict.fromkeys(_certificate(path.certificate) for path in report.paths if path.certificate):
        yield from paper.wrapped(said, rest="  ")


def _certificate(facts: CertificateFacts) -> str:
    made_out = listed(facts.fits or facts.names, 3) or "no name"
    issuer = facts.issuer or "an issuer without a name"
    state = STATES.get(facts.state, facts.state)
    return f"Certificate for {made_out}, issued by {issuer}, until {facts.not_after[:10]}: {state}."
