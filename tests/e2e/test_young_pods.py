"""A pod's first second lies: its address is not yet in the rules of policy agents and Service proxies. Ten Services are
looked at as soon as their only pod is up, and again when it is ten seconds older: no verdict may turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tests.e2e.cluster import Namespace, Object, as_list, await_service_account, deployment, ready_addresses, service
from tests.e2e.command import Report, svcprobe
from tests.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.policies]

LABEL = "svcprobe-tests=young-pods"
AT_ONCE = 5
#: The second look waits for a ready pod with this readiness delay: the first one's age, without a sleep in the test.
SECONDS = 10

WEB = {"matchLabels": {"app": "web"}}
DNS = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]

#: Name, the specs of its policies, and what is to be found each time.
SITUATIONS: list[tuple[str, list[dict[str, Any]], list[str]]] = [
    ("open", [], []),
    ("namespace", [{"podSelector": WEB, "ingress": [{"from": [{"podSelector": {}}]}]}], []),
    ("pod-network", [{"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.244.0.0/16"}}]}]}], []),
    ("named-port", [{"podSelector": WEB, "ingress": [{"ports": [{"port": "http"}]}]}], []),
    (
        "egress",
        [{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"to": [{"podSelector": WEB}]}, {"ports": DNS}]}],
        [],
    ),
    ("denied", [{"podSelector": {}, "policyTypes": ["Ingress"]}], ["SVC602"]),
    ("other-port", [{"podSelector": WEB, "ingress": [{"ports": [{"port": 80}]}]}], ["SVC602"]),
    ("addresses", [{"podSelector": WEB, "ingress": [{"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]}], ["SVC601"]),
    (
        "system-only",
        [
            {
                "podSelector": WEB,
                "ingress": [
                    {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]}
                ],
            }
        ],
        ["SVC601"],
    ),
    ("kept-in", [{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": DNS}]}], ["SVC604"]),
]


@dataclass(frozen=True)
class Looks:
    """What was said at once, and later."""

    first: Report
    second: Report


def policy(number: int, spec: dict[str, Any]) -> Object:
    metadata = {"name": f"policy-{number}"}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def look_twice(lab: Lab, name: str, policies: list[dict[str, Any]]) -> Looks:
    """At a Service whose pod has just become ready, and when another pod, made at the same time, says it is older."""
    namespace = Namespace(lab, f"young-{name}")
    namespace.apply(*(policy(number, spec) for number, spec in enumerate(policies)), service())
    clock = deployment("clock", labels={"app": "clock"})
    clock["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]["initialDelaySeconds"] = SECONDS
    namespace.apply(deployment(), clock)
    namespace.until("endpointslices", partial(_has, 1), "kubernetes.io/service-name=web")
    first = look(lab, namespace)
    namespace.roll_out("clock")
    return Looks(first, look(lab, namespace))


def look(lab: Lab, namespace: Namespace) -> Report:
    """Without the rule about a slow DNS, which tells how busy the machine of the lab is."""
    return svcprobe(lab, "web", "-n", namespace.name, "--skip", "SVC615").report


def _has(count: int, slices: list[Object]) -> bool:
    return len(ready_addresses(slices)) == count


@pytest.fixture(scope="module")
def looks(lab: Lab) -> Iterator[dict[str, Looks]]:
    names = [f"young-{name}" for name, _, _ in SITUATIONS]
    labels = dict([LABEL.split("=")])
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n, "labels": labels}} for n in names]
    lab.kubectl("delete", "namespaces", "-l", LABEL, "--ignore-not-found", timeout=120)
    lab.kubectl("apply", "-f", "-", input=json.dumps(as_list(tuple(spaces))))
    for name in names:
        await_service_account(lab, name)
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            asked = {name: pool.submit(look_twice, lab, name, policies) for name, policies, _ in SITUATIONS}
            yield {name: answer.result() for name, answer in asked.items()}
    finally:
        lab.kubectl("delete", "namespaces", "-l", LABEL, "--wait=false")


@pytest.mark.parametrize(("name", "expected"), [(s[0], s[2]) for s in SITUATIONS], ids=[s[0] for s in SITUATIONS])
def test_no_verdict_turns_when_it_is_looked_at_again(name: str, expected: list[str], looks: dict[str, Looks]) -> None:
    first, second = looks[name].first, looks[name].second
    assert (first.verdict, first.codes) == (second.verdict, second.codes), first.summary
    assert first.codes == expected, first.summary
