"""2xx, continued: who stands together behind one selector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.apples import telling_labels
from kubectl_svcprobe.rules.rule import SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import count, labels, listed


@rule("SVC206", "several-workloads-behind-selector", Severity.WARNING, reads={"Service", "Pod"}, source=SERVICE_DOC)
def several_workloads_behind_selector(ev: Evidence) -> Iterator[Match]:
    """**What.** The selector matches pods of more than one workload.

    **Why it matters.** Requests go to all of them in turn. Where that is a second application that happens to carry the
    same label, clients get the wrong answers now and then, and nothing looks broken.

    **Known exceptions.** Blue-green and canary releases do this on purpose. Several revisions of one Deployment are one
    workload, and pods that are being deleted or have finished do not count.

    **How to confirm.** `kubectl get pods -l SELECTOR --show-labels` and look at their owners.
    """
    service = ev.snapshot.service
    if service is None or not service.selector:
        return
    pods = [pod for pod in ev.snapshot.pods if not pod.is_finished and not pod.is_terminating]
    owners = dict(sorted(Counter(pod.workload for pod in pods).items()))
    if len(owners) < 2:
        return
    names = [f"{owner} ({count(number, 'pod')})" for owner, number in owners.items()]
    yield Match(
        subject=service.ref,
        headline=f"{service.name} sends its traffic to {len(owners)} workloads: {listed(map(str, owners))}.",
        message=f"The selector {labels(service.selector)} matches the pods of {listed(names)}.",
        fix=(
            "if one of them is not meant, give the meant one's pods a label of their own, and add it to the selector:",
            ev.kubectl(service.namespace, "get", "pods", "-l", labels(service.selector), "--show-labels"),
            *_only(ev, pods, next(iter(sorted(owners, key=lambda o: (-owners[o], o))))),
        ),
        brief=f"several workloads behind its selector: {listed(map(str, owners))}",
    )


def _only(ev: Evidence, pods: list[Pod], owner: ObjectRef) -> Iterator[str]:
    """How to send the traffic to one workload alone, where a label tells its pods from the others'."""
    meant = [pod for pod in pods if pod.workload == owner]
    if telling := telling_labels(meant, [pod for pod in pods if pod.workload != owner]):
        yield f"if only {owner} is meant:"
        yield ev.kubectl.patch(ev.service.namespace, "service", ev.service.name, {"spec": {"selector": telling}})
