"""A lab comes, lives in its own namespaces, and goes without a trace."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import AlreadyRunningError, Lab, LabError, NotRunningError
from tests.lab.layout import CHECKOUT, Layout
from tests.lab.life import first_process, stop
from tests.lab_tests.machine import alive, holders, members, namespaces, picture

pytestmark = pytest.mark.lab


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "lab"
    stop(Layout(tmp_path / "lab"))


@pytest.fixture
def foreign_namespace() -> Iterator[str]:
    """A network namespace of the machine that is called like one of the lab's."""
    name = "node-1"
    if not Path("/run/netns", name).exists():
        subprocess.run(["ip", "netns", "add", name], check=True)
        yield name
        subprocess.run(["ip", "netns", "del", name], check=True)
    else:
        yield name


def test_a_lab_leaves_the_machine_as_it_was(home: Path, foreign_namespace: str) -> None:
    foreign = Path("/run/netns", foreign_namespace).stat().st_ino
    before = picture(home)

    lab = Lab.start(nodes=1, home=home)
    assert lab.kubectl("get", "nodes", "-o", "name").split() == ["node/node-1"]
    during = picture(home)
    processes = members(lab)
    networks = namespaces(processes, "net")
    assert len(networks) >= 3, "the control plane, a node, what is outside, and pods"
    lab.stop()

    assert during.mounts == before.mounts
    assert during.interfaces == before.interfaces, "nothing of the lab has a peer in the machine's own network"
    assert during.files == before.files
    assert during.settings == before.settings
    assert during.cgroups != before.cgroups
    assert picture(home) == before
    assert not alive(processes)
    assert not holders("net", networks)
    assert not home.exists()
    assert Path("/run/netns", foreign_namespace).stat().st_ino == foreign


def test_a_lab_whose_first_process_is_killed_ends_whole_and_can_be_started_again(home: Path) -> None:
    lab = Lab.start(nodes=1, home=home)
    left_behind = lab.popen(["sleep", "600"])
    processes = members(lab)
    networks = namespaces(processes, "net")
    first = first_process(lab.layout)
    watched = os.pidfd_open(first)
    os.kill(first, signal.SIGKILL)
    assert select.select([watched], [], [], 30)[0]
    os.close(watched)

    assert not alive(processes)
    assert not holders("net", networks)
    with pytest.raises(NotRunningError):
        Lab.current(home)

    again = Lab.start(nodes=0, home=home)
    assert left_behind.wait(10) == -signal.SIGKILL, "what ran on the workstation goes before the next lab comes"
    assert "default" in again.kubectl("get", "namespaces", "-o", "name")


def test_labs_live_side_by_side(tmp_path: Path) -> None:
    first = Lab.start(nodes=0, home=tmp_path / "first")
    try:
        second = Lab.start(
            nodes=0, home=tmp_path / ("deep/" * 30) / "second"
        )  # deeper than the name of a socket may be
        try:
            first.kubectl("create", "namespace", "only-in-the-first")
            assert "only-in-the-first" not in second.kubectl("get", "namespaces")
            with pytest.raises(AlreadyRunningError):
                Lab.start(nodes=0, home=second.layout.home)
            assert Lab.ensure(nodes=0, home=second.layout.home).supervisor == second.supervisor
        finally:
            second.stop()
        assert "only-in-the-first" in first.kubectl("get", "namespaces")
    finally:
        first.stop()


def test_a_start_that_is_cut_short_leaves_nothing_running(home: Path) -> None:
    starting = subprocess.Popen(
        [sys.executable, "-m", "tests.lab", "--home", str(home), "up", "--nodes", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=CHECKOUT,
        text=True,
    )
    assert starting.stderr
    assert any("control plane ready" in line for line in starting.stderr)
    processes = members(Lab.current(home))
    starting.terminate()
    assert starting.wait(30) == 128 + signal.SIGTERM
    starting.stderr.close()
    assert not alive(processes)


def test_a_lab_outlives_the_terminal_it_was_started_from(home: Path) -> None:
    pexpect = pytest.importorskip("pexpect")
    command = [sys.executable, "-m", "tests.lab", "--home", str(home), "up", "--nodes", "0"]
    terminal = pexpect.spawn(command[0], command[1:], cwd=str(CHECKOUT), timeout=60)
    terminal.expect("admin.kubeconfig")
    terminal.close(force=True)  # hangs up
    assert "default" in Lab.current(home).kubectl("get", "namespaces", "-o", "name")


def test_a_directory_that_is_no_lab_is_not_emptied(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("kept")
    with pytest.raises(LabError, match="no lab's home"):
        Lab.start(nodes=0, home=tmp_path)
    with pytest.raises(LabError, match="no lab's home"):
        stop(Layout(tmp_path))
    assert precious.read_text() == "kept"
