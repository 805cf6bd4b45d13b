"""What to say to a port: HTTP or gRPC only where something says that it speaks so, else a silent TCP connect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import quote

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import HttpGet, Pod


@dataclass(frozen=True)
class Request:
    """`scheme` is http, https, h2c, grpc, tcp or udp; `path` and `host` (the Host header, may be empty) are for HTTP, and so
    for gRPC; `why` is the sign.

    `is_proxied` puts a line of the PROXY protocol in front, as some load balancers do. `is_dns` is about UDP: a query and
    not an empty datagram.
    """

    scheme: str
    path: str = "/"
    host: str = ""
    why: str = ""
    is_proxied: bool = False
    is_dns: bool = False

    @property
    def is_http(self) -> bool:
        """Whether it is HTTP of any kind."""
        return self.scheme not in ("tcp", "udp", "lookup")

    @property
    def reason(self) -> str:
        """Why it is asked so, as the end of a sentence."""
        return self.why if self.why == AS_ASKED else f"because of {self.why}"

    @property
    def is_http2(self) -> bool:
        """Whether it is HTTP/2 without TLS, from the first byte."""
        return self.scheme in ("h2c", "grpc")

    def url(self, host: str, port: int) -> str:
        """The URL for curl and requests. A silent TCP connect is `ftp://` to curl: it says nothing before the server does."""
        netloc = f"[{host}]:{port or DISCARD}" if ":" in host else f"{host}:{port or DISCARD}"
        if not self.is_http:
            return f"ftp://{netloc}/"
        scheme = "https" if self.scheme == "https" else "http"
        return f"{scheme}://{netloc}{self.path}"

    def __str__(self) -> str:
        """In words: `GET /healthz`, `HTTPS GET /`, `gRPC POST /grpc.health.v1.Health/Check`, `TCP connect`, `Name lookup`."""
        if self.scheme == "lookup":
            return "Name lookup"
        if self.scheme == "udp":
            return "DNS query over UDP" if self.is_dns else "empty UDP datagram"
        if not self.is_http:
            return "TCP connect"
        if self.scheme == "grpc":
            return f"gRPC POST {self.path}"
        words = ["PROXY"] if self.is_proxied else []
        words += [self.scheme.upper()] if self.scheme != "http" else []
        return " ".join([*words, "GET", self.path])


#: Why a request is the one that a flag, or a URL in place of the Service's name, asks for.
AS_ASKED = "as asked for"

#: Why a request is the one that the kubelet makes itself.
OWN_PROBE = "the pod's own HTTP probe"

#: The call that the kubelet makes too (https://grpc.io/docs/guides/health-checking/); any server of gRPC answers it with a
#: `grpc-status`, and be it that it does not know it.
GRPC_PATH = "/grpc.health.v1.Health/Check"
#: Only the name is looked up: no packet leaves for what it leads to (see `podspec`).
LOOKUP = Request("lookup", why="no port says how clients speak")

#: A URL has a port; that of a lookup is not asked (RFC 863).
DISCARD = 9

TCP = Request("tcp", why="nothing says that it speaks HTTP")

#: appProtocol (`kubernetes.io/` taken off) and the first word of a port's name, the convention of Istio and of the Gateway
#: API. Kubernetes itself registers `kubernetes.io/h2c`, `ws` and `wss` (KEP-3726); `grpc` is Istio's word for both.
PROTOCOL_WORDS = {
    "http": "http",
    "http2": "http",
    "web": "http",
    "ws": "http",
    "https": "https",
    "wss": "https",
    "tls": "tcp",
    "h2c": "h2c",
    "tcp": "tcp",
    "grpc": "grpc",
    "mongo": "tcp",
    "mysql": "tcp",
    "postgres": "tcp",
    "postgresql": "tcp",
    "redis": "tcp",
    "amqp": "tcp",
    "kafka": "tcp",
}
WEB_PORTS = {80: "http", 8000: "http", 8080: "http", 443: "https", 8443: "https"}

#: Databases and brokers: an HTTP request would be noise in their logs, or block the client as hostile.
SILENT_PORTS = frozenset(
    {21, 22, 25, 53, 110, 143, 389, 465, 587, 636, 993, 995, 1433, 1521, 1883, 2181, 2379, 3306, 4222, 5432, 5672, 5671}
    | {6379, 6380, 7687, 8883, 9042, 9092, 9093, 9300, 11211, 26257, 27017, 27018, 61616}
)


def choose(snapshot: Snapshot, port: ServicePort, path: str | None = None, scheme: str = "") -> Request:
    """What to say to this port, by the first sign that holds.

    `path` and `scheme` are the user's own; the path is itself a sign of HTTP, and the scheme outdoes all signs.
    """
    if port.protocol == "UDP":
        return _datagram(port)
    chosen = _wished(snapshot, port, scheme) if scheme else next(_signs(snapshot, port), TCP)
    if path is not None and chosen.scheme not in ("http", "https", "h2c"):
        return Request("http", clean_path(path), why=AS_ASKED)
    return replace(chosen, path=clean_path(chosen.path if path is None else path), host=clean_host(chosen.host))


def _wished(snapshot: Snapshot, port: ServicePort, scheme: str) -> Request:
    """The user's scheme, with the path of the pods' own probe where that speaks alike."""
    if scheme == "grpc":
        return Request("grpc", GRPC_PATH, why=AS_ASKED)
    return _like_probe(scheme, _own_probe(snapshot, port), AS_ASKED)


def _datagram(port: ServicePort) -> Request:
    """A query where the port is one of DNS, else nothing that a server may take for a command."""
    if 53 in (port.port, port.target_port) or re.split(r"[-_.]", port.name)[0] in ("dns", "domain"):
        return Request("udp", "", why="the port is one of DNS", is_dns=True)
    return Request("udp", "", why="nothing says what it speaks")


def _signs(snapshot: Snapshot, port: ServicePort) -> Iterator[Request]:
    """What says how this port is spoken to, the most telling first."""
    numbers, probe = _target_numbers(snapshot, port), _own_probe(snapshot, port)
    if port.app_protocol:
        scheme = _scheme_of_app_protocol(port.app_protocol)
        yield _like_probe(scheme, probe, f"appProtocol {port.app_protocol}")
    if probe:
        yield Request(probe.scheme.lower(), probe.path, probe.host, OWN_PROBE)
    if any(_is_asked_by_grpc(pod, port, numbers) for pod in _pods(snapshot, port)):
        yield Request("grpc", GRPC_PATH, why="the pod's own gRPC probe")
    if numbers and numbers <= SILENT_PORTS:
        yield Request("tcp", why=f"port {min(numbers)} is a database's or broker's")
    for name in (port.name, port.target_port if isinstance(port.target_port, str) else ""):
        word = re.split(r"[-_.]", name.lower())[0]
        if name.lower().startswith("grpc-web"):
            # gRPC for browsers is HTTP/1.1, and of no use to a client of gRPC.
            continue
        if spoken := PROTOCOL_WORDS.get(word) or PROTOCOL_WORDS.get(word.rstrip("0123456789")):
            yield _plainly(spoken, f"the port's name {name}")
    for number in (*sorted(numbers), port.port):
        if number in WEB_PORTS:
            yield Request(WEB_PORTS[number], why=f"port {number}")


def _plainly(scheme: str, why: str) -> Request:
    return Request(scheme, GRPC_PATH if scheme == "grpc" else "/", why=why)


def _scheme_of_app_protocol(value: str) -> str:
    """`kubernetes.io/h2c` and plain IANA names; what is not known gets no HTTP."""
    return PROTOCOL_WORDS.get(value.lower().removeprefix("kubernetes.io/"), "tcp")


def _like_probe(scheme: str, probe: HttpGet | None, why: str) -> Request:
    """The scheme as declared, with the probe's path where the two agree."""
    if probe and probe.scheme.lower() == scheme:
        return Request(scheme, probe.path, probe.host, why)
    return _plainly(scheme, why)


