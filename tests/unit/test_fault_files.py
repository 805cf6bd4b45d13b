"""The files of `tests/faults` are what their README says."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import yaml

from kubectl_svcprobe.rules import RULES
from tests.faults import Fault, load_all, some_of_each
from tests.faults.fault import FOLDER

FAULTS = load_all()
CODES = {rule.code for rule in RULES}
CATALOGUE = FOLDER.parents[1] / "docs" / "catalogue.yaml"

KEYS = {
    "cause",
    "source",
    "rows",
    "run",
    "await",
    "certificate",
    "before",
    "after",
    "break",
    "then_await",
    "expect",
    "fixed",
}
EXPECTED = {"exit", "verdict", "codes", "information", "says", "outcomes", "confidence"}
VERDICTS = {"ok": 0, "warning": 0, "broken": 1, "unknown": 3}


def header(fault: Fault) -> dict[str, Any]:
    said = next(yaml.safe_load_all((FOLDER / f"{fault.name}.yaml").read_text()))
    assert isinstance(said, dict)
    return said


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_header_says_what_is_known_and_nothing_else(fault: Fault) -> None:
    said = header(fault)
    assert set(said) <= KEYS
    assert set(said["expect"]) <= EXPECTED
    repair = said.get("fixed") or {}
    assert repair is True or set(repair) <= {"commands", "await", "expect"}
    assert repair is True or set(repair.get("expect", {})) <= EXPECTED
    assert fault.cause.strip().endswith((".", "?"))
    assert "\n" not in fault.cause.strip()
    assert not fault.source or re.fullmatch(r"https://\S+", fault.source)
    assert all(re.fullmatch(r"F\d{2,3}[a-c]?", row) for row in fault.rows)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_what_is_expected_can_be(fault: Fault) -> None:
    expect = fault.expect
    assert {VERDICTS[verdict] for verdict in expect.verdicts} == {expect.exit}
    assert set(expect.codes) | set(expect.information) <= CODES
    assert all(len(namespace) <= 63 for namespace in fault.namespaces)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_folder_holds_what_it_is_called(fault: Fault) -> None:
    if fault.group == "healthy":
        assert fault.expect.exit == 0
        assert fault.repair is None
    if fault.group == "pairs":
        assert len(fault.expect.codes) + len(fault.expect.information) > 1
    assert bool(fault.breaks) <= (fault.group == "cluster")


def test_names_and_causes_are_told_apart() -> None:
    namespaces = Counter(namespace for fault in FAULTS for namespace in fault.namespaces)
    causes = Counter(fault.cause for fault in FAULTS)
    assert [name for name, count in (namespaces + causes).items() if count > 1] == []


def test_most_faults_were_met_by_somebody() -> None:
    faults = [fault for fault in FAULTS if fault.group != "healthy"]
    assert sum(bool(fault.source) for fault in faults) > len(faults) / 2


@pytest.mark.skipif(not CATALOGUE.exists(), reason="no catalogue yet")
def test_rows_are_those_of_the_catalogue() -> None:
    text = CATALOGUE.read_text()
    rows = {row for fault in FAULTS for row in fault.rows}
    assert [row for row in sorted(rows) if row not in text] == []


def test_those_of_every_test_run_leave_out_no_finding_but_of_broken_clusters() -> None:
    some = some_of_each(FAULTS)
    wanted = {code for fault in FAULTS if fault.group != "cluster" for code in fault.expect.codes}
    assert wanted <= {code for fault in some for code in fault.expect.codes}


def test_there_are_as_many_as_were_promised() -> None:
    groups = Counter(fault.group for fault in FAULTS)
    assert (groups[""] >= 60, groups["pairs"] >= 12, groups["healthy"] >= 30) == (True, True, True)
    assert sum(bool(fault.repair) for fault in FAULTS) >= 40
