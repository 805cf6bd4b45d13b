"""4xx, continued: a port that refuses, and which of the causes that look alike it is."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.ports import set_target
from kubectl_svcprobe.rules.refusal import (
    OTHER,
    Refusal,
    declared_otherwise,
    evidence_of,
    is_closed_in_some_pod,
    refusals,
    taken_ports,
)
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, POLICY_DOC, SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import listed, mapping

#: What is behind the endpoints cannot be better than they are.
BEYOND = ("SVC701", "SVC511", "SVC512", "SVC521", "SVC530", "SVC732")

PORT_FORWARD_DOC = (
    "https://kubernetes.io/docs/tasks/access-application-cluster/port-forward-access-application-cluster/"
)


@rule(
    "SVC403",
    "nothing-listens-on-target-port",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=BEYOND,
    source=DEBUG_SERVICE,
)
def nothing_listens_on_target_port(ev: Evidence) -> Iterator[Match]:
    """**What.** Every endpoint refuses connections at the port that the Service leads to.

    **Why it matters.** The way to the pods is open, and nobody listens there: `targetPort` is not the port that the
    application listens on, or the application has not opened it (yet).

    **How it is known.** The probe pod asked each endpoint directly, twice, the second time after it had been up for 5 s.
    Then the API server was asked to forward the port: where that is refused too, nothing listens inside the pod either,
    not even on 127.0.0.1, and the finding is certain. Where it could not be asked, both causes are left open.

    **Known exceptions.** Some network plug-ins (those built on kube-router, as in k3s and k0s) refuse what a NetworkPolicy
    does not admit; where policies do not admit the probe, that is said.

    **How to confirm.** `kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6` lists what listens in the pod: the second
    column is address and port in hexadecimal (`1F90` is 8080, `0100007F` is 127.0.0.1), and state `0A` means "listens".
    """
    for refusal in refusals(ev, "SVC403"):
        behind = "pods" if refusal.pods else "endpoints"
        is_known = refusal.is_closed_inside or not refusal.pods
        how = (
            f"nothing listens on port {refusal.at} of its {behind}"
            if is_known
            else f"{refusal.all_of} port {refusal.at}"
        )
        yield Match(
            subject=ev.service.ref,
            port=refusal.port.port,
            headline=f"{ev.part(refusal.port)} is down for everyone: {how}.",
            message=f"Port {mapping(refusal.port)}: {refusal.all_of} connections on {refusal.at}.",
            evidence=tuple(evidence_of(refusal)),
            fix=tuple(_listen_fixes(refusal)),
            confidence=Confidence.CERTAIN if is_known and not refusal.policies else Confidence.LIKELY,
        )


def _listen_fixes(refusal: Refusal) -> Iterator[str]:
    ev, port = refusal.ev, refusal.port
    others = {n: name for n, name in refusal.declared.items() if n not in taken_ports(refusal)}
    pod = next(iter(refusal.pods), None)
    if len(others) == 1 and not (refusal.is_closed_inside and is_closed_in_some_pod(refusal, next(iter(others)))):
        number, name = next(iter(others.items()))
        yield set_target(ev, port, name if isinstance(port.target_port, str) and name else number)
        yield f"{number} is the only other port that its containers declare; or make the application listen on {port.target_port}"
    elif pod:
        yield "find the port that the application listens on (not on 127.0.0.1 only), then set targetPort to it:"
        yield ev.kubectl(pod.meta.namespace, "logs", pod.meta.name, "--all-containers", "--tail", "20")
    else:
        yield f"set targetPort to the port that the application listens on, or make it listen on {port.target_port}"
    if pod and not refusal.is_closed_inside:
        yield "whether it listens on 127.0.0.1 only: this then answers, where the Service does not"
        yield ev.kubectl(pod.meta.namespace, "port-forward", f"pod/{pod.meta.name}", f":{refusal.numbers[0]}")


@rule(
    "SVC405",
    "listens-on-loopback-only",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=BEYOND,
    source=PORT_FORWARD_DOC,
)
def listens_on_loopback_only(ev: Evidence) -> Iterator[Match]:
    """**What.** Every endpoint refuses connections at the port that the Service leads to, but inside the pod the same port
    is open.

    **Why it matters.** The application listens on 127.0.0.1, where only its own pod reaches it. It has to listen on all
    addresses (`0.0.0.0`, or `[::]` for both families). `kubectl port-forward` and probes of kind `exec` work all the same,
    since they come from inside.

    **How it is known.** By two vantages that differ in nothing else: the probe pod, which is refused at the pod's address,
    and a port-forward through the API server, which connects to the pod's own 127.0.0.1 and is not refused there, while a
    port that is surely closed is.

    **Known exceptions.** A network plug-in that refuses what a NetworkPolicy does not admit (kube-router's way) looks the
    same; where policies do not admit the probe, that is said. Where the kubelet's own probe of the port succeeds, it is another
    finding (SVC408).

    **How to confirm.** `kubectl exec POD -- cat /proc/net/tcp`: the line of the port begins with `0100007F`, and not with
    `00000000`.
    """
    for refusal in refusals(ev, "SVC405"):
        pod, number = refusal.pods[0], refusal.numbers[0]
        unsure = "seems to listen" if refusal.policies else "listens"
        yield Match(
            subject=ev.service.ref,
            port=refusal.port.port,
            headline=f"{ev.part(refusal.port)} is down for everyone: "
            f"its application {unsure} on 127.0.0.1:{number} only, inside its own pod.",
            message=f"Port {mapping(refusal.port)}: {refusal.all_of} connections on {refusal.at}, "
            f"while inside {listed(refusal.open_inside)} the same port is open.",
            evidence=tuple(evidence_of(refusal)),
            fix=(
                f"make the application listen on 0.0.0.0:{number} (or [::]:{number}) instead of 127.0.0.1:{number}: "
                "look for 127.0.0.1 or localhost in its arguments, variables and configuration",
                ev.kubectl(pod.meta.namespace, "edit", pod.workload.kind.lower(), pod.workload.name),
                "what it listens on now (0100007F is 127.0.0.1, 00000000 is every address):",
                ev.kubectl(pod.meta.namespace, "exec", pod.meta.name, "--", "cat", "/proc/net/tcp"),
            ),
            confidence=Confidence.LIKELY if refusal.policies else Confidence.CERTAIN,
        )


@rule(
    "SVC406",
    "application-listens-on-another-port",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=BEYOND,
    source=SERVICE_DOC,
)
def application_listens_on_another_port(ev: Evidence) -> Iterator[Match]:
    """**What.** Every endpoint refuses connections at the port that the Service leads to, which no container declares; at
    another port the same pods accept them.

    **Why it matters.** `targetPort` is the wrong number. It names the port of the container, and not that of the Service.

    **How it is known.** The probe pod asked the other ports too: those that the containers declare, those that their own
    probes ask, and the Service's.

    **Known exceptions.** The other port may belong to something else in the pod, such as an exporter of metrics. Where
    several ports answer, all are named, and none is called the right one.

    **How to confirm.** `kubectl port-forward pod/POD :PORT` with the one number and the other.
    """
    for refusal in refusals(ev, "SVC406"):
        port, answering = refusal.port, refusal.answering
        where = listed(map(str, answering))
        verb = "answers" if len(answering) == 1 else "answer"
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} is down for everyone: its pods refuse port {refusal.at} and listen on {where}.",
            message=f"Port {mapping(port)}: {refusal.all_of} connections on {refusal.at}; {where} of the same pods {verb}"
            + ("." if len(answering) == 1 else ", and which one is meant could not be told."),
            evidence=tuple(evidence_of(refusal)),
            fix=tuple(_number_fixes(refusal)),
            confidence=Confidence.CERTAIN if len(answering) == 1 else Confidence.LIKELY,
        )


def _number_fixes(refusal: Refusal) -> Iterator[str]:
    ev, port = refusal.ev, refusal.port
    for number in refusal.answering:
        name = refusal.declared.get(number, "")
        if len(refusal.answering) > 1:
            yield f"if {ev.service.name} is meant to lead to {name or number}:"
        yield set_target(ev, port, name if isinstance(port.target_port, str) and name else number)
        yield f"sends port {port.port} of {ev.service.name} to {number}{f' ({name})' if name else ''}"


@rule(
    "SVC407",
    "protocol-differs",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=BEYOND,
    source=SERVICE_DOC,
)
def protocol_differs(ev: Evidence) -> Iterator[Match]:
    """**What.** The containers declare the number that a port of the Service leads to, but for the other protocol: UDP where
    the Service says TCP, or TCP where it says UDP.

    **Why it matters.** TCP and UDP ports of one number are different ports. A port of a Service without `protocol` is TCP.

    **What else is said.** A TCP port was tried, and was refused: then this is an error. A UDP port cannot be tried, and what
    a container declares opens nothing: then it is information.

    **Known exceptions.** A declaration that is wrong or incomplete: many applications that serve both declare one only.

    **How to confirm.** `kubectl exec POD -- cat /proc/net/udp` lists what is open for UDP: the second column is address and
    port in hexadecimal. For DNS, `dig @POD-IP` and `dig +tcp @POD-IP` ask each way.
    """
    for refusal in refusals(ev, "SVC407"):
        yield _differs(ev, refusal.port, refusal.declared_for_other_protocol, tuple(evidence_of(refusal)))
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        if port.protocol == "UDP":
            numbers = {joined.port for joined in ev.snapshot.endpoints_of(port) if joined.port}
            if otherwise := declared_otherwise(ev, port, sorted(numbers)):
                yield _differs(ev, port, otherwise, ("a probe pod cannot ask by UDP",))


def _differs(ev: Evidence, port: ServicePort, numbers: tuple[int, ...], evidence: tuple[str, ...]) -> Match:
    meta, at, other = ev.service.meta, listed(map(str, numbers)), OTHER[port.protocol]
    is_refused = port.protocol == "TCP"
    return Match(
        subject=ev.service.ref,
        port=port.port,
        headline=f"{ev.part(port)} is down for everyone: its pods refuse {at}/TCP, and seem to have it for UDP."
        if is_refused
        else f"{ev.part(port)} may have the wrong protocol: its containers declare {at} for TCP, not UDP.",
        message=f"Port {mapping(port)}: the containers declare {at} for {other} only.",
        evidence=evidence,
        fix=(
            ev.kubectl.json_patch(meta.namespace, "service", meta.name, f"/spec/ports/{port.index}/protocol", other),
            f"makes port {port.port} of {meta.name} {other}; right only if clients speak {other} to it",
        ),
        severity=None if is_refused else Severity.INFO,
        confidence=Confidence.LIKELY if is_refused else Confidence.POSSIBLE,
    )


@rule(
    "SVC408",
    "refused-on-the-way",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=BEYOND,
    source=POLICY_DOC,
)
def refused_on_the_way(ev: Evidence) -> Iterator[Match]:
    """**What.** Every endpoint refuses the probe pod at the port that the Service leads to. But the port is open inside the
    pod, and the kubelet's own readiness probe of it succeeds.

    **Why it matters.** So the application listens, and not on 127.0.0.1 only. Something between the two refuses in its
    name: a NetworkPolicy where the network plug-in rejects instead of dropping (kube-router, as in k3s and k0s), or a
    firewall on the pod's node.

    **Known exceptions.** A readiness probe with a `host` of its own asks elsewhere. An application that closed its port
    seconds ago may still count as ready.

    **How to confirm.** From the pod's node, `curl http://POD-IP:PORT/` answers; from a pod it is refused. On the node,
    `iptables-save | grep REJECT` shows the rule.
    """
    for refusal in refusals(ev, "SVC408"):
        by = f"NetworkPolicy {listed(refusal.policies)}" if refusal.policies else "a firewall"
        node = next((r.probe.path.node for r in refusal.results if r.probe.path.node), "")
        yield Match(
            subject=ev.service.ref,
            port=refusal.port.port,
            headline=f"{ev.part(refusal.port)} is refused on the way, probably by {by}: "
            f"its application listens on {refusal.at}.",
            message=f"Port {mapping(refusal.port)}: {refusal.all_of} the probe pod, "
            f"while the port is open inside {listed(refusal.open_inside)}, and the readiness probe of it succeeds.",
            evidence=tuple(evidence_of(refusal)),
            fix=(
                (ev.kubectl(ev.service.namespace, "get", "networkpolicy", refusal.policies[0], "-o", "yaml"),)
                if refusal.policies
                else (f"look on {node or 'the node of its pods'} for a rule that rejects: iptables-save | grep REJECT",)
            ),
            confidence=Confidence.LIKELY,
        )
