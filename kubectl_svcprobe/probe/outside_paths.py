"""The ways in from outside that a load balancer is part of: its addresses, and what it asks the nodes itself."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.facts.model import LoadBalancerIngress, Service, ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.request import Request

#: Of so many addresses that a load balancer's name resolves to, each is tried.
MAX_ADDRESSES = 8

#: The path does not matter: kube-proxy answers any (pkg/proxy/healthcheck/service_health.go).
HEALTH_REQUEST = Request("http", "/healthz", why="a load balancer asks this of every node")


def load_balancer_paths(snapshot: Snapshot, service: Service, port: ServicePort) -> Iterator[ExposurePath]:
    """Every address of the load balancer; behind a name each that this machine finds, since any of them may be dead."""
    for ingress in service.load_balancer_ingress:
        if ingress.ip:
            yield ExposurePath(PathKind.LOAD_BALANCER, ingress.ip, port.port, port)
        elif ingress.hostname:
            yield from _by_name(snapshot, ingress, port)


def _by_name(snapshot: Snapshot, ingress: LoadBalancerIngress, port: ServicePort) -> Iterator[ExposurePath]:
    name = ingress.hostname
    yield ExposurePath(PathKind.LOAD_BALANCER, name, port.port, port, only_from=Vantage.POD)
    found = snapshot.lookups.get(name, ())
    if not found:
        yield ExposurePath(PathKind.LOAD_BALANCER, name, port.port, port, only_from=Vantage.HERE)
    for address in found[:MAX_ADDRESSES]:
        yield ExposurePath(
            PathKind.LOAD_BALANCER, address, port.port, port, subject=name, authority=name, only_from=Vantage.HERE
        )


def health_checks(snapshot: Snapshot, service: Service) -> Iterator[ExposurePath]:
    """Where load balancers ask each node whether it has an endpoint of its own, under `externalTrafficPolicy: Local`."""
    number = service.health_check_node_port
    if not number or service.external_traffic_policy != "Local":
        return
    for node in snapshot.known_nodes():
        for address in node.ips("InternalIP")[:1]:
            name = node.meta.name
            yield ExposurePath(PathKind.HEALTH_CHECK, address, number, subject=name, node=name, only_from=Vantage.POD)
