"""What holds for every rule, whatever it looks for."""

from __future__ import annotations

import importlib
import pkgutil
import re
import shlex
from collections.abc import Iterator

import pytest

from kubectl_svcprobe import rules
from kubectl_svcprobe.access import resources
from kubectl_svcprobe.access.resources import Resource
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules import BY_CODE, RETIRED, RULES
from kubectl_svcprobe.rules.rule import Rule
from tests.unit.cases import Case, all_cases, commands, found_codes

#: The hundreds, in the order of a packet's way: the Service itself, selection, endpoints, ports, ways in, policies and
#: names, what packets met, what could not be looked at.
LAYERS = (1, 2, 3, 4, 5, 6, 7, 9)

KINDS = {item.kind for item in vars(resources).values() if isinstance(item, Resource)}

#: Words of a remedy: a name says what is there, not what to do.
REMEDIES = re.compile(r"(^|-)(fix|set|add|use|change|enable|disable|should|must|need|remove|correct|missing)(-|$)")

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)


def _rules_in_modules() -> Iterator[Rule]:
    for module in pkgutil.iter_modules(rules.__path__):
        for value in vars(importlib.import_module(f"{rules.__name__}.{module.name}")).values():
            if isinstance(value, Rule):
                yield value


def test_every_rule_that_is_written_is_registered_once() -> None:
    assert len(BY_CODE) == len(RULES)
    assert {rule.code: rule for rule in _rules_in_modules()} == BY_CODE


def test_names_are_unique() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_a_retired_code_is_never_used_again() -> None:
    assert not RETIRED.keys() & BY_CODE.keys()


def test_the_service_comes_first_and_what_could_not_be_looked_at_last() -> None:
    layers = [int(rule.code[3]) for rule in RULES]
    assert set(layers) <= set(LAYERS)
    assert layers[0] == 1
    assert layers == sorted(layers, key=lambda layer: layer == 9)
    # A second workload behind the selector may be meant: it is told after what was seen to fail.
    facts = [int(rule.code[3]) for rule in RULES if int(rule.code[3]) < 5 and rule.code != "SVC206"]
    assert facts == sorted(facts)


def test_codes_of_one_layer_are_in_order() -> None:
    for layer in LAYERS:
        codes = [rule.code for rule in RULES if int(rule.code[3]) == layer and rule.code != "SVC206"]
        assert codes == sorted(codes)


@every_rule
def test_a_code_is_svc_and_three_digits(rule: Rule) -> None:
    assert re.fullmatch(r"SVC\d{3}", rule.code)


@every_rule
def test_a_name_says_in_kebab_case_what_is_found_and_not_what_to_do(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert not REMEDIES.search(rule.name)


@every_rule
def test_a_page_says_what_why_and_when_not(rule: Rule) -> None:
    for part in ("**What.** ", "**Why it matters.** ", "**Known exceptions.** "):
        assert part in rule.page
    assert rule.page.startswith("**What.**")


@every_rule
def test_a_page_mentions_only_codes_that_exist(rule: Rule) -> None:
    assert set(re.findall(r"SVC\d{3}", rule.page)) <= BY_CODE.keys() | RETIRED.keys()


@every_rule
def test_a_rule_has_a_source_and_a_version(rule: Rule) -> None:
    assert rule.source.startswith("https://kubernetes.io/docs/")
    assert re.fullmatch(r"\d+\.\d+", rule.since)


@every_rule
def test_consequences_exist_and_lead_back_to_no_cause(rule: Rule) -> None:
    reached, waiting = set[str](), list(rule.explains)
    while waiting:
        code = waiting.pop()
        assert code != rule.code
        if code not in reached:
            reached.add(code)
            waiting.extend(BY_CODE[code].explains)


@every_rule
def test_what_a_rule_reads_are_kinds_that_are_read(rule: Rule) -> None:
    assert rule.reads <= KINDS


@every_rule
def test_a_rule_has_a_case_that_fires_and_one_that_does_not(rule: Rule) -> None:
    about = [case for case in all_cases() if case.code == rule.code]
    assert [case.name for case in about if case.fires]
    assert [case.name for case in about if not case.fires]


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_case_does_what_its_name_says(case: Case) -> None:
    assert case.code in BY_CODE or case.name.startswith("healthy-")
    assert case.fires == (bool(case.code) and "-quiet-" not in case.name)
    if not case.code:
        assert case.expected.splitlines()[0] == "ok"
        assert not found_codes(case.expected)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_finding_is_whole(case: Case) -> None:
    """Its sentences name the Service, are sentences, and its commands can be pasted into a shell."""
    found = case.report()
    assert found.service.name in found.summary
    for finding in found.findings:
        for sentence in (finding.headline, finding.message):
            assert re.fullmatch(r"\S.*\S", sentence)
            assert not re.search(r"  |\.\.$|, ?[.,]|\bNone\b|\(\)|[({] ", sentence)
        assert finding.headline.endswith(".") or finding.headline.endswith("?")
        assert finding.brief
        assert finding.fix or finding.severity is not Severity.ERROR
        for command in commands(finding):
            assert shlex.split(command)[0] in ("kubectl", "curl")
            assert "\n" not in command


#: Words that keep a sentence from claiming more than is known.
DOUBT = re.compile(r"\b(may|might|perhaps|probably|likely|possibl[ey]|seems?|suspect|could not)\b", re.IGNORECASE)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_what_is_not_certain_says_so_in_words(case: Case) -> None:
    for finding in case.report().findings:
        if finding.confidence is not Confidence.CERTAIN:
            assert DOUBT.search(f"{finding.headline} {finding.message} {' '.join(finding.evidence)}"), finding


#: What belongs to no namespace, or looks through all of them.
WITHOUT_NAMESPACE = (
    "kubectl describe node ",
    "kubectl describe gatewayclass ",
    "kubectl get ingressclasses",
    "kubectl label node ",
    "kubectl get services -A ",
)


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_a_kubectl_command_says_which_namespace_it_means(case: Case) -> None:
    """Whoever pastes it may have another one in the context."""
    for finding in case.report().findings:
        for command in commands(finding):
            if command.startswith("kubectl ") and not command.startswith(WITHOUT_NAMESPACE):
                words = shlex.split(command)
                assert words[words.index("-n") + 1 :]
