"""What the user may call a Service: a name, a DNS name, a URL, an address, or an object that leads to it. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace

from kubectl_svcprobe import kinds, pasted
from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.pasted import shown

#: A DNS label (RFC 1123), as names of Services and of their ports are; Services may start with a digit since Kubernetes
#: 1.34 (KEP-5311).
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
#: The names of most other objects: labels with dots between them.
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_SRV = re.compile(r"_([a-z0-9-]{1,63})\._(?:tcp|udp|sctp)\.(.+)")
#: The DNS names of pods by address: `10-244-1-5`, and `fd00--1` or `fd00-0-0-0-0-0-0-1`.
_DASHED_V4 = re.compile(r"\d{1,3}(-\d{1,3}){3}")
_PROTOCOLS = ("tcp", "udp", "sctp")


@dataclass(frozen=True)
class ServiceName:
    """A Service by name. `namespace` is empty where the word has none; `pod` is the part before it in a pod's DNS name."""

    name: str
    namespace: str = ""
    pod: str = ""


@dataclass(frozen=True)
class ObjectName:
    """An object that leads to Services."""

    kind: kinds.Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.word}/{self.name}"


@dataclass(frozen=True)
class Address:
    """An IP address, as Python writes it."""

    ip: str


@dataclass(frozen=True)
class HostName:
    """A DNS name of two labels or more that does not say by itself what it is: `devops.shop`, `lb-1.cloud.example`."""

    host: str

    @property
    def labels(self) -> list[str]:
        """Its parts."""
        return self.host.split(".")


Named = ServiceName | ObjectName | Address | HostName


@dataclass(frozen=True)
class Target:
    """One word of the command line. `word` is fit to be shown: without a password.

    `port` is a number or a name; `scheme` is http, https, h2c, grpc, tcp or udp, and `path` a path with its query: each
    empty (None) where the word says nothing of it.
    """

    word: str
    named: Named
    port: str = ""
    scheme: str = ""
    path: str | None = None
    has_userinfo: bool = False

    @property
    def is_url(self) -> bool:
        """Whether the word was a URL, with its scheme or without."""
        return bool(self.scheme) or self.path is not None


def parse(word: str) -> Target:
    """Raises UsageError with what is wrong and what would be right."""
    if not word.strip():
        raise UsageError("error: an empty word names no Service; give a name, as in devops or svc/devops")
    if pasted.is_url(word):
        return _url(word)
    kind, slash, rest = word.partition("/")
    if "@" in kind:
        raise UsageError(
            f"error: {shown(word)} is not a Service; a URL begins with its scheme, as in http://devops.shop/"
        )
    if slash and (known := kinds.find(kind)):
        return _object(word, known, rest)
    if slash:
        return _url_or_refuse(word, kind, rest)
    return _authority(word, word)


def _url(word: str) -> Target:
    """A URL with its scheme."""
    url = pasted.split(word)
    target = _authority(url.text, url.authority)
    if not target.port and url.default_port:
        target = replace(target, port=str(url.default_port))
    return replace(target, scheme=url.scheme, path=url.path, has_userinfo=url.has_userinfo)


def _url_or_refuse(word: str, front: str, rest: str) -> Target:
    """`devops.shop:8080/healthz` is a URL whose scheme a log has left out; anything else with a slash is not a Service."""
    host, port = _split(word, front)
    if port and rest.lower() in _PROTOCOLS:  # 80/TCP, as kubectl writes ports
        return _authority(word, front)
    if rest.isdigit() and _ip(host):
        raise UsageError(f"error: {word} is a range of addresses; give one of them, as in {host}")
    if port or "." in host or ":" in host:
        return replace(_authority(word, front), path=pasted.path_of(f"/{rest}"))
    raise UsageError(
        f"error: {word} is not a Service, nor of a kind that leads to one: {kinds.ALLOWED}{_hint(front, rest)}"
    )


def _hint(front: str, rest: str) -> str:
    """What may have been meant by a word with a slash."""
    if front.lower() in ("node", "nodes", "no"):
        return "; of a node, give an address and a node port, as in 172.30.0.11:30080"
    if front.lower() in kinds.OTHERS or not _are_labels(front, rest):
        return ""
    return f"; a Service {rest} in the namespace {front} is {rest}.{front}"


def _are_labels(*words: str) -> bool:
    return all(_LABEL.fullmatch(word) for word in words)


def _object(word: str, kind: kinds.Kind, rest: str) -> Target:
    """`KIND/NAME`, with a port of the Service behind it if one is given."""
    name, colon, port = rest.partition(":")
    if kind is kinds.SERVICE:
        if colon and not port.strip():
            raise _bad_port(port, name)
        return replace(_authority(word, rest), named=_service_name(word, name), port=_port(port, name))
    if not _SUBDOMAIN.fullmatch(name):
        raise UsageError(f"error: {name or word!r} cannot be the name of a {kind.word}: {_letters(name)}")
    if colon and not port:
        raise _bad_port(port, name)
    return Target(word, ObjectName(kind, name), _port(port, name))


def _letters(name: str) -> str:
    if name == "":
        return "it is empty"
    return "lower case letters, digits, '-' and '.' only"


