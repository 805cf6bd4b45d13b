"""A list that was refused is not an empty list: what may not be read never makes a healthy Service look broken."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.inspection import report
from kubectl_svcprobe.report import Verdict
from kubectl_svcprobe.run import Options
from tests.fake_cluster import KNOWN
from tests.unit.cases import Case, all_cases


def kinds(case: Case) -> set[str]:
    """The kinds that the case has objects of, so that refusing them takes something away.

    But for workloads: that no pod is behind a Service needs no workload to be read, though one may excuse it.
    """
    return {item["kind"] for item in case.objects} - {"Service", "Deployment", "StatefulSet", "DaemonSet"}


UNBROKEN = [
    pytest.param(case, kind, id=f"{case.name}-{kind}")
    for case in all_cases()
    if case.expected.split()[0] not in (Verdict.BROKEN.value, Verdict.UNKNOWN.value)
    for kind in sorted(kinds(case))
]


@pytest.mark.parametrize(("case", "kind"), UNBROKEN)
def test_what_is_refused_breaks_nothing(case: Case, kind: str) -> None:
    cluster = case.cluster()
    cluster.forbid(KNOWN[kind], "list")
    found = report(case.evidence(cluster), Options())
    assert found.verdict is not Verdict.BROKEN, [finding.headline for finding in found.findings]
