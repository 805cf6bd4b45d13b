"""A namespace at a glance: one line of health for each Service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kubectl_svcprobe.render.paths import BESIDE_HEADER, NARROW
from kubectl_svcprobe.render.terminal import Paper, cleaned, ended
from kubectl_svcprobe.render.text import SYMBOLS
from kubectl_svcprobe.report import Report, ServiceFacts, Verdict
from kubectl_svcprobe.words import count

HEADERS = ("SERVICE", "TYPE", "ADDRESS", "PORTS", "ENDPOINTS", "STATE")
#: On narrow paper: the name, the endpoints and the state.
NARROW_COLUMNS = (0, 4, 5)
IN_WORDS = {
    Verdict.BROKEN: "{} broken",
    Verdict.UNKNOWN: "{} unknown",
    Verdict.WARNING: "{} with a warning",
    Verdict.OK: "{} fine",
}


def render(reports: Sequence[Report], paper: Paper, wide: bool = False) -> str:
    """The table and a closing count."""
    from tabulate import tabulate

    reports = [cleaned(report) for report in reports]
    shown = NARROW_COLUMNS if paper.width < NARROW and not wide else range(len(HEADERS))
    headers = [HEADERS[i] for i in shown]
    rows = [[row[i] for i in shown] for row in map(_row, reports)]
    widths = [max(len(name) + BESIDE_HEADER, *(len(row[i]) for row in rows)) for i, name in enumerate(headers)]
    taken = sum(widths[:-1]) + 2 * (len(headers) - 1)
    for row in rows:
        row[-1] = row[-1] if wide else ended(row[-1], max(paper.width - taken, 20))
    lines = tabulate(rows, headers, tablefmt="plain", disable_numparse=True).splitlines()
    symbols = ["", *(SYMBOLS[report.verdict] for report in reports)]
    painted = [
        paper.paint(line.rstrip(), s) if s in ("✖", "!", "?") else line.rstrip()
        for line, s in zip(lines, symbols, strict=True)
    ]
    return "\n".join([*painted, "", *paper.wrapped(_closing(reports))]) + "\n"


def _row(report: Report) -> list[str]:
    service = report.service
    ports = ",".join(f"{p.port}" if p.protocol == "TCP" else f"{p.port}/{p.protocol}" for p in service.ports)
    addresses = {e.address for e in report.endpoints}
    ready = {e.address for e in report.endpoints if e.ready and e.port}
    symbol = SYMBOLS[report.verdict]
    state = symbol if report.verdict is Verdict.OK or not report.findings else f"{symbol} {report.findings[0].brief}"
    is_read = not any(skipped.what.startswith("endpointslices") for skipped in report.skipped)
    endpoints = "" if service.type == "ExternalName" else f"{len(ready)}/{len(addresses)}" if is_read else "?"
    return [service.name, service.type, address(service), ports or "<none>", endpoints or "<none>", state]


def address(service: ServiceFacts) -> str:
    """The address that matters most: a load balancer's, else the ClusterIP, else what the Service is instead."""
    if service.load_balancer:
        given = [i.ip or i.hostname for i in service.load_balancer.ingress]
        return given[0] if given else "<pending>"
    return service.external_name or (service.cluster_ips[0] if service.cluster_ips else "None")


def _closing(reports: Sequence[Report]) -> str:
    numbers = Counter(report.verdict for report in reports)
    parts = ", ".join(words.format(numbers[verdict]) for verdict, words in IN_WORDS.items() if numbers[verdict])
    return f"{count(len(reports), 'Service')}: {parts}. Inspected, not probed: kubectl svcprobe NAME tries one."
