"""7xx, continued: who answers, but late."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.probe.results import late_endpoints
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, Match, rule
from kubectl_svcprobe.words import listed


@rule("SVC734", "slow-endpoint", Severity.INFO, reads={"Service", "EndpointSlice"}, source=DEBUG_SERVICE)
def slow_endpoint(ev: Evidence) -> Iterator[Match]:
    """**What.** Most endpoints of a port answer a request quickly, and a few (fewer than half) answer the same request late:
    at least 250 ms later, and five times as late, both times that they were asked.

    **Why it matters.** Traffic is spread over all endpoints, so a share of the requests is slow, for everybody, at random. It
    is information, since the answers are right, and since what is too slow is the application's affair.

    **What is measured.** From the request to the first byte of its answer, without the time that a connection takes: the pod
    and not the way to it. A second probe pod asks late endpoints again, 5 s later; the faster of both times counts.

    **Known exceptions.** An application that wakes up at its first requests (a cold cache, a compiler, a connection to a
    database) may do so twice. Where the first pod waited already (NetworkPolicies, `--one-pod`) nobody asks again, and
    nothing is said; nor is it with fewer than three endpoints, or where the answers have different statuses.

    **How to confirm.** Ask the pod and another one a few times: `curl -o /dev/null -w '%{time_starttransfer}\\n' POD-IP:PORT`.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        found = late_endpoints(ev.offered_endpoints(port))
        late = {r: usual for r, usual in found.items() if len(r.good) > 1}
        if not late:
            continue
        names = listed(r.probe.path.subject for r in late)
        first, usual = next(iter(late.items()))
        verb = "answers" if len(late) == 1 else "answer"
        yield Match(
            subject=ObjectRef("Pod", ev.service.namespace, first.probe.path.subject),
            port=port.port,
            headline=f"{ev.part(port)} is slow for a share of the requests: {names} {verb} late.",
            message=f"{names} {verb} late, both times that a probe pod asked; the others take {_ms(usual)} in the median.",
            evidence=tuple(
                _times(r.probe.path.subject, r.probe.path.node, [o.seconds for o in r.good]) for r in [*late][:5]
            ),
            fix=(
                ev.kubectl(ev.service.namespace, "top", "pod", first.probe.path.subject, "--containers"),
                ev.kubectl(ev.service.namespace, "logs", first.probe.path.subject, "--all-containers", "--tail", "20"),
            ),
        )


def _times(pod: str, node: str, seconds: list[float]) -> str:
    where = f" on {node}" if node else ""
    return f"{pod}{where}: {listed(map(_ms, seconds))}"


def _ms(seconds: float) -> str:
    return "less than 1 ms" if seconds < 0.001 else f"{seconds * 1000:,.0f} ms"
