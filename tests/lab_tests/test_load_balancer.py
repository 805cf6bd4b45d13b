"""The four states of the load balancer, switched on a running lab."""

from __future__ import annotations

import json

import pytest

from tests.lab import Lab
from tests.lab.layout import AGNHOST_IMAGE, LOAD_BALANCER_CLASS, POOL

pytestmark = pytest.mark.lab


def service(name: str, load_balancer_class: str | None = None) -> str:
    spec = {"type": "LoadBalancer", "selector": {"run": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}
    if load_balancer_class:
        spec["loadBalancerClass"] = load_balancer_class
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec})


def await_address(lab: Lab, name: str) -> str:
    lab.kubectl("wait", "--for=jsonpath={.status.loadBalancer.ingress}", f"service/{name}", "--timeout=20s")
    return lab.kubectl("get", "service", name, "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")


def pending(lab: Lab, name: str) -> bool:
    return not lab.kubectl("get", "service", name, "-o", "jsonpath={.status.loadBalancer.ingress}")


def test_off_on_class_and_full(lab: Lab) -> None:
    lab.kubectl("run", "web", f"--image={AGNHOST_IMAGE}", "--restart=Never", "--", "netexec", "--http-port=8080")
    lab.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")

    lab.apply(service("plain"))
    address = await_address(lab, "plain")
    assert address in POOL
    lab.kubectl(
        "wait", "--for=jsonpath={.reason}=nodeAssigned", "events", "--timeout=20s",
        "--field-selector=reason=nodeAssigned,involvedObject.name=plain",
    )  # fmt: skip
    assert lab.run(["curl", "-s", "--max-time", "10", f"http://{address}/hostname"]).stdout == "web"
    neighbours = lab.run(["ip", "neigh", "show", address]).stdout
    assert "lladdr" in neighbours, "reached by ARP, as a machine of its own would be"

    lab.load_balancer("full")
    lab.apply(service("late"))
    lab.kubectl(
        "wait", "--for=jsonpath={.reason}=AllocationFailed", "events", "--timeout=20s",
        "--field-selector=reason=AllocationFailed,involvedObject.name=late",
    )  # fmt: skip
    assert pending(lab, "late")
    assert lab.status()["load_balancer"] == "full"

    lab.load_balancer("on")
    assert await_address(lab, "late") in POOL

    lab.load_balancer("class")
    lab.apply(service("classed", LOAD_BALANCER_CLASS))
    lab.apply(service("unclassed"))
    assert await_address(lab, "classed") in POOL
    assert pending(lab, "unclassed")

    lab.load_balancer("off")
    lab.apply(service("nobody"))
    assert not lab.kubectl("-n", "metallb-system", "get", "pods", "-o", "name")
    assert pending(lab, "nobody")

    lab.load_balancer("on")
    assert await_address(lab, "nobody") in POOL
    services = [f"service/{name}" for name in ("plain", "late", "classed", "unclassed", "nobody")]
    lab.kubectl("delete", "pod/web", *services, "--now")
