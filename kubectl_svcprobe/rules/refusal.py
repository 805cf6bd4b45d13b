"""A port at which every endpoint refuses: what a closer look came to, and which of the causes that look alike it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.policy import Answer
from kubectl_svcprobe.facts.traffic import INGRESS
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.closer import Inside
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.rules.foretold import foretell
from kubectl_svcprobe.rules.ports import declared_in_words, declared_ports
from kubectl_svcprobe.words import listed

#: Which protocol a port may have been meant for.
OTHER = {"TCP": "UDP", "UDP": "TCP"}


@dataclass(frozen=True)
class Refusal:
    """A port of the Service at which every endpoint refuses, and what a closer look came to."""

    ev: Evidence
    port: ServicePort
    results: tuple[PathResult, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The ports that refuse."""
        return tuple(sorted({r.probe.path.port for r in self.results}))

    @property
    def at(self) -> str:
        """Those ports in words."""
        return listed(map(str, self.numbers))

    @property
    def pods(self) -> tuple[Pod, ...]:
        """The pods behind the endpoints that refuse."""
        names = {r.probe.path.subject for r in self.results}
        return tuple(pod for pod in self.ev.snapshot.pods if pod.meta.name in names)

    @property
    def inside(self) -> tuple[Inside, ...]:
        """What port-forwards found in these pods."""
        names = {pod.meta.name for pod in self.pods}
        return tuple(found for found in self.ev.closer.inside if found.pod in names)

    @property
    def open_inside(self) -> tuple[str, ...]:
        """The pods in which something listens at the port all the same."""
        return tuple(found.pod for found in self.inside if set(found.open) & set(self.numbers))

    @property
    def is_closed_inside(self) -> bool:
        """Whether nothing listens there inside any pod that was asked."""
        asked = [found for found in self.inside if not found.problem]
        return bool(asked) and all(set(found.closed) & set(self.numbers) for found in asked)

    @property
    def kubelet_reaches_it(self) -> bool:
        """Whether a pod counts as ready by a probe of this very port, which the kubelet makes at the pod's address."""
        return any(pod.is_ready and set(pod.readiness_ports()) & set(self.numbers) for pod in self.pods)

    @property
    def answering(self) -> tuple[int, ...]:
        """Other ports of these pods that the probe pod could connect to."""
        return tuple(sorted({r.probe.path.port for r in self.ev.closer.answering(self.port)}))

    @property
    def policies(self) -> tuple[str, ...]:
        """The NetworkPolicies that do not admit the probe to these pods: some network plug-ins refuse then."""
        hosts = {r.probe.path.host for r in self.results}
        sides = [f.side(INGRESS) for f in foretell(self.ev, self.port) if f.result.probe.path.host in hosts]
        return tuple(sorted({p.meta.name for s in sides if s.admits is not Answer.YES for p in s.isolating}))

    @property
    def declared(self) -> dict[int, str]:
        """What the containers declare for the port's protocol."""
        return declared_ports(self.ev.snapshot.usable(self.port), self.port.protocol)

    @property
    def declared_for_other_protocol(self) -> tuple[int, ...]:
        """Ports of those that refuse which the containers declare for the other of TCP and UDP only."""
        return declared_otherwise(self.ev, self.port, self.numbers)

    @property
    def all_of(self) -> str:
        """The endpoints as the subject of a sentence."""
        few = {1: "its only endpoint refuses", 2: "both endpoints refuse"}
        return few.get(len(self.results), f"all {len(self.results)} endpoints refuse")

    def cause(self) -> str:
        """The code of the one rule that this refusal belongs to."""
        if self.open_inside:
            return "SVC408" if self.kubelet_reaches_it else "SVC405"
        if self.declared_for_other_protocol:
            return "SVC407"
        if self.answering and not set(self.numbers) & set(self.declared):
            return "SVC406"
        return "SVC403"


def declared_otherwise(ev: Evidence, port: ServicePort, numbers: Iterable[int]) -> tuple[int, ...]:
    """Those of these ports that the containers declare for the other of TCP and UDP, and not for this one.

    A declaration that another port of the Service goes by says nothing about this one.
    """
    endpoints = ev.snapshot.endpoints_of(port)
    used = {e.port for p in ev.service.ports if p.protocol != port.protocol for e in ev.snapshot.endpoints_of(p)}
    same, other = (declared_ports(endpoints, protocol) for protocol in (port.protocol, OTHER.get(port.protocol, "")))
    return tuple(number for number in numbers if number in other and number not in {*same, *used})


def refusals(ev: Evidence, code: str) -> Iterator[Refusal]:
    """The ports at which every endpoint refuses, for the cause that this code stands for."""
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        if results and all(r.outcome is Outcome.REFUSED for r in results):
            refusal = Refusal(ev, port, results)
            if refusal.cause() == code:
                yield refusal


def evidence_of(refusal: Refusal) -> Iterator[str]:
    """What speaks for the cause, the most telling first."""
    if refusal.pods:
        yield from inside_evidence(refusal.ev, refusal.results)
        yield declared_in_words(refusal.declared, refusal.port.protocol)
    if refusal.pods and not any(c.has_readiness_probe for pod in refusal.pods for c in pod.containers):
        yield "no readiness probe, so the pods count as ready whether they listen or not"
    if refusal.policies:
        yield (
            f"NetworkPolicy {listed(refusal.policies)} selects these pods, and may be what refuses: "
            "some network plug-ins do so instead of dropping"
        )


def inside_evidence(ev: Evidence, results: Sequence[PathResult]) -> Iterator[str]:
    """What a closer look at pods that refuse came to, the same things of several pods in one line."""
    numbers = {r.probe.path.subject: r.probe.path.port for r in results if r.outcome is Outcome.REFUSED}
    said: dict[str, list[str]] = {}
    for found in ev.closer.inside:
        if found.pod in numbers:
            said.setdefault(_found_inside(found, numbers[found.pod]), []).append(found.pod)
    for what, pods in said.items():
        yield f"port-forward into {listed(pods)}: {what}"
    others = [r for r in ev.closer.others if r.outcome.reached and r.probe.path.subject in numbers]
    if answering := sorted({r.probe.path.port for r in others}):
        pods = list(dict.fromkeys(r.probe.path.subject for r in others))
        yield f"the probe pod can connect to {listed(map(str, answering))} of {listed(pods)}"


def _found_inside(found: Inside, number: int) -> str:
    if found.problem:
        return f"could not be asked, so the application may listen on 127.0.0.1 only: {found.problem}"
    if number in found.open:
        return f"{number} is open there, on its own 127.0.0.1"
    return "refused there too, so nothing listens on its 127.0.0.1 either"


def taken_ports(refusal: Refusal) -> set[int]:
    """The port numbers that the Service's ports lead to already."""
    joined = (e for port in refusal.ev.service.ports for e in refusal.ev.snapshot.endpoints_of(port))
    return {*refusal.numbers, *(e.port for e in joined if e.port)}


def is_closed_in_some_pod(refusal: Refusal, number: int) -> bool:
    """Whether port-forwards found this port closed too."""
    return any(number in found.closed for found in refusal.inside)
