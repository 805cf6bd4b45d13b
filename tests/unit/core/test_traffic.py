"""What NetworkPolicies admit: situations as data, each with the sentence of the documentation that decides it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubectl_svcprobe.facts.policy import Answer, NetworkPolicy
from kubectl_svcprobe.facts.traffic import End, decide
from kubectl_svcprobe.facts.workload import Pod

NAMESPACES = {"shop": {"team": "a"}, "lab": {"team": "b"}}
CLIENT: dict[str, Any] = {"namespace": "shop", "labels": {"app": "front"}, "address": "10.244.1.5", "name": "front-1"}
SERVER: dict[str, Any] = {
    "namespace": "shop",
    "labels": {"app": "web"},
    "address": "10.244.2.7",
    "node": "node-2",
    "named_ports": {"TCP": {"http": (8080,)}},
    "name": "web-1",
}
SITUATIONS: list[dict[str, Any]] = yaml.load(
    (Path(__file__).parent / "policy_situations.yaml").read_text(), yaml.BaseLoader
)
ANSWERS = {"yes": Answer.YES, "no": Answer.NO, "unknown": Answer.UNKNOWN}


def end(default: dict[str, Any], said: dict[str, Any]) -> End:
    fields = {**default, **said}
    labels = fields.pop("namespace_labels", NAMESPACES.get(fields["namespace"]))
    if not fields["namespace"]:
        fields = {"namespace": "", "address": fields["address"]}
    fields["is_host_network"] = fields.get("is_host_network") == "true"
    return End(**fields, namespace_labels=None if labels == "unread" else labels)


def policy(number: int, spec: dict[str, Any]) -> NetworkPolicy:
    """With numbers as JSON has them, which YAML's plainest loader leaves as text."""
    meta = {"namespace": spec.get("in", "shop"), "name": f"policy-{number}"}
    return NetworkPolicy.from_json({"metadata": meta, "spec": _numbers(spec)})


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return int(value) if value.isdigit() else value


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation["name"])
def test_what_policies_admit(situation: dict[str, Any]) -> None:
    policies = [policy(number, spec) for number, spec in enumerate(situation.get("policies", []))]
    client, server = end(CLIENT, situation.get("client", {})), end(SERVER, situation.get("server", {}))
    decision = decide(policies, client, server, int(situation.get("port", 8080)), situation.get("protocol", "TCP"))
    assert decision.admits is ANSWERS[situation["admits"]]
    for side in (decision.ingress, decision.egress):
        if said := situation.get(side.direction.lower()):
            assert side.admits is ANSWERS[said]
            assert (side in decision.refusing) == (said == "no")


def test_every_situation_says_which_words_decide_it() -> None:
    for situation in SITUATIONS:
        assert situation["quote"].startswith(("types.go, ", "concept: ", "apimachinery "))


def test_a_rule_that_admits_is_named_and_so_is_each_that_does_not() -> None:
    one = policy(1, {"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}]})
    two = policy(2, {"podSelector": {}, "ingress": [{"ports": [{"port": "80"}]}, {"ports": [{"port": "8080"}]}]})
    side = decide([one, two], end(CLIENT, {}), end(SERVER, {}), 8080).ingress
    admitting = [(answer.policy.meta.name, answer.index) for answer in side.rules if answer.admits is Answer.YES]
    assert (side.admits, admitting) == (Answer.YES, [("policy-2", 1)])
    said = [(answer.policy.meta.name, answer.index, answer.peer, answer.port) for answer in side.rules]
    assert said == [
        ("policy-1", 0, Answer.NO, Answer.YES),
        ("policy-2", 0, Answer.YES, Answer.NO),
        ("policy-2", 1, Answer.YES, Answer.YES),
    ]


def test_the_end_that_a_pod_is() -> None:
    obj = {
        "metadata": {"name": "web-1", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "nodeName": "node-2",
            "containers": [{"name": "web", "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 1}]}],
            "initContainers": [
                {"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "http", "containerPort": 9}]}
            ],
        },
        "status": {"podIPs": [{"ip": "10.244.2.7"}, {"ip": "fd00::7"}]},
    }
    found = End.of_pod(Pod.from_json(obj), {"team": "a"}, "fd00::7")
    assert found == end(
        SERVER, {"address": "fd00::7", "named_ports": {"TCP": {"http": (8080, 9)}}, "namespace_labels": {"team": "a"}}
    )
    assert End.of_pod(Pod.from_json(obj), None).address == "10.244.2.7"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["x", "y"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}, "a notin (x)"),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "DoesNotExist"}]}, "a,!b"),
    ],
)
def test_a_selector_is_written_as_kubectl_writes_it(spec: dict[str, Any], words: str) -> None:
    peer = policy(1, {"ingress": [{"from": [{"podSelector": spec}]}]}).ingress[0].peers[0]
    assert str(peer.pods) == words


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"port": "8080"}, "8080/TCP"),
        ({"port": "8000", "endPort": "8999"}, "8000-8999/TCP"),
        ({"port": "http", "protocol": "UDP"}, "http/UDP"),
        ({"protocol": "SCTP"}, "all SCTP ports"),
    ],
)
def test_a_port_in_words(spec: dict[str, Any], words: str) -> None:
    assert str(policy(1, {"ingress": [{"ports": [spec]}]}).ingress[0].ports[0]) == words


def test_an_address_that_is_none_is_not_known_to_be_in_a_block() -> None:
    spec = {"podSelector": {}, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/33"}}]}]}
    assert decide([policy(1, spec)], end(CLIENT, {}), end(SERVER, {}), 8080).admits is Answer.UNKNOWN


def test_what_a_pod_sends_to_its_own_node_is_not_foretold() -> None:
    """Only the way in is exempt: "if the traffic source is the pod's local node" is said of ingress alone."""
    deny = NetworkPolicy.from_json(
        {"metadata": {"name": "deny", "namespace": "shop"}, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
    )
    client = End(namespace="shop", labels={}, address="10.244.1.5", node="node-1", name="web-1")
    there = End(namespace="kube-system", address="192.168.7.11", node="node-1", is_host_network=True, name="agent")
    assert decide([deny], client, there, 10250).egress.admits is Answer.UNKNOWN
    assert decide([deny], client, replace(there, node="node-2"), 10250).egress.admits is Answer.NO
