"""Facts and observations in a few words, for tests that say only what matters to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubectl_svcprobe.facts.endpoint import Endpoint, EndpointPort, EndpointSlice
from kubectl_svcprobe.facts.model import Condition, LoadBalancerIngress, Meta, ObjectRef, Service, ServicePort
from kubectl_svcprobe.facts.node import Node, NodeAddress
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import Container, ContainerPort, HttpGet, Pod
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.request import Request
from kubectl_svcprobe.probe.results import PathResult, join

TAKEN = "2026-01-10T12:00:00Z"
HTTP = Request("http", why="a test")
PORT = ServicePort(80, 8080)


def service(*ports: ServicePort, **fields: Any) -> Service:
    labels = fields.pop("labels", {})
    return Service(
        Meta("shop", "web", labels=labels),
        ports=ports or (PORT,),
        **{"selector": {"app": "web"}, "cluster_ips": ("10.96.0.7",), **fields},
    )


def balancer(*addresses: str, **fields: Any) -> Service:
    ingress = tuple(LoadBalancerIngress(ip=address) for address in addresses)
    return service(ServicePort(80, 8080, node_port=30080), type="LoadBalancer", load_balancer_ingress=ingress, **fields)


def endpoint(address: str, pod: str = "", **fields: Any) -> Endpoint:
    return Endpoint(address, target=ObjectRef("Pod", "shop", pod) if pod else None, **fields)


def piece(
    *endpoints: Endpoint, port: int = 8080, name: str = "", protocol: str = "TCP", called: str = "web-a"
) -> EndpointSlice:
    return EndpointSlice(Meta("shop", called), "IPv4", (EndpointPort(name, port, protocol),), endpoints)


def ready(status: str = "True") -> dict[str, Condition]:
    return {"Ready": Condition("Ready", status)}


def node(name: str, address: str = "", zone: str = "", is_ready: bool = True, external: str = "") -> Node:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    addresses = [NodeAddress("InternalIP", address or f"192.168.7.{sum(map(ord, name)) % 250}")]
    if external:
        addresses.append(NodeAddress("ExternalIP", external))
    return Node(Meta("", name, labels=labels), tuple(addresses), ready("True" if is_ready else "Unknown"))


def pod(name: str = "web-1", *probes: HttpGet, ports: Sequence[ContainerPort] = (), **fields: Any) -> Pod:
    labels = fields.pop("labels", {"app": "web"})
    container = Container("web", ports=tuple(ports), http_probes=probes, has_readiness_probe=bool(probes))
    return Pod(
        fields.pop("meta", Meta("shop", name, labels=labels)),
        **{"phase": "Running", "node": "node-1", "containers": (container,), "conditions": ready(), **fields},
    )


def snapshot(of: Service | None = None, *slices: EndpointSlice, **fields: Any) -> Snapshot:
    return Snapshot("shop", "web", TAKEN, service=of or service(), slices=slices, **fields)


def path(
    kind: PathKind = PathKind.CLUSTER_IP, host: str = "10.96.0.7", port: int = 80, of: ServicePort = PORT, **fields: Any
) -> ExposurePath:
    return ExposurePath(kind, host, port, of, **fields)


def probe(
    number: int = 0,
    to: ExposurePath | None = None,
    vantage: Vantage = Vantage.POD,
    request: Request = HTTP,
    attempts: int = 1,
) -> Probe:
    return Probe(number, to or path(), vantage, request, attempts)


def seen(number: int, *outcomes: Outcome, retry: bool = False, status: int = 0, **fields: Any) -> list[Observation]:
    """One observation for each outcome, of the probe with this number."""
    return [
        Observation(number, attempt, outcome, http_status=status, is_retry=retry, **fields)
        for attempt, outcome in enumerate(outcomes)
    ]


def result(of: Probe, *outcomes: Outcome, **fields: Any) -> PathResult:
    return join([of], seen(of.id, *outcomes, **fields))[0]
