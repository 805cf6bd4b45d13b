"""606 and 607: policies of other kinds, and what a mesh needs of NetworkPolicies."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.policy import Answer
from kubectl_svcprobe.facts.traffic import INGRESS, End, decide
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.foretold import PLUGINS, foretell, other_kinds, plugins, probe_end
from kubectl_svcprobe.rules.policies import names_of
from kubectl_svcprobe.rules.policy_words import added, admitting_rule, narrowest
from kubectl_svcprobe.rules.rule import POLICY_DOC, Match, rule
from kubectl_svcprobe.words import listed

#: Where Linkerd's proxy takes the connections of other proxies.
LINKERD_INBOUND = 4143
LINKERD_PROXY = "linkerd-proxy"


@rule(
    "SVC606",
    "other-kinds-of-policy-exist",
    Severity.INFO,
    reads={"Service", "NetworkPolicy"},
    source=POLICY_DOC,
)
def other_kinds_of_policy_exist(ev: Evidence) -> Iterator[Match]:
    """**What.** Connections to the Service's pods are dropped, no NetworkPolicy is the reason, and the cluster knows other
    kinds of policy: those of Cilium, Calico or Antrea, or AdminNetworkPolicies.

    **Why it matters.** Their rules are not evaluated here. They may be the reason, and the command lists them.

    **Known exceptions.** That a kind is known does not mean that there is any policy of it.

    **How to confirm.** The network plug-in's own tools show dropped packets with the policy that dropped them:
    `hubble observe --verdict DROPPED`, Calico's flow logs, `antctl traceflow`.
    """
    kinds = other_kinds(ev)
    if ev.snapshot.service is None or not kinds:
        return
    for port in ev.service.ports:
        found = foretell(ev, port)
        if not found or not all(f.is_dropped and f.decision.admits is not Answer.NO for f in found):
            continue
        whose = listed(PLUGINS[group][0] for group in plugins(ev))
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"A policy of {whose} may keep this probe from {ev.part(port)}.",
            brief="may be closed by a policy of another kind",
            message=f"Nothing that was read explains the dropped connections; this cluster also knows {listed(kinds)}, "
            "which are not evaluated here and may be the reason. So may a cut way between the nodes.",
            evidence=tuple(f"the API server serves {group}" for group in plugins(ev)),
            fix=(ev.kubectl(ev.service.namespace, "get", ",".join(kinds)),),
            confidence=Confidence.POSSIBLE,
        )


@rule(
    "SVC607",
    "network-policy-closes-mesh-port",
    Severity.WARNING,
    reads={"Service", "NetworkPolicy"},
    source=POLICY_DOC,
)
def network_policy_closes_mesh_port(ev: Evidence) -> Iterator[Match]:
    """**What.** The pods behind the Service run Linkerd's proxy, and the NetworkPolicies that select them open the
    application's port, but not 4143, where the proxy takes connections of other proxies.

    **Why it matters.** Clients in the mesh do not connect to the application's port, but to 4143 (always for opaque ports):
    their packets are dropped, while a client without a proxy, as this probe, gets an answer.

    **Known exceptions.** Whether a client in the mesh uses 4143 depends on its version and on whether the port is opaque
    (linkerd2 issues 12382 and 15246), so this is a possibility. A rule for 4143 opens every port of the pods to the mesh.

    **How to confirm.** Ask from a pod of the mesh, and look for connections to port 4143 in the log of its `linkerd-proxy`.
    """
    if ev.snapshot.service is None:
        return
    for port in ev.service.ports:
        closed = next(_closed_to_mesh(ev, port), None)
        if closed is None:
            continue
        pod, names, patch = closed
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} may be closed to clients in the mesh: NetworkPolicy {names} does not open "
            f"port {LINKERD_INBOUND}.",
            message=f"{pod.meta.name} runs {LINKERD_PROXY}; clients in the mesh may connect to its port {LINKERD_INBOUND}, "
            f"which {names} admits nobody to.",
            evidence=(f"{names} opens the application's port to some",),
            fix=(
                patch,
                f"this lets all namespaces reach port {LINKERD_INBOUND}, and by it every port that the proxy serves",
            ),
            confidence=Confidence.POSSIBLE,
        )


def _closed_to_mesh(ev: Evidence, port: ServicePort) -> Iterator[tuple[Pod, str, str]]:
    """The first pod with the proxy whose policies open the application's port and not the proxy's."""
    for joined in ev.snapshot.usable(port):
        pod = joined.pod
        if pod is None or not any(c.name == LINKERD_PROXY for c in (*pod.containers, *pod.sidecars)):
            continue
        server = End.of_pod(pod, ev.snapshot.around.namespaces.get(pod.meta.namespace), joined.endpoint.address)
        client = probe_end(ev, joined.endpoint.address)
        at_app = decide(ev.snapshot.policies, client, server, joined.port, port.protocol).ingress
        at_proxy = decide(ev.snapshot.policies, client, server, LINKERD_INBOUND).ingress
        is_open = any(rule.port is Answer.YES for rule in at_app.rules)
        if is_open and not any(rule.port is Answer.YES for rule in at_proxy.rules):
            policy = narrowest(at_app.isolating, INGRESS)
            rule = admitting_rule(INGRESS, [{"namespaceSelector": {}}], (LINKERD_INBOUND, "TCP"))
            body = added(policy, INGRESS, rule)
            yield (
                pod,
                names_of(at_app),
                ev.kubectl.json_patches(pod.meta.namespace, "networkpolicy", policy.meta.name, *body),
            )