def _pods(snapshot: Snapshot, port: ServicePort) -> list[Pod]:
    """The pods behind this port, or those that would be."""
    return [joined.pod for joined in snapshot.endpoints_of(port) if joined.pod] or list(snapshot.pods)


def _own_probe(snapshot: Snapshot, port: ServicePort) -> HttpGet | None:
    """What the kubelet asks this very port by HTTP."""
    numbers = _target_numbers(snapshot, port)
    return next((p for pod in _pods(snapshot, port) for p in _http_probes(pod, port, numbers)), None)


def _is_asked_by_grpc(pod: Pod, port: ServicePort, numbers: frozenset[int]) -> bool:
    """Whether the kubelet asks this very port by gRPC for its readiness; such a probe has a number only."""
    probes = [c.readiness for c in (*pod.containers, *pod.sidecars) if c.readiness]
    return any(probe.kind == "grpc" and probe.port in numbers for probe in probes)


def _target_numbers(snapshot: Snapshot, port: ServicePort) -> frozenset[int]:
    """The port numbers that this Service port leads to on its pods."""
    if isinstance(port.target_port, int):
        return frozenset({port.target_port})
    return frozenset(joined.port for joined in snapshot.endpoints_of(port) if joined.port)


def _http_probes(pod: Pod, port: ServicePort, numbers: frozenset[int]) -> Iterator[HttpGet]:
    """The httpGet probes of a pod that ask the very port in question."""
    for container in (*pod.containers, *pod.sidecars):
        for probe in container.http_probes:
            named = {p.number for p in container.ports if p.name == probe.port}
            if probe.port in numbers or named & numbers or probe.port == port.target_port:
                yield probe


def clean_path(path: str) -> str:
    """A path that is nothing but a path: no space, control character, fragment, or second URL."""
    path = path if path.startswith("/") else f"/{path}"
    return quote(path, safe="/?&=%:@!'()*+,;~-._", errors="replace")


def clean_host(host: str) -> str:
    """A Host header's value, or nothing where it holds what no host name holds."""
    return host if re.fullmatch(r"[A-Za-z0-9._:\[\]-]{1,253}", host) else ""
