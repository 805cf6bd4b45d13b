"""5xx, continued: what keeps a load balancer from serving, as the objects show it."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.probe.expect import LOST
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import LOAD_BALANCER_DOC, SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import gist, listed

#: Nodes that carry it are left out by load balancers' controllers (k8s.io/api/core/v1, well_known_labels.go).
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


def _failed_here(ev: Evidence) -> list[PathResult]:
    """This machine's failures at the load balancer."""
    return [
        r for r in ev.from_here(PathKind.LOAD_BALANCER) if r.outcome.is_bad and r.outcome is not Outcome.INTERMITTENT
    ]


def _answers_here(ev: Evidence) -> bool:
    return any(r.outcome.is_good for r in ev.from_here(PathKind.LOAD_BALANCER))


@rule(
    "SVC522",
    "load-balancer-port-error",
    Severity.WARNING,
    reads={"Service"},
    explains=("SVC520", "SVC521"),
    source=LOAD_BALANCER_DOC,
)
def load_balancer_port_error(ev: Evidence) -> Iterator[Match]:
    """**What.** The load balancer's controller reports that it could not serve some port: in the status of the address,
    or with the condition `LoadBalancerPortsError`.

    **Why it matters.** That port is not there on the load balancer, whatever is right inside the cluster. Often the
    Service mixes protocols, which not every load balancer can.

    **How to confirm.** `kubectl get service SERVICE -o yaml`: the error stands under `status`.

    **Known exceptions.** None known: it is the controller's own word.
    """
    service = ev.snapshot.service
    if service is None or service.type != "LoadBalancer":
        return
    errors = [f"{i.address}, {error}" for i in service.load_balancer_ingress for error in i.errors]
    condition = service.conditions.get("LoadBalancerPortsError")
    if condition and condition.status == "True":
        errors.append(": ".join(filter(None, (condition.reason, condition.message))))
    if not errors:
        return
    protocols = sorted({port.protocol for port in service.ports})
    mixed = len(protocols) > 1
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is not served at its load balancer as declared: {errors[0].rstrip('.')}.",
        message=f"The load balancer's controller reports an error for {service.name}: {errors[0].rstrip('.')}.",
        evidence=(*errors[1:], *((f"its ports mix {listed(protocols)}",) if mixed else ())),
        fix=(
            *(("if the load balancer cannot serve both protocols, make one Service for each",) if mixed else ()),
            ev.kubectl(service.namespace, "describe", "service", service.name),
        ),
    )


@rule(
    "SVC523",
    "source-ranges-may-apply",
    Severity.WARNING,
    reads={"Service"},
    explains=("SVC521",),
    source=SERVICE_DOC,
)
def source_ranges_may_exclude(ev: Evidence) -> Iterator[Match]:
    """**What.** The load balancer does not answer this machine, and `loadBalancerSourceRanges` restricts who may ask.

    **Why it matters.** A request from any other address is dropped, by the load balancer or by the Service proxy of the
    node, and looks like a dead address.

    **What else is said.** Whether the node drops the probe pod's request to that address as well. It does, where the
    Service proxy enforces the ranges, since a pod's address is seldom within them.

    **How to confirm.** Ask from an address within the ranges; or add the address with which this machine arrives there,
    which behind NAT is not its own, and ask again.

    **Known exceptions.** Which address this machine has for the load balancer is not known here, so this is possible, or
    likely, and never certain.
    """
    service = ev.snapshot.service
    failed = [r for r in _failed_here(ev) if r.outcome in LOST]
    if service is None or not service.load_balancer_source_ranges or not failed:
        return
    ranges = service.load_balancer_source_ranges
    dropped = [r for r in ev.from_pod(PathKind.LOAD_BALANCER) if r.outcome in LOST]
    inside = any(r.outcome.is_good for r in ev.from_pod(PathKind.CLUSTER_IP))
    is_likely = bool(dropped and inside)
    yield Match(
        subject=service.ref,
        headline=f"{service.name} does not answer this machine at its load balancer {failed[0].probe.path.target}, "
        f"{'probably' if is_likely else 'possibly'} because loadBalancerSourceRanges admits only {listed(ranges)}.",
        message=f"loadBalancerSourceRanges of {service.name} admits only {listed(ranges)}; this machine may arrive with "
        "an address outside of them.",
        evidence=(
            *((f"a pod's request to {dropped[0].probe.path.target} is dropped too",) if is_likely else ()),
            *(("inside the cluster its ClusterIP answers",) if inside else ()),
        ),
        fix=(
            "if this machine is to be admitted, name the address with which it arrives there for ADDRESS:",
            ev.kubectl.patch(
                service.namespace,
                "service",
                service.name,
                {"spec": {"loadBalancerSourceRanges": [*ranges, "ADDRESS/32"]}},
            ),
        ),
        confidence=Confidence.LIKELY if is_likely else Confidence.POSSIBLE,
    )


def _announcers(ev: Evidence) -> list[Node]:
    """The nodes that a load balancer could send to: ready, and under Local with an endpoint."""
    service = ev.service
    ready = [n for n in ev.snapshot.nodes if n.is_ready]
    if service.external_traffic_policy != "Local":
        return ready
    serving = {e.endpoint.node for port in service.ports for e in ev.snapshot.usable(port)}
    return [n for n in ready if n.meta.name in serving]


