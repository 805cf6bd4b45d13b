"""What is said to be pure loads nothing that reaches outside, and asks neither clock, chance nor environment."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pure import IMPURE, PACKAGE, pure_modules

OUTSIDE = {"kubernetes", "requests", "click", "urllib3", "socket", "subprocess", "http.client", "ssl", "asyncio"}

#: Names by which one asks for the time, for chance, for the surroundings, or for files.
ASKING = {"time", "random", "secrets", "uuid", "os", "sys", "pathlib", "shutil", "tempfile", "getpass", "platform"}
CALLS = {"open", "input", "print", "now", "today", "utcnow", "getenv", "environ", "urandom"}


def _name(path: Path) -> str:
    return ".".join(("kubectl_svcprobe", *path.with_suffix("").parts)).removesuffix(".__init__")


def test_the_list_of_impure_modules_is_up_to_date() -> None:
    assert all((PACKAGE / name).is_file() for name in IMPURE)


def test_pure_modules_load_nothing_that_reaches_outside() -> None:
    """Each in a process of its own, forked from one interpreter to save the start of a hundred."""
    code = f"""
import os, sys
import concurrent.futures, dataclasses, datetime, enum, inspect, json, re, statistics, textwrap, urllib.parse  # harmless
outside = {sorted(OUTSIDE)!r}
children = []
for name in {[_name(path) for path in pure_modules()]!r}:
    child = os.fork()
    if not child:
        __import__(name)
        loaded = [module for module in outside if module in sys.modules]
        if loaded:
            print(name, "loads", *loaded, flush=True)
        os._exit(bool(loaded))
    children.append(child)
sys.exit(any([os.waitpid(child, 0)[1] for child in children]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("path", pure_modules(), ids=_name)
def test_a_pure_module_asks_neither_clock_nor_chance_nor_environment(path: Path) -> None:
    tree = ast.parse((PACKAGE / path).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not {alias.name.partition(".")[0] for alias in node.names} & ASKING
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").partition(".")[0] not in ASKING
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in CALLS


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_loads_no_library_but_click(flag: str) -> None:
    """Completion and impatient people ask for it often: it has to come at once."""
    code = f"""
import sys
sys.argv[1:] = [{flag!r}]
from kubectl_svcprobe.__main__ import main
try:
    main()
finally:
    slow = {{"kubernetes", "requests", "urllib3", "tabulate", "yaml"}} & set(sys.modules)
    print(*sorted(slow), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
    assert done.stdout
