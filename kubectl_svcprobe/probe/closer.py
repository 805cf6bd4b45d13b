"""A closer look at a port that refuses: what else is asked of the pods behind it, and what that came to. Pure.

A refusal has three usual causes that look alike from outside: nothing listens, the application listens at another port, or
only on its pod's own 127.0.0.1. The other ports are asked from the second probe pod, the pod's inside by port-forward.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.request import choose
from kubectl_svcprobe.probe.results import PathResult

#: Bounds: pods that are looked into, and other ports that are asked of each.
MAX_PODS = 2
MAX_PORTS = 4

#: A port at which nothing listens in any image: its refusal shows that refusals come back at all.
CLOSED_PORT = 1


@dataclass(frozen=True)
class Question:
    """The ports of one pod that are asked by port-forward."""

    pod: str
    ports: tuple[int, ...]


@dataclass(frozen=True)
class Inside:
    """What a port-forward found inside a pod; `problem` is why it found nothing out."""

    pod: str
    open: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Closer:
    """What the closer look came to; `others` are results on ports that the Service does not lead to.

    `dialects` are those of one endpoint that was asked in other ways, since it gave no answer.
    """

    inside: tuple[Inside, ...] = ()
    others: tuple[PathResult, ...] = ()
    dialects: tuple[PathResult, ...] = ()

    def answering(self, port: ServicePort) -> tuple[PathResult, ...]:
        """The other ports that the probe pod could connect to, asked because this one refuses."""
        return tuple(r for r in self.others if r.probe.path.service_port == port and r.outcome.reached)

    def understands(self, port: ServicePort) -> tuple[PathResult, ...]:
        """The other ways of speaking in which this port gave an answer; a 400 is none: "I do not understand"."""
        of_port = (r for r in self.dialects if r.probe.path.service_port == port)
        answers = (Outcome.ANSWERED, Outcome.HTTP_ERROR)
        return tuple(r for r in of_port if r.outcome in answers and r.http_status != 400)


def refusing(results: Sequence[PathResult]) -> tuple[PathResult, ...]:
    """The endpoints that get traffic and refused it."""
    return tuple(
        r
        for r in results
        if r.probe.vantage is Vantage.POD
        and r.probe.path.kind is PathKind.ENDPOINT
        and r.probe.path.is_offered
        and r.outcome is Outcome.REFUSED
    )


def questions(snapshot: Snapshot, results: Sequence[PathResult]) -> tuple[Question, ...]:
    """Which ports of which pods are asked by port-forward.

    A pod in its node's network has no loopback of its own: what listens there may be anybody's.
    """
    asked: dict[str, list[int]] = {}
    for pod, result in _pods(snapshot, results):
        if pod.is_host_network:
            continue
        ports = asked.setdefault(pod.meta.name, [])
        ports += [result.probe.path.port, *_other_ports(snapshot, pod)]
    return tuple(Question(pod, tuple(dict.fromkeys(ports))[: MAX_PORTS + 1]) for pod, ports in asked.items())


def other_probes(snapshot: Snapshot, results: Sequence[PathResult], first_id: int) -> tuple[Probe, ...]:
    """What the second probe pod asks besides: the pods' other ports."""
    paths = [
        ExposurePath(
            PathKind.ENDPOINT,
            result.probe.path.host,
            number,
            result.probe.path.service_port,
            subject=pod.meta.name,
            node=pod.node,
            is_offered=False,
        )
        for pod, result in _pods(snapshot, results)
        for number in _other_ports(snapshot, pod)
    ]
    return tuple(
        Probe(first_id + offset, path, Vantage.POD, choose(snapshot, _as_service_port(snapshot, path)), is_aside=True)
        for offset, path in enumerate(paths)
    )


def judged(question: Question, complaints: Mapping[int, str]) -> Inside:
    """What the complaints of a port-forward mean. Silence means "open" only where the closed port did complain."""
    if not _is_refusal(complaints.get(CLOSED_PORT, "")):
        why = next(iter(complaints.values()), "") or "no refusal came back in time, not even of a closed port"
        return Inside(question.pod, problem=why)
    return Inside(
        question.pod,
        open=tuple(port for port in question.ports if port not in complaints),
        closed=tuple(port for port in question.ports if _is_refusal(complaints.get(port, ""))),
    )


def _is_refusal(complaint: str) -> bool:
    return "refused" in complaint.lower()


def _pods(snapshot: Snapshot, results: Sequence[PathResult]) -> Iterator[tuple[Pod, PathResult]]:
    """The first pods that refuse, with what they refused."""
    by_name = {pod.meta.name: pod for pod in snapshot.pods}
    seen: set[str] = set()
    for result in refusing(results):
        pod = by_name.get(result.probe.path.subject)
        if pod is None or (pod.meta.name not in seen and len(seen) == MAX_PODS):
            continue
        seen.add(pod.meta.name)
        yield pod, result


def _other_ports(snapshot: Snapshot, pod: Pod) -> list[int]:
    """Where else this pod may listen: what its containers declare or probe, and the Service's own port numbers."""
    assert snapshot.service is not None
    containers = (*pod.containers, *pod.sidecars)
    declared = [port.number for c in containers for port in c.ports if port.protocol == "TCP"]
    probed = [probe.port for c in containers for probe in c.http_probes if isinstance(probe.port, int)]
    own = [port.port for port in snapshot.service.ports if port.protocol == "TCP"]
    led_to = {e.port for port in snapshot.service.ports for e in snapshot.endpoints_of(port) if e.name == pod.meta.name}
    found = [number for number in (*declared, *probed, *own) if number not in led_to]
    return list(dict.fromkeys(found))[:MAX_PORTS]


def _as_service_port(snapshot: Snapshot, path: ExposurePath) -> ServicePort:
    """A container's port as if the Service led to it, to choose what is said there."""
    names = (
        port.name
        for pod in snapshot.pods
        for container in (*pod.containers, *pod.sidecars)
        for port in container.ports
        if port.number == path.port and pod.meta.name == path.subject
    )
    return ServicePort(path.port, path.port, name=next(names, ""))
