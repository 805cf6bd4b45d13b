"""What carries packets, as far as the cluster's objects tell, and what its refusals and silence mean."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.facts.dataplane import (
    MEANING,
    Answer,
    Dataplane,
    Proxy,
    Situation,
    recognize,
    situations,
    tunnel,
)
from kubectl_svcprobe.facts.model import Condition, Meta
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.provider import cloud_of, container_cluster, is_k3s

KUBEADM = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
conntrack:
  mode: none
kind: KubeProxyConfiguration
mode: {}
nodePortAddresses: null
"""


def node(name: str = "node-1", version: str = "v1.35.0", **annotations: str) -> Node:
    found = {key.replace("__", "/").replace("_", "."): value for key, value in annotations.items()}
    return Node(Meta("", name, annotations=found), kubelet_version=version)


@pytest.mark.parametrize(
    ("mode", "proxy"),
    [
        ('""', Proxy.IPTABLES),
        ("iptables", Proxy.IPTABLES),
        ('"nftables"', Proxy.NFTABLES),
        ("ipvs", Proxy.IPVS),
        ("userspace", Proxy.KUBE_PROXY),
    ],
)
def test_the_mode_stands_in_the_config_map_that_kubeadm_writes(mode: str, proxy: Proxy) -> None:
    found = recognize([node()], ["kube-proxy"], {"kube-proxy": {"config.conf": KUBEADM.format(mode)}})
    assert (found.proxy, found.name) == (proxy, "kube-proxy")


def test_without_the_config_map_it_is_kube_proxy_in_some_mode() -> None:
    assert recognize([node()], ["kube-proxy", "coredns"], {}).proxy is Proxy.KUBE_PROXY


@pytest.mark.parametrize(
    ("value", "proxy"), [("true", Proxy.CILIUM), ("strict", Proxy.CILIUM), ("false", Proxy.UNKNOWN)]
)
def test_cilium_counts_where_it_replaces_kube_proxy(value: str, proxy: Proxy) -> None:
    assert recognize([node()], ["cilium"], {"cilium-config": {"kube-proxy-replacement": value}}).proxy is proxy


def test_others_are_known_by_what_the_nodes_carry() -> None:
    assert recognize([node(k8s_ovn_org__node_subnets="{}")], [], {}).proxy is Proxy.OVN
    assert recognize([node(version="v1.33.1+k3s1")], [], {}).proxy is Proxy.KUBE_PROXY
    assert recognize([node()], ["kube-router"], {}).proxy is Proxy.KUBE_ROUTER
    assert recognize([node()], [], {}) == Dataplane()
    assert Dataplane().name == "the Service proxy"


def test_what_an_answer_means_is_in_the_table_or_not_said() -> None:
    everything = list(Situation)
    assert situations(Proxy.IPTABLES, Answer.REFUSED, everything) == (Situation.NO_ENDPOINT,)
    assert situations(Proxy.NFTABLES, Answer.REFUSED, everything) == (Situation.NO_ENDPOINT, Situation.UNKNOWN_PORT)
    assert Situation.NO_LOCAL_ENDPOINT in situations(Proxy.IPVS, Answer.SILENT, everything)
    assert situations(Proxy.UNKNOWN, Answer.REFUSED, everything) == ()
    assert set(MEANING) == set(Situation)
    assert not any(Proxy.UNKNOWN in by_proxy for by_proxy in MEANING.values())


def test_what_firewalls_have_to_let_through_is_told_by_annotations() -> None:
    assert "8472" in tunnel([node(flannel_alpha_coreos_com__backend_type="x"), _flannel("vxlan")])
    assert "51820" in tunnel([_flannel("wireguard")])
    assert tunnel([_flannel("host-gw")]) == ""
    up = Node(Meta("", "n"), conditions={"NetworkUnavailable": Condition("NetworkUnavailable", "False", "CiliumIsUp")})
    assert "Cilium" in tunnel([up])
    assert tunnel([node()]) == ""


def _flannel(backend: str) -> Node:
    return Node(Meta("", "n", annotations={"flannel.alpha.coreos.com/backend-type": backend}))


@pytest.mark.parametrize(
    ("provider_id", "cloud", "program"),
    [
        ("aws:///eu-central-1a/i-0abc", "AWS", ""),
        ("gce://project/zone/name", "Google Cloud", ""),
        ("kind://docker/kind/kind-control-plane", "", "kind"),
        ("", "", ""),
    ],
)
def test_a_cluster_is_known_by_its_nodes(provider_id: str, cloud: str, program: str) -> None:
    found = [Node(Meta("", "n"), provider_id=provider_id)]
    assert (cloud_of(found), container_cluster(found), is_k3s(found)) == (cloud, program, False)


def test_nodes_of_one_computer() -> None:
    assert container_cluster([Node(Meta("", "docker-desktop"))]) == "Docker Desktop"
    assert container_cluster([Node(Meta("", "minikube", labels={"minikube.k8s.io/name": "minikube"}))]) == "minikube"
    assert container_cluster([Node(Meta("", "k3d-a-server-0"), kubelet_version="v1.33.1+k3s1")]) == "k3d"
    assert is_k3s([Node(Meta("", "a"), kubelet_version="v1.33.1+k3s1")])
