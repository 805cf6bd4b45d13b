"""The evaluator against another one, which was written from the documentation alone and reads the raw JSON.

It knows no classes: it lists, for every policy, all (client, port) that it admits among the few that exist here.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_svcprobe.facts.policy import Answer, NetworkPolicy
from kubectl_svcprobe.facts.traffic import End, decide

NAMESPACES = {"x": {"ns": "x", "env": "prod"}, "y": {"ns": "y"}, "z": {"ns": "z", "env": "test"}}
NAMED = {"x": 80, "y": 81, "z": 80}  # the number of the port `web` of each namespace's pods
PODS = {
    (namespace, name): f"10.{namespace_number}.{pod_number}.5"
    for namespace_number, namespace in enumerate(NAMESPACES)
    for pod_number, name in enumerate("abc")
}
PORTS = [(80, "TCP"), (81, "TCP"), (80, "UDP")]

LABEL = st.sampled_from(["a", "b", "c"])
EXPRESSION = st.one_of(
    st.builds(
        lambda op, v: {"key": "pod", "operator": op, "values": v},
        st.sampled_from(["In", "NotIn"]),
        st.lists(LABEL, min_size=1),
    ),
    st.builds(
        lambda key, op: {"key": key, "operator": op},
        st.sampled_from(["pod", "none"]),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)
POD_SELECTOR = st.one_of(
    st.just({}),
    st.builds(lambda v: {"matchLabels": {"pod": v}}, LABEL),
    st.builds(lambda e: {"matchExpressions": [e]}, EXPRESSION),
)
NAMESPACE_SELECTOR = st.one_of(
    st.just({}),
    st.builds(lambda v: {"matchLabels": {"ns": v}}, st.sampled_from(["x", "y", "z"])),
    st.just({"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]}),
    st.just({"matchExpressions": [{"key": "env", "operator": "Exists"}]}),
)
BLOCK = st.one_of(
    st.just({"cidr": "10.0.0.0/8"}),
    st.just({"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}),
    st.just({"cidr": "10.2.1.5/32"}),
    st.just({"cidr": "::/0"}),
)
PEER = st.one_of(
    st.builds(lambda p: {"podSelector": p}, POD_SELECTOR),
    st.builds(lambda n: {"namespaceSelector": n}, NAMESPACE_SELECTOR),
    st.builds(lambda p, n: {"podSelector": p, "namespaceSelector": n}, POD_SELECTOR, NAMESPACE_SELECTOR),
    st.builds(lambda b: {"ipBlock": b}, BLOCK),
)
PORT = st.sampled_from(
    [
        {"port": 80},
        {"port": 79, "endPort": 81},
        {"port": "web"},
        {"protocol": "UDP"},
        {"port": 80, "protocol": "UDP"},
        {},
    ]
)


def rules(peers: str) -> st.SearchStrategy[Any]:
    rule = st.fixed_dictionaries({}, optional={peers: st.lists(PEER, max_size=2), "ports": st.lists(PORT, max_size=2)})
    return st.lists(rule, max_size=2)


POLICY = st.builds(
    lambda namespace, spec: {"metadata": {"namespace": namespace, "name": "p"}, "spec": spec},
    st.sampled_from([*NAMESPACES]),
    st.fixed_dictionaries(
        {"podSelector": POD_SELECTOR},
        optional={
            "policyTypes": st.sampled_from([["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
            "ingress": rules("from"),
            "egress": rules("to"),
        },
    ),
)


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if key not in labels or labels[key] != value:
            return False
    for e in selector.get("matchExpressions", []):
        there = e["key"] in labels
        if e["operator"] == "In" and not (there and labels[e["key"]] in e["values"]):
            return False
        if e["operator"] == "NotIn" and there and labels[e["key"]] in e["values"]:
            return False
        if (e["operator"] == "Exists" and not there) or (e["operator"] == "DoesNotExist" and there):
            return False
    return True


def peers_of(policy: dict[str, Any], rule: dict[str, Any], key: str) -> set[tuple[str, str]]:
    """All pods that a rule means."""
    if not rule.get(key):
        return set(PODS)
    meant = set()
    for peer in rule[key]:
        for (namespace, name), address in PODS.items():
            if "ipBlock" in peer:
                ip = ipaddress.ip_address(address)
                left_out = [ipaddress.ip_network(e) for e in peer["ipBlock"].get("except", [])]
                fits = ip in ipaddress.ip_network(peer["ipBlock"]["cidr"]) and not any(ip in e for e in left_out)
            else:
                here = namespace == policy["metadata"]["namespace"]
                by_namespace = peer.get("namespaceSelector")
                fits = (here if by_namespace is None else matches(by_namespace, NAMESPACES[namespace])) and matches(
                    peer.get("podSelector", {}), {"pod": name}
                )
            if fits:
                meant.add((namespace, name))
    return meant


def ports_of(rule: dict[str, Any], destination: tuple[str, str]) -> set[tuple[int, str]]:
    """All ports that a rule means at a destination."""
    if not rule.get("ports"):
        return set(PORTS)
    meant = set()
    for wanted in rule["ports"]:
        for number, protocol in PORTS:
            first = wanted.get("port", 0)
            last = wanted.get("endPort", first or 65535)
            if first == "web":
                first = last = NAMED[destination[0]] if wanted.get("protocol", "TCP") == "TCP" else -1
            if protocol == wanted.get("protocol", "TCP") and first <= number <= last:
                meant.add((number, protocol))
    return meant


def admitted(
    policies: list[dict[str, Any]], client: tuple[str, str], server: tuple[str, str], port: tuple[int, str]
) -> bool:
    if client == server:
        return True
    for direction, key, me, other in (("Ingress", "from", server, client), ("Egress", "to", client, server)):
        mine = []
        for policy in policies:
            spec = policy["spec"]
            types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
            if (
                direction in types
                and policy["metadata"]["namespace"] == me[0]
                and matches(spec["podSelector"], {"pod": me[1]})
            ):
                mine.append(policy)
        if mine and not any(
            other in peers_of(policy, rule, key) and port in ports_of(rule, server)
            for policy in mine
            for rule in policy["spec"].get(direction.lower(), [])
        ):
            return False
    return True


def end(pod: tuple[str, str]) -> End:
    namespace, name = pod
    named = {"TCP": {"web": (NAMED[namespace],)}}
    return End(namespace, {"pod": name}, NAMESPACES[namespace], PODS[pod], named, name=name)


@settings(max_examples=120, deadline=None)
@given(st.lists(POLICY, max_size=4))
def test_both_say_the_same_of_every_connection(policies: list[dict[str, Any]]) -> None:
    parsed = [NetworkPolicy.from_json(policy) for policy in policies]
    for client in PODS:
        for server in PODS:
            for port in PORTS:
                expected = admitted(policies, client, server, port)
                found = decide(parsed, end(client), end(server), *port).admits
                assert found is Answer.of(expected), (client, server, port)
