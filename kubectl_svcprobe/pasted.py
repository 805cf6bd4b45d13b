"""A URL as it stands in a log or a configuration: what it says of the scheme, the port and the path. Pure.

A password never leaves this module: messages show what is left without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubectl_svcprobe.errors import UsageError

#: What is said to the port, and the port that is meant where none is written, by scheme. Clients of databases and brokers
#: speak first in their own way, so such a port is connected to in silence.
SCHEMES: dict[str, tuple[str, int]] = {
    "http": ("http", 80),
    "https": ("https", 443),
    "ws": ("http", 80),
    "wss": ("https", 443),
    "h2c": ("h2c", 80),
    "grpc": ("grpc", 0),
    "tcp": ("tcp", 0),
    "tls": ("tcp", 0),
    "udp": ("udp", 0),
    "postgres": ("tcp", 5432),
    "postgresql": ("tcp", 5432),
    "mysql": ("tcp", 3306),
    "mariadb": ("tcp", 3306),
    "redis": ("tcp", 6379),
    "rediss": ("tcp", 6379),
    "mongodb": ("tcp", 27017),
    "amqp": ("tcp", 5672),
    "amqps": ("tcp", 5671),
    "nats": ("tcp", 4222),
    "kafka": ("tcp", 9092),
    "mqtt": ("tcp", 1883),
    "ldap": ("tcp", 389),
    "ldaps": ("tcp", 636),
    "smtp": ("tcp", 25),
}

#: The schemes whose URLs have a path that is asked for.
WITH_PATH = ("http", "https", "h2c")

#: `postgresql+psycopg2://` and `jdbc:postgresql://` mean the same as without.
_START = re.compile(r"(?:jdbc:)?([a-z][a-z0-9.-]*)(?:\+[a-z0-9.+-]+)?://", re.IGNORECASE)

#: How gRPC writes a name that is looked up by DNS.
_GRPC_DNS = "dns:///"


@dataclass(frozen=True)
class Url:
    """The parts of a URL. `text` is all of it that may be shown, `path` None where it has none, `default_port` 0 likewise."""

    text: str
    scheme: str
    authority: str
    default_port: int = 0
    path: str | None = None
    has_userinfo: bool = False


def is_url(word: str) -> bool:
    """Whether the word begins with a scheme."""
    return "://" in word


def shown(word: str) -> str:
    """The word without a user and password, however badly they are written."""
    front, mark, rest = word.partition("://")
    return f"{front}{mark}{rest.rpartition('@')[2]}" if mark else word.rpartition("@")[2]


def split(word: str) -> Url:
    """Raises UsageError, which never shows a password."""
    if word.lower().startswith(_GRPC_DNS):
        return Url(word, "grpc", word[len(_GRPC_DNS) :])
    start = _START.match(word)
    if start is None:
        raise UsageError(f"error: {shown(word)!r} is not a URL that can be understood")
    name, rest = start.group(1).lower(), word[start.end() :]
    if name not in SCHEMES:
        known = ", ".join(("http", "https", "ws", "wss", "h2c", "grpc", "tcp", "udp"))
        raise UsageError(
            f"error: {name}:// cannot be probed; a URL's scheme is one of {known}, or a database's or broker's"
        )
    authority, path = re.fullmatch(r"([^/?#]*)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    _, at, host = authority.rpartition("@")
    if "@" in path and (at or not _is_host(authority, is_web=SCHEMES[name][0] in WITH_PATH)):
        raise UsageError(
            "error: cannot tell where the password in the URL ends: leave it out, or write %40 and %2F for @ and / in it"
        )
    if not host.partition(":")[0]:
        raise UsageError(f"error: {shown(word)} has no host; give one, as in {name}://devops.shop/")
    scheme, default_port = SCHEMES[name]
    asked = path_of(path) if scheme in WITH_PATH and path else None
    text = f"{word[: start.end()]}{host}{path.partition('#')[0]}"
    return Url(text, scheme, host, default_port, asked, bool(at))


def _is_host(authority: str, is_web: bool) -> bool:
    """Whether what stands before a path with an `@` cannot be the beginning of a user and a password."""
    return is_web and bool(re.fullmatch(r"[^:]*(:\d+)?|\[[^]]*\](:\d+)?", authority))


def path_of(text: str) -> str | None:
    """Path and query, without the fragment, which no client sends; None where nothing is left."""
    plain = text.partition("#")[0]
    return (plain if plain.startswith("/") else f"/{plain}") if plain else None
