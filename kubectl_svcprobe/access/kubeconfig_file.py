"""Kubeconfig files as they are written: reading, checking the types of their fields, merging.

What the fields mean is decided in `kubeconfig`. The rules are those of client-go's `ClientConfigLoadingRules`: the
first file that names a context, cluster or user wins for all of that entry, and so does the first that sets
`current-context`; unknown keys are ignored. No error repeats a value from a file, since values are secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubectl_svcprobe.errors import AccessError

_STRINGS = {
    "context": ("cluster", "user", "namespace"),
    "cluster": (
        "server",
        "certificate-authority",
        "certificate-authority-data",
        "tls-server-name",
        "proxy-url",
    ),
    "user": (
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "token",
        "tokenFile",
        "username",
        "password",
        "as",
        "as-uid",
    ),
}
_BOOLEANS = {"context": (), "cluster": ("insecure-skip-tls-verify", "disable-compression"), "user": ()}


@dataclass(frozen=True)
class Entry:
    """One named context, cluster or user; its relative paths start from the directory of `file`."""

    name: str
    fields: Mapping[str, Any] = field(repr=False)
    file: str

    def text(self, key: str) -> str:
        """The string under `key`; absent, null and empty are the same to kubectl."""
        return self.fields.get(key) or ""

    def flag(self, key: str) -> bool:
        """The boolean under `key`, false when absent."""
        return bool(self.fields.get(key))

    def path(self, key: str) -> str:
        """The file name under `key`, made absolute; empty when absent."""
        name = self.text(key)
        return str(Path(self.file).absolute().parent / name) if name else ""


@dataclass(frozen=True)
class Kubeconfig:
    """One file, or several merged."""

    current_context: str = ""
    contexts: Mapping[str, Entry] = field(default_factory=dict)
    clusters: Mapping[str, Entry] = field(default_factory=dict)
    users: Mapping[str, Entry] = field(default_factory=dict)


def read(path: str) -> Kubeconfig | None:
    """The file at `path`, or None if there is none; AccessError if it cannot be read or understood."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _loading(path, f"open {path}: {(error.strerror or 'cannot be read').lower()}") from None
    return parse(content, path)


def parse(content: bytes, file: str) -> Kubeconfig:
    """One kubeconfig from its text; `file` is where it came from."""
    document = _document(content, file)
    if document is None:
        return Kubeconfig()
    if not isinstance(document, dict):
        raise _loading(file, "it is not a mapping with clusters, contexts and users")
    _check_kind(document, file)
    current = document.get("current-context")
    if not isinstance(current, (str, type(None))):
        raise _loading(file, "current-context must be a string")
    return Kubeconfig(
        current_context=current or "",
        contexts=_entries(document, "context", file),
        clusters=_entries(document, "cluster", file),
        users=_entries(document, "user", file),
    )


def merge(files: Iterable[Kubeconfig]) -> Kubeconfig:
    """Several files as one: for every name, and for the current context, the first that has it wins."""
    merged = Kubeconfig()
    for config in files:
        merged = Kubeconfig(
            current_context=merged.current_context or config.current_context,
            contexts={**config.contexts, **merged.contexts},
            clusters={**config.clusters, **merged.clusters},
            users={**config.users, **merged.users},
        )
    return merged


def _document(content: bytes, file: str) -> Any:
    """The first YAML document, which is all that kubectl reads too."""
    import yaml

    loader = _loader()(content)
    try:
        return loader.get_data() if loader.check_data() else None
    except yaml.YAMLError as error:
        raise _loading(file, _one_line(error)) from None
    finally:
        loader.dispose()


def _loader() -> Any:
    """A safe loader without timestamps: kubectl reads `2024-01-01` as the string it is."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers = {  # noqa: RUF012
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return Loader


def _one_line(error: Any) -> str:
    """What is wrong and where, without the excerpt that PyYAML adds and without quoted words: they may be secrets."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not valid YAML"
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}: " if mark else ""
    return "yaml: " + where + re.sub(r"(['\"])\S{2,}?\1", "…", str(problem))


def _check_kind(document: dict[Any, Any], file: str) -> None:
    version, kind = document.get("apiVersion") or "v1", document.get("kind") or "Config"
    if (version, kind) != ("v1", "Config"):
        raise _loading(file, f'no kind "{kind}" is registered for version "{version}"')


def _entries(document: dict[Any, Any], what: str, file: str) -> dict[str, Entry]:
    """The list of named contexts, clusters or users; AccessError on a name that is there twice."""
    rows = document.get(what + "s") or []
    if not isinstance(rows, list):
        raise _loading(file, f"{what}s must be a list")
    entries: dict[str, Entry] = {}
    for row in rows:
        entry = _entry(row, what, file)
        if entry.name in entries:
            raise _loading(file, f'duplicate name "{entry.name}" in {what}s')
        entries[entry.name] = entry
    return entries


def _entry(row: Any, what: str, file: str) -> Entry:
    name = row.get("name") or "" if isinstance(row, dict) else None
    fields = row.get(what) or {} if isinstance(row, dict) else None
    if not isinstance(name, str) or not isinstance(fields, dict):
        raise _loading(file, f"each of {what}s must have a name and a {what}")
    for wanted, keys, noun in ((str, _STRINGS[what], "a string"), (bool, _BOOLEANS[what], "true or false")):
        for key in keys:
            if not isinstance(fields.get(key), (wanted, type(None))):
                raise _loading(file, f'{key} of {what} "{name}" must be {noun}')
    return Entry(name, fields, file)


def _loading(file: str, why: str) -> AccessError:
    return AccessError(f'error: error loading config file "{file}": {why}')
