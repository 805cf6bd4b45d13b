"""What is said about one Service: the JSON document, as types. The published Schema is generated from here.

Enums stand as their value, tuples as lists. Times are RFC 3339 in UTC, durations milliseconds or seconds as named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from kubectl_svcprobe.measured import CertificateFacts, SampleFacts, Timings

API_VERSION = "svcprobe/v1"


class Verdict(str, Enum):
    """What it comes to, from the stated vantage."""

    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"
    UNKNOWN = "unknown"


class Severity(str, Enum):
    """How bad a finding is. `unknown`: it keeps the verdict from being known."""

    ERROR = "error"
    UNKNOWN = "unknown"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return list(Severity).index(self)


class Confidence(str, Enum):
    """How far the evidence carries a finding's cause.

    `certain`: objects or packets show it. `likely`: they agree with it, and with little else. `possible`: it would explain
    them, and so would something else, which is named together with the test that separates the two.
    """

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True)
class PortFacts:
    """A port of the Service."""

    name: str
    protocol: str
    port: int
    target_port: int | str
    node_port: int
    app_protocol: str
    request: str


@dataclass(frozen=True)
class IngressFacts:
    """An address of the load balancer."""

    ip: str
    hostname: str
    ip_mode: str
    errors: tuple[str, ...]


@dataclass(frozen=True)
class LoadBalancerFacts:
    """The load balancer's side of the Service."""

    ingress: tuple[IngressFacts, ...]
    pending: bool
    class_name: str
    requested_ip: str
    source_ranges: tuple[str, ...]
    health_check_node_port: int
    allocates_node_ports: bool


@dataclass(frozen=True)
class EventFacts:
    """An event on the Service or on one of its pods."""

    about: str
    type: str
    reason: str
    message: str
    count: int
    last: str


@dataclass(frozen=True)
class ServiceFacts:
    """The Service as declared."""

    namespace: str
    name: str
    exists: bool
    type: str = ""
    headless: bool = False
    created: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    selector: Mapping[str, str] = field(default_factory=dict)
    cluster_ips: tuple[str, ...] = ()
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str = ""
    external_ips: tuple[str, ...] = ()
    external_name: str = ""
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""
    traffic_distribution: str = ""
    session_affinity: str = ""
    session_affinity_seconds: int = 0
    publish_not_ready_addresses: bool = False
    managed_by: str = ""
    ports: tuple[PortFacts, ...] = ()
    load_balancer: LoadBalancerFacts | None = None
    events: tuple[EventFacts, ...] = ()


@dataclass(frozen=True)
class PodFacts:
    """A pod that the selector matches."""

    name: str
    workload: str
    node: str
    ips: tuple[str, ...]
    phase: str
    ready: bool
    terminating: bool
    restarts: int
    created: str
    why_not_ready: str


@dataclass(frozen=True)
class EndpointFacts:
    """An endpoint, for one port of the Service; `port` 0 means that the pod declares no port of the name asked for."""

    address: str
    port: int
    port_name: str
    ready: bool
    serving: bool
    terminating: bool
    node: str
    zone: str
    pod: str
    slice: str


@dataclass(frozen=True)
class NodeFacts:
    """A node, where node ports matter."""

    name: str
    ready: bool
    internal_ips: tuple[str, ...]
    external_ips: tuple[str, ...]


@dataclass(frozen=True)
class PathFacts:
    """A way in, and what came of it.

    `family` is IPv4 or IPv6 where a name was asked for by one of them. `milliseconds` is the median of the attempts that
    succeeded; `expected` says why a failure is none. `from_node` is the node of the pod that asked. `expectation` is what a
    traffic policy declares for this path, as the dataplane does it: `answers`, `dropped`, `refused`, `no answer` where the
    dataplane is not known, `either` where it is left open; empty where no policy is in play. `answered_by` is the mesh's
    proxy that made the answer itself, in the application's place.
    """

    kind: str
    target: str
    subject: str
    node: str
    port_name: str
    vantage: str
    request: str
    offered: bool
    outcome: str
    http_status: int
    attempts: int
    succeeded: int
    milliseconds: float
    detail: str
    expected: str = ""
    from_node: str = ""
    expectation: str = ""
    timings: Timings = field(default_factory=Timings)
    certificate: CertificateFacts | None = None
    answered_by: str = ""
    family: str = ""


