"""Every folder of tests/cases: these objects and these answers, and exactly these findings."""

from __future__ import annotations

import pytest

from tests.unit.cases import Case, all_cases, in_short


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_case_has_exactly_its_findings(case: Case, update_golden: bool) -> None:
    found = in_short(case.report(), case.code)
    if update_golden:
        (case.folder / "expected.txt").write_text(found)
    assert found == case.expected
