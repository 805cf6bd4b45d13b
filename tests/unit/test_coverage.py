"""No known way to break a Service is without a finding or a word about why not, and each finding has been seen to be made."""

from __future__ import annotations

import re

import pytest

from kubectl_svcprobe.rules import BY_CODE
from tests.unit.cases import FOLDER, found_codes, named
from tools.docs.coverage import ROOT, Row, catalogue, faults

ROWS = catalogue()
LIMITS = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "limits.md").read_text("utf-8"), re.MULTILINE)

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)


def test_a_row_has_an_id_of_its_own() -> None:
    assert len({row.id for row in ROWS}) == len(ROWS)


def test_faults_name_rows_that_exist() -> None:
    assert faults().keys() <= {row.id for row in ROWS}


@every_row
def test_a_row_has_a_finding_or_a_limit(row: Row) -> None:
    assert row.codes or row.limit or row.instead
    assert set(row.codes) <= BY_CODE.keys()
    assert row.limit in ("", *LIMITS)


@every_row
def test_a_finding_was_seen_to_be_made(row: Row) -> None:
    if row.codes:
        assert row.faults or row.sockets or row.cases
    for name in row.cases:
        assert (FOLDER / name).is_dir()
        assert found_codes(named(name).expected) & set(row.codes), name


@every_row
def test_tests_that_a_row_names_exist(row: Row) -> None:
    for name in row.sockets:
        file, _, test = name.partition("::")
        assert f"def {test.partition('[')[0]}(" in (ROOT / "tests" / "sockets" / file).read_text("utf-8")
