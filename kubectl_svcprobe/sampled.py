"""What the requests of `--samples` come to: how many were answered, how fast, and by whom as far as answers tell. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.measured import SampleFacts
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.headers import TELLING_HEADERS
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.results import PathResult

#: How a name tells the endpoint that answered: it leads to that itself.
BY_ADDRESS = "address"


def sample_facts(snapshot: Snapshot, samples: Iterable[PathResult]) -> tuple[SampleFacts, ...]:
    """The samples of each port; none of those that no pod asked for."""
    return tuple(_facts(snapshot, result) for result in samples if result.ran)


def _facts(snapshot: Snapshot, result: PathResult) -> SampleFacts:
    path, port = result.probe.path, result.probe.path.service_port
    assert port is not None
    times = sorted(o.seconds * 1000 for o in result.good)
    told_by, endpoints = _spread(snapshot, port, path.kind, result.good)
    return SampleFacts(
        kind=path.kind.value,
        target=path.target,
        port_name=port.name,
        request=str(result.probe.request),
        asked=len(result.ran),
        succeeded=len(result.good),
        outcomes=dict(Counter(map(_word, result.ran)).most_common()),
        p50=_percentile(times, 50),
        p95=_percentile(times, 95),
        longest=_percentile(times, 100),
        endpoints=endpoints,
        told_by=told_by,
    )


def _word(seen: Observation) -> str:
    is_status = seen.http_status and seen.outcome in (Outcome.ANSWERED, Outcome.HTTP_ERROR)
    return str(seen.http_status) if is_status else seen.outcome.value


def _percentile(times: Sequence[float], percent: int) -> float:
    """The least of the times that so many of them do not exceed: one that was measured, never one in between."""
    return round(times[max(ceil(len(times) * percent / 100), 1) - 1], 1) if times else 0.0


def _spread(
    snapshot: Snapshot, port: ServicePort, kind: PathKind, good: Sequence[Observation]
) -> tuple[str, Mapping[str, int]]:
    """By what the answers tell their endpoint, and how many each gave; nothing at all unless every answer tells."""
    for told_by, words in _ways_to_tell(kind, good):
        names = _names(snapshot, port, told_by)
        if good and all(word in names for word in words):
            return told_by, dict(Counter(names[word] for word in words).most_common())
    return "", {}


def _ways_to_tell(kind: PathKind, good: Sequence[Observation]) -> Iterator[tuple[str, list[str]]]:
    """What might tell an endpoint, and what each answer has there."""
    if kind is PathKind.DNS:
        yield BY_ADDRESS, [o.remote_ip for o in good]
    for index, header in enumerate(TELLING_HEADERS):
        yield header, [o.telling[index] if len(o.telling) > index else "" for o in good]


def _names(snapshot: Snapshot, port: ServicePort, told_by: str) -> dict[str, str]:
    """The endpoint that a word means: its pod's name, or its address; none where it could mean two."""
    meant: dict[str, set[str]] = {}
    for joined in snapshot.endpoints_of(port):
        address = joined.endpoint.address
        pod = joined.endpoint.target.name if joined.endpoint.target else ""
        for word in (address,) if told_by == BY_ADDRESS else (address, pod):
            meant.setdefault(word, set()).add(pod or address)
    return {word: names.pop() for word, names in meant.items() if word and len(names) == 1}
