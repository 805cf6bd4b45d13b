"""5xx: the ways in from outside, by the nodes."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.dataplane import Dataplane, Proxy
from kubectl_svcprobe.facts.locality import local
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.provider import cloud_of, container_cluster
from kubectl_svcprobe.probe.expect import BEYOND_REACH, is_declared, is_left_open, refused_beside, why_expected
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules import between
from kubectl_svcprobe.rules.rule import PROXY_DOC, SERVICE_DOC, VIRTUAL_IPS, Match, rule
from kubectl_svcprobe.words import listed


def _local_only(ev: Evidence) -> bool:
    return ev.service.external_traffic_policy == "Local"


def _has_local(ev: Evidence, node: str, port: ServicePort) -> bool:
    return bool(local(ev.snapshot, port, node))


def _nodes_without(ev: Evidence, port: ServicePort) -> list[Node]:
    return [n for n in ev.snapshot.nodes if n.is_ready and not _has_local(ev, n.meta.name, port)]


@rule(
    "SVC510",
    "node-without-local-endpoint",
    Severity.WARNING,
    reads={"Service", "EndpointSlice", "Node"},
    source=VIRTUAL_IPS,
)
def node_without_local_endpoint(ev: Evidence) -> Iterator[Match]:
    """**What.** `externalTrafficPolicy` is `Local`, and some nodes have no endpoint of the Service.

    **Why it matters.** Such a node drops what arrives at the node port, without an answer: the client times out. That is
    what `Local` means; it keeps the client's address.

    **How to confirm.** From outside of the cluster, `curl NODE:NODEPORT` for a node with a pod of the Service and for one
    without: only the first answers. A pod of the cluster is no such client.

    **Known exceptions.** A load balancer that asks the health check node port leaves such nodes out, so for type
    LoadBalancer this is information only. A request from a node's own pods is treated as if the policy were `Cluster`.
    """
    service = ev.snapshot.service
    if service is None or not _local_only(ev):
        return
    for port in service.ports:
        without = _nodes_without(ev, port)
        if not port.node_port or not without or not ev.snapshot.usable(port):
            continue
        names = [n.meta.name for n in without]
        serving = [n.meta.name for n in ev.snapshot.nodes if _has_local(ev, n.meta.name, port)]
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{service.name} does not answer at node port {port.node_port} of {listed(names)}: "
            f"no pod of it runs there, and externalTrafficPolicy is Local.",
            message=f"externalTrafficPolicy is Local, so nodes without a pod of {service.name} "
            f"drop what comes to node port {port.node_port}.",
            evidence=tuple(_local_evidence(ev, port, names)),
            fix=(
                f"send clients to {listed(serving)}, or, if the client's address need not be kept:",
                ev.kubectl.patch(
                    service.namespace, "service", service.name, {"spec": {"externalTrafficPolicy": "Cluster"}}
                ),
            ),
            severity=Severity.INFO if service.type == "LoadBalancer" else None,
            brief=f"node port {port.node_port} is dropped on {listed(names)} (externalTrafficPolicy: Local)",
        )


def _local_evidence(ev: Evidence, port: ServicePort, without: list[str]) -> Iterator[str]:
    yield f"without a ready endpoint: {listed(without, 8)}"
    tried = (*ev.from_pod(PathKind.NODE_PORT, port), *ev.from_here(PathKind.NODE_PORT, port))
    dropped = sorted({r.probe.path.node for r in tried if is_declared(ev.snapshot, r)})
    if dropped:
        yield f"dropped as declared: {listed(dropped)}"
    if any(is_left_open(ev.snapshot, r) for r in tried):
        yield "no proof either way: pods are treated as if the policy were Cluster, so what they get from node ports varies"


def _unexplained(ev: Evidence, results: tuple[PathResult, ...]) -> list[PathResult]:
    """Failures at node ports that neither the traffic policy nor this machine's place accounts for, nor SVC515."""
    aside = refused_beside(results)
    return [r for r in results if r.outcome.is_bad and r not in aside and not why_expected(ev.snapshot, r, ev.results)]


