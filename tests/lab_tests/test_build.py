"""When the lab is built anew, when it waits, and what it says where it cannot run. Needs neither root nor a lab."""

from __future__ import annotations

import io
import os
import shutil
import threading
from pathlib import Path

import pytest

from kubectl_svcprobe.probe.podspec import DEFAULT_IMAGE
from tests.lab import CURL_STAND_IN, LabError, build, cache, prerequisites
from tests.lab.progress import Progress


def silent() -> Progress:
    return Progress(io.StringIO())


def test_the_stand_in_carries_the_name_of_the_default_image() -> None:
    assert CURL_STAND_IN == DEFAULT_IMAGE


def test_only_the_go_sources_and_the_build_itself_decide_about_a_new_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = shutil.copytree(build.SOURCES, tmp_path / "go")
    monkeypatch.setattr(build, "SOURCES", sources)
    monkeypatch.setattr(cache, "PACKAGE", tmp_path)
    before = cache.build_key()
    (tmp_path / "node.py").write_text("edited")
    assert cache.build_key() == before
    (sources / "kube" / "go.mod").write_text("edited")
    assert cache.build_key() != before


def test_two_builds_at_once_are_one(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()
    built: list[Path] = []

    def make(target: Path, progress: Progress) -> None:
        built.append(target)
        begun.set()
        go_on.wait(10)
        (target / "whole").touch()

    target = tmp_path / "bin"
    builders = [threading.Thread(target=cache.complete, args=(target, make, silent())) for _ in range(2)]
    for builder in builders:
        builder.start()
    begun.wait(10)
    assert not target.exists(), "half a build is never seen"
    go_on.set()
    for builder in builders:
        builder.join()
    assert len(built) == 1
    assert (target / "whole").exists()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(target: Path, progress: Progress) -> None:
        (target / "half").touch()
        raise LabError("compile error")

    with pytest.raises(LabError, match="compile error"):
        cache.complete(tmp_path / "bin", fail, silent())
    assert [entry.name for entry in tmp_path.iterdir()] == ["bin.lock"]


def test_builds_nobody_uses_any_more_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "cache_root", lambda: tmp_path)
    for name in ("present", "recent", "running", "old"):
        (tmp_path / name / "bin").mkdir(parents=True)
    (tmp_path / "labs").mkdir()
    with cache.used_by_us(tmp_path / "running" / "bin") as mark:
        for name in ("running", "old"):
            (tmp_path / name / "in-use").touch()
            for used in ("bin", "in-use"):
                os.utime(tmp_path / name / used, (0, 0))
        cache.remove_old(tmp_path / "present")
        assert not mark.closed
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["labs", "present", "recent", "running"]


def test_a_build_shows_that_it_lives_even_where_nobody_watches_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    progress = Progress(output)
    progress.step("Kubernetes")
    progress.at("1, k8s.io/api")
    assert "k8s.io/api" not in output.getvalue(), "not a line for every package"
    progress.said -= 20
    progress.alive()
    assert "Kubernetes: 1, k8s.io/api" in output.getvalue()


def test_without_root_the_lab_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(prerequisites, "present", lambda program: program != "runc")
    with pytest.raises(LabError, match=r"needs root and the packages runc\. Any other cluster serves"):
        prerequisites.ensure(silent())


def test_elsewhere_than_on_debian_12_packages_are_named_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(prerequisites, "present", lambda program: program not in ("runc", "ctr"))
    monkeypatch.setattr(prerequisites, "debian_12", lambda: False)
    monkeypatch.setattr(prerequisites, "run", lambda *_: pytest.fail("ran something"))
    with pytest.raises(LabError, match="needs the packages containerd runc; install them first"):
        prerequisites.ensure(silent())


def test_on_debian_12_missing_packages_are_installed_and_none_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(prerequisites, "present", lambda program: program != "openssl")
    monkeypatch.setattr(prerequisites, "debian_12", lambda: True)
    monkeypatch.setattr(prerequisites, "run", lambda _, *command: ran.append(command))
    prerequisites.ensure(silent())
    assert ran[0] == ("apt-get", "update")
    assert ran[1][:2] == ("apt-get", "install")
    assert "--no-remove" in ran[1]
    assert ran[1][-1] == "openssl"
