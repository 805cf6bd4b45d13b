"""What carries packets from a client to a Service: the nodes' Service proxy, and what its refusals and silence mean. Pure.

One table, `MEANING`, says what a client meets in a given situation, by dataplane; whoever concludes something from a
refusal looks there. What is not in it is not known, and nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from kubectl_svcprobe.facts.node import Node


class Proxy(str, Enum):
    """What resolves a Service's address on a node."""

    IPTABLES = "kube-proxy in iptables mode"
    NFTABLES = "kube-proxy in nftables mode"
    IPVS = "kube-proxy in ipvs mode"
    KUBE_PROXY = "kube-proxy"
    CILIUM = "Cilium"
    OVN = "OVN-Kubernetes"
    KUBE_ROUTER = "kube-router"
    UNKNOWN = "the Service proxy"

    @property
    def is_kube_proxy(self) -> bool:
        """Whether it is kube-proxy in any mode."""
        return self in (Proxy.IPTABLES, Proxy.NFTABLES, Proxy.IPVS, Proxy.KUBE_PROXY)

    @property
    def of_a_node(self) -> str:
        """As the owner of a node's rules in a sentence: `kube-proxy`, `Cilium`, `the Service proxy`."""
        return Proxy.KUBE_PROXY.value if self.is_kube_proxy else self.value


class Situation(str, Enum):
    """What a client may meet at a ClusterIP, node port or load balancer's address."""

    NO_ENDPOINT = "the node knows the Service, and no endpoint of it"
    NO_LOCAL_ENDPOINT = "a traffic policy is Local, and the node has no endpoint"
    UNKNOWN_PORT = "it knows the address, and not this port of it"
    UNKNOWN_SERVICE = "it does not know the Service"
    NOT_IN_SOURCE_RANGES = "the client is not within loadBalancerSourceRanges"


class Answer(str, Enum):
    """What comes back: a refusal at once, or nothing in time."""

    REFUSED = "refused"
    SILENT = "silent"


R, S = Answer.REFUSED, Answer.SILENT

#: Situation → dataplane → what a client meets. An entry that is missing is not known, or differs by version.
#: iptables: pkg/proxy/iptables/proxier.go (REJECT where a Service has no endpoint, DROP under Local and outside of source
#: ranges); a port or Service without a rule is routed on, which ends in silence or, by the cluster's routes, a refusal.
#: nftables: pkg/proxy/nftables/README.md (`cluster-ips` rejects unknown ports and drops unknown addresses of a ServiceCIDR).
#: ipvs: kubernetes issue 75262 (Local without endpoint), kube-ipvs0 (unknown port of a known address).
#: Cilium: cilium issue 45184 (its socket load balancing fails the connect at once).
MEANING: Mapping[Situation, Mapping[Proxy, Answer]] = {
    Situation.NO_ENDPOINT: {Proxy.IPTABLES: R, Proxy.NFTABLES: R, Proxy.KUBE_PROXY: R, Proxy.CILIUM: R},
    Situation.NO_LOCAL_ENDPOINT: {Proxy.IPTABLES: S, Proxy.NFTABLES: S, Proxy.IPVS: S, Proxy.KUBE_PROXY: S},
    Situation.UNKNOWN_PORT: {Proxy.NFTABLES: R, Proxy.IPVS: R},
    Situation.UNKNOWN_SERVICE: {Proxy.IPTABLES: S, Proxy.NFTABLES: S, Proxy.IPVS: S, Proxy.KUBE_PROXY: S},
    Situation.NOT_IN_SOURCE_RANGES: {Proxy.IPTABLES: S, Proxy.NFTABLES: S, Proxy.KUBE_PROXY: S},
}


def situations(proxy: Proxy, answer: Answer, among: Iterable[Situation]) -> tuple[Situation, ...]:
    """Those of the situations in which this dataplane answers like that."""
    return tuple(s for s in among if MEANING[s].get(proxy) is answer)


