"""Files that hold what is written, as it was last agreed to."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent.parent / "golden"


def check(name: str, text: str, update: bool) -> None:
    """Compare with the file of that name, or write it anew."""
    path = FOLDER / name
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()
