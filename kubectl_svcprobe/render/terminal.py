"""Text for terminals: made harmless, cut to the width, and coloured where colour is wanted."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

T = TypeVar("T")

#: Control characters, C1 and DEL included, and the marks that turn the direction of text: what a hostile name is made of.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: str) -> str:
    """One line without anything that a terminal would act upon."""
    return _CONTROL.sub("�", re.sub(r"\s*[\r\n\t\x0b\x0c\u2028\u2029]+\s*", " ", text))


def cleaned(value: T) -> T:
    """The same value with every string in it cleaned, however deep."""
    return _cleaned(value)  # type: ignore[no-any-return]


def _cleaned(value: Any) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, tuple):
        return tuple(_cleaned(item) for item in value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _cleaned(getattr(value, f.name)) for f in fields(value)})
    return value


_COLOURS = {"✔": "32", "✖": "31", "!": "33", "?": "35", "–": "2"}


@dataclass(frozen=True)
class Paper:
    """What is written on: `width` in columns, and whether it takes colour."""

    width: int = 100
    colour: bool = False

    def paint(self, text: str, symbol: str) -> str:
        """The text in the colour of a symbol, which only repeats what the symbol says."""
        code = _COLOURS.get(symbol)
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour and code else text

    def bold(self, text: str) -> str:
        """The text, bold."""
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text

    def wrapped(self, text: str, first: str = "", rest: str = "") -> list[str]:
        """Lines no wider than the paper; a word that is wider stays whole, since it may be pasted."""
        return textwrap.wrap(
            text,
            max(self.width, 40),
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [first.rstrip()]


def ended(text: str, width: int) -> str:
    """At most so many columns of a sentence, its end left out at a word."""
    return text if len(text) <= width else textwrap.shorten(text, max(width, 10), placeholder=" …")


def cut(text: str, width: int) -> str:
    """At most so many columns, the middle left out: the ends of a name tell most."""
    if len(text) <= width:
        return text
    keep = max(width - 1, 2)
    return f"{text[: (keep + 1) // 2]}…{text[-(keep // 2) :]}"
