"""The tables that decide what is said to a port, and what every probe pod has, entry by entry."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.facts.model import Meta, ServicePort
from kubectl_svcprobe.facts.workload import Container, ContainerPort, Pod
from kubectl_svcprobe.probe.podspec import DEFAULT_IMAGE, PodOptions, manifest, settle_arguments
from kubectl_svcprobe.probe.request import choose
from tests.unit.core.build import piece, service, snapshot

WORDS = {
    "http": "http http2 web ws",
    "https": "https wss",
    "grpc": "grpc",
    "tcp": "tls tcp mongo mysql postgres postgresql redis amqp kafka",
}

WEB = {"http": "80 8000 8080", "https": "443 8443"}

SILENT = (
    "21 22 25 53 110 143 389 465 587 636 993 995 1433 1521 1883 2181 2379 3306 4222 5432 5671 5672 6379 6380 7687 8883 "
    "9042 9092 9093 9300 11211 26257 27017 27018 61616"
)


@pytest.mark.parametrize(
    ("scheme", "word"), [(scheme, word) for scheme, words in WORDS.items() for word in words.split()]
)
def test_a_port_s_name_says_how_it_is_spoken_to(scheme: str, word: str) -> None:
    port = ServicePort(8080, 8080, name=f"{word}-api")
    said = choose(snapshot(service(port), piece(name=port.name)), port)
    assert (said.scheme, said.why) == (scheme, f"the port's name {word}-api")


@pytest.mark.parametrize(("scheme", "number"), [(scheme, int(n)) for scheme, all_ in WEB.items() for n in all_.split()])
def test_a_port_that_is_the_web_s(scheme: str, number: int) -> None:
    port = ServicePort(number, number)
    said = choose(snapshot(service(port)), port)
    assert (said.scheme, said.why) == (scheme, f"port {number}")


@pytest.mark.parametrize("number", [int(number) for number in SILENT.split()])
def test_a_port_that_is_a_database_s_or_broker_s(number: int) -> None:
    port = ServicePort(80, number)
    said = choose(snapshot(service(port)), port)
    assert (said.scheme, said.why) == ("tcp", f"port {number} is a database's or broker's")


def test_what_every_probe_pod_is_and_takes() -> None:
    pod = manifest((), PodOptions("svcprobe-abcde", "shop"))
    container = pod["spec"]["containers"][0]
    quantities = {"cpu": "250m", "memory": "64Mi", "ephemeral-storage": "16Mi"}
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    assert container["image"] == DEFAULT_IMAGE == "docker.io/curlimages/curl:8.17.0"
    assert container["resources"] == {"requests": quantities, "limits": quantities}


def test_a_settled_pod_waits_at_a_closed_port_of_its_own() -> None:
    assert "http://127.0.0.1:1/" in settle_arguments()


def test_patches_as_they_are_pasted() -> None:
    kubectl = Kubectl()
    merge = kubectl.patch("shop", "service", "web", {"spec": {}})
    replace = kubectl.json_patch("shop", "service", "web", "/spec/x", 1)
    assert merge == """kubectl -n shop patch service web --type merge -p '{"spec":{}}'"""
    expected = """kubectl -n shop patch service web --type json -p '[{"op":"replace","path":"/spec/x","value":1}]'"""
    assert replace == expected


def test_a_port_is_found_by_name_and_protocol_together() -> None:
    ports = (ContainerPort(80, "http", "UDP"), ContainerPort(81, "http", "TCP"), ContainerPort(82, "metrics", "TCP"))
    pod = Pod(Meta("shop", "web-1"), containers=(Container("web", ports=ports),))
    assert pod.port_numbers("http", "TCP") == (81,)
