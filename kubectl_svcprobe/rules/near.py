"""5xx, continued: traffic that is to stay near its client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.endpoint import CONTROLLER, Endpoint
from kubectl_svcprobe.facts.locality import ZONE
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import VIRTUAL_IPS, Match, rule
from kubectl_svcprobe.words import count, listed


@rule(
    "SVC754",
    "traffic-is-not-kept-near",
    Severity.INFO,
    reads={"Service", "EndpointSlice"},
    source=VIRTUAL_IPS,
)
def traffic_is_not_kept_near(ev: Evidence) -> Iterator[Match]:
    """**What.** `trafficDistribution` is set, and has no effect: ready endpoints carry no hint whose clients they are meant for.

    **Why it matters.** Service proxies keep traffic near only where *every* ready endpoint has such a hint; if one has none,
    all hints are ignored, and traffic goes to any endpoint, across zones too. The Service works; it is slower and dearer
    than meant.

    **What else is said.** Why there is no hint: nodes without a zone, or EndpointSlices that somebody else keeps than the
    cluster's own controller.

    **How to confirm.** `kubectl get endpointslices -l kubernetes.io/service-name=SERVICE -o yaml`: each endpoint's `hints`.

    **Known exceptions.** With `internalTrafficPolicy: Local` the policy decides, and nothing is said. Kubernetes before 1.31
    sets no hints for it. Some network plug-ins that replace kube-proxy keep traffic near by other means.
    """
    service = ev.snapshot.service
    if service is None or not service.traffic_distribution or service.internal_traffic_policy == "Local":
        return
    ready = [e for e in ev.snapshot.all_endpoints() if e.ready]
    without = [e for e in ready if not e.for_zones and not e.for_nodes]
    if not without:
        return
    verb = "carries" if len(without) == 1 else "carry"
    what = (
        f"{len(without)} of {count(len(ready), 'ready endpoint')} {verb} no hint"
        if len(without) < len(ready)
        else "no ready endpoint carries a hint"
    )
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is to keep traffic near ({service.traffic_distribution}), and does not: {what}.",
        message=f"trafficDistribution is {service.traffic_distribution}, and {what} whose clients it is meant for, so "
        "Service proxies send traffic to any endpoint.",
        evidence=tuple(_reasons(ev, without)),
        fix=(
            "see the hints of each endpoint:",
            ev.kubectl(
                service.namespace,
                "get",
                "endpointslices",
                "-l",
                f"kubernetes.io/service-name={service.name}",
                "-o",
                "yaml",
            ),
        ),
    )


def _reasons(ev: Evidence, without: Sequence[Endpoint]) -> Iterator[str]:
    nodes = sorted({e.node for e in without if e.node})
    zoneless = [n for n in nodes if (node := ev.snapshot.node(n)) and ZONE not in node.meta.labels]
    if zoneless:
        yield f"without a label {ZONE}: {listed(zoneless)}"
    addresses = {e.address for e in without}
    kept = sorted(
        {
            f"{piece.meta.name} ({piece.managed_by or 'by hand'})"
            for piece in ev.snapshot.slices
            if piece.managed_by != CONTROLLER and addresses & {e.address for e in piece.endpoints}
        }
    )
    if kept:
        yield f"EndpointSlices that the cluster's controller does not keep: {listed(kept)}"
