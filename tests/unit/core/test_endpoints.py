"""Which endpoints a port of a Service has, and which of them get traffic."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe.facts.endpoint import EndpointPort, EndpointSlice
from kubectl_svcprobe.facts.model import Meta, ServicePort
from kubectl_svcprobe.facts.node import NodeAddress
from kubectl_svcprobe.facts.policy import LabelSelector, NetworkPolicy
from kubectl_svcprobe.facts.snapshot import Unread, matching
from tests.unit.core.build import PORT, endpoint, node, piece, pod, service, snapshot

HTTP = ServicePort(80, "http", "http")


def test_slices_join_a_port_by_its_name_and_protocol() -> None:
    slices = EndpointSlice(
        Meta("shop", "web-a"),
        ports=(EndpointPort("http", 8080), EndpointPort("http", 8053, "UDP"), EndpointPort("metrics", 9090)),
        endpoints=(endpoint("10.0.0.1"),),
    )
    of = snapshot(service(HTTP), slices)
    assert [e.port for e in of.endpoints_of(HTTP)] == [8080]
    assert [e.port for e in of.endpoints_of(ServicePort(53, 8053, "http", "UDP"))] == [8053]
    assert [e.port for e in of.endpoints_of(ServicePort(9, 9090, "metrics"))] == [9090]
    assert [e.port for e in of.endpoints_of(ServicePort(7, 7, "other"))] == [0]


def test_slices_of_one_service_may_give_a_port_different_numbers() -> None:
    of = snapshot(
        service(HTTP),
        piece(endpoint("10.0.0.2"), port=8081, name="http", called="web-b"),
        piece(endpoint("10.0.0.1"), port=8080, name="http", called="web-a"),
    )
    found = of.endpoints_of(HTTP)
    assert [(e.endpoint.address, e.port, e.slice_name) for e in found] == [
        ("10.0.0.1", 8080, "web-a"),
        ("10.0.0.2", 8081, "web-b"),
    ]


def test_an_address_in_two_slices_counts_once_and_the_one_with_a_number_wins() -> None:
    without = piece(endpoint("10.0.0.1"), endpoint("10.0.0.1"), port=0, name="http", called="web-a")
    with_number = piece(endpoint("10.0.0.1"), port=8080, name="http", called="web-b")
    later = piece(endpoint("10.0.0.1"), port=8081, name="http", called="web-c")
    of = snapshot(service(HTTP), later, with_number, without)
    assert [(e.port, e.slice_name) for e in of.endpoints_of(HTTP)] == [(8080, "web-b")]
    assert [e.address for e in of.all_endpoints()] == ["10.0.0.1"]


def test_an_endpoint_knows_its_pod_if_the_pod_was_read() -> None:
    of = snapshot(
        None,
        piece(endpoint("10.0.0.1", "web-1"), endpoint("10.0.0.2", "web-9"), endpoint("10.0.0.3")),
        pods=(pod("web-1"),),
    )
    first, second, third = of.endpoints_of(PORT)
    assert (first.pod, first.name) == (pod("web-1"), "web-1")
    assert (second.pod, second.name) == (None, "web-9")
    assert (third.pod, third.name) == (None, "10.0.0.3")


READY = {"ready": True, "serving": True}
NOT_READY = {"ready": False, "serving": False}
LEAVING = {"ready": False, "serving": True, "terminating": True}
GONE = {"ready": False, "serving": False, "terminating": True}
SERVING_ONLY = {"ready": False, "serving": True, "terminating": False}

USABLE = [
    ("the ready ones", [READY, NOT_READY, READY], [0, 2]),
    ("ready ones first, whoever else still serves", [LEAVING, READY], [1]),
    ("without a ready one, those that serve while they end", [NOT_READY, LEAVING, GONE], [1]),
    ("serving alone is not enough", [SERVING_ONLY], []),
    ("none", [NOT_READY, GONE], []),
]


@pytest.mark.parametrize(("conditions", "expected"), [c[1:] for c in USABLE], ids=[c[0] for c in USABLE])
def test_traffic_goes_to(conditions: list[dict[str, Any]], expected: list[int]) -> None:
    endpoints = [endpoint(f"10.0.0.{n}", **fields) for n, fields in enumerate(conditions)]
    of = snapshot(None, piece(*endpoints))
    assert [e.endpoint.address for e in of.usable(PORT)] == [f"10.0.0.{n}" for n in expected]


def test_an_endpoint_without_a_number_gets_no_traffic() -> None:
    assert snapshot(None, piece(endpoint("10.0.0.1"), port=0)).usable(PORT) == ()


def test_what_was_refused_is_not_read() -> None:
    of = snapshot(unread=(Unread("Pod", "pods in shop", "forbidden", "no"),))
    assert not of.could_read("Pod")
    assert not of.could_read("Node", "Pod")
    assert of.could_read("Node")


def test_a_node_is_found_by_its_name() -> None:
    of = snapshot(nodes=(node("node-1"), node("node-2")))
    assert of.node("node-2") == node("node-2")
    assert of.node("node-3") is None


def test_unread_nodes_are_known_from_the_pods_that_are_on_them() -> None:
    pods = (
        pod("web-1", node="node-2", host_ips=("192.168.7.12", "fd00::12")),
        pod("web-2", node="node-1", host_ips=("192.168.7.11",)),
        pod("web-3", node="", host_ips=("192.168.7.13",)),
        pod("web-4", node="node-4"),
    )
    refused = (Unread("Node", "nodes", "forbidden", "no"),)
    found = snapshot(pods=pods, unread=refused).known_nodes()
    assert [(n.meta.name, n.addresses) for n in found] == [
        ("node-1", (NodeAddress("InternalIP", "192.168.7.11"),)),
        ("node-2", (NodeAddress("InternalIP", "192.168.7.12"), NodeAddress("InternalIP", "fd00::12"))),
    ]
    assert snapshot(pods=pods).known_nodes() == ()
    assert snapshot(pods=pods, nodes=(node("node-7"),), unread=refused).known_nodes() == (node("node-7"),)


def test_a_selector_matches_pods_that_carry_all_of_it() -> None:
    pods = (pod("a", labels={"app": "web", "tier": "x"}), pod("b", labels={"app": "web"}), pod("c", labels={}))
    assert [p.meta.name for p in matching({"app": "web"}, pods)] == ["a", "b"]
    assert [p.meta.name for p in matching({"app": "web", "tier": "x"}, pods)] == ["a"]


def test_policies_are_those_that_isolate_in_the_direction_asked_for() -> None:
    everything = NetworkPolicy(Meta("shop", "all"), LabelSelector(), frozenset({"Ingress", "Egress"}))
    other = NetworkPolicy(Meta("shop", "db"), LabelSelector({"app": "db"}))
    of = snapshot(policies=(everything, other))
    assert of.policies_on({"app": "web"}, "Ingress") == (everything,)
    assert of.policies_on({"app": "db"}, "Ingress") == (everything, other)
    assert of.policies_on({"app": "db"}, "Egress") == (everything,)
