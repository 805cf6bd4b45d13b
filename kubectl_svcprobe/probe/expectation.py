"""What a traffic policy declares for one path: it answers, it is dropped or refused, or either may come. Pure.

An expectation says what the objects and the dataplane make of a request that nothing else disturbs. A failure that was to
be expected is none; an answer where none was expected means that the dataplane does not heed the policy, which is no fault
of the Service either.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kubectl_svcprobe.facts.dataplane import MEANING, Answer, Dataplane, Situation
from kubectl_svcprobe.facts.locality import local, local_nodes
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage


class Expected(str, Enum):
    """What is to be expected of a request."""

    ANSWERS = "answers"
    DROPPED = "dropped"
    REFUSED = "refused"
    NO_ANSWER = "no answer"
    EITHER = "either"

    @property
    def is_failure(self) -> bool:
        """Nothing else than a failure is to be expected."""
        return self in (Expected.DROPPED, Expected.REFUSED, Expected.NO_ANSWER)


@dataclass(frozen=True)
class Expectation:
    """What is to be expected, and why."""

    what: Expected
    because: str


BY_CLUSTER_IP = (PathKind.CLUSTER_IP, PathKind.DNS)


def expectation(snapshot: Snapshot, path: ExposurePath, vantage: Vantage, from_node: str) -> Expectation | None:
    """What `internalTrafficPolicy: Local` or `externalTrafficPolicy: Local` declares; None where neither is in play.

    `from_node` is the node of the pod that asks, empty for this machine, or where it is not known.
    """
    service, port = snapshot.service, path.service_port
    if service is None or port is None or service.is_headless or not snapshot.usable(port):
        return None
    if path.kind in BY_CLUSTER_IP and service.internal_traffic_policy == "Local":
        return at_cluster_ip(snapshot, port, from_node) if from_node else None
    if path.kind is PathKind.NODE_PORT and service.external_traffic_policy == "Local":
        return at_node_port(snapshot, port, path.node, from_node, is_outside=vantage is Vantage.HERE)
    return None


def at_cluster_ip(snapshot: Snapshot, port: ServicePort, node: str) -> Expectation:
    """`internalTrafficPolicy: Local`, asked by a pod on this node (KEP-2086)."""
    if local(snapshot, port, node):
        return Expectation(Expected.ANSWERS, f"{node} has an endpoint of its own")
    return Expectation(without_local(snapshot), f"{node} has no endpoint, and others are not asked")


def at_node_port(snapshot: Snapshot, port: ServicePort, node: str, from_node: str, is_outside: bool) -> Expectation:
    """`externalTrafficPolicy: Local`, asked at a node: from outside, or by a pod on `from_node`.

    kube-proxy treats what it takes for a pod of the cluster as if the policy were Cluster, without masquerading it
    (pkg/proxy/iptables/proxier.go; kubernetes issue 74383). Whether it can tell depends on `detectLocalMode` and on
    whether the network plug-in masquerades what pods send to nodes; an answer by way of a third node is then lost.
    """
    serving = local_nodes(snapshot, port)
    if is_outside and node in serving:
        return Expectation(Expected.ANSWERS, f"{node} has an endpoint of its own")
    if is_outside:
        return Expectation(without_local(snapshot), f"{node} has no endpoint, and others are not asked")
    if serving == {node}:
        return Expectation(Expected.ANSWERS, f"the endpoints are on {node}, whichever policy it applies to a pod")
    if not from_node:
        return Expectation(Expected.EITHER, "a node may treat pods as if the policy were Cluster")
    if from_node == node and node in serving:
        return Expectation(Expected.ANSWERS, f"{node} has an endpoint, and answers for its own pods by any other too")
    if from_node == node:
        return Expectation(Expected.EITHER, "a node may treat its own pods as if the policy were Cluster")
    return Expectation(
        Expected.EITHER, "that depends on whether the network plug-in masquerades what pods send to nodes"
    )


def without_local(snapshot: Snapshot) -> Expected:
    """What a node without an endpoint of its own does under a policy `Local`, as far as the dataplane is known."""
    proxy = (snapshot.dataplane or Dataplane()).proxy
    answer = MEANING[Situation.NO_LOCAL_ENDPOINT].get(proxy)
    if answer is None:
        return Expected.NO_ANSWER
    return Expected.DROPPED if answer is Answer.SILENT else Expected.REFUSED


def has_local_policy(service: Service | None) -> bool:
    """Whether either policy is Local, and in play."""
    return (
        service is not None
        and not service.is_headless
        and (service.internal_traffic_policy == "Local" or service.external_traffic_policy == "Local")
    )
