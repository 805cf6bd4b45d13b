"""The words of `words.yaml`, for the test on the lab and for the generated page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Row:
    """A word of the command line, and what comes of it. Of `asked`, `says`, `begins` and `reports` those given hold."""

    give: str
    title: str
    code: int = 0
    leads: str = ""
    asked: str = ""
    says: str = ""
    begins: str = ""
    reports: str = ""
    flags: str = "-n {ns}"

    def filled(self, values: Mapping[str, str]) -> Row:
        """With what this cluster has for the names in braces."""

        def fill(text: str) -> str:
            for name, value in values.items():
                text = text.replace(f"{{{name}}}", value)
            return text

        texts = {key: fill(value) for key, value in vars(self).items() if isinstance(value, str)}
        return replace(self, **texts)  # type: ignore[arg-type]


def _words() -> Any:
    return yaml.safe_load((FOLDER / "words.yaml").read_text("utf-8"))


def rows(which: str) -> list[Row]:
    """The rows of `right` or of `wrong`."""
    return list(_rows(which))


def _rows(which: str) -> Iterator[Row]:
    for group in _words()[which]:
        for row in group["rows"]:
            yield Row(title=group["title"], code=group.get("code", 0), **row)


def examples() -> dict[str, str]:
    """What stands on the page for the names in braces."""
    return dict(_words()["examples"])
