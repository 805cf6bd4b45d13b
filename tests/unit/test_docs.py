"""The pages under docs/ say what the code does, and their links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from kubectl_svcprobe.access.permissions import CLIENT, PROBE, READ, Permission
from kubectl_svcprobe.errors import ExitCode
from kubectl_svcprobe.probe.podspec import is_ours
from kubectl_svcprobe.rules import BY_CODE, RETIRED
from tools.docs.__main__ import DOCS, PAGES, stale, write
from tools.docs.cli import COMMANDS, HELP_WIDTH

ROOT = DOCS.parent
PAPERS = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def _text(*names: str) -> str:
    return DOCS.joinpath(*names).read_text("utf-8")


# Freshness


def test_the_generated_pages_are_up_to_date() -> None:
    assert stale(DOCS) == []


def test_writing_makes_them_so(tmp_path: Path) -> None:
    assert stale(tmp_path) == list(PAGES)
    assert write(tmp_path) == list(PAGES)
    assert (stale(tmp_path), write(tmp_path)) == ([], [])


def test_what_is_written_does_not_depend_on_the_surroundings() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "12", "COLUMNS": "40", "KUBECTL_SVCPROBE_IMAGE": "other"}
    done = subprocess.run(
        [sys.executable, "-m", "tools.docs", "--check"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Links


def _anchors(page: str) -> set[str]:
    """As GitHub makes them: lower case, hyphens for blanks, no other punctuation; and those set by hand."""
    without_code = re.sub(r"^```.*?^```", "", page, flags=re.DOTALL | re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(without_code)}
    return slugs | set(re.findall(r'<a id="([^"]+)">', page))


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))
def test_links_lead_somewhere(paper: Path) -> None:
    for link in LINK.findall(paper.read_text("utf-8")):
        if link.startswith("https://"):
            continue
        name, _, anchor = link.partition("#")
        target = (paper.parent / name).resolve() if name else paper
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in _anchors(target.read_text("utf-8")), link


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: str(paper.relative_to(ROOT)))
def test_only_codes_that_exist_are_mentioned(paper: Path) -> None:
    mentioned = set(re.findall(r"\bSVC\d{3}\b", paper.read_text("utf-8")))
    assert mentioned <= BY_CODE.keys() | RETIRED.keys()


def test_the_readme_links_every_page() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {f"docs/{page.name}" for page in DOCS.iterdir() if page.is_file()} <= set(LINK.findall(readme))


def test_the_readme_names_commands_of_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    papers = "\n".join(paper.read_text("utf-8") for paper in PAPERS)
    assert set(re.findall(r"^make ([a-z-]+)", papers, re.MULTILINE)) <= targets


# The command line


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: str(command.name))
def test_every_option_is_in_the_page(command: click.Command) -> None:
    page = _text("cli.md")
    context = click.Context(command)
    for parameter in command.get_params(context):
        names = [*parameter.opts, *parameter.secondary_opts] if isinstance(parameter, click.Option) else []
        assert all(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", page) for name in names)
        if isinstance(parameter.envvar, str):
            assert f"`{parameter.envvar}`" in page


@pytest.mark.parametrize("words", [[], ["explain"], ["cleanup"]], ids=" ".join)
def test_the_page_shows_what_help_prints(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kubectl_svcprobe", *words, "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": str(HELP_WIDTH + 2)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"```text\n{done.stdout}```" in _text("cli.md")


# Findings, exit codes, permissions


def test_every_code_has_an_anchor_and_its_page() -> None:
    page = _text("findings.md")
    for code, rule in BY_CODE.items():
        assert f'<a id="{code.lower()}">' in page
        assert rule.page in page
        assert rule.source in page


def test_every_exit_code_is_explained_in_both_places() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for code in ExitCode:
        assert f"| {code.value} | {code.name} |" in _text("exit-codes.md")
        assert re.search(rf"^\|.*\b{code.value}\b", readme, re.MULTILINE)


def _granted(name: str) -> set[tuple[str, str, str]]:
    role = yaml.safe_load(_text(name))
    assert role["kind"] == "ClusterRole"
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(("name", "permissions"), [("rbac-read.yaml", READ), ("rbac-probe.yaml", (*PROBE, *CLIENT))])
def test_the_roles_grant_the_table_and_no_more(name: str, permissions: tuple[Permission, ...]) -> None:
    asked = {(p.resource.group, p.plural, verb) for p in permissions for verb in p.verbs}
    assert _granted(name) == asked


def test_the_example_pod_is_one_of_ours() -> None:
    pod: dict[str, Any] = yaml.safe_load(_text("probe-pod.yaml"))
    assert is_ours(pod)
    assert json.loads(json.dumps(pod)) == pod
