"""What the rules about pods that are not ready share: which pods, why, on what evidence, and the finding itself."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.readiness import Cause, Kind, cause_of
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.request import OWN_PROBE
from kubectl_svcprobe.rules.rule import Match
from kubectl_svcprobe.rules.way_back import fixes, rollout_evidence
from kubectl_svcprobe.words import count, gist, labels, listed

#: Seconds for which a new pod may be starting without a word.
STARTING = 60.0
#: What `explains` of the rules about pods of which none is ready names.
HENCE = ("SVC302", "SVC304")
#: How long a reason may be in a headline.
HEADLINE = 110


def running(ev: Evidence) -> list[Pod]:
    """The pods that have not run to their end."""
    return [pod for pod in ev.snapshot.pods if not pod.is_finished]


def reasons(ev: Evidence, pods: Iterable[Pod]) -> list[str]:
    """Why pods are not ready, pods with the same reason together."""
    by_reason: dict[str, list[Pod]] = {}
    for pod in pods:
        by_reason.setdefault(cause_of(pod, ev.snapshot).clause, []).append(pod)
    return [f"{listed(pod.meta.name for pod in same)}: {reason}" for reason, same in by_reason.items()]


def last_words(ev: Evidence, pods: Iterable[Pod]) -> Iterator[str]:
    """What their containers wrote last before they ended."""
    names = {pod.meta.name for pod in pods}
    for words in ev.snapshot.last_words:
        if words.pod in names:
            yield f"the last line of {words.container} in {words.pod}: {words.line}"


def cause_now(ev: Evidence) -> tuple[Pod, Cause] | None:
    """The first pod's cause, if the Service has no ready pod where it should; a lost node counts only if it is all pods'."""
    service, pods = ev.snapshot.service, running(ev)
    if service is None or not pods or any(pod.is_ready for pod in pods) or service.publish_not_ready_addresses:
        return None
    if any(ev.snapshot.usable(port) for port in service.ports):
        return None
    if not ev.snapshot.could_read("EndpointSlice") and any(pod.is_terminating for pod in pods):
        # One that is being deleted may still serve, which only the slices tell.
        return None
    causes = [(pod, cause_of(pod, ev.snapshot)) for pod in pods]
    telling = [c for c in causes if c[1].kind not in (Kind.NODE, Kind.LEAVING, Kind.STARTING)]
    return (telling or causes)[0]


def colliding_line(ev: Evidence) -> str:
    """The line in which a container complains of what looks like a variable of Kubernetes' own; empty if there is none."""
    found = cause_now(ev)
    if found is None or found[1].kind is not Kind.CRASH or not found[0].enables_service_links:
        return ""
    return next((w.line for w in ev.snapshot.last_words if re.search(r"\btcp://[\d.]+:\d+", w.line)), "")


def down_by(ev: Evidence, *kinds: Kind) -> Iterator[Match]:
    """The finding, if the cause is of one of these kinds."""
    found = cause_now(ev)
    if found is None or found[1].kind not in kinds or colliding_line(ev):
        return
    pod, cause = found
    service, pods, first = ev.service, running(ev), gist(cause.clause, HEADLINE)
    is_new = all(0 < ev.age(p.meta.created) < STARTING / 2 for p in pods) and cause.kind is Kind.STARTING
    who = "its only pod is not ready" if len(pods) == 1 else f"none of its {len(pods)} pods is ready"
    evidence = [*reasons(ev, pods), *last_words(ev, pods), *rollout_evidence(ev, pod), *_answers_although_not_ready(ev)]
    yield Match(
        subject=service.ref,
        headline=f"{service.name} is down for everyone: {who}; {first}.",
        message=f"The selector {labels(service.selector)} matches {count(len(pods), 'pod')}, 0 ready, "
        f"so nothing is behind {service.name}." + (" They were created less than 30 s ago." if is_new else ""),
        evidence=tuple(dict.fromkeys((*evidence, *_word_for_word(cause)))),
        fix=tuple(fixes(ev, pod, cause)),
        brief=f"no pod ready: {first}",
    )


def _word_for_word(cause: Cause) -> Iterator[str]:
    """What was said of it, where the clause does not quote it."""
    said = cause.said.strip().split("\n")[0]
    if said and said not in cause.clause and cause.kind in (Kind.SCHEDULING, Kind.IMAGE, Kind.PROBE, Kind.CONFIG):
        yield said if len(said) <= 300 else f"{said[:299]}…"


def _answers_although_not_ready(ev: Evidence) -> Iterator[str]:
    """What an application's answers say of its readiness probe; an error at the probe's own path only confirms it."""
    by_probe = {p.meta.name for p in running(ev) if cause_of(p, ev.snapshot).kind is Kind.PROBE}
    tried = [r for r in ev.from_pod(PathKind.ENDPOINT) if r.probe.path.subject in by_probe]
    answering = [r for r in tried if r.outcome.is_good]
    confirming = [r for r in answering if r.http_status >= 400 and r.probe.request.why == OWN_PROBE]
    doubting = [r for r in answering if r not in confirming]
    if confirming:
        who = listed(dict.fromkeys(r.probe.path.subject for r in confirming))
        yield f"asked the same way, {who} answered this probe with {confirming[0].http_status} too"
    if doubting:
        names = list(dict.fromkeys(r.probe.path.subject for r in doubting))
        said = "answers at its port although it is" if len(names) == 1 else "answer at their port although they are"
        yield f"{listed(names)} {said} not ready: suspect the readiness probe before the application"
