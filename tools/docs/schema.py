"""docs/schema.json: the JSON Schema of `-o json`, from the dataclasses of `kubectl_svcprobe.report`."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import cleandoc
from typing import Any, Union, get_args, get_origin, get_type_hints

from kubectl_svcprobe.report import API_VERSION, ReportList

DIALECT = "https://json-schema.org/draft/2020-12/schema"

PLAIN = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def document() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The schema of a ReportList, everything else in `$defs`."""
    definitions: dict[str, Any] = {}
    root = _reference(ReportList, definitions)
    return {"$schema": DIALECT, "title": f"{API_VERSION} {ReportList.__name__}", **root, "$defs": definitions}


def _of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of one type; classes are defined on the way."""
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _union([_of(argument, definitions) for argument in arguments])
    if origin is tuple and arguments[1:] == (...,):
        return {"type": "array", "items": _of(arguments[0], definitions)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(arguments[1], definitions)}
    if isinstance(hint, type):
        return _reference(hint, definitions)
    raise TypeError(f"no JSON Schema for {hint}")


def _union(options: list[dict[str, Any]]) -> dict[str, Any]:
    if all(option.keys() == {"type"} for option in options):
        return {"type": [option["type"] for option in options]}
    return {"anyOf": options}


def _reference(cls: type, definitions: dict[str, Any]) -> dict[str, Any]:
    if cls.__name__ not in definitions:
        definitions[cls.__name__] = {}  # so that a class which mentions itself ends somewhere
        definitions[cls.__name__] = _class(cls, definitions)
    return {"$ref": f"#/$defs/{cls.__name__}"}


def _class(cls: type, definitions: dict[str, Any]) -> dict[str, Any]:
    description = " ".join(cleandoc(cls.__doc__ or "").split())
    if issubclass(cls, Enum):
        return {"description": description, "type": "string", "enum": [member.value for member in cls]}
    if not is_dataclass(cls):
        raise TypeError(f"no JSON Schema for {cls}")
    hints = get_type_hints(cls)
    properties = {
        # The document's own defaults are its version, and have no other value.
        f.name: {"const": f.default}
        if cls is ReportList and isinstance(f.default, str)
        else _of(hints[f.name], definitions)
        for f in fields(cls)
    }
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
