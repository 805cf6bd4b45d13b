"""MetalLB, and the four states a cluster's load balancer can be in.

off    none is installed: a Service of that type stays pending
on     addresses from the pool, announced to the workstation by ARP
full   as on, but other Services hold every address of the pool
class  only Services of one loadBalancerClass are served
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .addons import MANIFESTS, Kubectl, await_running
from .api import Api, Object, condition
from .families import Family
from .layout import LOAD_BALANCER_CLASS, LabError

NAMESPACE = "metallb-system"
FILLERS = "lab-pool"  # the namespace of the Services that hold the addresses
CONFIGURED = {"ipaddresspools.metallb.io", "l2advertisements.metallb.io"}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def addresses(services: list[Object]) -> set[str]:
    """All that have been given out."""
    balancers = (service.get("status", {}).get("loadBalancer", {}) for service in services)
    return {ingress["ip"] for balancer in balancers for ingress in balancer.get("ingress", []) if "ip" in ingress}


def filler(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"filler-{number}", "namespace": FILLERS},
        "spec": {
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": False,
            "ipFamilyPolicy": "PreferDualStack",
            "ports": [{"port": 80}],
        },
    }


class LoadBalancer:
    def __init__(self, kubectl: Kubectl, api: Api, definitions: Path, families: Sequence[Family]) -> None:
        self.kubectl, self.api, self.definitions = kubectl, api, definitions
        self.pools = [family.pool for family in families]
        self.mode = "off"

    def switch(self, mode: str) -> None:
        """Returns when the new state is in force."""
        if mode != "full":
            self.empty_pool()
        if mode == "off":
            self.remove()
        elif mode == "class":
            self.install(LOAD_BALANCER_CLASS)
        else:
            self.install("")
        if mode == "full":
            self.fill_pool()
        self.mode = mode

    def install(self, served: str) -> None:
        manifest = (MANIFESTS / "metallb.yaml").read_text().replace("LOAD_BALANCER_CLASS", served)
        self.kubectl("apply", "-f", str(self.definitions), "-f", "-", stdin=manifest)
        self.api.until(
            DEFINITIONS,
            lambda found: {item["metadata"]["name"] for item in found if condition(item, "Established")} >= CONFIGURED,
            "MetalLB's resource definitions Established",
        )
        self.kubectl("apply", "-f", "-", stdin=json.dumps(self.configuration()))
        for kind, name in (("deployments", "controller"), ("daemonsets", "speaker")):
            await_running(self.api, NAMESPACE, kind, name)

    def configuration(self) -> dict[str, Any]:
        version, metadata = "metallb.io/v1beta1", {"name": "lab", "namespace": NAMESPACE}
        pool = {"addresses": [f"{addresses[0]}-{addresses[-1]}" for addresses in self.pools]}
        kinds: dict[str, dict[str, Any]] = {"IPAddressPool": pool, "L2Advertisement": {}}
        items = [
            {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec} for kind, spec in kinds.items()
        ]
        return {"apiVersion": "v1", "kind": "List", "items": items}

    def remove(self) -> None:
        self.kubectl("delete", "--ignore-not-found", "-n", NAMESPACE, "deployment/controller", "daemonset/speaker")
        self.api.until(
            f"/api/v1/namespaces/{NAMESPACE}/pods?labelSelector=app%3Dmetallb", lambda found: not found, "MetalLB gone"
        )

    def fill_pool(self) -> None:
        if self.mode in ("off", "class"):
            raise LabError("a pool can be filled only while the load balancer serves every Service: load-balancer on")
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": FILLERS}}
        items = [namespace, *(filler(number) for number in range(len(self.pools[0])))]
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        every = {address for pool in self.pools for address in pool}
        self.api.until("/api/v1/services", lambda found: addresses(found) >= every, "every address given out")

    def empty_pool(self) -> None:
        """What the fillers hold goes to whoever waits."""
        path = f"/api/v1/namespaces/{FILLERS}/services"
        self.kubectl("delete", "namespace", FILLERS, "--ignore-not-found", "--wait=false")
        self.kubectl("delete", "services", "--all", "-n", FILLERS)
        self.api.until(path, lambda found: not found, "the pool's fillers gone")
