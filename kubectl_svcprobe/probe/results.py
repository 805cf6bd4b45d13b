"""Probes joined with what came back: one result a path and vantage, over all its attempts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from kubectl_svcprobe.probe.exposure import DEFAULT_DOMAIN, ExposurePath, PathKind
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Probe


@dataclass(frozen=True)
class PathResult:
    """What all attempts on one path from one vantage come to."""

    probe: Probe
    observations: tuple[Observation, ...]
    outcome: Outcome
    detail: str = ""

    @property
    def ran(self) -> tuple[Observation, ...]:
        """The attempts that took place."""
        return tuple(o for o in self.observations if o.outcome is not Outcome.NOT_RUN)

    @property
    def good(self) -> tuple[Observation, ...]:
        """The attempts that succeeded."""
        return tuple(o for o in self.observations if o.outcome.is_good)

    @property
    def http_status(self) -> int:
        """The worst HTTP status that was answered, 0 for none."""
        return max((o.http_status for o in self.observations), default=0)

    @property
    def failed_only_early(self) -> bool:
        """Every attempt of the first pod's first second failed, and none of the settled pod's."""
        return all(o.outcome.is_good == o.is_retry for o in self.ran) and any(o.is_retry for o in self.ran)

    @property
    def spans(self) -> tuple[float, float, float, float]:
        """Seconds for name lookup, connection, TLS, and from the request to its answer: medians of the good attempts."""
        if not self.good:
            return 0.0, 0.0, 0.0, 0.0
        return (
            median(o.lookup_seconds for o in self.good),
            median(max(o.connect_seconds - o.lookup_seconds, 0.0) for o in self.good),
            median(o.tls_seconds for o in self.good),
            median(o.first_byte_seconds for o in self.good),
        )

    @property
    def seconds(self) -> float:
        """The median of the successful attempts' times."""
        return median(o.seconds for o in self.good) if self.good else 0.0


def join(probes: Iterable[Probe], observations: Sequence[Observation], why_missing: str = "") -> tuple[PathResult, ...]:
    """One result a probe, in the probes' order; `why_missing` is said of those that nothing came back about."""
    by_probe: dict[int, list[Observation]] = {}
    for observation in observations:
        by_probe.setdefault(observation.probe_id, []).append(observation)
    reason = why_missing or "nothing came back about it"
    return tuple(_result(probe, tuple(by_probe.get(probe.id, ())), reason) for probe in probes)


def _result(probe: Probe, observations: tuple[Observation, ...], why_missing: str) -> PathResult:
    ran = [o for o in observations if o.outcome is not Outcome.NOT_RUN]
    if probe.request.scheme == "udp":
        # Datagrams get lost, and refusals are sent so many a second only: silence says nothing beside either.
        ran = [o for o in ran if o.outcome is not Outcome.SILENT] or ran
    if not ran:
        detail = observations[0].detail if observations else why_missing
        return PathResult(probe, observations, Outcome.NOT_RUN, detail)
    bad = [o for o in ran if o.outcome.is_bad]
    if not bad:
        worst = max(ran, key=lambda o: (o.outcome is Outcome.HTTP_ERROR, o.http_status))
        errors = sum(o.outcome is Outcome.HTTP_ERROR for o in ran)
        detail = f"{errors} of {len(ran)} answered {worst.http_status}" if 0 < errors < len(ran) else worst.detail
        return PathResult(probe, observations, worst.outcome, detail)
    if len(bad) == len(ran):
        # The settled pod's word counts more than that of a pod in its first second.
        last = [o for o in bad if o.is_retry] or bad
        outcome, _ = Counter(o.outcome for o in last).most_common(1)[0]
        return PathResult(probe, observations, outcome, next(o.detail for o in last if o.outcome is outcome))
    return PathResult(probe, observations, Outcome.INTERMITTENT, _mixed(ran, bad))


def _mixed(ran: Sequence[Observation], bad: Sequence[Observation]) -> str:
    how = " and ".join(dict.fromkeys(o.outcome.value.replace("-", " ") for o in bad))
    return f"{len(bad)} of {len(ran)} {how}"


