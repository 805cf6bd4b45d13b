"""The facts of a Snapshot and the results of the probes, as the report states them. Pure."""

from __future__ import annotations

from dataclasses import replace

from kubectl_svcprobe.certificates import certificate_of, own_names
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.node import Event
from kubectl_svcprobe.facts.readiness import why_not_ready
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.measured import Timings
from kubectl_svcprobe.ownership import kept_by
from kubectl_svcprobe.probe.expect import SHORT_CUT, expectation_of, is_short_cut, why_expected
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.makers import answered_by
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.plan import ProbePlan
from kubectl_svcprobe.probe.request import choose
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import (
    EndpointFacts,
    EventFacts,
    IngressFacts,
    LoadBalancerFacts,
    NodeFacts,
    PathFacts,
    PodFacts,
    PortFacts,
    ProbeFacts,
    ServiceFacts,
)


def service_facts(snapshot: Snapshot, path: str | None = None, scheme: str = "") -> ServiceFacts:
    """The Service as declared; with `exists` false where there is none."""
    service = snapshot.service
    if service is None:
        return ServiceFacts(snapshot.namespace, snapshot.name, exists=False)
    return ServiceFacts(
        namespace=service.namespace,
        name=service.name,
        exists=True,
        type=service.type,
        headless=service.is_headless,
        created=service.meta.created,
        labels=service.meta.labels,
        annotations=service.meta.annotations,
        selector=service.selector,
        cluster_ips=service.cluster_ips,
        ip_families=service.ip_families,
        ip_family_policy=service.ip_family_policy,
        external_ips=service.external_ips,
        external_name=service.external_name,
        external_traffic_policy=service.external_traffic_policy,
        internal_traffic_policy=service.internal_traffic_policy,
        traffic_distribution=service.traffic_distribution,
        session_affinity=service.session_affinity,
        session_affinity_seconds=service.session_affinity_seconds,
        publish_not_ready_addresses=service.publish_not_ready_addresses,
        managed_by=kept_by(service.meta),
        ports=tuple(_port_facts(snapshot, port, path, scheme) for port in service.ports),
        load_balancer=_load_balancer_facts(service) if service.type == "LoadBalancer" else None,
        events=tuple(_event_facts(event) for event in sorted(snapshot.events, key=lambda e: e.last)),
    )


def _port_facts(snapshot: Snapshot, port: ServicePort, path: str | None, scheme: str) -> PortFacts:
    request = choose(snapshot, port, path, scheme) if port.protocol in ("TCP", "UDP") else None
    return PortFacts(
        name=port.name,
        protocol=port.protocol,
        port=port.port,
        target_port=port.target_port,
        node_port=port.node_port,
        app_protocol=port.app_protocol,
        request=f"{request} ({request.why})" if request else "",
    )


def _load_balancer_facts(service: Service) -> LoadBalancerFacts:
    return LoadBalancerFacts(
        ingress=tuple(IngressFacts(i.ip, i.hostname, i.ip_mode, i.errors) for i in service.load_balancer_ingress),
        pending=service.is_pending,
        class_name=service.load_balancer_class,
        requested_ip=service.load_balancer_ip,
        source_ranges=service.load_balancer_source_ranges,
        health_check_node_port=service.health_check_node_port,
        allocates_node_ports=service.allocate_node_ports,
    )


def _event_facts(event: Event) -> EventFacts:
    return EventFacts(str(event.about), event.type, event.reason, event.message, event.count, event.last)


def pod_facts(snapshot: Snapshot) -> tuple[PodFacts, ...]:
    """The pods that the selector matches, by name."""
    return tuple(_pod_facts(pod, snapshot) for pod in sorted(snapshot.pods, key=lambda p: p.meta.name))


def _pod_facts(pod: Pod, snapshot: Snapshot) -> PodFacts:
    return PodFacts(
        name=pod.meta.name,
        workload=str(pod.workload),
        node=pod.node,
        ips=pod.ips,
        phase=pod.phase,
        ready=pod.is_ready,
        terminating=pod.is_terminating,
        restarts=sum(status.restarts for status in pod.statuses),
        created=pod.meta.created,
        why_not_ready="" if pod.is_ready and not pod.is_terminating else why_not_ready(pod, snapshot),
    )


