"""What no other rule speaks of: a failure that is not explained is no health."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.probe.expect import why_expected
from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import WANTS_CERTIFICATE
from kubectl_svcprobe.probe.request import AS_ASKED
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import DEBUG_SERVICE, Match, rule
from kubectl_svcprobe.words import count, listed

#: The ways in that a Service owes to clients within the cluster.
OWED = (PathKind.ENDPOINT, PathKind.CLUSTER_IP, PathKind.DNS, PathKind.POD_NAME)


@rule("SVC799", "fails-unexplained", Severity.ERROR, reads={"Service"}, source=DEBUG_SERVICE, is_last_resort=True)
def fails_unexplained(ev: Evidence) -> Iterator[Match]:
    """**What.** Something failed from the probe pod that should have worked, and no other finding speaks of it.

    **Why it matters.** Clients probably meet the same. Why, is not known here.

    **How it is known.** Only where nothing else was found, every failure that was to be expected is left out, as are those
    that only the first second of a new pod met. Where every path failed it is an error, where some did, a warning.

    **Known exceptions.** Where the user chose how to ask (`--scheme`, `--path`, a pasted URL), it may be the question that
    does not fit: then it is a warning.

    **How to confirm.** `kubectl svcprobe SERVICE -o wide` shows each path; ask one of them from a pod by hand.
    """
    service = ev.snapshot.service
    owed = [r for kind in OWED for r in ev.from_pod(kind) if r.probe.path.is_offered] if service else []
    failed = [r for r in owed if _is_unexplained(ev, r)]
    if service is None or not failed:
        return
    how = listed(dict.fromkeys(r.detail or r.outcome.value.replace("-", " ") for r in failed))
    is_asked_for = any(r.probe.request.why == AS_ASKED for r in failed)
    everything = len(failed) == len(owed)
    part = "no path answers" if everything else f"{len(failed)} of {count(len(owed), 'path')} fail"
    yield Match(
        subject=service.ref,
        headline=f"{service.name}: {part} ({how}), possibly for a reason that is not known here.",
        message=f"{listed(dict.fromkeys(r.probe.path.target for r in failed))}: {how}. Nothing that was looked at says why; the "
        "application possibly wants to be asked otherwise.",
        evidence=(f"asked by {failed[0].probe.request}, {failed[0].probe.request.reason}",),
        fix=(ev.kubectl.svcprobe(service.namespace, service.name, "-o", "wide"), "shows each path and its times"),
        severity=None if everything and not is_asked_for else Severity.WARNING,
        confidence=Confidence.POSSIBLE,
    )


def _is_unexplained(ev: Evidence, result: PathResult) -> bool:
    """A client certificate that is wanted is information of its own (SVC708)."""
    if not result.outcome.is_bad or result.failed_only_early or result.detail.startswith(WANTS_CERTIFICATE):
        return False
    return not why_expected(ev.snapshot, result, ev.results)
