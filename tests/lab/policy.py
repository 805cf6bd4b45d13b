"""NetworkPolicies as nftables rules: from the objects of a cluster to the table of one node. Nothing here is done to any
machine.

A node's table looks at what the node forwards, after a Service's address has been exchanged for a pod's and before a
source is masqueraded. What a node itself sends to its pods, as kubelet's probes, is not forwarded and always admitted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = Mapping[str, Any]
Labels = Mapping[str, str]

TABLE = "table inet network-policies"
WAITED = 'iifname "slow-*"'  # a slow link sees them twice; the first time they were judged
DIRECTIONS = {"Ingress": ("ingress", "from", "saddr"), "Egress": ("egress", "to", "daddr")}
ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Pod:
    namespace: str
    name: str
    node: str
    addresses: tuple[str, ...]
    labels: tuple[tuple[str, str], ...]
    ports: tuple[tuple[str, str, int], ...]  # name, protocol, number

    @classmethod
    def of(cls, found: Object) -> Pod | None:
        """One that a policy can be about: with an address, and with one of its own."""
        metadata, spec, status = found["metadata"], found["spec"], found.get("status", {})
        addresses = tuple(
            one["ip"] for one in status.get("podIPs") or [{"ip": own} for own in [status.get("podIP")] if own]
        )
        if not addresses or spec.get("hostNetwork") or status.get("phase") in ENDED:
            return None
        sidecars = [one for one in spec.get("initContainers", ()) if one.get("restartPolicy") == "Always"]
        ports = tuple(
            (port["name"], port.get("protocol", "TCP"), port["containerPort"])
            for container in (*spec["containers"], *sidecars)
            for port in container.get("ports", ())
            if "name" in port
        )
        labels = tuple(sorted((metadata.get("labels") or {}).items()))
        return cls(metadata["namespace"], metadata["name"], spec.get("nodeName", ""), addresses, labels, ports)

    def port(self, name: str, protocol: str) -> int | None:
        return next((number for known, spoken, number in self.ports if (known, spoken) == (name, protocol)), None)


@dataclass(frozen=True)
class Policy:
    namespace: str
    name: str
    spec: Object

    @classmethod
    def of(cls, found: Object) -> Policy:
        return cls(found["metadata"]["namespace"], found["metadata"]["name"], found.get("spec", {}))

    def isolates(self, direction: str) -> bool:
        """Egress only where it is spoken of, which the API server has spelled out already."""
        default = ["Ingress", "Egress"] if self.spec.get("egress") else ["Ingress"]
        return direction in (self.spec.get("policyTypes") or default)

    def rules(self, direction: str) -> list[Object]:
        return self.spec.get(DIRECTIONS[direction][0]) or []


def selects(selector: Object, labels: Labels) -> bool:
    """An empty one selects everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(meets(expression, labels) for expression in selector.get("matchExpressions") or ())


def meets(expression: Object, labels: Labels) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values  # so does one without the label
    return (key in labels) is (operator == "Exists")


@dataclass(frozen=True)
class Cluster:
    pods: tuple[Pod, ...]
    namespaces: Mapping[str, Labels]
    policies: tuple[Policy, ...]

    def isolating(self, pod: Pod, direction: str) -> list[Policy]:
        return [
            policy
            for policy in self.policies
            if policy.namespace == pod.namespace
            and policy.isolates(direction)
            and selects(policy.spec.get("podSelector") or {}, dict(pod.labels))
        ]

    def is_peer(self, peer: Object, home: str, pod: Pod) -> bool:
        """Whether a peer of a policy that lives in `home` means the pod, by its labels or by its address."""
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            return any(
                in_block(address, block["cidr"])
                and not any(in_block(address, inner) for inner in block.get("except") or ())
                for address in pod.addresses
            )
        if peer.get("namespaceSelector") is None:
            there = pod.namespace == home
        else:
            there = selects(peer["namespaceSelector"], self.namespaces.get(pod.namespace, {}))
        return there and selects(peer.get("podSelector") or {}, dict(pod.labels))

    def peers(self, rule: Object, direction: str, home: str) -> list[str]:
        """A match for each way of being one of a rule's peers; an empty one where everybody is."""
        _, key, field = DIRECTIONS[direction]
        if not rule.get(key):
            return [""]
        found = [block_match(peer["ipBlock"], field) for peer in rule[key] if "ipBlock" in peer]
        named = [peer for peer in rule[key] if "ipBlock" not in peer]
        pods = [pod for pod in self.pods if any(self.is_peer(peer, home, pod) for peer in named)]
        return [*found, *address_matches((address for pod in pods for address in pod.addresses), field)]

    def matches(self, rule: Object, direction: str, home: str, pod: Pod) -> Iterator[str]:
        """All that a rule admits to a pod, or lets it reach."""
        key = DIRECTIONS[direction][1]
        peers = self.peers(rule, direction, home)
        everything: list[Object] = [{}]
        for port in rule.get("ports") or everything:
            number, protocol = port.get("port"), port.get("protocol", "TCP")
            if isinstance(number, str) and direction == "Egress":  # each destination has its own port of that name
                for other in self.pods:
                    if not rule.get(key) or any(self.is_peer(peer, home, other) for peer in rule[key]):
                        for match in address_matches(other.addresses, "daddr"):
                            yield from port_match(match, protocol, other.port(number, protocol))
            elif isinstance(number, str):
                for peer in peers:
                    yield from port_match(peer, protocol, pod.port(number, protocol))
            elif number is None:
                yield from (f"{peer}meta l4proto {protocol.lower()} " if port else peer for peer in peers)
            else:
                for peer in peers:
                    yield from port_match(peer, protocol, number, port.get("endPort"))