@dataclass(frozen=True)
class Dataplane:
    """The dataplane, and by what it was recognized."""

    proxy: Proxy = Proxy.UNKNOWN
    why: str = ""
    node_port_addresses: str = ""

    @property
    def name(self) -> str:
        """As the owner of a node's rules: `kube-proxy`, `Cilium`, `the Service proxy`."""
        return self.proxy.of_a_node


#: `mode` of a KubeProxyConfiguration; empty means iptables on Linux.
MODES = {"": Proxy.IPTABLES, "iptables": Proxy.IPTABLES, "nftables": Proxy.NFTABLES, "ipvs": Proxy.IPVS}


def recognize(nodes: Iterable[Node], daemons: Iterable[str], config_maps: Mapping[str, Mapping[str, str]]) -> Dataplane:
    """The dataplane, from the names of kube-system's DaemonSets, its ConfigMaps, and what the nodes carry."""
    names, known = set(daemons), tuple(nodes)
    cilium = config_maps.get("cilium-config", {})
    if cilium.get("kube-proxy-replacement") in ("true", "strict"):
        return Dataplane(Proxy.CILIUM, "ConfigMap kube-system/cilium-config: kube-proxy-replacement")
    if any(key.startswith("k8s.ovn.org/") for node in known for key in node.meta.annotations):
        return Dataplane(Proxy.OVN, "the nodes' annotations k8s.ovn.org/…")
    if "kube-proxy" in config_maps:
        return _of_kube_proxy(config_maps["kube-proxy"])
    if "kube-proxy" in names:
        return Dataplane(Proxy.KUBE_PROXY, "DaemonSet kube-system/kube-proxy")
    if "kube-router" in names and not any("+k3s" in n.kubelet_version for n in known):
        return Dataplane(Proxy.KUBE_ROUTER, "DaemonSet kube-system/kube-router")
    if any("+k3s" in n.kubelet_version for n in known):
        return Dataplane(Proxy.KUBE_PROXY, "k3s runs it in its own process")
    return Dataplane()


def _of_kube_proxy(data: Mapping[str, str]) -> Dataplane:
    """From the ConfigMap that kubeadm writes: a KubeProxyConfiguration, as YAML, of which two fields are wanted."""
    fields = dict(_top_level(data.get("config.conf", "")))
    mode = MODES.get(fields.get("mode", ""), Proxy.KUBE_PROXY)
    return Dataplane(mode, "ConfigMap kube-system/kube-proxy", fields.get("nodePortAddresses", ""))


def _top_level(text: str) -> Iterable[tuple[str, str]]:
    """The scalar fields at the top of a YAML mapping, as kubeadm writes them; what is nested is passed over."""
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key and not key[0].isspace() and not key.startswith("#"):
            yield key.strip(), value.partition(" #")[0].strip().strip("\"'")


#: What a network plug-in wraps pods' packets into between nodes: found by node annotation, told as the port to open.
TUNNELS = (
    ("flannel.alpha.coreos.com/backend-type", "vxlan", "UDP 8472 (Flannel's VXLAN)"),
    ("flannel.alpha.coreos.com/backend-type", "wireguard", "UDP 51820 (Flannel's WireGuard)"),
    ("projectcalico.org/IPv4VXLANTunnelAddr", "", "UDP 4789 (Calico's VXLAN)"),
    ("projectcalico.org/IPv4IPIPTunnelAddr", "", "IP protocol 4 (Calico's IP-in-IP)"),
    ("k8s.ovn.org/node-subnets", "", "UDP 6081 (OVN-Kubernetes' Geneve)"),
)


def tunnel(nodes: Iterable[Node]) -> str:
    """What firewalls have to let through between nodes; empty where the nodes do not tell."""
    for node in nodes:
        for key, value, port in TUNNELS:
            if key in node.meta.annotations and node.meta.annotations[key].startswith(value):
                return port
        network = node.conditions.get("NetworkUnavailable")
        if network and network.reason == "CiliumIsUp":
            return "UDP 8472 (Cilium's VXLAN, where it tunnels)"
    return ""
