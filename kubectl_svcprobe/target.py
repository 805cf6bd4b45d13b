"""What the user may call a Service: `devops`, `svc/devops`, `devops:80`, `devops:http`. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubectl_svcprobe.errors import UsageError

_KINDS = ("service", "services", "svc", "service.v1.", "services.v1.")

#: A DNS label (RFC 1123), as names of Services and of their ports are; Services may start with a digit since Kubernetes
#: 1.34 (KEP-5311).
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Target:
    """A Service's name, and the port (number or name) where one was given."""

    name: str
    port: str = ""


def parse(word: str) -> Target:
    """Raises UsageError with what is wrong and what would be right."""
    kind, slash, rest = word.rpartition("/")
    if slash and kind.lower() not in _KINDS:
        raise UsageError(f"error: {word} is not a Service; give its name, as in devops or svc/devops")
    name, colon, port = rest.partition(":")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"error: {name or word!r} cannot be the name of a Service: lower case letters, digits and '-' only"
        )
    if colon and not _NAME.fullmatch(port):
        raise UsageError(
            f"error: {port!r} cannot be a port of {name}: give its number or its name, as in {name}:80 or {name}:http"
        )
    return Target(name, port)


def parse_all(words: tuple[str, ...]) -> tuple[Target, ...]:
    """All targets; `svc NAME…` is kubectl's other way to write them."""
    if len(words) > 1 and words[0].lower() in _KINDS:
        if mixed := [word for word in words[1:] if "/" in word]:
            raise UsageError(
                "error: there is no need to specify a resource type as a separate argument when passing arguments in "
                f"resource/name form (e.g. 'kubectl svcprobe {mixed[0]}' instead of 'kubectl svcprobe service {mixed[0]}')"
            )
        words = words[1:]
    return tuple(dict.fromkeys(parse(word) for word in words))
