"""Failures that are none: what a traffic policy declares, and what lies beyond this machine's reach."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_svcprobe.facts.locality import local
from kubectl_svcprobe.facts.provider import internal_scheme
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.expectation import Expectation, expectation
from kubectl_svcprobe.probe.exposure import AT_THE_EDGE, PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult

#: What the report says of node ports where no node at all can be reached.
BEYOND_REACH = "not reachable from here"

#: What the report says of an address outside the cluster that a pod does not reach; many clusters are built like that.
OUT_OF_REACH = "not reachable from there"

#: What the report says of a pod's failure at a node port under `externalTrafficPolicy: Local`.
NO_PROOF = "no proof: policy Local"

#: What it says of a health check node port that rightly says no, and of an internal load balancer.
NO_ENDPOINT, INTERNAL = "no endpoint there", "an internal address"

LOST = (Outcome.TIMED_OUT, Outcome.UNREACHABLE)


def why_expected(snapshot: Snapshot, result: PathResult, results: Iterable[PathResult]) -> str:
    """Why this failure says nothing against the Service, in a word or two; empty if it does, or if it is no failure."""
    path = result.probe.path
    if path.kind is PathKind.HEALTH_CHECK and snapshot.service and result.http_status == 503:
        ready = any(e.ready and e.node == path.node for e in snapshot.all_endpoints())
        return "" if ready else NO_ENDPOINT
    if not result.outcome.is_bad or snapshot.service is None:
        return ""
    if not path.is_offered:
        return "not ready"
    if is_declared(snapshot, result):
        return "as declared"
    if is_left_open(snapshot, result):
        return NO_PROOF
    if is_out_of_ranges(snapshot, result):
        return "source ranges"
    if (
        path.kind is PathKind.LOAD_BALANCER
        and result.probe.vantage is Vantage.HERE
        and internal_scheme(snapshot.service)
    ):
        return INTERNAL
    if path.kind is PathKind.NODE_PORT and result.probe.vantage is Vantage.HERE and not _reaches_any_node(results):
        return BEYOND_REACH
    if path.kind in AT_THE_EDGE and is_out_of_reach(result):
        return BEYOND_REACH if result.probe.vantage is Vantage.HERE else OUT_OF_REACH
    return ""


def is_out_of_reach(result: PathResult) -> bool:
    """Whether whoever asked at the edge of the cluster met nobody there, which says nothing about what is behind it.

    Proxies of a private network, or ones that know their clients by a firewall, are silent to others. At an address of the
    loopback (as `kind` and `minikube tunnel` write it) only one machine meets the proxy.
    """
    is_loopback = result.probe.path.host.startswith("127.") or result.probe.path.host in ("localhost", "::1")
    return result.outcome in (*LOST, Outcome.DNS_FAILED) or (is_loopback and result.outcome is Outcome.REFUSED)


#: What the report says of an outside address that a pod reached.
SHORT_CUT = "short cut"


def is_short_cut(snapshot: Snapshot, result: PathResult) -> bool:
    """Whether a pod's success at an outside address proves nothing about the way from outside.

    The Service proxy of the pod's own node answers for a load balancer's address and for external IPs, unless the address
    has `ipMode: Proxy` or is a name (KEP-1860).
    """
    path, service = result.probe.path, snapshot.service
    if not result.probe.vantage.is_pod or service is None or not result.outcome.is_good:
        return False
    goes_out = {i.address for i in service.load_balancer_ingress if i.ip_mode == "Proxy" or i.hostname}
    return path.kind in (PathKind.LOAD_BALANCER, PathKind.EXTERNAL_IP) and path.host not in goes_out


def is_out_of_ranges(snapshot: Snapshot, result: PathResult) -> bool:
    """A pod's request to a load balancer that admits certain addresses only, dropped by the pod's own node.

    The Service proxy holds a short cut to the same ranges, and a pod's address is seldom within them (kubernetes issue
    109575).
    """
    service = snapshot.service
    ranges = service.load_balancer_source_ranges if service else ()
    is_outside = result.probe.path.kind is PathKind.LOAD_BALANCER and result.probe.vantage.is_pod
    return bool(ranges) and is_outside and result.outcome in LOST


def expectation_of(snapshot: Snapshot, result: PathResult) -> Expectation | None:
    """What a traffic policy declares for this path and its vantage."""
    return expectation(snapshot, result.probe.path, result.probe.vantage, result.probe.node)


def is_declared(snapshot: Snapshot, result: PathResult) -> bool:
    """A policy `Local`, asked where the node has no endpoint of its own: no answer is just what was declared.

    At a node port only silence is: what refuses there is not the policy.
    """
    path, expected = result.probe.path, expectation_of(snapshot, result)
    if expected is None or path.service_port is None:
        return False
    if path.kind is PathKind.NODE_PORT:
        return result.outcome in LOST and not local(snapshot, path.service_port, path.node)
    return expected.what.is_failure and result.outcome in (*LOST, Outcome.REFUSED)


def is_left_open(snapshot: Snapshot, result: PathResult) -> bool:
    """A pod's request to a node port under `externalTrafficPolicy: Local`.

    It answers, answers sometimes, or does not, by chance and by network plug-in (see `expectation.at_node_port`). Where an
    answer is to be expected, its absence is too doubtful still to be held against the Service.
    """
    service = snapshot.service
    from_pod = result.probe.vantage.is_pod and result.probe.path.kind is PathKind.NODE_PORT
    is_local = service is not None and service.external_traffic_policy == "Local"
    return from_pod and is_local and result.outcome in (*LOST, Outcome.INTERMITTENT)


def refused_beside(results: Iterable[PathResult]) -> list[PathResult]:
    """Refusals at one address of a node whose other address answers at the same node port, asked from the same place."""
    found = [r for r in results if r.probe.path.kind is PathKind.NODE_PORT]
    good = {_asked(r) for r in found if r.outcome.is_good}
    return [r for r in found if r.outcome is Outcome.REFUSED and _asked(r) in good]


def _asked(result: PathResult) -> tuple[str, int, Vantage, str]:
    """Which node was asked at which port, and from where."""
    return result.probe.path.node, result.probe.path.port, result.probe.vantage, result.probe.node


def _reaches_any_node(results: Iterable[PathResult]) -> bool:
    """Whether any node's port accepted a connection of this machine."""
    return any(
        r.outcome.reached or r.outcome in (Outcome.REFUSED, Outcome.INTERMITTENT)
        for r in results
        if r.probe.path.kind is PathKind.NODE_PORT and r.probe.vantage is Vantage.HERE
    )