def endpoint_facts(snapshot: Snapshot) -> tuple[EndpointFacts, ...]:
    """The endpoints, port by port."""
    ports = snapshot.service.ports if snapshot.service else ()
    return tuple(
        EndpointFacts(
            address=joined.endpoint.address,
            port=joined.port,
            port_name=port.name,
            ready=joined.endpoint.ready,
            serving=joined.endpoint.serving,
            terminating=joined.endpoint.terminating,
            node=joined.endpoint.node,
            zone=joined.endpoint.zone,
            pod=joined.endpoint.target.name if joined.endpoint.target else "",
            slice=joined.slice_name,
        )
        for port in ports
        for joined in snapshot.endpoints_of(port)
    )


def node_facts(snapshot: Snapshot) -> tuple[NodeFacts, ...]:
    """The nodes, where the Service has node ports."""
    if not snapshot.service or not any(port.node_port for port in snapshot.service.ports):
        return ()
    return tuple(
        NodeFacts(n.meta.name, n.is_ready, n.ips("InternalIP"), n.ips("ExternalIP")) for n in snapshot.known_nodes()
    )


def path_facts(
    snapshot: Snapshot, results: tuple[PathResult, ...], plan: ProbePlan, probe: ProbeFacts | None = None
) -> tuple[PathFacts, ...]:
    """What was tried, in the order of a packet's way, and then what was not."""
    names = own_names(snapshot, results)
    tried = tuple(
        replace(
            _path_facts(r, why_expected(snapshot, r, results), SHORT_CUT if is_short_cut(snapshot, r) else r.detail),
            from_node=_from_node(r, probe),
            expectation=expected.what.value if (expected := expectation_of(snapshot, r)) else "",
            certificate=certificate_of(snapshot, r, names),
        )
        for r in results
        if r.probe.path.kind not in (PathKind.CONTROL, PathKind.PROXY_HEALTH)
    )
    untried = tuple(
        PathFacts(
            kind=u.kind.value,
            target=u.target,
            subject="",
            node="",
            port_name="",
            vantage=u.vantage.value if u.vantage else "",
            request="",
            offered=True,
            outcome=Outcome.NOT_RUN.value,
            http_status=0,
            attempts=0,
            succeeded=0,
            milliseconds=0.0,
            detail=u.reason,
        )
        for u in plan.unprobed
    )
    order = [kind.value for kind in PathKind]
    vantages = ["", *(vantage.value for vantage in Vantage)]
    return tuple(sorted((*tried, *untried), key=lambda p: (order.index(p.kind), vantages.index(p.vantage))))


def _from_node(result: PathResult, probe: ProbeFacts | None) -> str:
    """The node of the pod that asked; empty for this machine."""
    vantage = result.probe.vantage
    if result.probe.node or probe is None:
        return result.probe.node
    return {Vantage.POD: probe.node, Vantage.OTHER_NODE: probe.other_node}.get(vantage, "")


def _path_facts(result: PathResult, expected: str, detail: str) -> PathFacts:
    path = result.probe.path
    return PathFacts(
        kind=path.kind.value,
        target=path.target,
        subject=path.subject,
        node=path.node,
        port_name=path.service_port.name if path.service_port else "",
        # The node tells pods that were asked alike from each other.
        vantage=(Vantage.POD if result.probe.vantage is Vantage.EACH_NODE else result.probe.vantage).value,
        request=str(result.probe.request),
        offered=path.is_offered,
        outcome=result.outcome.value,
        http_status=result.http_status,
        attempts=len(result.ran),
        succeeded=len(result.good),
        milliseconds=round(result.seconds * 1000, 1),
        detail=detail,
        expected=expected,
        timings=Timings(*(round(seconds * 1000, 1) for seconds in result.spans)),
        answered_by=answered_by(result),
        family=path.family,
    )
