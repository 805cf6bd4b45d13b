"""What to say to a port: HTTP only where something says that it speaks HTTP, else a silent TCP connect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import HttpGet, Pod


@dataclass(frozen=True)
class Request:
    """`scheme` is http, https, h2c or tcp; `path` and `host` (the Host header, may be empty) are for HTTP; `why` is the sign.

    `is_proxied` puts a line of the PROXY protocol in front, as some load balancers do.
    """

    scheme: str
    path: str = "/"
    host: str = ""
    why: str = ""
    is_proxied: bool = False

    @property
    def is_http(self) -> bool:
        """Whether words are spoken at all."""
        return self.scheme != "tcp"

    def url(self, host: str, port: int) -> str:
        """The URL for curl and requests. A silent TCP connect is `ftp://` to curl: it says nothing before the server does."""
        netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if not self.is_http:
            return f"ftp://{netloc}/"
        scheme = "https" if self.scheme == "https" else "http"
        return f"{scheme}://{netloc}{self.path}"

    def __str__(self) -> str:
        """In words: `GET /healthz`, `HTTPS GET /`, `TCP connect`."""
        if not self.is_http:
            return "TCP connect"
        words = ["PROXY"] if self.is_proxied else []
        words += [self.scheme.upper()] if self.scheme != "http" else []
        return " ".join([*words, "GET", self.path])


#: Why a request is the one that the kubelet makes itself.
OWN_PROBE = "the pod's own HTTP probe"

TCP = Request("tcp", why="nothing says that it speaks HTTP")

#: appProtocol and the first word of a port's name (the convention of Istio and of the Gateway API).
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
    "grpc": "tcp",
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
    | {6379, 6380, 7687, 8883, 9042, 9092, 9093, 9300, 11211, 26257, 27017, 27018, 50051, 61616}
)


def choose(snapshot: Snapshot, port: ServicePort, path: str | None = None) -> Request:
    """What to say to this port, by the first sign that holds. `path` is the user's own, and itself a sign of HTTP."""
    for sign in _signs(snapshot, port):
        if path is None or not sign.is_http:
            chosen = sign
        else:
            chosen = Request(sign.scheme, path, sign.host, sign.why)
        if path is not None and not chosen.is_http:
            return Request("http", clean_path(path), why="--path")
        return Request(chosen.scheme, clean_path(chosen.path), clean_host(chosen.host), chosen.why)
    return Request("http", clean_path(path), why="--path") if path is not None else TCP


def _signs(snapshot: Snapshot, port: ServicePort) -> Iterator[Request]:
    """What says how this port is spoken to, the most telling first."""
    pods = [joined.pod for joined in snapshot.endpoints_of(port) if joined.pod] or list(snapshot.pods)
    numbers = _target_numbers(snapshot, port)
    probe = next((p for pod in pods for p in _http_probes(pod, port, numbers)), None)
    if port.app_protocol:
        scheme = _scheme_of_app_protocol(port.app_protocol)
        yield _like_probe(scheme, probe, f"appProtocol {port.app_protocol}")
    if probe:
        yield Request(probe.scheme.lower(), probe.path, probe.host, OWN_PROBE)
    if numbers and numbers <= SILENT_PORTS:
        yield Request("tcp", why=f"port {min(numbers)} is a database's or broker's")
    for name in (port.name, port.target_port if isinstance(port.target_port, str) else ""):
        word = re.split(r"[-_.]", name.lower())[0]
        if spoken := PROTOCOL_WORDS.get(word) or PROTOCOL_WORDS.get(word.rstrip("0123456789")):
            yield Request(spoken, why=f"the port's name {name}")
    for number in (*sorted(numbers), port.port):
        if number in WEB_PORTS:
            yield Request(WEB_PORTS[number], why=f"port {number}")


def _scheme_of_app_protocol(value: str) -> str:
    """`kubernetes.io/h2c` and plain IANA names; what is not known gets no HTTP."""
    return PROTOCOL_WORDS.get(value.lower().removeprefix("kubernetes.io/"), "tcp")


def _like_probe(scheme: str, probe: HttpGet | None, why: str) -> Request:
    """The scheme as declared, with the probe's path where the two agree."""
    if probe and probe.scheme.lower() == scheme:
        return Request(scheme, probe.path, probe.host, why)
    return Request(scheme, why=why)


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
