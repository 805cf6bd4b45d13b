"""What the user sees on other paper and in other formats, as files in tests/golden; each case's own text is in its folder."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import yaml

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.collect import collect_namespace
from kubectl_svcprobe.inspection import report
from kubectl_svcprobe.render import documents, listing, text
from kubectl_svcprobe.render.terminal import Paper
from kubectl_svcprobe.report import Report, ReportList, Verdict
from kubectl_svcprobe.run import Options
from tests.unit.cases import TAKEN, Case, all_cases, named
from tests.unit.golden import check

CASES = all_cases()
#: Reports that have much to show.
SHOWN = [
    "healthy-loadbalancer-by-address",
    "SVC201-one-letter",
    "SVC306-crashing",
    "SVC403-node-ports-and-load-balancer-follow",
    "SVC510-two-nodes-without",
    "SVC520-controller-complains",
    "SVC731-one-of-two-refuses",
    "SVC901-pods-forbidden",
    "SVC101-similar-name",
]

PAPERS = {
    "narrow": (Paper(60), False),
    "colour": (Paper(100, colour=True), False),
    "wide": (Paper(100), True),
    "wide-and-narrow": (Paper(60), True),
}


@pytest.mark.parametrize("style", PAPERS)
@pytest.mark.parametrize("name", SHOWN)
def test_a_report_on_other_paper(name: str, style: str, update_golden: bool) -> None:
    paper, wide = PAPERS[style]
    check(f"{style}/{name}.txt", text.render([named(name).report()], paper, wide), update_golden)


def test_several_reports_have_a_line_between_them(update_golden: bool) -> None:
    reports = [named(name).report() for name in SHOWN[:2]]
    first, second = (text.render([report], Paper(100)) for report in reports)
    assert text.render(reports, Paper(100)) == f"{first}\n{second}"


def _is_command(line: str) -> bool:
    return bool(re.match(r"(  fix        | {13})(kubectl|curl) ", line))


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_line_but_a_command_is_wider_than_the_paper(case: Case, width: int) -> None:
    for line in text.render([case.report()], Paper(width)).splitlines():
        assert len(line) <= width or _is_command(line) or max(map(len, line.split())) > width - 13, line
        assert line == line.rstrip()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_colour_adds_nothing_but_colour(case: Case) -> None:
    found = case.report()
    coloured = text.render([found], Paper(100, colour=True))
    assert re.sub(r"\x1b\[\d+m", "", coloured) == text.render([found], Paper(100))
    assert "\x1b[" in coloured


def _hostile(value: Any) -> Any:
    """The same report with an escape sequence in every string of the cluster's."""
    if isinstance(value, str):
        return f"{value}\x1b[31m\n\u202e"
    if isinstance(value, tuple):
        return tuple(map(_hostile, value))
    return value


def test_nothing_in_a_report_acts_on_the_terminal() -> None:
    found = named("SVC520-controller-complains").report()
    service = replace(
        found.service, **{f.name: _hostile(getattr(found.service, f.name)) for f in fields(found.service)}
    )
    pods = tuple(replace(p, name=_hostile(p.name), why_not_ready=_hostile("why")) for p in found.pods)
    hostile = replace(found, service=service, pods=pods, summary=_hostile(found.summary))
    for wide in (False, True):
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", text.render([hostile], Paper(100), wide))
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", listing.render([hostile], Paper(100), wide))


# a namespace at a glance


def namespace() -> list[Report]:
    """The Services of several cases, as if they were one namespace."""
    names = [
        *("healthy-clusterip", "healthy-external-name", "healthy-headless-statefulset", "healthy-udp-and-tcp"),
        *("healthy-loadbalancer-by-name", "SVC201-one-letter", "SVC306-crashing", "SVC302-one-of-two"),
        *("SVC520-controller-complains", "SVC901-pods-forbidden", "SVC204-quiet-slices-unread", "SVC204-no-slice"),
    ]
    found = [report(Evidence(named(name).snapshot()), Options()) for name in names]
    called = [re.sub(r"^(SVC\d+|healthy)-", "", name) for name in names]
    return [replace(r, service=replace(r.service, name=name)) for r, name in zip(found, called, strict=True)]


LISTINGS = {
    "100": (Paper(100), False),
    "60": (Paper(60), False),
    "wide": (Paper(100), True),
    "colour": (Paper(100, colour=True), False),
}


@pytest.mark.parametrize("style", LISTINGS)
def test_a_listing(style: str, update_golden: bool) -> None:
    paper, wide = LISTINGS[style]
    check(f"listing/{style}.txt", listing.render(namespace(), paper, wide), update_golden)


def test_a_listing_of_one_service() -> None:
    lines = listing.render(namespace()[:1], Paper(100)).splitlines()
    assert lines[-1] == "1 Service: 1 fine. Inspected, not probed: kubectl svcprobe NAME tries one."


#: What a list says, where the cause takes a closer look: at other namespaces (and whether an alias leads there), at logs.
#: Whether any pod has an address that is kept by hand is not looked for at all.
AT_A_GLANCE = {"SVC209": "SVC201", "SVC315": "SVC306", "SVC321": "", "SVC533": ""}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_listed_service_is_judged_as_one_that_is_looked_at_without_probing(case: Case) -> None:
    """The whole namespace at once comes to the same, save what only a closer look reads."""
    namespace_name, name = case.target
    found = {s.name: s for s in collect_namespace(case.cluster(), namespace_name, TAKEN)}
    if name not in found:
        assert case.code == "SVC101"
        return
    alone = report(Evidence(case.snapshot()), Options())
    listed = report(Evidence(found[name]), Options())
    as_listed = [(code, f.severity) for f in alone.findings if (code := AT_A_GLANCE.get(f.code, f.code))]
    assert [(f.code, f.severity) for f in listed.findings] == as_listed


# documents


@pytest.mark.parametrize("name", SHOWN)
def test_a_report_as_json(name: str, update_golden: bool) -> None:
    check(f"json/{name}.json", documents.as_json([named(name).report()]), update_golden)


@pytest.mark.parametrize("name", SHOWN)
def test_json_and_yaml_say_the_same_and_all_of_it(name: str) -> None:
    found = [named(name).report(), named("healthy-clusterip").report()]
    as_json = json.loads(documents.as_json(found))
    assert yaml.safe_load(documents.as_yaml(found)) == as_json
    assert as_json == _plain(ReportList(reports=tuple(found)))
    assert list(as_json) == ["apiVersion", "kind", "reports"]


def _plain(value: Any) -> Any:
    """What JSON makes of it, by another way than the product's."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return json.loads(json.dumps(value))


def test_words_of_any_script_stay_as_they_are() -> None:
    found = named("healthy-clusterip").report()
    found = replace(found, summary="prüft → ✔")
    assert '"prüft → ✔"' in documents.as_json([found])
    assert "prüft → ✔" in documents.as_yaml([found])


def _named(verdicts: Sequence[Verdict]) -> list[Report]:
    found = named("healthy-clusterip").report()
    return [
        replace(found, verdict=verdict, service=replace(found.service, name=f"web-{verdict.value}"))
        for verdict in verdicts
    ]


def test_names_are_of_what_is_broken() -> None:
    assert documents.as_names(_named(list(Verdict))) == "service/web-broken\n"
    assert documents.as_names(_named([Verdict.OK])) == ""
