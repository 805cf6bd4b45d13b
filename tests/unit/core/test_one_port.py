"""A Service cut down to one port, and words that are none of its ports."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.facts.endpoint import Endpoint, EndpointPort, EndpointSlice
from kubectl_svcprobe.facts.model import Meta, Service, ServicePort
from kubectl_svcprobe.facts.one_port import with_ports
from kubectl_svcprobe.facts.route import Route
from kubectl_svcprobe.facts.snapshot import Snapshot

SERVICE = Service(
    Meta("shop", "web"),
    ports=(ServicePort(80, 8080, "http", node_port=30080), ServicePort(443, "tls", "https", index=1)),
)
SNAPSHOT = Snapshot(
    "shop", "web", "2026-01-10T12:00:00Z", service=SERVICE, routes=(Route("Ingress", Meta("shop", "edge")),)
)


def message(word: str) -> str:
    with pytest.raises(UsageError) as caught:
        with_ports(SNAPSHOT, (word,))
    return str(caught.value)


@pytest.mark.parametrize("word", ["443", "https"])
def test_a_port_by_number_or_name(word: str) -> None:
    cut = with_ports(SNAPSHOT, (word,))
    assert cut.service is not None
    assert [port.port for port in cut.service.ports] == [443]
    assert cut.routes == ()
    assert [port.port for port in cut.service.left_out] == [80]


def test_no_port_asked_for_changes_nothing() -> None:
    assert with_ports(SNAPSHOT, ()) is SNAPSHOT


def test_a_word_that_is_no_port_names_those_there_are() -> None:
    assert message("9090") == "error: service/web has no port 9090; it has http (80), https (443)"


def test_the_port_of_the_pods_and_the_node_port_are_known_as_such() -> None:
    assert message("8080").endswith("(8080 is the port of its pods, which 80 leads to)")
    assert message("tls").endswith("(tls is the port of its pods, which 443 leads to)")
    assert message("30080").endswith("(30080 is a node port, which clients of the nodes use; in the cluster it is 80)")


def test_of_a_headless_service_the_pods_own_port_is_a_port_too() -> None:
    slices = (
        EndpointSlice(Meta("shop", "web-1"), ports=(EndpointPort("http", 8080),), endpoints=(Endpoint("10.244.1.5"),)),
    )
    headless = replace(SNAPSHOT, service=replace(SERVICE, is_headless=True), slices=slices)
    cut = with_ports(headless, ("8080",))
    assert cut.service is not None
    assert [port.port for port in cut.service.ports] == [80]
    with pytest.raises(UsageError):
        with_ports(headless, ("8081",))


DNS = Snapshot(
    "shop",
    "dns",
    "2026-01-10T12:00:00Z",
    service=Service(
        Meta("shop", "dns"), ports=(ServicePort(53, 53, "udp", "UDP"), ServicePort(53, 53, "tcp", index=1))
    ),
)


@pytest.mark.parametrize(
    ("words", "scheme", "chosen"),
    [
        (("53",), "", ["udp", "tcp"]),
        (("53/udp",), "", ["udp"]),
        (("53",), "udp", ["udp"]),
        ((), "tcp", ["tcp"]),
    ],
)
def test_two_ports_of_one_number_are_told_apart(words: tuple[str, ...], scheme: str, chosen: list[str]) -> None:
    cut = with_ports(DNS, words, scheme)
    assert cut.service is not None
    assert [port.name for port in cut.service.ports] == chosen


def test_a_scheme_that_no_port_can_carry_is_refused() -> None:
    with pytest.raises(UsageError, match="--scheme udp: service/web has no UDP port"):
        with_ports(SNAPSHOT, (), "udp")