@rule(
    "SVC511",
    "node-port-fails-on-node",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC512",),
    source=VIRTUAL_IPS,
)
def node_port_fails_on_node(ev: Evidence) -> Iterator[Match]:
    """**What.** The probe pod reaches the endpoints, but not the node port of some node.

    **Why it matters.** A node port is to answer on every node. One that does not has a Service proxy that is stopped or
    behind, or a firewall between the nodes.

    **How to confirm.** `kubectl svcprobe SERVICE --all-nodes`: what fails from some nodes only, is on the way between the
    nodes; what fails from all of them, the node itself included, is its Service proxy.

    **Known exceptions.** Traffic policy `Local` (SVC510), nodes that are not ready, and further addresses of a node whose
    first one answers (SVC515). `localhost:NODEPORT` on a node is not tried; kube-proxy answers there in iptables mode only.
    """
    service = ev.snapshot.service
    if service is not None and ev.asked_nodes:
        yield from between.node_ports_of_nodes(ev)
        return
    if service is None:
        return
    for port in service.ports:
        tried = ev.from_pod(PathKind.NODE_PORT, port)
        failed = [r for r in _unexplained(ev, tried) if r.outcome is not Outcome.INTERMITTENT]
        if not failed or not any(r.outcome.is_good for r in ev.offered_endpoints(port)):
            continue
        nodes = sorted({r.probe.path.node for r in failed})
        how = listed(sorted({r.outcome.value.replace("-", " ") for r in failed}))
        where = "any node" if len(nodes) == len({r.probe.path.node for r in tried}) else listed(nodes)
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{service.name} does not answer at node port {port.node_port} of {where} ({how}), although its pods do.",
            message=f"Node port {port.node_port} of {listed(nodes)}: {how}, asked from {_vantage(ev)}; "
            "the endpoints answer directly.",
            evidence=(
                *(
                    f"{r.probe.path.target} ({r.probe.path.address_type} of {r.probe.path.node}): {r.outcome.value}"
                    for r in failed[:5]
                ),
                *_from_other_node(ev, port),
            ),
            fix=(
                f"look at the Service proxy of {nodes[0]}, and at firewalls between nodes:",
                ev.kubectl("kube-system", "get", "pods", "-o", "wide", "--field-selector", f"spec.nodeName={nodes[0]}"),
            ),
        )


def _from_other_node(ev: Evidence, port: ServicePort) -> Iterator[str]:
    """Which of them answer a pod on another node: then it is the way there, and not the node that is asked."""
    there = ev.from_other_node(PathKind.NODE_PORT, port)
    good = [r for r in there if r.outcome.is_good]
    if good:
        yield f"from a pod on {ev.other_node}, {listed(r.probe.path.target for r in good)} answers"
    elif there:
        yield f"from a pod on {ev.other_node} they fail too"


def _vantage(ev: Evidence) -> str:
    return f"a pod on {ev.probe.node}" if ev.probe and ev.probe.node else "the probe pod"


