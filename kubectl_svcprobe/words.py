"""Names and numbers in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kubectl_svcprobe.facts.model import ServicePort


def count(number: int, noun: str) -> str:
    """`1 pod`, `3 pods`, `2 policies`, `2 addresses`."""
    if number == 1:
        return f"1 {noun}"
    endings = {"y": f"{noun[:-1]}ies", "s": f"{noun}es"}
    plural = endings.get(noun[-1], f"{noun}s")
    return f"{number:,} {plural}"


def listed(names: Iterable[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b, c and 7 more`."""
    found = list(names)
    if len(found) > most + 1:
        return f"{', '.join(found[:most])} and {len(found) - most:,} more"
    return " and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))


def gist(text: str, most: int = 70) -> str:
    """The first clauses of a message whose parts are joined by colons: so many that it is no longer than `most`, but one."""
    while len(text) > most and ": " in text:
        text = text.rpartition(": ")[0]
    return text


def labels(pairs: Mapping[str, str]) -> str:
    """`app=devops,tier=web`, as kubectl writes selectors."""
    return ",".join(f"{key}={value}" for key, value in sorted(pairs.items())) or "<none>"


def mapping(port: ServicePort) -> str:
    """`80 → 8080/TCP`, with the name where there is one."""
    name = f"{port.name} " if port.name else ""
    return f"{name}{port.port} → {port.target_port}/{port.protocol}"


def close(one: str, other: str, most: int = 2) -> bool:
    """Whether two words differ by at most so many edits (insert, delete, replace, swap of neighbours), but do differ."""
    return 0 < distance(one, other) <= most and most < max(len(one), len(other))


def distance(one: str, other: str) -> int:
    """The number of edits between two words (optimal string alignment)."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            best = min(row[j - 1] + 1, rows[-1][j] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]


def nearest(word: str, candidates: Sequence[str], most: int = 3) -> list[str]:
    """The candidates that resemble a word: within two edits, or one containing the other; the nearest first."""
    scored = sorted((distance(word.lower(), c.lower()), c) for c in candidates)
    allowed = max(1, min(2, len(word) // 3))
    return [c for edits, c in scored if edits <= allowed or _contains(word, c)][:most]


def _contains(one: str, other: str) -> bool:
    short, long = sorted((one.lower(), other.lower()), key=len)
    return len(short) >= 3 and (long.startswith(f"{short}-") or long.endswith(f"-{short}") or f"-{short}-" in long)
