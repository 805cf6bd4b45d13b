"""What traffic policies mean for each node, as the report states it: what is to be expected there, beside what was seen. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_svcprobe.facts.locality import local, near, zone_of
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.snapshot import JoinedEndpoint, Snapshot
from kubectl_svcprobe.probe.expect import BEYOND_REACH, why_expected
from kubectl_svcprobe.probe.expectation import Expectation, Expected, at_cluster_ip, at_node_port
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import NodeExpectation

HERE, THERE, ELSEWHERE = "this machine", "pod there", "pod elsewhere"

#: Of so many nodes the report tells one by one.
MAX_TOLD = 64


def expectations(snapshot: Snapshot, results: Sequence[PathResult]) -> tuple[NodeExpectation, ...]:
    """Node by node for each port, where a policy is Local or traffic is kept near; nothing for any other Service."""
    service = snapshot.service
    if service is None or service.is_headless or not snapshot.could_read("EndpointSlice"):
        return ()
    ports = [port for port in service.ports if port.protocol == "TCP" and snapshot.usable(port)]
    return tuple(row for port in ports for row in _of_port(snapshot, service, port, results))


def _of_port(
    snapshot: Snapshot, service: Service, port: ServicePort, results: Sequence[PathResult]
) -> Iterator[NodeExpectation]:
    nodes = [node for node in snapshot.known_nodes() if node.is_ready and node.is_linux][:MAX_TOLD]
    mine = [r for r in results if r.probe.path.service_port == port and r.outcome is not Outcome.NOT_RUN]
    if service.cluster_ips and service.internal_traffic_policy == "Local":
        yield from _internal(snapshot, service, port, nodes, mine)
    elif service.cluster_ips and service.traffic_distribution:
        yield from _distribution(snapshot, service, port, nodes, mine)
    if port.node_port and service.external_traffic_policy == "Local":
        for node in nodes:
            yield from _external(
                snapshot, port, node, [r for r in mine if r.probe.path.kind is PathKind.NODE_PORT], results
            )


def _internal(
    snapshot: Snapshot, service: Service, port: ServicePort, nodes: Iterable[Node], results: Sequence[PathResult]
) -> Iterator[NodeExpectation]:
    for node in nodes:
        name = node.meta.name
        yield _row(
            f"internalTrafficPolicy: {service.internal_traffic_policy}",
            name,
            f"{_bracketed(service.cluster_ips[0])}:{port.port}",
            THERE,
            local(snapshot, port, name),
            at_cluster_ip(snapshot, port, name),
            _at_cluster_ip(service, name, results),
        )


def _distribution(
    snapshot: Snapshot, service: Service, port: ServicePort, nodes: Iterable[Node], results: Sequence[PathResult]
) -> Iterator[NodeExpectation]:
    """Traffic that is kept near is a preference: any client is answered, if only from afar."""
    for node in nodes:
        name = node.meta.name
        found = near(snapshot, port, name)
        zone = zone_of(snapshot, name)
        because = {"node": f"kept on {name}", "zone": f"kept in zone {zone}"}.get(found.by, "sent to any endpoint")
        yield _row(
            f"trafficDistribution: {service.traffic_distribution}",
            name,
            f"{_bracketed(service.cluster_ips[0])}:{port.port}",
            THERE,
            found.endpoints,
            Expectation(Expected.ANSWERS, because),
            _at_cluster_ip(service, name, results),
        )


def _at_cluster_ip(service: Service, node: str, results: Sequence[PathResult]) -> str:
    return _observed(
        r
        for r in results
        if r.probe.path.kind is PathKind.CLUSTER_IP
        and r.probe.path.host == service.cluster_ips[0]
        and r.probe.vantage.is_pod
        and r.probe.node == node
    )


def _external(
    snapshot: Snapshot, port: ServicePort, node: Node, tried: Sequence[PathResult], results: Sequence[PathResult]
) -> Iterator[NodeExpectation]:
    """One node's port, as it is met from outside, by its own pods, and by those of other nodes where these asked."""
    name = node.meta.name
    at_node = [r for r in tried if r.probe.path.node == name]
    here = [r for r in at_node if r.probe.vantage is Vantage.HERE]
    own = [r for r in at_node if r.probe.vantage.is_pod and r.probe.node == name]
    others = [r for r in at_node if r.probe.vantage.is_pod and r.probe.node not in ("", name)]
    beyond = bool(here) and all(why_expected(snapshot, r, results) == BEYOND_REACH for r in here)
    serving = local(snapshot, port, name)
    for asked_from, found, from_node in (
        (HERE, here, ""),
        (THERE, own, name),
        (ELSEWHERE, others, others[0].probe.node if others else ""),
    ):
        if found or asked_from == HERE:
            yield _row(
                "externalTrafficPolicy: Local",
                name,
                f"node port {port.node_port}",
                asked_from,
                serving,
                at_node_port(snapshot, port, name, from_node, is_outside=asked_from == HERE),
                BEYOND_REACH if beyond and asked_from == HERE else _observed(found),
            )


def _observed(results: Iterable[PathResult]) -> str:
    """The outcomes, each once; nothing where nothing was tried."""
    return ", ".join(sorted({r.outcome.value for r in results}))


def _row(
    policy: str,
    node: str,
    target: str,
    asked_from: str,
    endpoints: Sequence[JoinedEndpoint],
    expected: Expectation,
    observed: str,
) -> NodeExpectation:
    leaving = sum(not e.endpoint.ready for e in endpoints)
    return NodeExpectation(
        policy, node, target, asked_from, len(endpoints), leaving, expected.what.value, expected.because, observed
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
