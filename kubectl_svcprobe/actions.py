"""What the program can do: inspect Services, list them, show the pod it would run, and clean up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from kubectl_svcprobe import cleanup as leftovers
from kubectl_svcprobe.errors import AccessError, ExitCode, SvcprobeError
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.collect import collect_namespace
from kubectl_svcprobe.facts.resolve import Resolver
from kubectl_svcprobe.inspection import Inspector, now, report
from kubectl_svcprobe.lookup import addresses_of
from kubectl_svcprobe.meant import Meant, services_meant
from kubectl_svcprobe.render import documents, listing, text
from kubectl_svcprobe.report import Report
from kubectl_svcprobe.run import Run
from kubectl_svcprobe.session import Session
from kubectl_svcprobe.target import Target


def _run(session: Session) -> Run:
    say, note = session.progress.say, session.progress.note
    return Run(session.cluster, session.options, session.kubectl, session.interrupts, say, note)


def _meant(session: Session, targets: tuple[Target, ...]) -> Iterator[Meant | SvcprobeError]:
    """The Services that the words lead to, or why one leads to none."""
    session.progress.say(f"looking up {targets[0].word}")
    resolver = Resolver(session.cluster, session.namespace, bool(session.flags["namespace"]), addresses_of)
    return services_meant(resolver, targets, session.options)


def inspect(session: Session, targets: tuple[Target, ...]) -> ExitCode:
    """The full report on each Service, and its exit code."""
    run = _run(session)
    reports: list[Report] = []
    refusals: list[SvcprobeError] = []
    for meant in _meant(session, targets):
        if isinstance(meant, SvcprobeError):
            refusals.append(meant)
            continue
        try:
            found = Inspector(replace(run, options=meant.options)).inspect(*meant.service)
        except SvcprobeError as error:
            refusals.append(error)
            continue
        reports.append(replace(found, target=meant.note))
        if session.is_text:
            session.write("\n" * (len(reports) > 1) + _document(session, reports[-1:], is_list=False))
    if not reports:
        _say_others(session, refusals)
        raise refusals[0]
    if not session.is_text:
        session.write(_document(session, reports, is_list=False))
    _say_more(session, refusals, {report.service.namespace for report in reports})
    return max(session.exit_code(reports), ExitCode.UNKNOWN if refusals else ExitCode.OK)


def _say_others(session: Session, refusals: list[SvcprobeError]) -> None:
    """All refusals but the first, which the caller raises."""
    for error in refusals[1:]:
        session.progress.note(str(error))


def _say_more(session: Session, refusals: list[SvcprobeError], namespaces: set[str]) -> None:
    """What belongs on stderr after the report; and tidying up, which nobody has to wait for the report for."""
    for error in refusals:
        session.progress.note(str(error))
    for warning in session.cluster.warnings:
        session.progress.note(f"Warning: {warning}")
    if session.options.probe:
        where = session.options.client.namespace
        for namespace in {where} if where else sorted(namespaces):
            leftovers.remove_abandoned(session.cluster, namespace, now())


def list_services(session: Session) -> ExitCode:
    """One line of health for each Service of the namespace, from the objects alone."""
    session.progress.say(f"reading the Services of {session.namespace}")
    snapshots = collect_namespace(session.cluster, session.namespace, now())
    reports = [report(Evidence(s, kubectl=session.kubectl), session.options) for s in snapshots]
    if not reports and session.flags["output"] in ("text", "wide", "name"):
        session.progress.close()
        session.progress.note(f"No resources found in {session.namespace} namespace.")
        return ExitCode.OK
    session.write(_document(session, reports, is_list=True))
    return session.exit_code(reports)


def _document(session: Session, reports: list[Report], is_list: bool) -> str:
    output = session.flags["output"]
    documents_by_name = {"json": documents.as_json, "yaml": documents.as_yaml, "name": documents.as_names}
    if output in documents_by_name:
        return documents_by_name[output](reports)
    render = listing.render if is_list else text.render
    return render(reports, session.paper, wide=output == "wide")


def dry_run(session: Session, targets: tuple[Target, ...]) -> ExitCode:
    """The manifests of the pods that would run."""
    import yaml

    found: list[dict[str, Any]] = []
    refusals: list[SvcprobeError] = []
    for meant in _meant(session, targets):
        if isinstance(meant, SvcprobeError):
            refusals.append(meant)
            continue
        inspector = Inspector(replace(_run(session), options=meant.options))
        namespace, name, port = meant.service
        snapshot = inspector.read(namespace, name, port)
        plan = inspector.plan(snapshot)
        if pods := inspector.asker().manifests(snapshot, plan):
            found.extend(pods)
        else:
            reasons = ", ".join(dict.fromkeys(u.reason for u in plan.unprobed)) or "it offers no path"
            why = reasons if snapshot.service else "there is no such Service"
            session.progress.note(f"no pod would run for {name}: {why}")
    if refusals:
        _say_others(session, refusals)
        if not found:
            raise refusals[0]
        session.progress.note(str(refusals[0]))
    session.write(yaml.safe_dump_all(found, sort_keys=False) if found else "")
    return ExitCode.OK if found and not refusals else ExitCode.UNKNOWN


def cleanup(session: Session, all_namespaces: bool) -> ExitCode:
    """Remove this tool's pods, a line each. What cannot be removed is said, and the rest still goes."""
    namespace = None if all_namespaces else session.namespace
    pods = leftovers.leftovers(session.cluster, namespace)
    code = ExitCode.OK
    for pod in pods:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        try:
            leftovers.remove(session.cluster, pod)
            session.write(f"pod {name} removed\n")
        except AccessError as error:
            session.progress.note(f"pod {name} is still there: {error}")
            code = ExitCode.UNKNOWN
    if not pods:
        session.progress.note("No probe pods found" + (f" in {namespace} namespace." if namespace else "."))
    return code
