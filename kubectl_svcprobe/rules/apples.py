"""Some endpoints fail and others answer: what the failing ones share, and the others have not; and what helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.endpoint import CONTROLLER, EndpointSlice
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.expect import LOST
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.rules.near_misses import HASHES, MOVES_ON
from kubectl_svcprobe.rules.observed import from_beside
from kubectl_svcprobe.rules.refusal import inside_evidence
from kubectl_svcprobe.words import labels, listed

#: Labels that differ from pod to pod, or that a controller sets: no good to select by.
OWN_LABELS = (*HASHES, "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index")


@dataclass(frozen=True)
class Apples:
    """The results of a port's endpoints, and the pods behind those that fail and those that answer."""

    ev: Evidence
    failed: Sequence[PathResult]
    results: Sequence[PathResult]

    def _pods(self, results: Sequence[PathResult]) -> list[Pod]:
        names = {r.probe.path.subject for r in results}
        return [pod for pod in self.ev.snapshot.pods if pod.meta.name in names]

    @property
    def bad(self) -> list[Pod]:
        """The pods that fail."""
        return self._pods(self.failed)

    @property
    def good(self) -> list[Pod]:
        """The pods that answer."""
        return self._pods([r for r in self.results if r.outcome.is_good])

    @property
    def strangers(self) -> list[ObjectRef]:
        """The workloads that only failing pods belong to, where the others belong to other workloads."""
        bad, good = ({pod.workload for pod in pods} for pods in (self.bad, self.good))
        return sorted(bad) if bad and good and not bad & good else []

    @property
    def only_node(self) -> str:
        """The node that all failing endpoints and no other ones are on; empty where there is none."""
        nodes = {r.probe.path.node for r in self.failed}
        others = {r.probe.path.node for r in self.results if r.outcome.is_good}
        return next(iter(nodes)) if len(nodes) == 1 and nodes.isdisjoint(others) else ""

    @property
    def is_newer(self) -> bool:
        """Whether what fails is of a newer revision of the same Deployment than what answers."""
        owners = {pod.workload for pod in (*self.bad, *self.good)}
        hashes = [{pod.meta.labels.get("pod-template-hash", "") for pod in pods} for pods in (self.bad, self.good)]
        if len(owners) != 1 or next(iter(owners)).kind != "Deployment" or not all(hashes) or hashes[0] & hashes[1]:
            return False
        return min(pod.meta.created for pod in self.bad) > max(pod.meta.created for pod in self.good)

    def told_apart_by(self, value_of: Callable[[Pod], str]) -> tuple[str, str] | None:
        """The value that all failing pods have, and those that the answering ones have, if no pod of both has the same."""
        bad, good = ({value_of(pod) for pod in pods} for pods in (self.bad, self.good))
        if len(bad) != 1 or not good or bad & good or "" in bad | good:
            return None
        return next(iter(bad)), listed(sorted(good))


def _image(pod: Pod) -> str:
    return ", ".join(container.image for container in pod.containers)


def evidence(apples: Apples) -> Iterator[str]:
    """What the failing ones share, and what may let them fail."""
    ev, failed, pods = apples.ev, apples.failed, apples.bad
    if apples.strangers:
        others = sorted({pod.workload for pod in apples.good})
        yield (
            f"what fails belongs to {listed(map(str, apples.strangers))}, what answers to {listed(map(str, others))}; "
            f"{labels(ev.service.selector)} matches both"
        )
    if name := apples.only_node:
        node = ev.snapshot.node(name)
        yield f"all of them, and no other, are on {name}" + (
            "" if node is None or node.is_ready else ", which is not ready"
        )
    yield from inside_evidence(ev, failed)
    if port := apples.failed[0].probe.path.service_port:
        yield from from_beside(ev, port)
    if near := _near_only(ev):
        yield f"{near}, so clients near what fails meet it more often than others"
    yield from _versions(apples)
    zones = apples.told_apart_by(lambda pod: _zone(ev, pod))
    if zones and not apples.only_node:
        yield f"what fails is in zone {zones[0]}, what answers in {zones[1]}"
    declared = sorted({port.number for pod in pods for container in pod.containers for port in container.ports})
    if declared and failed[0].probe.path.port not in declared:
        yield f"their containers declare port {listed(map(str, declared))}, not {failed[0].probe.path.port}"
    if pods and not any(container.has_readiness_probe for pod in pods for container in pod.containers):
        yield "no readiness probe, so they get traffic whether they answer or not"
    for piece, _ in _by_hand(apples):
        yield f"EndpointSlice {piece.meta.name}, which is kept by hand, holds it"
    yield from _affinity(ev)


def _near_only(ev: Evidence) -> str:
    """What makes traffic stay near its client, if anything does."""
    is_hinted = any(e.for_zones or e.for_nodes for e in ev.snapshot.all_endpoints())
    if ev.service.traffic_distribution and is_hinted:
        return f"trafficDistribution is {ev.service.traffic_distribution}"
    mode = "service.kubernetes.io/topology-mode"
    return f"{mode} is {ev.service.meta.annotations[mode]}" if mode in ev.service.meta.annotations else ""


