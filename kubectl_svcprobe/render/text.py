"""The report as a person reads it: verdict, facts, paths, findings, and what was not tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_svcprobe.facts.client import STAND_IN_LABELS
from kubectl_svcprobe.facts.times import in_words, seconds_between
from kubectl_svcprobe.probe.expect import SHORT_CUT
from kubectl_svcprobe.render.beside import measured
from kubectl_svcprobe.render.matrix import asked, from_pods, matrix
from kubectl_svcprobe.render.paths import From, path_table
from kubectl_svcprobe.render.policies import policy_tables
from kubectl_svcprobe.render.samples import samples
from kubectl_svcprobe.render.terminal import Paper, cleaned
from kubectl_svcprobe.report import BY_ONLY, BY_SKIP, Confidence, Finding, PathFacts, ProbeFacts, Report, Verdict
from kubectl_svcprobe.words import count, gist, labels, listed

SYMBOLS = {Verdict.OK: "✔", Verdict.WARNING: "!", Verdict.BROKEN: "✖", Verdict.UNKNOWN: "?"}
INDENT = " " * 11


def render(reports: Sequence[Report], paper: Paper, wide: bool = False) -> str:
    """All reports, one after the other."""
    return "\n\n".join("\n".join(_lines(cleaned(report), paper, wide)) for report in reports) + "\n"


def _lines(report: Report, paper: Paper, wide: bool) -> Iterator[str]:
    symbol = SYMBOLS[report.verdict]
    for number, line in enumerate(paper.wrapped(f"{symbol} {report.summary}", rest="  ")):
        yield paper.paint(paper.bold(line) if number == 0 else line, symbol)
    if report.service.exists:
        yield ""
        yield from _facts(report, paper)
        if wide:
            yield from _declared(report, paper)
    tried = [path for path in report.paths if path.outcome != "not-run"]
    if tried:
        yield ""
        yield from _paths(tried, report, paper, wide)
        yield from policy_tables(report, paper)
        yield ""
        yield from paper.wrapped(_how_asked(tried, report))
        yield from measured(report, paper)
    if report.samples:
        yield ""
        yield from samples(report, paper)
    for finding in report.findings:
        yield ""
        yield from _finding(finding, report, paper)
    yield from _closing(report, paper, wide)


def _paths(tried: Sequence[PathFacts], report: Report, paper: Paper, wide: bool) -> Iterator[str]:
    """The table of paths. Of several nodes that were asked alike, those stand in it that meet what the main one meets."""
    client = report.probe.client if report.probe else ""
    if report.probe is None or not report.probe.each_node:
        yield from path_table(
            tried, paper, wide, From(client=client, is_inside=bool(report.probe and report.probe.inside))
        )
        return
    shown = [path for path in tried if wide or path.from_node in ("", report.probe.node)]
    yield from path_table(shown, paper, wide, From("" if wide else from_pods(tried, report), client))
    yield from matrix(tried, report, paper)


def _row(word: str, text: str, paper: Paper) -> list[str]:
    return paper.wrapped(text, f"{word:<{len(INDENT)}}", INDENT)


def _facts(report: Report, paper: Paper) -> Iterator[str]:
    service = report.service
    address = ", ".join(service.cluster_ips) or (
        "headless" if service.headless else service.external_name or "no address"
    )
    parts = [
        f"{service.namespace}/{service.name}",
        service.type,
        address,
        *(_port(report, i) for i in range(len(service.ports))),
    ]
    if report.target:
        yield from _row("Asked for", report.target, paper)
    yield from _row("Service", " · ".join(parts), paper)
    if service.type != "ExternalName":
        yield from _row("Selector", _selected(report), paper)
    for pod in [p for p in report.pods if p.why_not_ready][:5]:
        yield from _row("", f"{pod.name}: {gist(pod.why_not_ready)}", paper)
    if service.load_balancer:
        yield from _row("Balancer", _balancer(report), paper)
    if service.external_ips:
        yield from _row("External", ", ".join(service.external_ips), paper)
    if service.external_traffic_policy == "Local" or service.internal_traffic_policy == "Local":
        yield from _row("Policy", _policies(report), paper)
    if service.managed_by:
        yield from _row("Owner", f"{service.managed_by}: an edit by hand may be reverted", paper)


def _port(report: Report, index: int) -> str:
    port = report.service.ports[index]
    name = f"{port.name} " if port.name else ""
    node_port = f", node port {port.node_port}" if port.node_port else ""
    target = "" if report.service.type == "ExternalName" else f" → {port.target_port}"
    return f"{name}{port.port}{target}/{port.protocol}{node_port}"


def _selected(report: Report) -> str:
    unread = [s for s in report.skipped if s.what.startswith("pods in ")]
    if not report.service.selector:
        addresses = listed(dict.fromkeys(e.address for e in report.endpoints))
        return f"none → {addresses}, as its EndpointSlices say" if addresses else "none → no endpoint"
    selector = labels(report.service.selector)
    if unread:
        return f"{selector} → the pods could not be read"
    ready = sum(pod.ready for pod in report.pods)
    terminating = sum(pod.terminating for pod in report.pods)
    leaving = f", {terminating} terminating" if terminating else ""
    owners = listed(dict.fromkeys(pod.workload for pod in report.pods))
    return f"{selector} → {count(len(report.pods), 'pod')}, {ready} ready{leaving}" + (f" ({owners})" if owners else "")


def _balancer(report: Report) -> str:
    balancer = report.service.load_balancer
    assert balancer is not None
    if balancer.pending:
        return f"<pending> for {in_words(seconds_between(report.service.created, report.taken))}"
    return ", ".join(i.ip or i.hostname for i in balancer.ingress)


def _policies(report: Report) -> str:
    service = report.service
    found = [
        ("externalTrafficPolicy", service.external_traffic_policy),
        ("internalTrafficPolicy", service.internal_traffic_policy),
    ]
    return ", ".join(f"{name}: {value}" for name, value in found if value == "Local")


def _declared(report: Report, paper: Paper) -> Iterator[str]:
    """All else that `kubectl describe service` says."""
    service, balancer = report.service, report.service.load_balancer
    affinity = f"{service.session_affinity}" + (
        f" for {service.session_affinity_seconds} s" if service.session_affinity_seconds else ""
    )
    rows = [
        ("Age", in_words(seconds_between(service.created, report.taken))),
        ("Labels", labels(service.labels)),
        ("Annotations", labels(service.annotations)),
        ("IP family", f"{service.ip_family_policy} {','.join(service.ip_families)}".strip()),
        ("Affinity", affinity),
        (
            "Traffic",
            f"external {service.external_traffic_policy or '-'}, internal {service.internal_traffic_policy or '-'}",
        ),
        ("Distribution", service.traffic_distribution),
        ("Not ready", "published" if service.publish_not_ready_addresses else ""),
        (
            "Endpoints",
            ", ".join(f"{e.address}:{e.port}{'' if e.ready else ' (not ready)'}" for e in report.endpoints) or "<none>",
        ),
        (
            "Nodes",
            ", ".join(
                f"{n.name} {','.join((*n.internal_ips, *n.external_ips))}{'' if n.ready else ' (not ready)'}"
                for n in report.nodes
            ),
        ),
    ]
    if balancer:
        rows += [
            ("Class", balancer.class_name),
            ("Wanted IP", balancer.requested_ip),
            ("Sources", ", ".join(balancer.source_ranges)),
            ("Health port", str(balancer.health_check_node_port or "")),
        ]
    for word, value in rows:
        if value:
            yield from paper.wrapped(value, f"{word:<13}", " " * 13)
    for pod in report.pods:
        state = "ready" if pod.ready else f"not ready: {pod.why_not_ready}"
        where = f"{pod.name} on {pod.node or '<none>'}, {','.join(pod.ips) or 'no address'}"
        text = f"{where}, {pod.workload}, {state}, {count(pod.restarts, 'restart')}"
        yield from paper.wrapped(text, f"{'Pod':<13}", " " * 13)
    for event in service.events:
        age = in_words(seconds_between(event.last, report.taken))
        yield from paper.wrapped(f"{event.type} {event.reason} {age} ago: {event.message}", f"{'Event':<13}", " " * 13)


def _how_asked(tried: Sequence[PathFacts], report: Report) -> str:
    requests = dict.fromkeys(path.request for path in tried)
    if len(requests) == 1:
        said = f"{next(iter(requests))} on every path."
    else:
        names = {path.port_name for path in tried}
        ports = [p for p in report.service.ports if p.request and p.name in names]
        said = (
            "; ".join(
                f"{p.request.split(' (')[0]} on port {p.port}{'' if p.protocol == 'TCP' else '/' + p.protocol}"
                for p in ports
            )
            + "."
        )
    if any("gRPC status" in path.detail for path in tried):
        said += " A gRPC status proves that gRPC is spoken there, and not that the application is well."
    if any(path.detail == SHORT_CUT for path in tried):
        said += " Short cut: inside the cluster this address is answered for by the node itself, so it proves nothing outside."
    if report.probe and asked(report):
        return f"{said} {_pods(report, report.probe)}"
    if report.probe and report.probe.inside and not report.probe.problem:
        by = report.probe.inside
        stays = "" if by.startswith("its own") else ", whose entry stays in its spec"
        return f"{said} Asked inside {report.probe.client} by {by}{stays}, in {report.probe.seconds:.1f} s."
    if report.probe and report.probe.pod and not report.probe.problem:
        waiting = "a second one waited 5 s first" if report.probe.repeated else "which waited 5 s first"
        more = [waiting] if report.probe.settled else []
        more += [f"one on {report.probe.other_node} repeated what failed"] if report.probe.other_node else []
        waited = f" ({', and '.join(more)})" if more else ""
        seconds = f"{report.probe.seconds:.1f} s"
        gone = f"may still be there after {seconds}" if report.probe.leftover else f"gone again after {seconds}"
        pod = f"{report.probe.namespace}/{report.probe.pod}"
        said += f" Probe pod {pod}{waited}, {_identity(report.probe)}, {gone}."
        said += _differences(report.probe)
    return said


def _differences(probe: ProbeFacts) -> str:
    """What the stand-in does not share with its client."""
    return f" It stands in for {probe.client}, but for: {listed(probe.differs, 9)}." if probe.differs else ""


def _pods(report: Report, probe: ProbeFacts) -> str:
    """The pods of several nodes, and whether they are gone."""
    nodes = asked(report)
    again = sum(node.settled for node in nodes)
    waited = f" (on {again} of them one that waited 5 s first)" if again else ""
    gone = f"not all gone after {probe.seconds:.1f} s" if probe.leftover else f"gone again after {probe.seconds:.1f} s"
    where = f"Probe pods on {count(len(nodes), 'node')}{waited}, in {probe.namespace}"
    return f"{where}, {_identity(probe)}, {gone}.{_differences(probe)}"


def _identity(probe: ProbeFacts) -> str:
    """By which labels policies judged the pod."""
    if not probe.client:
        return "labelled only as ours"
    theirs = {key: value for key, value in probe.labels.items() if key not in STAND_IN_LABELS}
    return f"labelled {labels(theirs)}, service account {probe.service_account}"


def _finding(finding: Finding, report: Report, paper: Paper) -> Iterator[str]:
    sure = "" if finding.confidence is Confidence.CERTAIN else f", {finding.confidence.value}"
    yield paper.bold(f"{finding.code}  {finding.name} · {finding.severity.value}{sure}")
    if finding.message:
        yield from paper.wrapped(finding.message, "  ", "  ")
    for number, line in enumerate(finding.evidence):
        yield from paper.wrapped(line, "  evidence   " if number == 0 else " " * 13, " " * 13)
    for number, line in enumerate(finding.fix):
        lead = "  fix        " if number == 0 else " " * 13
        # A command stays in one piece, whatever the width: it is there to be pasted.
        is_command = line.startswith(("kubectl ", "curl "))
        yield from [lead + line] if is_command else paper.wrapped(line, lead, " " * 13)
    for line in finding.consequences:
        yield from paper.wrapped(line, "  hence      ", " " * 13)


def _skipped(report: Report, paper: Paper, wide: bool) -> Iterator[str]:
    by_wish = [s for s in report.skipped if s.why in (BY_ONLY, BY_SKIP)]
    could_not = [s for s in report.skipped if s not in by_wish]
    if could_not:
        yield ""
    if could_not and not wide:
        unread = [s.what for s in could_not if not s.what.startswith("SVC")]
        rules = len(could_not) - len(unread)
        said = f"Could not read {listed(unread)}; {count(rules, 'rule')} skipped. All of it: -o wide"
        yield from paper.wrapped(said, rest="  ")
    for skipped in could_not if wide else ():
        yield from paper.wrapped(f"Skipped: {skipped.what}: {skipped.why}", rest="  ")
    if by_wish:
        yield ""
        yield from paper.wrapped(f"Left out: {', '.join(f'{s.what} ({s.why})' for s in by_wish)}.", rest="  ")


def _closing(report: Report, paper: Paper, wide: bool) -> Iterator[str]:
    untried = [path for path in report.paths if path.outcome == "not-run"]
    by_reason: dict[str, list[str]] = {}
    for path in untried:
        kind = "Endpoints" if path.kind == "Endpoint" else path.kind
        what = f"{kind} {path.target}" if wide or path.target == "<pending>" else kind
        from_here = " from this machine" if path.vantage == "this machine" else ""
        by_reason.setdefault(path.detail, []).append(what + from_here)
    if by_reason:
        yield ""
        said = "; ".join(f"{', '.join(dict.fromkeys(what))} ({reason})" for reason, what in by_reason.items())
        yield from paper.wrapped(f"Not tried: {said}.", rest="  ")
    yield from _skipped(report, paper, wide)
    codes = [finding.code for finding in report.findings if finding.severity.value != "info"]
    if codes:
        yield ""
        yield f"More: kubectl svcprobe explain {codes[0]}"
