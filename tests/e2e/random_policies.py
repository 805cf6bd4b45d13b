"""Namespaces, pods and NetworkPolicies by chance: as much of the API as a few labels and ports can bring out."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.e2e.cluster import AGNHOST, Object

NAMESPACES = tuple(f"policies-{letter}" for letter in "abcde")
PODS = ("one", "two", "three")
PORTS = (8080, 8081, 9090)
CURL = "lab.test/curl:1"

#: On all that is made here, and has no labels by chance.
LABEL = "svcprobe-tests=policies"

LABELS = {"app": ("web", "db", "front"), "tier": ("a", "b")}
TEAMS = ("red", "blue")


def namespaces(chance: Random) -> list[Object]:
    """Some have a team, some have none."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name in NAMESPACES
        for labels in [({"team": chance.choice(TEAMS)} if chance.random() < 0.7 else {}) | dict([LABEL.split("=")])]
    ]


def pods(chance: Random) -> list[Object]:
    """The same pods each time, but for their labels: a server at every port, and a curl to ask from."""
    return [_pod(namespace, name, number, chance) for namespace in NAMESPACES for number, name in enumerate(PODS)]


def _pod(namespace: str, name: str, number: int, chance: Random) -> Object:
    serve = [{"name": f"SERVE_PORT_{port}", "value": "here"} for port in PORTS]
    # The name `web` leads to another number in each pod.
    named = [{"name": "web", "containerPort": PORTS[number]}]
    # Waits as long as it lives, without a shell.
    wait = ["curl", "-s", "--retry", "1", "--retry-delay", "86400", "--retry-connrefused", "http://127.0.0.1:1/"]
    labels = {key: value for key, values in LABELS.items() if (value := chance.choice([*values, ""]))}
    spec = {
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {"name": "server", "image": AGNHOST, "args": ["porter"], "env": serve, "ports": named},
            {"name": "client", "image": CURL, "command": wait},
        ],
    }
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def policies(chance: Random, addresses: list[str]) -> list[Object]:
    """Up to three in each namespace."""
    return [
        _policy(chance, namespace, f"p{n}", addresses) for namespace in NAMESPACES for n in range(chance.randint(0, 3))
    ]


def _policy(chance: Random, namespace: str, name: str, addresses: list[str]) -> Object:
    types = chance.choice([["Ingress"], ["Ingress"], ["Egress"], ["Ingress", "Egress"], None])
    spec: dict[str, Any] = {"podSelector": _selector(chance, LABELS)}
    if types:
        spec["policyTypes"] = types
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        if direction == "ingress" or types is None or "Egress" in types:
            rules = [_rule(chance, peers, addresses) for _ in range(chance.randint(0, 3))]
            spec |= {direction: rules} if rules else {}
    metadata = {"name": name, "namespace": namespace, "labels": dict([LABEL.split("=")])}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def _rule(chance: Random, key: str, addresses: list[str]) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if chance.random() < 0.85:
        rule[key] = [_peer(chance, addresses) for _ in range(chance.randint(1, 2))]
    if chance.random() < 0.6:
        rule["ports"] = [_port(chance) for _ in range(chance.randint(1, 2))]
    return rule


def _peer(chance: Random, addresses: list[str]) -> dict[str, Any]:
    kind = chance.randrange(4)
    if kind == 0:
        return {"podSelector": _selector(chance, LABELS)}
    if kind == 1:
        return {"namespaceSelector": _of_namespaces(chance)}
    if kind == 2:
        return {"podSelector": _selector(chance, LABELS), "namespaceSelector": _of_namespaces(chance)}
    return {"ipBlock": _block(chance, addresses)}


def _of_namespaces(chance: Random) -> dict[str, Any]:
    if chance.random() < 0.3:
        return {"matchLabels": {"kubernetes.io/metadata.name": chance.choice(NAMESPACES)}}
    return _selector(chance, {"team": TEAMS})


def _selector(chance: Random, of: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Everything, a label, or an expression with one of the four operators."""
    key = chance.choice(sorted(of))
    kind = chance.randrange(6)
    if kind == 0:
        return {}
    if kind < 3:
        return {"matchLabels": {key: chance.choice(of[key])}}
    if kind == 3:
        return {"matchExpressions": [{"key": key, "operator": chance.choice(["Exists", "DoesNotExist"])}]}
    values = chance.sample(of[key], chance.randint(1, len(of[key])))
    return {"matchExpressions": [{"key": key, "operator": chance.choice(["In", "NotIn"]), "values": values}]}


def _block(chance: Random, addresses: list[str]) -> dict[str, Any]:
    """The pod network, a node's part of it or one pod, perhaps without a pod."""
    address = chance.choice(addresses)
    first, second, third, _ = address.split(".")
    cidr = chance.choice([f"{address}/32", f"{first}.{second}.{third}.0/24", f"{first}.{second}.0.0/16", "0.0.0.0/0"])
    others = [other for other in addresses if other.rpartition(".")[0] == address.rpartition(".")[0]]
    leaves_out = not cidr.endswith("/32") and chance.random() < 0.5
    return {"cidr": cidr, "except": [f"{chance.choice(others)}/32"]} if leaves_out else {"cidr": cidr}


def _port(chance: Random) -> dict[str, Any]:
    return chance.choice(
        [
            {"port": chance.choice(PORTS)},
            {"port": 8080, "endPort": chance.choice([8080, 8081, 9000])},
            {"port": "web"},
            {"port": "no-such-name"},
            {"protocol": "TCP"},
            {"port": 8080, "protocol": "UDP"},
        ]
    )
