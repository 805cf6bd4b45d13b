"""Times as the API writes them (RFC 3339, UTC), and ages as kubectl prints them."""

from __future__ import annotations

from datetime import datetime


def seconds_between(earlier: str, later: str) -> float:
    """Seconds between two RFC 3339 timestamps, never negative; 0 where one cannot be read."""
    start, end = _parse(earlier), _parse(later)
    return max(0.0, (end - start).total_seconds()) if start and end else 0.0


def _parse(timestamp: str) -> datetime | None:
    try:
        # Python 3.10 reads neither "Z" nor more than six digits of a second.
        moment = datetime.fromisoformat(timestamp.split(".")[0].replace("Z", "") + "+00:00")
    except ValueError:
        return None
    return moment


def in_words(seconds: float) -> str:
    """An age as kubectl prints it: 45s, 4m, 3h, 12d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size * (2 if unit != "h" else 1):
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
