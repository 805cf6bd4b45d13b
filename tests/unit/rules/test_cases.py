"""Every folder of tests/cases: these objects and these answers, and exactly these findings."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.render import listing, text
from kubectl_svcprobe.render.terminal import Paper
from tests.unit.cases import Case, all_cases, in_short


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_case_has_exactly_its_findings(case: Case, update_golden: bool) -> None:
    found = in_short(case.report(), case.code)
    if update_golden:
        (case.folder / "expected.txt").write_text(found)
    assert found == case.expected


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_case_reads_as_it_did(case: Case, update_golden: bool) -> None:
    """Every word that the user sees; a change is wanted or not, but never unseen (`git diff` after --update-golden)."""
    report = case.report()
    seen = "\n".join(
        [
            text.render([report], Paper(100)),
            listing.render([report], Paper(100), wide=True),
            listing.render([report], Paper(80)),
            text.render([report], Paper(60), wide=True),
        ]
    )
    golden = case.folder / "seen.txt"
    if update_golden:
        golden.write_text(seen)
    assert seen == golden.read_text()
