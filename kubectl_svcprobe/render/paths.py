"""The table of paths: equal lines collapse, so that what differs stands out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kubectl_svcprobe.probe.expect import BEYOND_REACH, NO_PROOF, OUT_OF_REACH, SHORT_CUT
from kubectl_svcprobe.probe.exposure import AT_THE_EDGE
from kubectl_svcprobe.render.terminal import Paper, cut, ended
from kubectl_svcprobe.report import PathFacts
from kubectl_svcprobe.words import count, listed

HEADERS = ("PATH", "TARGET", "RESULT", "TIME", "FROM")
#: What a target keeps of its width, however long a result is.
TARGET_WIDTH = 32

#: What tabulate keeps free beside a header, where nothing below it is wider.
BESIDE_HEADER = 2

#: Columns below which the vantage is no column.
NARROW = 80

GOOD = ("answered", "connected", "resolved")


#: Kinds of paths that read better otherwise than the document has them.
KIND_WORDS = {"Endpoint": "Endpoints", "PodName": "Pod names", "HealthCheck": "Health check"}

#: What is said of a certificate in the table; all else of it follows below.
SAID_OF_CERTIFICATES = {
    "expired": "certificate expired",
    "not yet valid": "certificate not yet valid",
    "self-signed": "self-signed",
    "wrong name": "for another name",
}

#: Kinds of which each has a line of its own.
EDGE = tuple(kind.value for kind in AT_THE_EDGE)

#: Outcomes of which the detail says more.
TELLING = ("no-answer", "reset", "connected", "dns-failed", "silent")


@dataclass(frozen=True)
class From:
    """Words for the pods that asked: several of them that met the same (`pods on 3 nodes`), and whom they stand in for."""

    pods: str = ""
    client: str = ""
    is_inside: bool = False


def path_table(paths: Sequence[PathFacts], paper: Paper, wide: bool, where: From | None = None) -> Iterator[str]:
    """The rows, aligned, no wider than the paper; narrow paper has a table for each vantage instead of a column.

    `where` names whom the pods stand in for, and several of them that met the same.
    """
    where = where or From()
    if paper.width >= NARROW:
        yield from _table(paths, HEADERS, paper, wide, where)
        return
    for vantage in dict.fromkeys(_vantage(path, where) for path in paths):
        yield f"A{vantage[1:]}:" if vantage.startswith("as ") else f"From {vantage}:"
        from_there = [path for path in paths if _vantage(path, where) == vantage]
        yield from _table(from_there, HEADERS[:-1], paper, wide, where)


def _table(
    paths: Sequence[PathFacts], headers: tuple[str, ...], paper: Paper, wide: bool, where: From
) -> Iterator[str]:
    from tabulate import tabulate

    groups = [[path] for path in paths] if wide else _collapsed(paths)
    cells = [
        [_kind(g), _target(g, wide), result_of(g[0]), _times(g[0]) if wide else _time(g), _vantage(g[0], where)]
        for g in groups
    ]
    rows = [row[: len(headers)] for row in cells]
    if not wide:
        _fit(rows, headers, paper.width)
    table = tabulate(rows, headers, tablefmt="plain", disable_numparse=True)
    symbols = ["", *(symbol_of(group[0]) for group in groups)]
    for line, symbol in zip(table.splitlines(), symbols, strict=True):
        yield paper.paint(line.rstrip(), symbol) if symbol in ("✖", "!") else line.rstrip()


def _fit(rows: list[list[str]], headers: tuple[str, ...], width: int) -> None:
    """Cut targets in their middle and results at their end, so that the table is no wider than the paper."""
    widths = [max(len(name) + BESIDE_HEADER, *(len(row[i]) for row in rows)) for i, name in enumerate(headers)]
    taken = sum(widths) - widths[1] - widths[2] + 2 * (len(headers) - 1)
    target = min(widths[1], max(width - taken - widths[2], min(widths[1], TARGET_WIDTH if width >= NARROW else 20)))
    result = max(width - taken - target, len(headers[2]) + BESIDE_HEADER)
    for row in rows:
        row[1], row[2] = cut(row[1], target), ended(row[2], result)


def _collapsed(paths: Sequence[PathFacts]) -> list[list[PathFacts]]:
    """Paths of the same kind, port, vantage and result together, in the order of their first; IPv6 addresses apart."""
    groups: dict[tuple[object, ...], list[PathFacts]] = {}
    for path in paths:
        key = (
            path.kind,
            path.target if path.kind in EDGE else "",
            path.vantage,
            path.from_node,
            path.port_name,
            path.outcome,
            path.http_status,
            path.detail,
            path.expected,
            path.offered,
            path.answered_by,
            path.kind != "Endpoint" and path.target.startswith("["),
            path.certificate.state if path.certificate else "",
        )
        groups.setdefault(key, []).append(path)
    return list(groups.values())


def _kind(group: Sequence[PathFacts]) -> str:
    """The kind of path; with the family of addresses, where names were asked for by one of them and the other met else."""
    families = {path.family for path in group}
    word = KIND_WORDS.get(group[0].kind, group[0].kind)
    return " ".join([word, *families]).rstrip() if len(families) == 1 else word


def _target(group: Sequence[PathFacts], wide: bool) -> str:
    first = group[0]
    port = first.target.rpartition(":")[2]
    hosts = [path.target.rpartition(":")[0] for path in group]
    if first.kind == "PortForward":
        return _insides(group, port)
    if first.kind == "Endpoint":
        return (
            f"{first.subject} {first.target}" if wide and first.subject != hosts[0] else _endpoints(group, hosts, port)
        )
    if first.kind == "PodName" and not wide:
        return _names(group, hosts, port)
    if first.kind in ("NodePort", "HealthCheck") and first.vantage in ("probe pod", "another node") and not wide:
        return f"{listed(dict.fromkeys(path.subject for path in group), 4)} :{port}"
    if len(group) == 1:
        return f"{first.target} ({first.subject})" if wide and first.subject else first.target
    if first.kind == "DNS":
        return " · ".join(dict.fromkeys(host or path.target for host, path in zip(hosts, group, strict=True)))
    return f"{', '.join(_short(hosts))} :{port}"


def _insides(group: Sequence[PathFacts], port: str) -> str:
    names = [path.subject for path in group]
    return f"{names[0]} :{port}" if len(names) == 1 else f"inside {count(len(names), 'pod')}, port {port}"


def _endpoints(group: Sequence[PathFacts], hosts: Sequence[str], port: str) -> str:
    """Names while they are few and fit, else how many on how many nodes."""
    names = list(dict.fromkeys(path.subject for path in group))
    if len(group) == 1:
        whole = f"{names[0]} {hosts[0]}:{port}"
        return (
            group[0].target if names[0] == hosts[0] else whole if len(whole) <= TARGET_WIDTH else f"{names[0]} :{port}"
        )
    if len(group) == 2 and len(", ".join(names)) <= TARGET_WIDTH:
        return f"{', '.join(names)} :{port}"
    noun = "address" if any(path.subject == host for path, host in zip(group, hosts, strict=True)) else "pod"
    nodes = {path.node for path in group if path.node}
    where = f" on {count(len(nodes), 'node')}" if nodes else ""
    number = len(group) if noun == "address" else len(names)
    return f"{count(number, noun)}{where}, port {port}"


def _names(group: Sequence[PathFacts], hosts: Sequence[str], port: str) -> str:
    """Names of pods: the first one whole, and how many more."""
    others = len(dict.fromkeys(hosts)) - 1
    return f"{hosts[0]}{f' and {others} more' if others else ''} :{port}"


def _short(hosts: Sequence[str]) -> list[str]:
    """IPv4 addresses of one /24 by their last number after the first: `172.30.0.11, .12, .13`."""
    prefix = hosts[0].rpartition(".")[0]
    same = prefix.count(".") == 2 and all(host.rpartition(".")[0] == prefix for host in hosts)
    return [hosts[0], *(f".{host.rpartition('.')[2]}" for host in hosts[1:])] if same else list(hosts)


def symbol_of(path: PathFacts) -> str:
    """Good, bad, of doubtful value, or as was to be expected."""
    if path.outcome in GOOD:
        return "✔"
    if path.expected or path.outcome == "silent":
        return "–"
    return "!" if path.outcome in ("http-error", "intermittent") else "✖"


def result_of(path: PathFacts) -> str:
    """What became of it, in a word or two behind its symbol."""
    word = str(path.http_status) if path.http_status else path.outcome.replace("-", " ")
    if path.outcome in ("intermittent", "http-error") and path.detail:
        word = path.detail
    if path.answered_by:
        word = f"{word} from {path.answered_by}"
    if path.expected:
        word = path.expected if path.expected in (BEYOND_REACH, NO_PROOF, OUT_OF_REACH) else f"{word}, {path.expected}"
    elif path.detail and (path.outcome in TELLING or (path.vantage == "API server" and path.outcome != "answered")):
        word = path.detail
    elif path.outcome == "answered" and path.request.startswith("gRPC"):
        word = f"{word}, {path.detail}"
    elif path.outcome in ("connected", "resolved"):
        word = "connects" if path.outcome == "connected" else "resolves"
    if path.detail == SHORT_CUT:
        word = f"{word}, {SHORT_CUT}"
    if path.certificate and path.certificate.state in SAID_OF_CERTIFICATES:
        word = f"{word}, {SAID_OF_CERTIFICATES[path.certificate.state]}"
    not_ready = "" if path.offered or path.expected else ", though not ready"
    return f"{symbol_of(path)} {word}{not_ready}"


def _time(group: Sequence[PathFacts]) -> str:
    times = [path.milliseconds for path in group if path.milliseconds]
    return f"{max(times):.0f} ms" if times else ""


def _times(path: PathFacts) -> str:
    """The time with its parts: `12 ms (dns 1, connect 0.3, tls 8, first byte 2.1)`."""
    timings = path.timings
    parts = {"dns": timings.lookup, "connect": timings.connect, "tls": timings.tls, "first byte": timings.first_byte}
    named = ", ".join(f"{name} {value:g}" for name, value in parts.items() if value)
    return f"{_time([path])} ({named})" if named and path.milliseconds else _time([path])


def _vantage(path: PathFacts, where: From) -> str:
    """The machine that asked, or the node of the pod and whom it stands in for."""
    if not path.from_node:
        return path.vantage
    who = f"{'in' if where.is_inside else 'as'} {where.client.partition(' of ')[0]}" if where.client else "probe pod"
    if not where.pods:
        return f"{who}, {path.from_node}"
    return f"{who}, {where.pods.removeprefix('pods on ')}" if where.client else where.pods
