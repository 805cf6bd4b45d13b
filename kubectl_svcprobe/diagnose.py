"""From evidence to findings, and from findings to a verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import Meta, ObjectRef
from kubectl_svcprobe.ownership import with_owner_notes
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import BY_ONLY, BY_SKIP, Confidence, Finding, Severity, Skipped, Verdict
from kubectl_svcprobe.rules import BY_CODE
from kubectl_svcprobe.rules.rule import Match, Rule
from kubectl_svcprobe.words import count, listed


@dataclass(frozen=True)
class Choice:
    """Which findings the user wants to hear of, by code: `only` these (where it is not empty), and not those of `skip`."""

    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()

    def rules(self, rules: Sequence[Rule]) -> list[Rule]:
        """Those to run. What could not be looked at (9xx) is said in any case: silence would read as health."""
        return [rule for rule in rules if not self.only or rule.code in self.only or rule.code.startswith("SVC9")]

    def left_out(self, findings: Sequence[Finding]) -> list[Finding]:
        """What `skip` takes away: after folding, so that the consequences of what it names go with it."""
        return [finding for finding in findings if finding.code in self.skip]


def run(
    rules: Sequence[Rule], evidence: Evidence, choice: Choice | None = None
) -> tuple[tuple[Finding, ...], tuple[Skipped, ...]]:
    """All findings, the worst first and consequences folded into their causes; and the rules that could not judge."""
    choice = choice or Choice()
    findings, skipped = _judge(choice.rules(rules), evidence)
    folded = fold(findings)
    left_out = choice.left_out(folded)
    if choice.only:
        skipped.append(Skipped(f"all but {listed(sorted(choice.only), 9)}", BY_ONLY))
    skipped += [Skipped(f"{finding.code} {finding.name}", BY_SKIP) for finding in left_out]
    return tuple(finding for finding in folded if finding not in left_out), tuple(skipped)


def _judge(rules: Sequence[Rule], evidence: Evidence) -> tuple[list[Finding], list[Skipped]]:
    findings: list[Finding] = []
    skipped: list[Skipped] = []
    known = _kept(evidence)
    for rule in sorted(rules, key=lambda rule: rule.is_last_resort):
        missing = [unread for unread in evidence.snapshot.unread if unread.kind in rule.reads]
        if missing:
            skipped.append(Skipped(f"{rule.code} {rule.name}", f"{listed(u.what for u in missing)}: {missing[0].why}"))
            continue
        if rule.is_last_resort and any(finding.severity is not Severity.INFO for finding in findings):
            continue
        findings.extend(_finding(rule, match, known) for match in rule.check(evidence))
    return findings, skipped


def _kept(evidence: Evidence) -> dict[ObjectRef, Meta]:
    """The objects that a fix may change, with what tells who keeps them."""
    snapshot = evidence.snapshot
    known = {workload.ref: workload.meta for workload in snapshot.workloads or ()}
    known |= {ObjectRef("NetworkPolicy", p.meta.namespace, p.meta.name): p.meta for p in snapshot.policies}
    if snapshot.service:
        known[snapshot.service.ref] = snapshot.service.meta
    return known


def _finding(rule: Rule, match: Match, known: Mapping[ObjectRef, Meta]) -> Finding:
    return Finding(
        code=rule.code,
        name=rule.name,
        severity=match.severity or rule.severity,
        subject=str(match.subject),
        headline=match.headline,
        message=match.message,
        evidence=match.evidence,
        fix=tuple(with_owner_notes(match.fix, known)),
        brief=match.brief or _brief(match),
        port=match.port,
        confidence=match.confidence,
    )


def _brief(match: Match) -> str:
    """The headline without the name in front, which a list has already, and without what a list cannot stress."""
    text = match.headline.removeprefix(match.subject.name).lstrip(": ")
    return text.removeprefix("is down for everyone: ").rstrip(".")


def fold(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings that another one explains become its `consequences`; the rest is sorted, the worst first.

    Of the same severity, what is merely possible stands below what is known.
    """
    explained: dict[Finding, list[str]] = {}
    for finding in findings:
        root = _root(finding, findings)
        lines = explained.setdefault(root, [])
        if root is not finding:
            lines.append(f"{finding.code} {finding.headline}")
    folded = [replace(root, consequences=tuple(lines)) for root, lines in explained.items()]
    order = {finding.code: place for place, finding in reversed(list(enumerate(findings)))}
    return tuple(sorted(folded, key=lambda f: (f.severity.rank, f.confidence is Confidence.POSSIBLE, order[f.code])))


def _root(finding: Finding, findings: Sequence[Finding]) -> Finding:
    """The first cause in a chain of causes, which `explains` must not close to a ring (a test sees to that)."""
    causes = (cause for cause in findings if _explains(cause, finding))
    cause = next(causes, None)
    return finding if cause is None else _root(cause, findings)


def _explains(cause: Finding, finding: Finding) -> bool:
    """Whether the rule says so, and both are about the same port, or one is about the whole Service."""
    is_same_port = cause.port == finding.port or 0 in (cause.port, finding.port)
    return finding.code in BY_CODE[cause.code].explains and is_same_port


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """Broken by any error; else unknown where something kept us from looking; else a warning, or fine."""
    worst = min((finding.severity.rank for finding in findings), default=Severity.INFO.rank)
    by_severity = {Severity.ERROR: Verdict.BROKEN, Severity.UNKNOWN: Verdict.UNKNOWN, Severity.WARNING: Verdict.WARNING}
    return by_severity.get(list(Severity)[worst], Verdict.OK)