def _versions(apples: Apples) -> Iterator[str]:
    """Another image, or another value of a label that moves on with releases."""
    if images := apples.told_apart_by(_image):
        yield f"what fails runs {images[0]}, what answers {images[1]}"
    keys = sorted(
        {key for pod in apples.bad for key in pod.meta.labels if MOVES_ON.search(key) and key not in OWN_LABELS}
    )
    for key in keys:
        if values := apples.told_apart_by(lambda pod, key=key: pod.meta.labels.get(key, "")):  # type: ignore[misc]
            yield f"what fails has {key}={values[0]}, what answers {values[1]}"
            return


def _zone(ev: Evidence, pod: Pod) -> str:
    node = ev.snapshot.node(pod.node)
    return node.meta.labels.get("topology.kubernetes.io/zone", "") if node else ""


def _affinity(ev: Evidence) -> Iterator[str]:
    if ev.service.session_affinity == "ClientIP":
        seconds = f"{ev.service.session_affinity_seconds} s"
        yield f"sessionAffinity ClientIP: who met one of them keeps meeting it for {seconds}, and others notice nothing"


def fixes(apples: Apples) -> Iterator[str]:
    """What belongs out of the Service goes out of it; what a rollout broke goes back; a single pod is looked at first."""
    ev, namespace, subject = apples.ev, apples.ev.service.namespace, apples.failed[0].probe.path.subject
    if apples.strangers:
        yield from _leave_out(apples)
    elif apples.only_node and all(r.outcome in LOST for r in apples.failed):
        # The logs of a pod on a dead node only hang.
        yield ev.kubectl("", "describe", "node", apples.only_node)
    elif apples.is_newer:
        name = apples.bad[0].workload.name
        yield ev.kubectl(namespace, "rollout", "undo", f"deployment/{name}")
        yield f"this goes back to the revision before, whose pods answer, and replaces the pods of deployment/{name}"
    elif apples.bad:
        yield ev.kubectl(namespace, "describe", "pod", subject)
        yield ev.kubectl(namespace, "logs", subject, "--all-containers", "--tail", "20")
        yield from _set_aside(apples)
    else:
        yield from list(_take_out(apples)) or [f"look at what is behind {apples.failed[0].probe.path.target}"]


def _by_hand(apples: Apples) -> Iterator[tuple[EndpointSlice, list[int]]]:
    """The slices kept by hand that hold failing addresses beside others, and the places of those."""
    hosts = {r.probe.path.host for r in apples.failed}
    for piece in apples.ev.snapshot.slices:
        places = [place for place, endpoint in enumerate(piece.endpoints) if endpoint.address in hosts]
        if piece.managed_by != CONTROLLER and 0 < len(places) < len(piece.endpoints):
            yield piece, places


def _take_out(apples: Apples) -> Iterator[str]:
    for piece, places in _by_hand(apples):
        gone = listed(piece.endpoints[place].address for place in places)
        ops = [{"op": "remove", "path": f"/endpoints/{place}"} for place in reversed(places)]
        yield f"if nobody is meant to be at {gone} any more:"
        yield apples.ev.kubectl.json_patches(piece.meta.namespace, "endpointslice", piece.meta.name, *ops)
        yield f"this takes {gone} out of {piece.meta.name}, which is kept by hand; the other addresses stay"


def telling_labels(these: Sequence[Pod], those: Sequence[Pod]) -> dict[str, str]:
    """A label that all of these pods have with one value, and none of those; empty where there is none."""
    first = these[0].meta.labels if these else {}
    for key, value in sorted(first.items()):
        is_shared = all(pod.meta.labels.get(key) == value for pod in these)
        if key not in OWN_LABELS and is_shared and not any(pod.meta.labels.get(key) == value for pod in those):
            return {key: value}
    return {}


def _leave_out(apples: Apples) -> Iterator[str]:
    ev, strangers, service = apples.ev, apples.strangers, apples.ev.service
    yield (
        f"if {strangers[0]} is meant to serve {service.name}, correct its port and give it a readiness probe; "
        f"if not, its pods need other labels than {labels(service.selector)}:"
    )
    if telling := telling_labels(apples.good, apples.bad):
        yield ev.kubectl.patch(service.namespace, "service", service.name, {"spec": {"selector": telling}})
        yield f"this adds {labels(telling)} to the selector, which leaves out the pods of {strangers[0]}"
    else:
        yield ev.kubectl(service.namespace, "edit", strangers[0].kind.lower(), strangers[0].name)


def _set_aside(apples: Apples) -> Iterator[str]:
    """Out of the Service with it, and kept for a look: its ReplicaSet makes another one in its place."""
    pod, selector = apples.bad[0], apples.ev.service.selector
    if len(apples.bad) == 1 and apples.good and pod.workload.kind == "Deployment" and selector:
        key = sorted(selector)[0]
        aside = f"{key}={selector[key][:40]}-aside"
        yield f"to take it out of {apples.ev.service.name} and keep it for a look, while {pod.workload} makes another one:"
        # Without its hash, the ReplicaSet lets go of it, whatever else that selects by.
        yield apples.ev.kubectl(
            pod.meta.namespace, "label", "pod", pod.meta.name, aside, "pod-template-hash-", "--overwrite"
        )
