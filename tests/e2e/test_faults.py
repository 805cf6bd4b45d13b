"""The fault matrix: every file of `tests/faults` is made in the lab and looked at, and found as exactly what it is.

Where a file says so, what is printed as the fix is run as printed, and the Service has to be well afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.faults import Fault, Trial, load_all, trials
from tests.lab import Lab

pytestmark = pytest.mark.lab

FAULTS = load_all()


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
