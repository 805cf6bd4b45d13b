"""Reading JSON that may lack anything: absent, null and wrongly typed values read as empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def mapping(obj: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object under `key`, or an empty one."""
    value = obj.get(key)
    return value if isinstance(value, Mapping) else {}


def at(obj: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The object at the end of a path of keys, or an empty one."""
    for key in keys:
        obj = mapping(obj, key)
    return obj


def items(obj: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    """The objects in the list under `key`."""
    value = obj.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def text(obj: Mapping[str, Any], key: str) -> str:
    """The string under `key`, or an empty one."""
    value = obj.get(key)
    return value if isinstance(value, str) else ""


def texts(obj: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The strings in the list under `key`."""
    value = obj.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def integer(obj: Mapping[str, Any], key: str) -> int:
    """The number under `key`, or 0."""
    value = obj.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def flag(obj: Mapping[str, Any], key: str) -> bool:
    """Whether `key` is literally true."""
    return obj.get(key) is True


def strings(obj: Mapping[str, Any], key: str) -> Mapping[str, str]:
    """The string-to-string map under `key`, or an empty one."""
    return {str(name): str(value) for name, value in mapping(obj, key).items()}
