"""5xx, continued: what a Service tells the Service proxies of the nodes to leave out."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.locality import local_nodes
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.each_node import sound_nodes
from kubectl_svcprobe.rules.rule import VIRTUAL_IPS, Match, rule
from kubectl_svcprobe.words import listed

#: Labels of a Service on which kube-proxy leaves it alone (cmd/kube-proxy/app/server.go, `NewRequirement`).
OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
HEADLESS = "service.kubernetes.io/headless"


@rule(
    "SVC513",
    "internal-policy-leaves-out-nodes",
    Severity.WARNING,
    reads={"Service", "EndpointSlice", "Node"},
    explains=("SVC701",),
    source=VIRTUAL_IPS,
)
def internal_policy_leaves_out_nodes(ev: Evidence) -> Iterator[Match]:
    """**What.** `internalTrafficPolicy` is `Local`, and some nodes have no endpoint of the Service.

    **Why it matters.** A client on such a node gets no answer from the ClusterIP or the name: its packets are dropped, even
    though endpoints elsewhere are ready. That is what was declared, so it is no error, and yet who runs there fails.

    **What else is said.** The report shows node by node what is to be expected, and what was seen.

    **How to confirm.** `kubectl svcprobe SERVICE --all-nodes`: the ClusterIP answers on nodes with an endpoint only.

    **Known exceptions.** What a DaemonSet runs is on every node that it is meant for, so that is information only. Nodes of
    the control plane are not counted. Where the ClusterIP answers a pod on such a node, its Service proxy does not heed
    the policy, and nothing is said.
    """
    service = ev.snapshot.service
    if service is None or service.internal_traffic_policy != "Local" or not service.cluster_ips:
        return
    for port in service.ports:
        serving = set(local_nodes(ev.snapshot, port))
        tried = _asked_in_vain(ev, port, serving)
        if not serving or any(r.outcome.is_good for r in tried):
            continue
        without = _nodes_without(ev, serving, {r.probe.node for r in tried})
        if not without:
            continue
        yield Match(
            subject=service.ref,
            port=port.port,
            headline=f"{ev.part(port)} does not answer pods on {listed(without)}: "
            f"no pod of it runs there, and internalTrafficPolicy is Local.",
            message=f"internalTrafficPolicy is Local, so a client gets answers from {service.name} only on "
            f"{listed(sorted(serving))}, where pods of it run.",
            evidence=tuple(_internal_evidence(ev, port, serving)),
            fix=(
                "if clients on every node are to be served, by pods of other nodes too:",
                ev.kubectl.patch(
                    service.namespace, "service", service.name, {"spec": {"internalTrafficPolicy": "Cluster"}}
                ),
                "sends traffic across nodes from then on; to keep it local, run a pod of it on each node instead",
            ),
            severity=Severity.INFO if _is_daemon(ev) else None,
            brief=f"dropped on {listed(without)} (internalTrafficPolicy: Local)",
        )


def _cluster_ip_from_pods(ev: Evidence, port: ServicePort) -> tuple[PathResult, ...]:
    """What the ClusterIP said to every pod that asked it, and reached anything."""
    if ev.asked_nodes:
        return tuple(r for node in sound_nodes(ev) for r in ev.of_node(node, PathKind.CLUSTER_IP, port))
    return (*ev.from_pod(PathKind.CLUSTER_IP, port), *ev.from_other_node(PathKind.CLUSTER_IP, port))


def _asked_in_vain(ev: Evidence, port: ServicePort, serving: set[str]) -> list[PathResult]:
    """What it said to pods on nodes without an endpoint: an answer means that the policy is not heeded."""
    return [r for r in _cluster_ip_from_pods(ev, port) if r.probe.node not in serving]


def _nodes_without(ev: Evidence, serving: set[str], met_on: set[str]) -> list[str]:
    """Nodes where clients are to be expected and no endpoint is; those where a client was dropped in any case."""
    return [
        n.meta.name
        for n in ev.snapshot.nodes
        if n.meta.name in met_on or (n.is_ready and n.meta.name not in serving and not n.is_control_plane)
    ]


def _is_daemon(ev: Evidence) -> bool:
    return bool(ev.snapshot.pods) and all(pod.workload.kind == "DaemonSet" for pod in ev.snapshot.pods)


def _internal_evidence(ev: Evidence, port: ServicePort, serving: set[str]) -> Iterator[str]:
    for result in _cluster_ip_from_pods(ev, port)[:5]:
        how = result.outcome.value.replace("-", " ")
        node = result.probe.node
        has = "has one" if node in serving else "has none"
        yield f"{result.probe.path.target} from a pod on {node}, which {has}: {how}"


@rule(
    "SVC514",
    "hidden-from-service-proxies",
    Severity.WARNING,
    reads={"Service"},
    explains=("SVC701", "SVC511"),
    source=VIRTUAL_IPS,
)
def hidden_from_service_proxies(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service carries a label that tells kube-proxy, and what replaces it, to leave it alone:
    `service.kubernetes.io/service-proxy-name` with any value, or `service.kubernetes.io/headless`.

    **Why it matters.** No node then serves its ClusterIP, its node ports or its load balancer's address. The pods still
    answer directly, and so does the API server's proxy, so everything else looks right.

    **How to confirm.** `kubectl get service SERVICE --show-labels`. If somebody runs a Service proxy of the name that the
    label gives, the ClusterIP answers.

    **Known exceptions.** Where the ClusterIP answers, some other proxy serves it, as meant. Where nothing was tried this is
    likely, and no more.
    """
    service = ev.snapshot.service
    if service is None or not service.cluster_ips:
        return
    label = next((key for key in (OTHER_PROXY, HEADLESS) if key in service.meta.labels), "")
    tried = ev.from_pod(PathKind.CLUSTER_IP)
    if not label or any(r.outcome.is_good for r in tried):
        return
    answering = [r for r in ev.from_pod(PathKind.ENDPOINT) if r.outcome.is_good]
    met = bool(tried and answering)
    value = service.meta.labels[label]
    fails = f"{service.name} fails at its ClusterIP {service.cluster_ips[0]}"
    yield Match(
        subject=service.ref,
        headline=f"{fails}: its label {label} tells the nodes' Service proxies to ignore it."
        if met
        else f"{service.name} is probably served by no node: its label {label} tells Service proxies to ignore it.",
        message=f"The label {label}={value} makes kube-proxy leave {service.name} alone"
        + (f", and no proxy called {value} serves it." if met and value else "."),
        evidence=tuple(f"{r.probe.path.target} answers directly" for r in answering[:3]),
        fix=(
            "if kube-proxy is meant to serve it:",
            ev.kubectl(service.namespace, "label", "service", service.name, f"{label}-"),
            "takes the label away; every node serves the Service a moment later",
        ),
        severity=Severity.ERROR if met else None,
        confidence=Confidence.CERTAIN if met else Confidence.LIKELY,
    )
