"""`python -m tools.docs` writes the generated pages; `--check` only says which of them are out of date, and then fails."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tools.docs import cli, coverage, exit_codes, findings, permissions, probe_pod, schema, targets

DOCS = Path(__file__).resolve().parents[2] / "docs"

PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": cli.page,
    "coverage.md": coverage.page,
    "exit-codes.md": exit_codes.page,
    "findings.md": findings.page,
    "permissions.md": permissions.page,
    "probe-pod.yaml": probe_pod.manifests,
    "rbac-api-server.yaml": permissions.api_server_manifest,
    "rbac-inside.yaml": permissions.inside_manifest,
    "rbac-probe.yaml": permissions.probe_manifest,
    "rbac-read.yaml": permissions.read_manifest,
    "schema.json": schema.document,
    "targets.md": targets.page,
}


def stale(directory: Path) -> list[str]:
    """The pages that differ from what the code says now, by name."""
    return [name for name, make in PAGES.items() if _text(directory / name) != make()]


def _text(file: Path) -> str | None:
    return file.read_text("utf-8") if file.exists() else None


def write(directory: Path) -> list[str]:
    """Write what is stale; the names of it."""
    names = stale(directory)
    directory.mkdir(exist_ok=True)
    for name in names:
        (directory / name).write_text(PAGES[name](), "utf-8")
    return names


def main() -> int:
    """The exit code: 1 where `--check` finds something stale."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if something is out of date")
    checking: bool = parser.parse_args().check
    names = stale(DOCS) if checking else write(DOCS)
    for name in names:
        print(f"docs/{name} " + ("is out of date: python -m tools.docs" if checking else "written"))
    return int(checking and bool(names))


if __name__ == "__main__":
    sys.exit(main())
