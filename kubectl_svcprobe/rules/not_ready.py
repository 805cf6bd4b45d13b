"""3xx: pods are there, and none is ready: one rule for each kind of cause."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.readiness import Kind
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import (
    IMAGES_DOC,
    INIT_DOC,
    NODE_DOC,
    POD_DEBUG_DOC,
    POD_LIFECYCLE_DOC,
    READINESS_DOC,
    RESOURCES_DOC,
    SCHEDULING_DOC,
    Match,
    rule,
)
from kubectl_svcprobe.rules.unready import HENCE, down_by


@rule(
    "SVC301",
    "no-pod-ready",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=READINESS_DOC,
)
def no_pod_ready(ev: Evidence) -> Iterator[Match]:
    """**What.** The selector matches pods, and none of them is ready: they are starting, or being deleted.

    **Why it matters.** Only ready pods get traffic; with none, connections to the Service are refused.

    **What else is said.** Causes that can be told have findings of their own, from SVC305 to SVC315: an image, a crash,
    too little memory, a missing ConfigMap, no node, an init container, a readiness probe or gate, a lost node.

    **Known exceptions.** `publishNotReadyAddresses` sends traffic to pods that are not ready. While all pods are being
    deleted, those that still serve get the traffic. Neither is found.

    **How to confirm.** `kubectl get pods -l SELECTOR` shows 0/1 in the column READY for each of them.
    """
    yield from down_by(ev, Kind.STARTING, Kind.LEAVING, Kind.FINISHED)


@rule(
    "SVC305",
    "image-cannot-be-pulled",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=IMAGES_DOC,
)
def image_cannot_be_pulled(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod is ready, since the image of a container cannot be pulled.

    **Why it matters.** The container never starts. Registries answer a private image and a wrong name alike, so "refused"
    may be either.

    **Known exceptions.** A rate limit or an unreachable registry may pass by itself; the kubelet tries again, at longer
    and longer intervals, up to five minutes.

    **How to confirm.** `kubectl describe pod NAME` ends with the kubelet's message; `kubectl get pod NAME -o
    jsonpath={.spec.containers[*].image}` is what it asks for.
    """
    yield from down_by(ev, Kind.IMAGE)


@rule(
    "SVC306",
    "container-keeps-ending",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=POD_DEBUG_DOC,
)
def container_keeps_ending(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod is ready, since a container ends, and is started again and again.

    **Why it matters.** It serves for moments at best. The exit code tells how it ended: 1 and 2 are the application's own
    errors, 126 and 127 a command that cannot be run or found, 137 a kill, 139 a segmentation fault, 143 a request to end.

    **What else is said.** The last line that the container wrote, where its log may be read; and whether it came with a
    rollout, whose undoing is then the fix.

    **Known exceptions.** None known.

    **How to confirm.** `kubectl logs NAME --previous` shows the end of the run before.
    """
    yield from down_by(ev, Kind.CRASH)


@rule(
    "SVC307",
    "container-out-of-memory",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=RESOURCES_DOC,
)
def container_out_of_memory(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod is ready, since a container was killed for using more memory than its limit.

    **Why it matters.** It will be killed again as soon as it needs as much again.

    **Known exceptions.** A leak only takes longer with a higher limit.

    **How to confirm.** `kubectl describe pod NAME` says `Reason: OOMKilled` under Last State, and the limit.
    """
    yield from down_by(ev, Kind.MEMORY)


@rule(
    "SVC308",
    "container-cannot-be-made",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=POD_DEBUG_DOC,
)
def container_cannot_be_made(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod is ready, since something that a container wants is not there: a ConfigMap, a Secret, one key of
    them, a volume, its network.

    **Why it matters.** The kubelet waits for it, and the container does not start.

    **Known exceptions.** Something that another controller makes a moment later: the kubelet tries again by itself.

    **How to confirm.** `kubectl describe pod NAME` names it in its events.
    """
    yield from down_by(ev, Kind.CONFIG)


@rule(
    "SVC309",
    "no-node-takes-the-pods",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=SCHEDULING_DOC,
)
def no_node_takes_the_pods(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod is ready, since the scheduler finds no node for them.

    **Why it matters.** They stay Pending: too little processor or memory is left, a taint is not tolerated, a node
    selector or affinity fits no node, a volume claim is missing or bound elsewhere.

    **Known exceptions.** Where nodes are added on demand, it may pass within minutes.

    **How to confirm.** `kubectl describe pod NAME` ends with `FailedScheduling` and the scheduler's count of nodes.
    """
    yield from down_by(ev, Kind.SCHEDULING)


@rule(
    "SVC310",
    "init-container-not-done",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=INIT_DOC,
)
def init_container_not_done(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod is ready, since an init container runs on or fails, and the application waits for it.

    **Why it matters.** Init containers run one after the other, and all of them have to succeed first. One that waits for
    a database waits as long as the database is away.

    **Known exceptions.** A long migration is only slow.

    **How to confirm.** `kubectl get pod NAME` says `Init:0/1`; `kubectl logs NAME -c INIT-CONTAINER` tells what it does.
    """
    yield from down_by(ev, Kind.INIT)


@rule(
    "SVC311",
    "readiness-probe-fails",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=READINESS_DOC,
)
def readiness_probe_fails(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod is ready, since their readiness (or startup) probe does not succeed.

    **Why it matters.** The containers run, and get no traffic. Either the application is not ready, or the probe asks the
    wrong port or path, or gives it too little time (1 s unless said).

    **What else is said.** What the probe met, by the kubelet's event; and whether the application answers the probe pod
    although it is not ready: then the readiness probe itself is the suspect.

    **Known exceptions.** Events are kept for an hour by most clusters; without one it is only said that the probe has not
    succeeded.

    **How to confirm.** `kubectl describe pod NAME` has the probe in one line, and the event `Unhealthy`. `kubectl
    port-forward pod/NAME PORT` and `curl` ask the same.
    """
    yield from down_by(ev, Kind.PROBE)


@rule(
    "SVC312",
    "readiness-gate-unmet",
    Severity.ERROR,
    reads={"Service", "Pod"},
    explains=HENCE,
    source=POD_LIFECYCLE_DOC,
)
def readiness_gate_unmet(ev: Evidence) -> Iterator[Match]:
    """**What.** All containers are ready, and a readiness gate keeps the pods from being so.

    **Why it matters.** A readiness gate is a condition that a controller has to set on the pod: that of a load balancer,
    for instance, once its health check passes (`target-health.elbv2.k8s.aws/…`, `cloud.google.com/load-balancer-neg-ready`).
    If that controller is gone, or its health check fails, the pods get no traffic.

    **Known exceptions.** Within the first minute the controller may just not be done.

    **How to confirm.** `kubectl get pod NAME -o wide` has `0/1` under READINESS GATES.
    """
    yield from down_by(ev, Kind.GATE)


@rule(
    "SVC313",
    "all-pods-on-lost-nodes",
    Severity.ERROR,
    reads={"Service", "Pod", "Node"},
    explains=HENCE,
    source=NODE_DOC,
)
def all_pods_on_lost_nodes(ev: Evidence) -> Iterator[Match]:
    """**What.** No pod is ready, since the nodes that they are on are not.

    **Why it matters.** Nothing answers until the node is back, or its pods are made anew elsewhere: after five minutes,
    unless they tolerate it for longer; a StatefulSet's pods not at all as long as the node may come back.

    **Known exceptions.** A node whose kubelet alone is down may still run its pods.

    **How to confirm.** `kubectl get nodes` says NotReady; `kubectl describe node NAME` since when, and why.
    """
    yield from down_by(ev, Kind.NODE)
