"""docs/schema.json accepts every report that the program can write, and nothing else."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_svcprobe import report
from kubectl_svcprobe.render.documents import as_json, as_yaml, plain
from kubectl_svcprobe.report import Finding, Report, ReportList, ServiceFacts, Severity, Verdict
from tools.docs.schema import schema

SCHEMA = schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

MINIMAL = Report(ServiceFacts("default", "devops", exists=False), Verdict.UNKNOWN, "could not tell", "")


def _everything(cls: type) -> st.SearchStrategy[Any]:
    """Instances with every field drawn, those with defaults too."""
    return st.builds(cls, **{f.name: ... for f in fields(cls)})


@pytest.fixture(scope="module", autouse=True)
def _drawing() -> None:
    """Numbers as JSON has them, and dataclasses with all of their fields."""
    st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
    for name in SCHEMA["$defs"]:
        cls = getattr(report, name)
        if hasattr(cls, "__dataclass_fields__") and cls is not ReportList:
            st.register_type_strategy(cls, _everything(cls))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_smallest_report_fits() -> None:
    VALIDATOR.validate(json.loads(as_json([MINIMAL])))
    VALIDATOR.validate(json.loads(as_json([])))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_every_report_fits(data: st.DataObject) -> None:
    reports = data.draw(st.lists(st.from_type(Report), max_size=2))
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
