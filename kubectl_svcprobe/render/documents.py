"""The report for programs: JSON, YAML, and names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from kubectl_svcprobe.report import Report, ReportList, Verdict


def plain(value: Any) -> Any:
    """Dataclasses, enums, tuples and mappings as what JSON has."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    return value


def as_json(reports: Sequence[Report]) -> str:
    """One ReportList."""
    return json.dumps(plain(ReportList(reports=tuple(reports))), indent=2, ensure_ascii=False) + "\n"


def as_yaml(reports: Sequence[Report]) -> str:
    """One ReportList."""
    import yaml

    return str(yaml.safe_dump(plain(ReportList(reports=tuple(reports))), sort_keys=False, allow_unicode=True))


def as_names(reports: Sequence[Report]) -> str:
    """`service/NAME` of what is broken, a line each."""
    return "".join(f"service/{r.service.name}\n" for r in reports if r.verdict is Verdict.BROKEN)
