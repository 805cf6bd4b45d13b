"""docs/schema.json accepts every report that the program can write, and nothing else."""

from __future__ import annotations

import json
import types
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_svcprobe.render.documents import as_json, as_yaml, plain
from kubectl_svcprobe.report import Finding, Report, ReportList, ServiceFacts, Severity, Verdict
from tools.docs.schema import schema

SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

MINIMAL = Report(ServiceFacts("default", "devops", exists=False), Verdict.UNKNOWN, "could not tell", "")


WORDS = st.text(max_size=6)

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: WORDS,
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}


def _any(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a type of `report`: small, with every field drawn, those with defaults too."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in PLAIN:
        return PLAIN[hint]
    if origin is types.UnionType:
        return st.one_of([_any(argument) for argument in arguments])
    if origin is tuple:
        return st.lists(_any(arguments[0]), max_size=2).map(tuple)
    if origin is not None:
        return st.dictionaries(WORDS, _any(arguments[1]), max_size=2)
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    return st.builds(hint, **{name: _any(of_field) for name, of_field in get_type_hints(hint).items()})


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_smallest_report_fits() -> None:
    VALIDATOR.validate(json.loads(as_json([MINIMAL])))
    VALIDATOR.validate(json.loads(as_json([])))


@settings(max_examples=25, deadline=None)
@given(st.lists(_any(Report), max_size=2))
def test_every_report_fits(reports: list[Report]) -> None:
    document = json.loads(as_json(reports))
    VALIDATOR.validate(document)
    assert document == plain(ReportList(reports=tuple(reports)))


def test_yaml_is_the_same_document() -> None:
    assert yaml.safe_load(as_yaml([MINIMAL])) == json.loads(as_json([MINIMAL]))


def test_every_class_forbids_what_it_does_not_name() -> None:
    for name, definition in SCHEMA["$defs"].items():
        if definition["type"] == "object":
            assert definition["additionalProperties"] is False, name
            assert definition["required"] == list(definition["properties"]), name
        assert definition["description"], name


def _document(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(as_json([MINIMAL]))
    document["reports"][0].update(changes)
    return document


WRONG = {
    "another verdict": _document(verdict="fine"),
    "another severity": _document(
        findings=[plain(Finding("SVC201", "n", Severity.ERROR, "s", "h", "m", (), ())) | {"severity": "fatal"}]
    ),
    "more than is known": _document(mood="good"),
    "a number for a word": _document(summary=1),
    "nothing for a list": _document(pods=None),
    "another version": {**_document(), "apiVersion": "svcprobe/v2"},
    "less than is promised": {"apiVersion": "svcprobe/v1", "kind": "ReportList"},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_report_does_not_fit(name: str) -> None:
    assert not VALIDATOR.is_valid(WRONG[name])
