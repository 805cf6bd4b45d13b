"""Which mutual TLS is in force at a port, by the precedence of Istio's PeerAuthentications, and which pods are in a mesh."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubectl_svcprobe.facts.mesh import IstioPolicies, IstioPolicy, bypasses, mesh_of, proxy_of
from kubectl_svcprobe.facts.workload import Container, Pod
from tests.unit.core import build as b

POD = b.pod("web-1")


def policy(mode: str = "", namespace: str = "shop", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> IstioPolicy:
    metadata = {"name": f"{namespace}-{mode}-{created}", "namespace": namespace, "creationTimestamp": created}
    return IstioPolicy.from_json({"metadata": metadata, "spec": {**({"mtls": {"mode": mode}} if mode else {}), **spec}})


OF_PODS: dict[str, Any] = {"selector": {"matchLabels": {"app": "web"}}}
OF_OTHERS: dict[str, Any] = {"selector": {"matchLabels": {"app": "db"}}}
EVERYWHERE = policy("STRICT", "istio-system")


@pytest.mark.parametrize(
    ("policies", "mode"),
    [
        ([], "PERMISSIVE"),
        ([EVERYWHERE], "STRICT"),
        ([EVERYWHERE, policy("PERMISSIVE")], "PERMISSIVE"),
        ([EVERYWHERE, policy("UNSET")], "STRICT"),
        ([EVERYWHERE, policy("")], "STRICT"),
        ([policy("PERMISSIVE"), policy("STRICT", **OF_PODS)], "STRICT"),
        ([policy("PERMISSIVE"), policy("STRICT", **OF_OTHERS)], "PERMISSIVE"),
        ([policy("STRICT", portLevelMtls={"8080": {"mode": "DISABLE"}}, **OF_PODS)], "DISABLE"),
        ([policy("STRICT", portLevelMtls={"9090": {"mode": "DISABLE"}}, **OF_PODS)], "STRICT"),
        ([policy("STRICT", portLevelMtls={"8080": {"mode": "UNSET"}}, **OF_PODS)], "STRICT"),
        ([policy("STRICT", "other")], "PERMISSIVE"),
        ([policy("STRICT", "istio-system", **OF_PODS)], "PERMISSIVE"),
        ([policy("STRICT", created="2026-01-02T00:00:00Z"), policy("PERMISSIVE")], "PERMISSIVE"),
    ],
)
def test_the_narrowest_policy_counts_and_then_the_oldest(policies: list[IstioPolicy], mode: str) -> None:
    assert IstioPolicies(tuple(policies)).mutual_tls(POD, 8080)[0] == mode


def with_container(name: str) -> Pod:
    return replace(POD, sidecars=(Container(name),))


def test_the_proxys_container_tells_the_mesh() -> None:
    assert (mesh_of(POD), proxy_of(POD)) == ("", "")
    assert (mesh_of(with_container("istio-proxy")), proxy_of(with_container("istio-proxy"))) == ("Istio", "istio-proxy")
    assert mesh_of(replace(POD, containers=(*POD.containers, Container("linkerd-proxy")))) == "Linkerd"
    ambient = replace(POD, meta=replace(POD.meta, annotations={"ambient.istio.io/redirection": "enabled"}))
    assert (mesh_of(ambient), proxy_of(ambient)) == ("Istio", "")


@pytest.mark.parametrize(
    ("value", "goes_around"),
    [
        ("", False),
        ("8080", True),
        ("25, 8080", True),
        ("8000-8100", True),
        ("8081-8100", False),
        ("8000-8079", False),
        ("*", False),
        ("-", False),
    ],
)
def test_ports_that_bypass_the_proxy(value: str, goes_around: bool) -> None:
    for key in ("traffic.sidecar.istio.io/excludeInboundPorts", "config.linkerd.io/skip-inbound-ports"):
        pod = replace(POD, meta=replace(POD.meta, annotations={key: value}))
        assert bypasses(pod, 8080) is goes_around
