"""What policies become as rules, where a conformance suite does not look."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.policy import Cluster, Pod, Policy, ruleset


def pod(name: str, address: str, node: str = "node-1", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "web", "ports": [{"name": "web", "containerPort": 8080}]}]
    return {
        "metadata": {"namespace": "home", "name": name, "labels": {"app": name}},
        "spec": {"nodeName": node, "containers": containers, **spec},
        "status": {"podIP": address, "phase": "Running"},
    }


def table(spec: dict[str, Any], *pods: dict[str, Any], node: str = "node-1") -> str:
    policy = Policy.of({"metadata": {"namespace": "home", "name": "policy"}, "spec": {"podSelector": {}, **spec}})
    found = tuple(filter(None, map(Pod.of, pods)))
    return ruleset(Cluster(found, {"home": {}}, (policy,)), node)


def admitted(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.endswith("return")]


SERVER = pod("server", "10.244.1.2")


@pytest.mark.parametrize(
    "unlike",
    [
        pod("server", "172.30.0.11", hostNetwork=True),
        {**SERVER, "status": {"podIP": "10.244.1.2", "phase": "Succeeded"}},
        {**SERVER, "status": {"phase": "Pending"}},
    ],
    ids=["on the node's network", "ended", "without an address"],
)
def test_no_policy_is_about(unlike: dict[str, Any]) -> None:
    assert " drop " not in table({"policyTypes": ["Ingress"]}, unlike)
    assert " drop " in table({"policyTypes": ["Ingress"]}, SERVER)


def test_a_pod_is_isolated_on_its_own_node_only() -> None:
    assert " drop " not in table({"policyTypes": ["Ingress"]}, SERVER, node="node-2")


def test_egress_is_isolated_only_where_it_is_spoken_of() -> None:
    assert "egress-" not in table({}, SERVER)
    assert "egress-" in table({"egress": [{}]}, SERVER)


def test_a_rule_without_peers_and_ports_admits_all_and_no_rule_none() -> None:
    assert admitted(table({"ingress": [{}]}, SERVER)) == ["return"]
    assert admitted(table({"ingress": []}, SERVER)) == []
    assert admitted(table({"ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "nobody"}}}]}]}, SERVER)) == []


def test_a_block_is_of_one_family() -> None:
    peers = [{"ipBlock": {"cidr": "fd00::/8"}}, {"ipBlock": {"cidr": "172.30.0.0/24"}}]
    assert admitted(table({"ingress": [{"from": peers}]}, SERVER)) == [
        "ip6 saddr fd00::/8 return",
        "ip saddr 172.30.0.0/24 return",
    ]


def test_exceptions_may_overlap() -> None:
    block = {"cidr": "10.0.0.0/8", "except": ["10.244.0.0/16", "10.244.1.0/24"]}
    assert admitted(table({"ingress": [{"from": [{"ipBlock": block}]}]}, SERVER)) == [
        "ip saddr 10.0.0.0/8 ip saddr != { 10.244.0.0/16 } return"
    ]


def test_a_sidecar_has_named_ports_and_another_init_container_has_not() -> None:
    port = {"name": "proxy", "containerPort": 9090}
    for policy, expected in (("Always", ["meta l4proto tcp th dport 9090 return"]), (None, [])):
        server = pod("server", "10.244.1.2", initContainers=[{"ports": [port], "restartPolicy": policy}])
        assert admitted(table({"ingress": [{"ports": [{"port": "proxy"}]}]}, server)) == expected


def test_a_named_port_is_of_its_protocol() -> None:
    assert admitted(table({"ingress": [{"ports": [{"port": "web", "protocol": "UDP"}]}]}, SERVER)) == []


def test_on_the_way_out_a_named_port_is_each_destinations_own() -> None:
    other = pod("other", "10.244.2.2", node="node-2")
    other["spec"]["containers"][0]["ports"][0]["containerPort"] = 9999
    rule = {"to": [{"ipBlock": {"cidr": "10.244.2.0/24"}}], "ports": [{"port": "web"}]}
    assert admitted(table({"egress": [rule], "policyTypes": ["Egress"]}, SERVER, other)) == [
        "ip daddr { 10.244.2.2 } meta l4proto tcp th dport 9999 return"
    ]


def test_not_in_selects_what_has_no_such_label() -> None:
    selector = {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["front"]}]}
    rule = {"from": [{"podSelector": selector}]}
    assert admitted(table({"ingress": [rule]}, SERVER)) == ["ip saddr { 10.244.1.2 } return"]


def test_a_pod_with_addresses_of_both_families_is_isolated_in_both() -> None:
    server = pod("server", "10.244.1.2")
    server["status"]["podIPs"] = [{"ip": "10.244.1.2"}, {"ip": "fd44:0:0:1::2"}]
    text = table({"ingress": [{"from": [{"podSelector": {}}]}]}, server)
    assert admitted(text) == ["ip saddr { 10.244.1.2 } return", "ip6 saddr { fd44:0:0:1::2 } return"]
    assert "ip6 daddr vmap { fd44:0:0:1::2 : jump ingress-10.244.1.2 }" in text