def _authority(word: str, authority: str) -> Target:
    """`HOST`, `HOST:PORT`, `ADDRESS` or `[ADDRESS]:PORT`."""
    host, port = _split(word, authority)
    if ip := _ip(host):
        if port and not port.isdigit():
            raise UsageError(
                f"error: {port!r} cannot be a port of {host}: of an address, give its number, as in {host}:80"
            )
        return Target(word, Address(_no_loopback(ip)), _port(port, host))
    if srv := _SRV.fullmatch(host.lower().rstrip(".")):
        host, port = srv.group(2), port or srv.group(1)
    return Target(word, _named(word, host), _port(port, host))


def _split(word: str, authority: str) -> tuple[str, str]:
    """Host and port; the port is empty where there is none."""
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        if not bracket or not _ip(host) or (rest and not rest.startswith(":")):
            raise UsageError(f"error: {shown(word)} is not an address with a port: write [fd00::1]:80")
        port = rest[1:]
    elif _ip(authority):
        return authority, ""
    else:
        host, colon, port = authority.partition(":")
        rest = colon
    if rest and not port:
        raise _bad_port(port, host)
    return host, port


def _ip(host: str) -> str:
    """The address in its canonical form, or nothing."""
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return ""
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found) if "%" not in host else ""


def _no_loopback(ip: str) -> str:
    """The address, unless it means another machine wherever it is used."""
    if ipaddress.ip_address(ip).is_loopback:
        raise _own_machine(ip)
    if ipaddress.ip_address(ip).is_unspecified:
        raise UsageError(f"error: {ip} is no machine's address; give the Service's name")
    return ip


def _own_machine(word: str) -> UsageError:
    return UsageError(f"error: {word} is whichever machine asks, and no Service's; give the Service's name")


def _port(port: str, name: str) -> str:
    """A port's number or name, or nothing."""
    if not port:
        return ""
    if port.isascii() and port.isdigit():
        if not 0 < int(port[:6]) < 65536:
            raise UsageError(f"error: {port} cannot be a port of {name}: ports go from 1 to 65535")
        return str(int(port))
    if not _LABEL.fullmatch(port):
        raise _bad_port(port, name)
    return port


def _bad_port(port: str, name: str) -> UsageError:
    return UsageError(
        f"error: {port!r} cannot be a port of {name}: give its number or its name, as in {name}:80 or {name}:http"
    )


def _named(word: str, host: str) -> Named:
    """What a name says by itself: the forms of https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/."""
    if "." not in host:
        return _service_name(word, host)
    labels = host.lower().removesuffix(".").split(".")
    if re.fullmatch(r"[\d.]*\d[\d.]*", host):
        raise UsageError(f"error: {host} is not an address: four numbers from 0 to 255, none with a leading 0")
    if not _are_labels(*labels):
        raise UsageError(f"error: {host!r} cannot be a DNS name: letters, digits and '-' only between the dots")
    if len(labels) == 1:
        return ServiceName(labels[0])
    if labels[2:3] == ["svc"]:
        return ServiceName(labels[0], labels[1])
    if labels[3:4] == ["svc"]:
        return ServiceName(labels[1], labels[2], pod=labels[0])
    if labels[2:3] == ["pod"] and (ip := dashed_ip(labels[0])):
        return Address(ip)
    if labels[1] == "svc":
        right = ".".join([labels[0], "NAMESPACE", *labels[1:]])
        raise UsageError(f"error: {host} lacks the namespace: write {right}, or {labels[0]} alone")
    return HostName(".".join(labels))


def dashed_ip(label: str) -> str:
    """The address in a pod's DNS name, with dashes for its dots or colons; nothing where there is none."""
    if _DASHED_V4.fullmatch(label):
        return _ip(label.replace("-", "."))
    return _ip(label.replace("-", ":")) if label.count("-") >= 2 else ""


def _service_name(word: str, name: str) -> ServiceName:
    if name.lower() == "localhost":
        raise _own_machine("localhost")
    if _ip(name):
        raise UsageError(f"error: {name} is an address and not a name; give it without the kind")
    if _LABEL.fullmatch(name):
        return ServiceName(name)
    labels = name.split(".")
    if len(labels) > 1 and _are_labels(*labels):  # svc/devops.shop
        named = _named(word, name)
        return named if isinstance(named, ServiceName) else ServiceName(*labels[:2])
    raise UsageError(
        f"error: {name or word!r} cannot be the name of a Service: lower case letters, digits and '-' only"
    )


def parse_all(words: tuple[str, ...]) -> tuple[Target, ...]:
    """All targets, each once; `svc NAME…` and `deploy NAME…` are kubectl's other way to write them."""
    kind = kinds.find(words[0]) if len(words) > 1 else None
    if kind:
        if mixed := [word for word in words[1:] if "/" in word]:
            raise UsageError(
                "error: there is no need to specify a resource type as a separate argument when passing arguments in "
                f"resource/name form (e.g. 'kubectl svcprobe {mixed[0]}' instead of 'kubectl svcprobe {kind.word} {mixed[0]}')"
            )
        words = tuple(f"{kind.word}/{word}" for word in words[1:])
    found: dict[Target, Target] = {}
    for target in map(parse, words):
        found.setdefault(replace(target, word=""), target)
    return tuple(found.values())
