"""The flags that say what is asked: which ports, in which protocol, how often, and whether it is shown. Light to import."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from kubectl_svcprobe.errors import UsageError

if TYPE_CHECKING:
    from kubectl_svcprobe.target import Target

SCHEMES = ("auto", "http", "https", "h2c", "grpc", "tcp", "udp")

#: A port's number or name (RFC 6335), as `kubectl port-forward` and `SERVICE:PORT` have it, and perhaps its protocol.
_PORT = re.compile(r"(\d{1,5}|(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(/(tcp|udp|sctp))?", re.IGNORECASE)


#: Of one port. They are to show how answers spread, and to put no load on anybody.
MAX_SAMPLES = 300


class Samples(click.ParamType[int]):
    """How many requests more: a number from 1; 0 is none."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number. Raises UsageError for what is none, or too many."""
        word = str(value).strip()
        if not word.isascii() or not word.isdigit() or len(word) > 4 or int(word) > MAX_SAMPLES:
            raise UsageError(f"error: --samples {value}: give a number from 1 to {MAX_SAMPLES}, or 0 for none")
        return int(word)


class Ports(click.ParamType[tuple[str, ...]]):
    """Ports of the Service: `80`, `http`, `53/udp`, `80,metrics`."""

    name = "ports"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """As they were written. Raises UsageError for what is no port."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        for word in words:
            number = word.partition("/")[0]
            if not _PORT.fullmatch(word) or (number.isdigit() and not 0 < int(number) < 65536):
                raise UsageError(
                    f"error: --port {value}: {word or 'an empty word'} is no port; give numbers or names, as in 80,metrics"
                )
        return tuple(words)


PROTOCOL = [
    click.option(
        "--port",
        "ports",
        type=Ports(),
        multiple=True,
        metavar="PORTS",
        help="Try these ports of the Service only: numbers or names, separated by commas; 53/udp is that of two.",
    ),
    click.option(
        "--scheme",
        type=click.Choice(SCHEMES),
        default="auto",
        help="What to speak: auto goes by appProtocol, the pods' own probes, the port's name and its number; udp is spoken "
        "from this machine only.  [default: auto]",
    ),
    click.option(
        "--trace",
        is_flag=True,
        help="Show on stderr each question as a command, and what its answer was taken for.",
    ),
    click.option(
        "--samples",
        type=Samples(),
        default=0,
        metavar="N",
        help=f"So many more requests, up to {MAX_SAMPLES}, from the probe pod to each TCP port: how many are answered, how fast, "
        "and by which endpoints.",
    ),
]


#: What is no use beside `--samples`: the flag, and why.
NOT_BESIDE_SAMPLES = {
    "no_probe": "--no-probe starts no pod, and --samples asks from one",
    "all_nodes": "--all-nodes asks from a pod on each node, and --samples from one",
    "in_": "--in asks inside a pod that is there already, and --samples from a probe pod",
}


def check_protocol(flags: Mapping[str, Any], targets: Sequence[Target]) -> None:
    """Raises UsageError for flags of this module that contradict others, or the words beside them."""
    given = {
        "--port": flags["ports"],
        "--scheme": flags["scheme"] != "auto",
        "--trace": flags["trace"],
        "--samples": flags["samples"] > 0,
    }
    if not targets and (names := [name for name, value in given.items() if value]):
        raise UsageError(f"error: {names[0]} needs a SERVICE")
    for other, why in NOT_BESIDE_SAMPLES.items():
        if flags["samples"] and flags[other]:
            raise UsageError(f"error: {why}: give one of them")
    for target in targets:
        if target.port and flags["ports"]:
            raise UsageError(f"error: {target.word} names a port itself; leave that out, or --port")
    if flags["path"] is not None and flags["scheme"] in ("grpc", "tcp", "udp"):
        raise UsageError(
            f"error: --path is for HTTP, and --scheme {flags['scheme']} asks for no path: give one of them"
        )
