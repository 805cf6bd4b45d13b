"""How what popeye says of a fault is judged."""

from __future__ import annotations

import pytest

from tests.faults.fault import Expectation, Fault
from tests.peers.popeye import Issue, Judgement, Named, read


def fault(name: str, *codes: str) -> Fault:
    return Fault(name, "", (), ("web",), Expectation(1, ("broken",), codes))


def issue(
    message: str, level: int = 3, namespace: str = "fault-typo", name: str = "web", section: str = "services"
) -> Issue:
    return Issue(section, namespace, name, level, message)


TYPO = fault("typo", "SVC201")


@pytest.mark.parametrize(
    ("subject", "issues", "expected"),
    [
        (TYPO, [issue("1100 No pods match service selector")], Named.CAUSE),
        (TYPO, [issue("1110 Match EP has no subsets", 2)], Named.SYMPTOM),
        (TYPO, [issue("102 No probes defined", 2)], Named.NOTHING),
        (TYPO, [issue("1100 No pods match service selector", namespace="other")], Named.NOTHING),
        (TYPO, [issue("208 Unmanaged pod", 2, section="pods", name="svcprobe-x")], Named.NOTHING),
        (fault("typo", "SVC301"), [issue("203 Pod is waiting [1/1] CrashLoopBackOff")], Named.CAUSE),
        (fault("typo", "SVC301"), [issue("203 Pod is waiting [1/1] ContainerCreating")], Named.SYMPTOM),
        (
            fault("cluster/dns", "SVC611"),
            [issue("500 Zero scale", 2, "kube-system", "coredns", "deployments")],
            Named.CAUSE,
        ),
        (fault("typo", "SVC611"), [issue("500 Zero scale", 2, "kube-system", "coredns", "deployments")], Named.NOTHING),
        (fault("pairs/two", "SVC202", "SVC201"), [issue("1100 No pods", namespace="fault-pairs-two")], Named.PART),
    ],
)
def test_what_counts_as_said(subject: Fault, issues: list[Issue], expected: Named) -> None:
    assert Judgement.load().of(subject, issues)[0] is expected


def test_its_document_is_read() -> None:
    issues = [
        {"group": "__root__", "level": 2, "message": "[POP-1109] Single endpoint is associated with this service"}
    ]
    sections = [{"linter": "services", "issues": {"shop/web": issues}}, {"linter": "nodes"}]
    (found,) = read({"popeye": {"sections": sections}})
    assert (found.section, found.namespace, found.name, found.level) == ("services", "shop", "web", 2)
    assert found.code == "POP-1109"
