"""Which modules are pure: all but these, and but `access`."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "kubectl_svcprobe"

#: Modules that reach outside: files, sockets, threads, signals, clocks.
IMPURE = {
    "__main__.py",
    "actions.py",
    "asking.py",
    "asking_inside.py",
    "asking_each.py",
    "cleanup.py",
    "cli.py",
    "client_flags.py",
    "facts/clients.py",
    "facts/closer.py",
    "facts/collect.py",
    "facts/reader.py",
    "flags.py",
    "facts/found.py",
    "inside_flags.py",
    "inspection.py",
    "interrupts.py",
    "lookup.py",
    "probe/apirun.py",
    "probe/forward.py",
    "probe/local_http.py",
    "probe/local_sockets.py",
    "probe/localrun.py",
    "probe/podlife.py",
    "probe/podrun.py",
    "probe/underway.py",
    "probe/podwatch.py",
    "progress.py",
    "protocol_flags.py",
    "session.py",
}


def pure_modules() -> list[Path]:
    """Their paths below the package, sorted."""
    every = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return sorted(path for path in every if str(path) not in IMPURE and path.parts[0] != "access")
