"""IPv4 and IPv6: what of a lab's addresses is where. Everything of the lab is numbered here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Family:
    """The addresses of one family. `link` is how those begin that the machines of the lab share, `pods` those of all pods.

    A host's number on the link, and a node's among the pods' networks, is the same text in both families.
    """

    name: str  #: as the API has it
    match: str  #: as nftables and ip have it: ip, ip6
    link: str
    link_length: int
    pods: str
    pods_of_node: str  #: of the node with that number
    services: str
    dns: str
    first_service: str  #: the API server's

    def host(self, number: int) -> str:
        """An address on the link."""
        return f"{self.link}{number}"

    @property
    def link_net(self) -> str:
        return f"{self.link.rstrip('.') + '.0' if self.match == 'ip' else self.link}/{self.link_length}"

    @property
    def api(self) -> str:
        return self.host(1)

    @property
    def outside(self) -> str:
        return self.host(50)

    @property
    def workstation(self) -> str:
        return self.host(100)

    @property
    def pool(self) -> tuple[str, ...]:
        """What LoadBalancers are given, 20 addresses."""
        if self.match == "ip":
            return tuple(self.host(number) for number in range(200, 220))
        return tuple(f"{self.link}{number:x}" for number in range(0x200, 0x200 + 20))

    def node(self, node: str) -> str:
        return self.host(10 + node_index(node))

    def pods_of(self, node: str) -> str:
        return self.pods_of_node.format(node_index(node))


def node_index(node: str) -> int:
    return int(node.removeprefix("node-"))


IPV4 = Family(
    "IPv4", "ip", "172.30.0.", 24, "10.244.0.0/16", "10.244.{}.0/24", "10.96.0.0/16", "10.96.0.10", "10.96.0.1"
)  # fmt: skip
IPV6 = Family("IPv6", "ip6", "fd30::", 64, "fd44::/48", "fd44:0:0:{}::/64", "fd96::/112", "fd96::a", "fd96::1")
#: What `up --family` may say. The link itself always has IPv4, by which the lab's own parts reach the API server.
FAMILIES = {"ipv4": (IPV4,), "dual": (IPV4, IPV6), "ipv6": (IPV6,)}
