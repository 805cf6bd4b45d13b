"""What helps pods that are not ready: a way back to the revision before, or a change of what is wrong, by its kind."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.readiness import Cause, Kind
from kubectl_svcprobe.facts.scaling import Revision
from kubectl_svcprobe.facts.times import in_words, seconds_between
from kubectl_svcprobe.facts.workload import Container, Pod, Workload
from kubectl_svcprobe.rules.near_misses import WITH_TEMPLATE
from kubectl_svcprobe.words import labels

#: Seconds within which a Deployment that lost its last ready pod lost it to a new revision.
BY_ROLLOUT = 180.0
#: Seconds from a Deployment's making within which its condition Available is set to false for the first time.
NEVER_READY = 3.0

Fix = Callable[[Evidence, Pod, Cause], Iterator[str]]


def _revisions(ev: Evidence, pod: Pod) -> tuple[Revision, Revision] | None:
    """The revision that a pod is of, if it is its Deployment's newest, and the one before it."""
    of = [r for r in ev.snapshot.revisions or () if r.meta.controller == pod.workload]
    of.sort(key=lambda r: r.number, reverse=True)
    is_newest = len(of) > 1 and of[0].template_hash == pod.meta.labels.get("pod-template-hash", "")
    return (of[0], of[1]) if is_newest and of[1].number else None


def good_before(ev: Evidence, pod: Pod) -> tuple[Revision, Revision] | None:
    """The same, where the one before is known to have worked: it has ready pods still, or had them when this one came."""
    found = _revisions(ev, pod)
    if found is None:
        return None
    made = next((w for w in ev.snapshot.workloads or () if w.ref == pod.workload), None)
    return found if found[1].ready or (made and _lost_by(made, found[0])) else None


def _lost_by(made: Workload, newest: Revision) -> bool:
    """Whether a Deployment's condition Available turned false about when its newest revision came.

    Then it was true before that. It is false from the start where nothing was ever ready, so that does not count.
    """
    available = made.conditions.get("Available")
    if available is None or available.status != "False":
        return False
    since, came = available.since, newest.meta.created
    was_true = seconds_between(made.meta.created, since) >= NEVER_READY
    return was_true and max(seconds_between(came, since), seconds_between(since, came)) <= BY_ROLLOUT


def rollout_evidence(ev: Evidence, pod: Pod) -> Iterator[str]:
    """That it came with a rollout, and what changed in the images."""
    found = _revisions(ev, pod)
    if found is None:
        return
    newest, before = found
    age = in_words(ev.age(newest.meta.created))
    changed = [
        f"{name}: {before.images[name]} then, {image} now"
        for name, image in newest.images.items()
        if before.images.get(name, image) != image
    ]
    was = ", and the one before worked" if good_before(ev, pod) else ""
    images = f"; image of {', '.join(changed)}" if changed else ""
    yield f"revision {newest.number} of {pod.workload} came {age} ago{was}{images}"