def in_block(address: str, block: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(block, strict=False)


def word(address: str) -> str:
    """What nftables calls a family."""
    return "ip6" if ":" in address else "ip"


def address_matches(addresses: Iterable[str], field: str) -> list[str]:
    """A match for each family that there is."""
    by_family: dict[str, set[str]] = {}
    for address in addresses:
        by_family.setdefault(word(address), set()).add(address)
    return [f"{family} {field} {collection(found)} " for family, found in sorted(by_family.items())]


def block_match(block: Object, field: str) -> str:
    """Addresses of the other family are never in a block."""
    outer = ipaddress.ip_network(block["cidr"], strict=False)
    family = word(str(outer))
    excluded: list[Any] = [ipaddress.ip_network(inner, strict=False) for inner in block.get("except") or ()]
    match = f"{family} {field} {outer} " if outer.prefixlen else f"meta nfproto ipv{outer.version} "
    if excluded:
        match += f"{family} {field} != {collection(map(str, ipaddress.collapse_addresses(excluded)))} "
    return match


def port_match(peer: str, protocol: str, first: int | None, last: int | None = None) -> Iterator[str]:
    if first is not None:
        yield f"{peer}meta l4proto {protocol.lower()} th dport {first}{f'-{last}' if last else ''} "


def collection(elements: Iterable[str]) -> str:
    return "{ " + ", ".join(sorted(set(elements))) + " }"


def ruleset(cluster: Cluster, node: str) -> str:
    """For `nft -f`: the node's whole table, put in place of the former one at once."""
    chains, jumps = [], []
    for direction, (named, _, own) in reversed(DIRECTIONS.items()):
        isolated: dict[str, list[str]] = {}
        for pod in cluster.pods:
            if pod.node == node and (policies := cluster.isolating(pod, direction)):
                for address in pod.addresses:
                    isolated.setdefault(word(address), []).append(f"{address} : jump {name_of_chain(named, pod)}")
                chains.append(chain(cluster, pod, direction, policies))
        local = "daddr" if own == "saddr" else "saddr"
        jumps += [f"  {family} {local} vmap {collection(found)}\n" for family, found in sorted(isolated.items())]
    forward = "".join([f"  ct state established,related accept\n  {WAITED} accept\n", *jumps])
    return (
        f"{TABLE}\ndelete {TABLE}\n{TABLE} {{\n{''.join(chains)} chain forward {{\n"
        f"  type filter hook forward priority filter; policy accept;\n{forward} }}\n}}\n"
    )


def name_of_chain(named: str, pod: Pod) -> str:
    return f"{named}-{pod.addresses[0].replace(':', '_')}"


def chain(cluster: Cluster, pod: Pod, direction: str, policies: Iterable[Policy]) -> str:
    """A pod reaches itself, whatever its policies say; what goes out has yet to come in elsewhere."""
    named, _, field = DIRECTIONS[direction]
    lines = [f"{word(address)} {field} {address} accept" for address in pod.addresses]
    for policy in policies:
        for rule in policy.rules(direction):
            lines += [f"{match}return" for match in cluster.matches(rule, direction, policy.namespace, pod)]
    lines.append(f'counter drop comment "{named} of {pod.namespace}/{pod.name[:50]}"')
    return f" chain {name_of_chain(named, pod)} {{\n" + "".join(f"  {line}\n" for line in lines) + " }\n"
