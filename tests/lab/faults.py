"""Breaking a running lab, and mending it: each returns when the cluster itself has noticed.

Only a kube-proxy tells nobody: its rules are there a moment after it has been mended. Of a path nobody takes notice.
"""

from __future__ import annotations

from collections.abc import Callable

from . import network, slow
from .addons import Kubectl
from .api import Api, Object, condition
from .component import Component
from .layout import DELAY, LabError, Layout
from .load_balancer import LoadBalancer
from .network import Families
from .node import FILES, PROGRAMS, Node

DNS_SLICES = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices?labelSelector=kubernetes.io/service-name%3Dkube-dns"
NODES = "/api/v1/nodes"


def serving(slices: list[Object]) -> bool:
    """Whether anybody gets traffic: one that is terminating may, while it is the only one."""
    endpoints = [endpoint for found in slices for endpoint in found.get("endpoints") or []]
    return any(endpoint.get("conditions", {}).get("serving") for endpoint in endpoints)


class Faults:
    def __init__(
        self,
        nodes: dict[str, Node],
        kubectl: Kubectl,
        api: Api,
        balancer: LoadBalancer,
        layout: Layout,
        families: Families,
    ) -> None:
        self.nodes, self.kubectl, self.api, self.balancer = nodes, kubectl, api, balancer
        self.layout, self.families = layout, families
        self.present: list[str] = []
        self.slow: dict[tuple[str, str], Component] = {}

    def node(self, name: str | None) -> Node:
        if name not in self.nodes:
            raise LabError(f"the lab has no node {name!r}; it has {', '.join(self.nodes) or 'none'}")
        return self.nodes[name]

    def is_ready(self, name: str, wanted: bool) -> Callable[[list[Object]], bool]:
        return lambda found: any(
            item["metadata"]["name"] == name and condition(item, "Ready") is wanted for item in found
        )

    # --- a node

    def break_node(self, name: str | None, wait: bool = True) -> None:
        """As when its plug is pulled: link, kubelet, runtime and containers at once."""
        node = self.node(name)
        if not node.powered:
            raise LabError(f"{name} is off already")
        network.disconnect_node(node.name)
        node.power_off()
        if wait:
            self.api.until(NODES, self.is_ready(node.name, False), f"{name} not Ready")

    def mend_node(self, name: str | None) -> None:
        node = self.node(name)
        if node.powered:
            raise LabError(f"{name} is on")
        node.plug_in([*self.nodes])
        node.power_on()
        node.start_kubelet()
        node.start_kube_proxy()
        self.api.until(NODES, self.is_ready(node.name, True), f"{name} Ready")

    # --- kube-proxy

    def break_kube_proxy(self, name: str | None, flush: bool = False) -> None:
        """Its rules stay as they are, and grow old; with `flush` they go, as after a reboot without it."""
        node = self.node(name)
        node.stop_kube_proxy()
        if flush:
            node.order("run", "", [f"{PROGRAMS}/kube-proxy", f"--config={FILES}/kube-proxy.json", "--cleanup"])

    def mend_kube_proxy(self, name: str | None) -> None:
        self.node(name).start_kube_proxy()

    # --- the way between two nodes

    def ends(self, name: str | None, other: str | None) -> tuple[str, str]:
        ends = self.node(name).name, self.node(other).name
        if ends[0] == ends[1]:
            raise LabError(f"a path has two ends, and {name} is one")
        return ends

    def break_path(self, name: str | None, other: str | None) -> None:
        """Their pods lose each other, the nodes do not: the cluster notices nothing."""
        here, there = self.ends(name, other)
        network.cut_path(here, there, self.families)
        network.cut_path(there, here, self.families)

    def mend_path(self, name: str | None, other: str | None) -> None:
        here, there = self.ends(name, other)
        network.mend_path(here, there)
        network.mend_path(there, here)

    def break_slow(self, name: str | None, other: str | None, delay: int) -> None:
        """What either sends to the other, pods and nodes alike, takes `delay` ms longer."""
        here, there = self.ends(name, other)
        for node, far in ((here, there), (there, here)):
            self.slow[node, far] = slow.begin(node, far, delay, self.families, self.layout)

    def mend_slow(self, name: str | None, other: str | None) -> None:
        here, there = self.ends(name, other)
        for ends in ((here, there), (there, here)):
            if waiting := self.slow.pop(ends, None):
                slow.end(*ends, waiting, self.families)

    # --- CoreDNS

    def break_coredns(self) -> None:
        self.kubectl("-n", "kube-system", "scale", "deployment/coredns", "--replicas=0")
        self.api.until(DNS_SLICES, lambda found: not serving(found), "CoreDNS gone")

    def mend_coredns(self) -> None:
        self.kubectl("-n", "kube-system", "scale", "deployment/coredns", "--replicas=1")
        self.api.until(DNS_SLICES, serving, "CoreDNS serving")

    # --- orders

    def break_(
        self,
        what: str,
        node: str | None = None,
        other: str | None = None,
        flush: bool = False,
        wait: bool = True,
        delay: int = DELAY,
    ) -> None:
        """It counts as broken from the first step on, so that it can be mended if a later one fails."""
        fault = self.fault(what, node, other)
        if fault in self.present:
            raise LabError(f"{fault} is broken already")
        self.present.append(fault)
        if what == "node":
            self.break_node(node, wait)
        elif what == "kube-proxy":
            self.break_kube_proxy(node, flush)
        elif what == "path":
            self.break_path(node, other)
        elif what == "slow":
            self.break_slow(node, other, delay)
        elif what == "coredns":
            self.break_coredns()
        else:
            self.balancer.switch("full")

    def fault(self, what: str, node: str | None, other: str | None) -> str:
        if what in ("path", "slow"):
            return " ".join([what, *sorted(self.ends(node, other))])
        if what in ("node", "kube-proxy") and not other:
            return f"{what} {self.node(node).name}"
        if what not in ("coredns", "pool") or node:
            raise LabError(f"{' '.join(filter(None, (what, node, other)))} is nothing that can be broken")
        return what

    def mend(self, what: str, node: str | None = None, other: str | None = None) -> None:
        fault = self.fault(what, node, other)
        if fault not in self.present:
            raise LabError(f"{fault} is not broken")
        if what == "node":
            self.mend_node(node)
        elif what == "kube-proxy":
            self.mend_kube_proxy(node)
        elif what == "path":
            self.mend_path(node, other)
        elif what == "slow":
            self.mend_slow(node, other)
        elif what == "coredns":
            self.mend_coredns()
        else:
            self.balancer.switch("on")
        self.present.remove(fault)