#: Failures that a pod's youth, or a Service proxy that is a moment behind, may be the reason of. Where a connection stood
#: and nothing came, it is the application's silence, and asking again only takes its time once more.
DOUBTFUL = (
    Outcome.REFUSED,
    Outcome.UNREACHABLE,
    Outcome.TIMED_OUT,
    Outcome.DNS_FAILED,
    Outcome.RESET,
    Outcome.INTERMITTENT,
)


def to_confirm(results: Iterable[PathResult], is_expected: Callable[[PathResult], bool]) -> tuple[Probe, ...]:
    """The probes whose failure is to be repeated before it is believed, with the controls of the pod; and late endpoints."""
    results = tuple(results)
    controls = [r for r in results if r.probe.path.kind is PathKind.CONTROL]
    failed = [r for r in results if r not in controls and r.outcome in DOUBTFUL and not is_expected(r)]
    late = [r for r in late_endpoints(results) if r not in failed]
    return tuple(r.probe for r in (*failed, *late, *(controls if failed else ())))


#: How much later than its neighbours an endpoint answers that stands out: so many times their median, and seconds more.
LATE_TIMES = 5
LATE_SECONDS = 0.25

#: Fewer endpoints of a port are too few to say what is usual there.
LATE_AMONG = 3


def late_endpoints(results: Iterable[PathResult]) -> dict[PathResult, float]:
    """The endpoints that keep a request waiting far longer than most of their port do, each with the others' median.

    It is the least that each was seen to take, so that what was late once and not again is none; how long a connection
    takes is left out of it, since that is the way's affair. All must have answered the same request with the same status.
    """
    by_port: dict[tuple[object, ...], list[PathResult]] = {}
    for result in results:
        path = result.probe.path
        if (
            path.kind is PathKind.ENDPOINT
            and path.is_offered
            and result.outcome.is_good
            and result.probe.request.is_http
        ):
            key = (path.service_port, result.probe.request, result.probe.vantage, result.probe.node, result.http_status)
            by_port.setdefault(key, []).append(result)
    found: dict[PathResult, float] = {}
    for group in by_port.values():
        waits = {result: _least_wait(result) for result in group}
        usual = median(waits.values())
        late = [r for r, wait in waits.items() if wait >= max(LATE_TIMES * usual, usual + LATE_SECONDS)]
        if len(group) >= LATE_AMONG and 2 * len(late) < len(group):
            others = median(wait for result, wait in waits.items() if result not in late)
            found.update(dict.fromkeys(late, others))
    return found


def _least_wait(result: PathResult) -> float:
    """Seconds from the request to its answer, less what a round trip takes by the connection's measure."""
    return min(max(o.first_byte_seconds - (o.connect_seconds - o.lookup_seconds), 0.0) for o in result.good)


def within_families(results: Iterable[PathResult], ips: Sequence[str]) -> tuple[PathResult, ...]:
    """What a pod with these addresses met; at an address of a family that it does not have, nothing was tried.

    curl reports the missing route as it does a refusal.
    """
    families = {":" in ip for ip in ips}
    return tuple(_untried(r) if families and not _family(r.probe.path) & families else r for r in results)


def asked_from(results: Iterable[PathResult], node: str) -> tuple[PathResult, ...]:
    """The same, with the node of the pod that asked."""
    return tuple(replace(r, probe=replace(r.probe, node=node)) for r in results)


def _family(path: ExposurePath) -> set[bool]:
    """Whether it is one of IPv6; a name may be of either family, if it is not asked for by one."""
    host = path.host
    if path.family:
        return {path.family == "IPv6"}
    return {True} if ":" in host else {False} if host.replace(".", "").isdigit() else {True, False}


def _untried(result: PathResult) -> PathResult:
    path = result.probe.path
    family = path.family or ("IPv6" if ":" in path.host else "IPv4")
    return PathResult(result.probe, (), Outcome.NOT_RUN, f"the probe pod has no {family} address")


def with_true_names(results: Iterable[PathResult], domain: str) -> tuple[PathResult, ...]:
    """Only the full name that this cluster has: `svc.cluster.local`, unless its resolv.conf says otherwise."""
    keep = f".svc.{DEFAULT_DOMAIN}" if domain in ("", DEFAULT_DOMAIN) else ".svc"
    return tuple(
        result
        for result in results
        if result.probe.path.kind is not PathKind.DNS
        or "." not in result.probe.path.host
        or result.probe.path.host.endswith(keep)
    )