def fixes(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    """The least invasive first: what surely worked before; else a change of what is wrong."""
    if cause.kind in UNDONE and (found := good_before(ev, pod)):
        _, before = found
        name = pod.workload.name
        yield ev.kubectl(pod.meta.namespace, "rollout", "undo", f"deployment/{name}", f"--to-revision={before.number}")
        yield f"this goes back to revision {before.number}, which worked, and replaces the pods of deployment/{name}"
        return
    yield from _BY_KIND.get(cause.kind, _describe)(ev, pod, cause)


#: What a rollout brings, and a way back takes away.
UNDONE = frozenset(
    {Kind.IMAGE, Kind.CONFIG, Kind.INIT, Kind.MEMORY, Kind.CRASH, Kind.PROBE, Kind.SCHEDULING, Kind.GATE}
)


def _describe(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    yield ev.kubectl(pod.meta.namespace, "describe", "pod", pod.meta.name)


def _logs(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    status = next((s for s in pod.statuses if s.name == cause.container), None)
    flags = ["-c", cause.container] if cause.container else ["--all-containers"]
    previous = ["--previous"] if status is not None and status.restarts and status.state != "terminated" else []
    yield ev.kubectl(pod.meta.namespace, "logs", pod.meta.name, *flags, *previous, "--tail", "20")


def _container(pod: Pod, cause: Cause) -> Container | None:
    return next((c for c in (*pod.containers, *pod.init_containers) if c.name == cause.container), None)


def patched(ev: Evidence, owner: ObjectRef, body: Mapping[str, Any]) -> Iterator[str]:
    """A change of a workload's pod template; nothing where there is no template that can be changed."""
    if owner.kind in WITH_TEMPLATE:
        template = {"spec": {"template": {"spec": dict(body)}}}
        yield ev.kubectl.strategic_patch(owner.namespace, owner.kind.lower(), owner.name, template)


def _image(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    found, owner = _revisions(ev, pod), pod.workload
    image = found[1].images.get(cause.container, "") if found else ""
    if image and owner.kind in WITH_TEMPLATE:
        yield "if the image of the revision before will do:"
        yield ev.kubectl(
            owner.namespace, "set", "image", f"{owner.kind.lower()}/{owner.name}", f"{cause.container}={image}"
        )
        return
    yield from _describe(ev, pod, cause)
    if owner.kind in WITH_TEMPLATE:
        name = cause.container or "CONTAINER"
        yield f"then correct the image: kubectl set image {owner.kind.lower()}/{owner.name} {name}=IMAGE"


MISSING = re.compile(r'(configmap|secret) "([^"]+)" not found', re.IGNORECASE)
MISSING_KEY = re.compile(r"couldn't find key (\S+) in (ConfigMap|Secret) [^/\s]+/(\S+)")


def _config(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    namespace, container = pod.meta.namespace, _container(pod, cause)
    if found := MISSING_KEY.search(cause.said):
        key, kind, name = found[1], found[2], found[3].rstrip(".,")
        field = "data" if kind == "ConfigMap" else "stringData"
        yield "with the value that the application needs:"
        yield ev.kubectl.patch(namespace, kind.lower(), name, {field: {key: "VALUE"}})
    elif found := MISSING.search(cause.said):
        kind, name = found[1].lower(), found[2]
        keys = [
            n.key for n in (container.needs if container else ()) if n.name == name and n.kind.lower() == kind and n.key
        ]
        words = ["create", "secret", "generic", name] if kind == "secret" else ["create", "configmap", name]
        yield "with the values that the application needs, if nobody else is to make it:"
        yield ev.kubectl(namespace, *words, *(f"--from-literal={key}=VALUE" for key in dict.fromkeys(keys)))
    else:
        yield from _describe(ev, pod, cause)


def _memory(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    container, owner = _container(pod, cause), pod.workload
    more = _doubled(container.memory_limit) if container else ""
    if more and owner.kind in WITH_TEMPLATE:
        flags = ["-c", cause.container, f"--limits=memory={more}"]
        yield ev.kubectl(owner.namespace, "set", "resources", owner.kind.lower(), owner.name, *flags)
        yield "this doubles the limit and replaces the pods; if memory leaks, it only takes longer"
    else:
        yield from _describe(ev, pod, cause)


def _doubled(quantity: str) -> str:
    """`64Mi` doubled; empty where the quantity is not a plain number with a unit."""
    found = re.fullmatch(r"(\d+)([EPTGMK]i?|k|)", quantity)
    return f"{int(found[1]) * 2}{found[2]}" if found else ""


def _probe(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    container = _container(pod, cause)
    probe = container.readiness if container else None
    if container is None or probe is None or cause.said.startswith("Startup"):
        yield from _describe(ev, pod, cause)
        return
    declared = [p.number for p in container.ports if p.protocol == "TCP"]
    change: dict[str, Any] = {}
    if (
        "refused" in cause.said
        and len(declared) == 1
        and probe.port not in (declared[0], *(p.name for p in container.ports))
    ):
        change = {probe.kind: {"port": declared[0]}}
        yield f"{container.name} declares port {declared[0]} and no other; if that is the one to ask:"
    elif probe.kind == "httpGet" and re.search(r"statuscode: 404", cause.said):
        change = {"httpGet": {"path": "/"}}
        yield f"it has no page {probe.path}; if / will do:"
    elif "was not answered" in cause.clause:
        change = {"timeoutSeconds": max(5, 2 * probe.timeout)}
        yield "to give it more time, if it is slow and not stuck:"
    lines = list(patched(ev, pod.workload, {"containers": [{"name": container.name, "readinessProbe": change}]}))
    yield from lines if change and lines else (*_logs(ev, pod, cause),)


def _gate(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    yield "find the controller that has to set it; where there is none in this cluster, do without the gate:"
    yield from list(patched(ev, pod.workload, {"readinessGates": None})) or _describe(ev, pod, cause)


def _scheduling(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    owner, cordoned = pod.workload, sorted(n.meta.name for n in ev.snapshot.nodes if n.is_unschedulable)
    lacking = re.search(r"Insufficient (cpu|memory)", cause.said)
    if "node affinity/selector" in cause.said and pod.node_selector and owner.kind in WITH_TEMPLATE:
        yield f"if its pods may run on any node, take {labels(pod.node_selector)} out of the pod template:"
        yield from patched(ev, owner, {"nodeSelector": dict.fromkeys(sorted(pod.node_selector))})
    elif lacking and owner.kind in WITH_TEMPLATE and any(lacking[1] in c.requests for c in pod.containers):
        word = lacking[1]
        asked = {c.name: c.requests[word] for c in pod.containers if word in c.requests}
        enough = {"cpu": "100m", "memory": "128Mi"}[word]
        yield f"its containers ask for this much {word}: {labels(asked)}; if they need no more than {enough}:"
        flags = [w for name in list(asked)[:1] for w in ("-c", name)]
        resources = [f"--requests={word}={enough}"]
        yield ev.kubectl(owner.namespace, "set", "resources", owner.kind.lower(), owner.name, *flags, *resources)
    elif "unschedulable" in cause.said and cordoned:
        yield f"if {cordoned[0]} may take pods again:"
        yield ev.kubectl("", "uncordon", cordoned[0])
    else:
        yield from _describe(ev, pod, cause)


def _unnoticed(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    yield f"a new pod is noticed anew ({pod.workload} makes one):"
    yield ev.kubectl(pod.meta.namespace, "delete", "pod", pod.meta.name)


def _node(ev: Evidence, pod: Pod, cause: Cause) -> Iterator[str]:
    yield ev.kubectl("", "describe", "node", pod.node)


_BY_KIND: dict[Kind, Fix] = {
    Kind.IMAGE: _image,
    Kind.CONFIG: _config,
    Kind.MEMORY: _memory,
    Kind.CRASH: _logs,
    Kind.INIT: _logs,
    Kind.PROBE: _probe,
    Kind.GATE: _gate,
    Kind.SCHEDULING: _scheduling,
    Kind.UNNOTICED: _unnoticed,
    Kind.NODE: _node,
}
