"""What kind of cluster this is, as its nodes give away. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network

from kubectl_svcprobe.facts.model import Service
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


#: By which annotations a load balancer is asked for that only the cloud's own network reaches.
INTERNAL: Mapping[str, tuple[str, ...]] = {
    "cloud.google.com/load-balancer-type": ("internal",),
    "networking.gke.io/load-balancer-type": ("internal",),
    "service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type": ("intranet",),
    "service.beta.kubernetes.io/aws-load-balancer-internal": ("true", "0.0.0.0/0"),
    "service.beta.kubernetes.io/aws-load-balancer-scheme": ("internal",),
    "service.beta.kubernetes.io/azure-load-balancer-internal": ("true",),
    "service.beta.kubernetes.io/do-loadbalancer-network": ("internal",),
    "service.beta.kubernetes.io/oci-load-balancer-internal": ("true",),
    "service.beta.kubernetes.io/openstack-internal-load-balancer": ("true",),
    "service.beta.kubernetes.io/scw-loadbalancer-private": ("true",),
    "service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type": ("private",),
    "yandex.cloud/load-balancer-type": ("internal",),
}


PRIVATE = tuple(ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"))


def internal_scheme(service: Service) -> str:
    """The annotation that makes a load balancer an internal one, with its value; empty where none does."""
    for key, values in INTERNAL.items():
        value = service.meta.annotations.get(key, "")
        if value.lower() in values:
            return f"{key}: {value}"
    return ""


def is_private(address: str) -> bool:
    """Whether an address belongs to nobody in particular (RFC 1918, RFC 4193), so that it leads nowhere from elsewhere."""
    try:
        return any(ip_address(address) in network for network in PRIVATE)
    except ValueError:
        return False


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
