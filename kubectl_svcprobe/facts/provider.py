"""What kind of cluster this is, as its nodes give away. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_svcprobe.facts.node import Node

#: Prefixes of `spec.providerID`, as the clouds' controllers write them.
CLOUDS = {
    "aws": "AWS",
    "azure": "Azure",
    "gce": "Google Cloud",
    "digitalocean": "DigitalOcean",
    "hcloud": "Hetzner Cloud",
    "ibm": "IBM Cloud",
    "linode": "Linode",
    "oci": "Oracle Cloud",
    "openstack": "OpenStack",
    "ovhcloud": "OVHcloud",
    "scaleway": "Scaleway",
    "vultr": "Vultr",
}


def cloud_of(nodes: Iterable[Node]) -> str:
    """The cloud that the nodes run in; empty where none is known."""
    return next((CLOUDS[p] for n in nodes if (p := n.provider_id.partition(":")[0]) in CLOUDS), "")


def container_cluster(nodes: Iterable[Node]) -> str:
    """The program whose nodes are containers or a virtual machine of one computer: kind, k3d, minikube, Docker Desktop."""
    for node in nodes:
        if node.provider_id.startswith("kind:"):
            return "kind"
        if "minikube.k8s.io/name" in node.meta.labels:
            return "minikube"
        if node.meta.name == "docker-desktop":
            return "Docker Desktop"
        if node.meta.name.startswith("k3d-") and "+k3s" in node.kubelet_version:
            return "k3d"
    return ""


def is_k3s(nodes: Iterable[Node]) -> bool:
    """Whether k3s is what runs the nodes; it brings a load balancer controller of its own."""
    return any("+k3s" in node.kubelet_version for node in nodes)