@rule("SVC512", "node-port-unreachable-from-here", Severity.WARNING, reads={"Service"}, source=SERVICE_DOC)
def node_port_unreachable_from_here(ev: Evidence) -> Iterator[Match]:
    """**What.** From this machine, some node's port answers and another's does not.

    **Why it matters.** This machine has a way to the nodes, so the silence of one of them is worth a look.

    **How to confirm.** `curl NODE:NODEPORT` from here for each node, and once more from a second machine of the same network:
    what fails for both lies with the node.

    **Known exceptions.** Where no node at all can be reached from here, nothing is said: clouds do not let node addresses
    be reached from outside. Traffic policy `Local` (SVC510) and nodes that are not ready are accounted for.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        tried = ev.from_here(PathKind.NODE_PORT, port)
        failed = [r for r in _unexplained(ev, tried) if r.outcome is not Outcome.INTERMITTENT]
        if not failed or not any(r.outcome.reached for r in tried):
            continue
        nodes = listed(sorted({r.probe.path.node for r in failed}))
        how = listed(sorted({r.outcome.value.replace("-", " ") for r in failed}))
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{service.name} does not answer this machine at node port {port.node_port} of {nodes} ({how}); "
            "other nodes do.",
            message=f"From this machine, node port {port.node_port} of {nodes}: {how}. Other nodes answer from here.",
            evidence=tuple(f"{r.probe.path.target}: {r.outcome.value}" for r in failed[:5]),
            fix=(f"compare the firewall and the Service proxy of {nodes} with those of the nodes that answer",),
        )


@rule("SVC515", "node-port-at-primary-address-only", Severity.WARNING, reads={"Service", "Node"}, source=PROXY_DOC)
def node_port_at_primary_address_only(ev: Evidence) -> Iterator[Match]:
    """**What.** A node answers at its node port by one of its addresses, and refuses at another.

    **Why it matters.** Clients that were given the other address fail. kube-proxy serves node ports at the addresses that
    its `nodePortAddresses` names; in nftables mode that is the node's primary address only, unless it is told otherwise.

    **How to confirm.** `kubectl -n kube-system get configmap kube-proxy -o yaml`: `mode` and `nodePortAddresses`.

    **Known exceptions.** A refusal may come from a firewall in front of that address; so it is likely and not certain.
    """
    service = ev.snapshot.service
    if service is None:
        return
    for port in service.ports:
        tried = (*ev.from_pod(PathKind.NODE_PORT, port), *ev.from_here(PathKind.NODE_PORT, port))
        refused = refused_beside(tried)
        if not refused:
            continue
        path = refused[0].probe.path
        dataplane = ev.snapshot.dataplane or Dataplane()
        is_known = dataplane.proxy is Proxy.NFTABLES and dataplane.node_port_addresses in ("", "null")
        proxy = f"{dataplane.proxy.value} serves" if is_known else f"probably {dataplane.name} serves"
        good = next(r for r in tried if r.outcome.is_good and r.probe.path.node == path.node).probe.path
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{service.name} is refused at {path.target} of {path.node}, which answers at {good.target}: "
            f"{proxy} node ports at the primary address only.",
            message=f"Node port {port.node_port} of {path.node} answers at {good.host} and is refused at {path.host}.",
            evidence=tuple(f"{r.probe.path.target} ({r.probe.path.address_type}): refused" for r in refused[:5]),
            fix=(
                f"give clients {good.host}, or have kube-proxy serve more addresses (nodePortAddresses):",
                ev.kubectl("kube-system", "get", "configmap", "kube-proxy", "-o", "yaml"),
            ),
            confidence=Confidence.CERTAIN if is_known else Confidence.LIKELY,
        )


@rule("SVC516", "node-ports-beyond-reach", Severity.INFO, reads={"Service", "Node"}, source=SERVICE_DOC)
def node_ports_beyond_reach(ev: Evidence) -> Iterator[Match]:
    """**What.** A Service of type NodePort, of which this machine reaches no node, in a cluster where that has a usual
    reason: a cloud, or nodes that are containers.

    **Why it matters.** The Service is not at fault, and yet its users outside get no answer. A cloud's firewall admits no
    node port by itself; the addresses of nodes in containers are known to that computer's container engine alone.

    **How to confirm.** `kubectl port-forward` to the Service answers from this machine.

    **Known exceptions.** That there is such a firewall is not seen, so the reason is possible, and no more. Nothing is
    said of type LoadBalancer, whose clients need no node port, nor where any node answers.
    """
    service = ev.snapshot.service
    if service is None or service.type != "NodePort":
        return
    cloud, program = cloud_of(ev.snapshot.nodes), container_cluster(ev.snapshot.nodes)
    for port in service.ports:
        tried = ev.from_here(PathKind.NODE_PORT, port)
        beyond = [r for r in tried if why_expected(ev.snapshot, r, ev.results) == BEYOND_REACH]
        if not beyond or len(beyond) != len(tried) or not (cloud or program):
            continue
        why = (
            f"the nodes of {program} are reached from their own computer only"
            if program
            else f"a firewall of {cloud} does not admit it"
        )
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{service.name} cannot be reached from this machine by node port {port.node_port}, "
            f"possibly because {why}.",
            message=f"No node answers this machine at {port.node_port}; perhaps {why}.",
            evidence=tuple(f"{r.probe.path.target} ({r.probe.path.node}): {r.outcome.value}" for r in beyond[:3]),
            fix=tuple(_ways_in(ev, port, cloud, program)),
            confidence=Confidence.POSSIBLE,
        )


def _ways_in(ev: Evidence, port: ServicePort, cloud: str, program: str) -> Iterator[str]:
    service = ev.service
    yield "without any node port, as long as the command runs:"
    yield ev.kubectl(service.namespace, "port-forward", f"service/{service.name}", f"{port.port}")
    if program == "minikube":
        yield f"or, by minikube itself: minikube service {service.name} -n {service.namespace}"
    elif program in ("kind", "k3d"):
        yield f"or publish {port.node_port} when the cluster is made (kind: extraPortMappings; k3d: --port)"
    elif cloud:
        yield f"or let the nodes' firewall admit TCP {port.node_port} from your address"
