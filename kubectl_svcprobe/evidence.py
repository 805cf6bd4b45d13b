"""All that the rules may look at: the facts, what was tried, and what came back. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.times import seconds_between
from kubectl_svcprobe.probe.closer import Closer
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.plan import ProbePlan
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import ProbeFacts


@dataclass(frozen=True)
class Evidence:
    """The input of every rule. `probe` is None where no pod was meant to run; `samples` are no results of a way in."""

    snapshot: Snapshot
    plan: ProbePlan = field(default_factory=ProbePlan)
    results: tuple[PathResult, ...] = ()
    probe: ProbeFacts | None = None
    resolv_conf: str = ""
    kubectl: Kubectl = field(default_factory=Kubectl)
    closer: Closer = field(default_factory=Closer)
    samples: tuple[PathResult, ...] = ()

    @property
    def service(self) -> Service:
        """The Service; rules about its absence ask the snapshot."""
        assert self.snapshot.service is not None
        return self.snapshot.service

    def part(self, port: ServicePort) -> str:
        """The Service, or the port of it that is meant where it has several, as the subject of a sentence."""
        service = self.service
        return service.name if len(service.ports) == 1 else f"port {port.name or port.port} of {service.name}"

    @property
    def vantage_is_sound(self) -> bool:
        """Whether the probe pod can reach anything: a control answered, or some path of the Service did."""
        tried = [r for r in self.results if r.probe.vantage is Vantage.POD and r.outcome is not Outcome.NOT_RUN]
        controls = [r for r in tried if r.probe.path.kind is PathKind.CONTROL]
        return not controls or any(r.outcome.reached or r.outcome is Outcome.INTERMITTENT for r in tried)

    def another_node(self, node: str) -> str:
        """A node that is ready and not this one, to try from next; `OTHER-NODE` where none is known."""
        others = sorted(n.meta.name for n in self.snapshot.nodes if n.is_ready and n.meta.name != node)
        return others[0] if others else "OTHER-NODE"

    def from_pod(self, kind: PathKind, port: ServicePort | None = None) -> tuple[PathResult, ...]:
        """Results of the probe pod that say something; none at all from a pod that reaches nothing."""
        if kind is not PathKind.CONTROL and not self.vantage_is_sound:
            return ()
        return tuple(self._results(Vantage.POD, kind, port))

    def from_other_node(self, kind: PathKind, port: ServicePort | None = None) -> tuple[PathResult, ...]:
        """Results of the second look; none where there was none, or where that pod reached nothing at all."""
        found = tuple(self._results(Vantage.OTHER_NODE, kind, port))
        everything = [r for r in self.results if r.probe.vantage is Vantage.OTHER_NODE]
        return found if any(r.outcome.reached for r in everything) else ()

    @property
    def other_node(self) -> str:
        """The node of the second look; empty where there was none."""
        return self.probe.other_node if self.probe else ""

    @property
    def asked_nodes(self) -> tuple[str, ...]:
        """The nodes that `--all-nodes` asked from; none in any other run."""
        return tuple(node.node for node in self.probe.each_node if not node.problem) if self.probe else ()

    def of_node(
        self, node: str, kind: PathKind | None = None, port: ServicePort | None = None
    ) -> tuple[PathResult, ...]:
        """What was met from one of the nodes that were asked alike."""
        return tuple(
            r
            for r in self.results
            if r.probe.node == node
            and r.probe.vantage in (Vantage.POD, Vantage.EACH_NODE)
            and r.outcome is not Outcome.NOT_RUN
            and kind in (None, r.probe.path.kind)
            and port in (None, r.probe.path.service_port)
        )

    def proxy_health(self) -> dict[str, PathResult]:
        """What the kube-proxy of each node said of itself, where it was asked."""
        if self.asked_nodes:
            return {r.probe.path.node: r for r in self._results(Vantage.OTHER_NODE, PathKind.PROXY_HEALTH, None)}
        return {r.probe.path.node: r for r in self.from_other_node(PathKind.PROXY_HEALTH)}

    def from_here(self, kind: PathKind, port: ServicePort | None = None) -> tuple[PathResult, ...]:
        """Results of this machine."""
        return tuple(self._results(Vantage.HERE, kind, port))

    def offered_endpoints(self, port: ServicePort) -> tuple[PathResult, ...]:
        """Results on the endpoints that traffic is sent to."""
        return tuple(r for r in self.from_pod(PathKind.ENDPOINT, port) if r.probe.path.is_offered)

    def _results(self, vantage: Vantage, kind: PathKind, port: ServicePort | None) -> Iterator[PathResult]:
        for result in self.results:
            path = result.probe.path
            is_asked = path.kind is kind and (port is None or path.service_port == port)
            if is_asked and result.probe.vantage is vantage and result.outcome is not Outcome.NOT_RUN:
                yield result

    def age(self, timestamp: str) -> float:
        """Seconds from a timestamp of the API to the moment of this snapshot; 0 where it cannot be read."""
        return seconds_between(timestamp, self.snapshot.taken)