@dataclass(frozen=True)
class NodeExpectation:
    """What a traffic policy or distribution means for one node: what is to be expected there, and what was seen.

    `policy` is the Service's field and its value, `target` the address that is asked, `asked_from` the place: `this
    machine`, `pod there` or `pod elsewhere`. `ready` counts the endpoints that such a client's traffic goes to on this
    node, `terminating` those among them that only finish what they began. `expected` is as `PathFacts.expectation`,
    `because` why so; `observed` are the outcomes, and empty where nothing was tried.
    """

    policy: str
    node: str
    target: str
    asked_from: str
    ready: int
    terminating: int
    expected: str
    because: str
    observed: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that a rule found.

    `port` is the Service's port that it is about, 0 for the whole Service. `fix` are lines: commands begin with `kubectl`
    or `curl`, all else is prose. `brief` is for a line of a list.
    """

    code: str
    name: str
    severity: Severity
    subject: str
    headline: str
    message: str
    evidence: tuple[str, ...]
    fix: tuple[str, ...]
    brief: str = ""
    port: int = 0
    consequences: tuple[str, ...] = ()
    confidence: Confidence = Confidence.CERTAIN


#: The reasons of what was left out because the user wished so.
BY_ONLY, BY_SKIP = "--only", "--skip"


@dataclass(frozen=True)
class Skipped:
    """Something that was not read, not tried or not judged, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class NodeProbe:
    """One node of `--all-nodes`, and its probe pod. `problem` is why it could not be asked from; then `pod` may be empty."""

    node: str
    pod: str = ""
    ips: tuple[str, ...] = ()
    settled: bool = False
    problem: str = ""


@dataclass(frozen=True)
class ProbeFacts:
    """The probe pod of this run.

    `other_node` is where a further pod repeated what another node tells apart. `problem` is why it has no answer,
    `leftover` why it may still be there; `seconds` counts all pods. `mesh` is whose proxy an injector gave it.
    `settled`: some pod waited 5 s first; `repeated`: it was a further one, which repeated what had failed.
    `client` is whom it stands in for, empty for a plain pod, and `differs` what it does not share with that client.
    `inside` is by what the client itself asked (`--in`); then `pod` is that client, and it stays.
    `each_node` has all nodes that `--all-nodes` was about, `unasked_nodes` counts those beyond its bounds.
    """

    namespace: str
    pod: str
    node: str
    ips: tuple[str, ...]
    image: str
    curl_version: str
    settled: bool
    seconds: float
    problem: str
    leftover: str
    other_node: str = ""
    mesh: str = ""
    each_node: tuple[NodeProbe, ...] = ()
    unasked_nodes: int = 0
    client: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    service_account: str = ""
    differs: tuple[str, ...] = ()
    repeated: bool = False
    inside: str = ""


@dataclass(frozen=True)
class Report:
    """Everything about one Service. `target` says how the word of the command line led here, if it was not its name."""

    service: ServiceFacts
    verdict: Verdict
    summary: str
    taken: str
    target: str = ""
    pods: tuple[PodFacts, ...] = ()
    endpoints: tuple[EndpointFacts, ...] = ()
    nodes: tuple[NodeFacts, ...] = ()
    paths: tuple[PathFacts, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    probe: ProbeFacts | None = None
    expectations: tuple[NodeExpectation, ...] = ()
    samples: tuple[SampleFacts, ...] = ()


@dataclass(frozen=True)
class ReportList:
    """The document."""

    apiVersion: str = API_VERSION  # noqa: N815 (the API's own spelling)
    kind: str = "ReportList"
    reports: tuple[Report, ...] = ()