def summary_of(findings: Sequence[Finding], evidence: Evidence, skipped: Sequence[Skipped] = ()) -> str:
    """The first line: the worst finding's headline, or what is fine and how far that is known."""
    if findings and findings[0].severity is not Severity.INFO:
        return findings[0].headline
    name = evidence.snapshot.name
    left_out = [one.what for one in skipped if one.why in (BY_ONLY, BY_SKIP)]
    if left_out:
        return f"{name}: nothing found; left out: {listed(left_out, 9)}."
    service = evidence.service
    if service.is_external_name:
        return _alias_summary(evidence)
    ready = sum(endpoint.ready for endpoint in evidence.snapshot.all_endpoints())
    good = [r for r in evidence.results if r.outcome.is_good and r.probe.path.kind not in NO_WAY_IN]
    if good and not any(r.probe.vantage is Vantage.POD for r in good):
        return f"{name} {_answers_outside(good)}, and looks right inside: {count(ready, 'endpoint')} ready. No probe pod ran."
    failed = any(r.outcome.is_bad and r.probe.path.kind not in NO_WAY_IN for r in evidence.results)
    if not good and failed and findings:
        return findings[0].headline
    unproven = listed(_unproven(evidence))
    if not good:
        tried = (
            f"Whether {unproven} answers is not proven{_why_unproven(evidence)}." if unproven else "Nothing was tried."
        )
        return f"{name} looks right: {count(ready, 'endpoint')} ready. {tried}"
    client = evidence.snapshot.client
    whom = f" for {client.who}" if client.stands_in else ""
    if unproven:
        return f"{name} works{whom} on every path that could be tried; whether {unproven} answers is not proven."
    outside = (PathKind.LOAD_BALANCER, PathKind.EXTERNAL_IP)
    if any(r.probe.path.kind in outside for r in good) and not any(
        r.probe.path.kind in outside and r.probe.vantage is Vantage.HERE for r in good
    ):
        silent = any(r.probe.path.kind in outside and r.probe.vantage is Vantage.HERE for r in evidence.results)
        how = "does not answer this machine" if silent else "was not tried from outside"
        return f"{name} works{whom} inside the cluster; its outside address {how}."
    down = [n.meta.name for n in evidence.snapshot.nodes if not n.is_ready and any(p.node_port for p in service.ports)]
    if down:
        return f"{name} works{whom} on every path that was tried; {listed(down)} {'is' if len(down) == 1 else 'are'} not ready."
    if any(r.outcome is Outcome.INTERMITTENT and r.failed_only_early for r in evidence.results):
        return f"{name} works{whom}: every path it offers answers, some of them not in the first second of a new pod."
    return f"{name} works{whom}{_from_where(evidence)}: every path it offers answers."


def _unproven(evidence: Evidence) -> list[str]:
    """The ports of protocols that a connect does not prove, and that gave this machine no answer either."""
    answered = {r.probe.path.service_port for r in evidence.results if r.outcome.is_good}
    return [f"{p.port}/{p.protocol}" for p in evidence.service.ports if p.protocol != "TCP" and p not in answered]


def _why_unproven(evidence: Evidence) -> str:
    if any(r.outcome is Outcome.SILENT for r in evidence.results):
        return ": it was silent to this machine, as servers of UDP may be"
    return ": curl speaks TCP only" if evidence.probe or not evidence.results else ""


def _alias_summary(evidence: Evidence) -> str:
    """What is known of a Service that is an alias for a name."""
    service, where = evidence.service, evidence.snapshot.client_namespace
    alias = f"{service.name} is an alias for {service.external_name.rstrip('.')}"
    by_name = evidence.from_pod(PathKind.DNS)
    if any(r.outcome.is_good and r.outcome is not Outcome.RESOLVED for r in by_name):
        return f"{alias}, which answers a pod of {where}."
    if any(r.outcome is Outcome.RESOLVED for r in by_name):
        return f"{alias}, which resolves in a pod of {where}."
    return f"{alias}; nothing was tried."


#: What tells of the vantage, or of a node, and is no way in.
NO_WAY_IN = (PathKind.CONTROL, PathKind.PROXY_HEALTH, PathKind.HEALTH_CHECK)


def _answers_outside(good: Sequence[PathResult]) -> str:
    """Whom it answers, where no pod asked: a port that is open inside a pod is no answer to anybody."""
    whom = ["this machine"] if any(r.probe.vantage is Vantage.HERE for r in good) else []
    whom += ["the API server"] if any(r.probe.path.kind is PathKind.SERVICE_PROXY for r in good) else []
    return f"answers {' and '.join(whom)}" if whom else "listens inside its pods"


def _from_where(evidence: Evidence) -> str:
    """Which nodes that holds for, where several were to be asked."""
    each = evidence.probe.each_node if evidence.probe else ()
    not_asked = [node.node for node in each if node.problem]
    asked = len(each) - len(not_asked)
    if not_asked:
        return f" from {asked} of {len(each)} nodes ({listed(not_asked)} could not be asked)"
    return f" from each of {asked} nodes" if asked > 1 else ""
