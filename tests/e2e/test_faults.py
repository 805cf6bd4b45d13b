"""The fault matrix: files of `tests/faults` are made in the lab and looked at, and found as exactly what they are.

All of them take longer than everything else together; these are some for each finding, and `make faults` tries the rest.

Where a file says so, what is printed as the fix is run as printed, and the Service has to be well afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.faults import Fault, Trial, load_all, some_of_each, trials
from tests.lab import Lab

pytestmark = pytest.mark.lab

FAULTS = some_of_each(load_all())


@pytest.fixture(scope="module")
def tried(lab: Lab) -> Iterator[Mapping[str, Future[Trial]]]:
    with trials(lab, FAULTS) as futures:
        yield futures


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: Fault, tried: Mapping[str, Future[Trial]]) -> None:
    trial = tried[fault.name].result()
    assert not trial.told, trial.answer.stdout


def test_a_udp_port_is_not_tried_and_that_is_said(tried: Mapping[str, Future[Trial]]) -> None:
    report = tried["healthy/udp-only"].result().answer.report
    assert {path["outcome"] for path in report.paths()} == {"not-run"}
    assert all("UDP" in path["detail"] for path in report.paths())
    assert "53/UDP" in report.summary or "Nothing was tried" in report.summary