@rule(
    "SVC524",
    "nodes-excluded-from-load-balancers",
    Severity.WARNING,
    reads={"Service", "Node", "EndpointSlice"},
    explains=("SVC520", "SVC521"),
    source=LOAD_BALANCER_DOC,
)
def nodes_excluded_from_load_balancers(ev: Evidence) -> Iterator[Match]:
    """**What.** Every node that could receive the load balancer's traffic carries the label
    `node.kubernetes.io/exclude-from-external-load-balancers`.

    **Why it matters.** Cloud controllers leave such nodes out, and MetalLB does not announce addresses from them. kubeadm
    puts the label on nodes of the control plane, so a cluster of one node has nobody left.

    **How to confirm.** `kubectl get nodes -L node.kubernetes.io/exclude-from-external-load-balancers`.

    **Known exceptions.** Load balancers that send to the pods themselves do not mind. Where the address answers this
    machine, nothing is said; where it was not tried, this is likely and not certain.
    """
    service = ev.snapshot.service
    if service is None or service.type != "LoadBalancer" or _answers_here(ev):
        return
    nodes = _announcers(ev)
    if not nodes or not all(EXCLUDED in n.meta.labels for n in nodes):
        return
    names = [n.meta.name for n in nodes]
    met = bool(_failed_here(ev)) or service.is_pending
    local = " that have a pod of it" if service.external_traffic_policy == "Local" else ""
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is probably served by no load balancer: all nodes{local} ({listed(names)}) are "
        f"labelled {EXCLUDED}.",
        message=f"{listed(names)}: every node{local} is labelled {EXCLUDED}, so a load balancer's controller probably "
        "has no node to send to.",
        evidence=tuple(f"{r.probe.path.target} from this machine: {r.outcome.value}" for r in _failed_here(ev)[:3]),
        fix=(
            f"if {names[0]} is to receive traffic of load balancers:",
            ev.kubectl("", "label", "node", names[0], f"{EXCLUDED}-"),
            "takes the label off the node, for all Services of type LoadBalancer",
        ),
        severity=None if met else Severity.INFO,
        confidence=Confidence.LIKELY,
    )


@rule(
    "SVC525",
    "load-balancer-controller-complains",
    Severity.WARNING,
    reads={"Service", "Event"},
    explains=("SVC521",),
    source=SERVICE_DOC,
)
def load_balancer_controller_complains(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service has its load balancer's address, and the latest event on it is a warning.

    **Why it matters.** A change since then, new nodes or ports for instance, has not reached the load balancer.

    **How to confirm.** `kubectl describe service SERVICE` shows the events of the last hour; a later event that is no
    warning means that the controller has got over it.

    **Known exceptions.** Where the address answers this machine it is information only. Without an address it is SVC520
    that quotes the controller.
    """
    service = ev.snapshot.service
    if service is None or not service.load_balancer_ingress or not ev.snapshot.events:
        return
    latest = max(ev.snapshot.events, key=lambda e: e.last)
    if latest.type != "Warning":
        return
    yield Match(
        subject=service.ref,
        headline=f"{service.name}: its load balancer's controller complains: {gist(latest.message).rstrip('.')}.",
        message=f"The latest event on {service.name} is a warning, {latest.reason}: {latest.message.rstrip('.')}.",
        evidence=(f"seen {latest.count} times",) if latest.count > 1 else (),
        fix=(ev.kubectl(service.namespace, "describe", "service", service.name),),
        severity=Severity.INFO if _answers_here(ev) else None,
    )


@rule(
    "SVC526",
    "load-balancer-without-node-ports",
    Severity.WARNING,
    reads={"Service"},
    explains=("SVC521",),
    source=LOAD_BALANCER_DOC,
)
def load_balancer_without_node_ports(ev: Evidence) -> Iterator[Match]:
    """**What.** The load balancer does not answer this machine, and the Service has no node ports:
    `allocateLoadBalancerNodePorts` is false.

    **Why it matters.** Most clouds' load balancers send to node ports, and have nowhere to send to without.

    **How to confirm.** The load balancer's own console or logs show its targets; or allocate node ports, and ask again.

    **Known exceptions.** Load balancers that send to pods, or whose address the nodes themselves take (MetalLB), need no
    node port: so this is possible, and no more.
    """
    service = ev.snapshot.service
    failed = _failed_here(ev)
    if service is None or service.allocate_node_ports or not failed or any(p.node_port for p in service.ports):
        return
    yield Match(
        subject=service.ref,
        headline=f"{service.name} does not answer this machine at its load balancer {failed[0].probe.path.target}, "
        "possibly because it has no node ports.",
        message=f"allocateLoadBalancerNodePorts is false and {service.name} has no node port; its load balancer may need one.",
        fix=(
            "if its load balancer sends to node ports:",
            ev.kubectl.patch(
                service.namespace, "service", service.name, {"spec": {"allocateLoadBalancerNodePorts": True}}
            ),
            "allocates a node port for each of its ports, which opens them on every node",
        ),
        confidence=Confidence.POSSIBLE,
    )
