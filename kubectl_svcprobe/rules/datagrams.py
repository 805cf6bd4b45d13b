"""7xx, continued: what came back over UDP."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import count, listed, mapping


@rule(
    "SVC718",
    "udp-refused",
    Severity.WARNING,
    reads={"Service", "EndpointSlice"},
    source=f"{SERVICE_DOC}#protocol-support",
)
def udp_refused(ev: Evidence) -> Iterator[Match]:
    """**What.** This machine sent a datagram to the Service's outside addresses, and each was refused by ICMP, although there
    are endpoints.

    **Why it matters.** A refusal comes from the pod's own kernel where nothing listens on that UDP port, or from a node whose
    Service proxy has no endpoint for it. A server that is merely silent sends none.

    **Known exceptions.** A firewall on the way may refuse in the same words: then clients inside the cluster are served.

    **How to confirm.** `kubectl exec POD -- cat /proc/net/udp` lists the ports that are listened on, in hexadecimal.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        if port.protocol != "UDP" or not ev.snapshot.usable(port):
            continue
        kinds = (PathKind.NODE_PORT, PathKind.LOAD_BALANCER, PathKind.EXTERNAL_IP)
        asked = [result for kind in kinds for result in ev.from_here(kind, port)]
        refused = [r for r in asked if r.outcome is Outcome.REFUSED]
        if not refused or len(refused) < len(asked):
            continue
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} is refused over UDP: probably nothing listens on {port.target_port}/UDP in its pods.",
            message=f"Port {mapping(port)}: {count(len(refused), 'address')} that this machine asked refused the datagram.",
            evidence=(listed((r.probe.path.target for r in refused), 4),),
            fix=tuple(_fix(ev)),
            confidence=Confidence.LIKELY,
        )


def _fix(ev: Evidence) -> Iterator[str]:
    pods = sorted(pod.meta.name for pod in ev.snapshot.pods if pod.is_ready)
    yield "let the application listen there on UDP, or have targetPort lead to where it does"
    if pods:
        yield ev.kubectl(ev.service.meta.namespace, "exec", pods[0], "--", "cat", "/proc/net/udp")
