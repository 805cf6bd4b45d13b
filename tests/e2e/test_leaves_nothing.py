"""Whenever the program is interrupted, no probe pod stays behind, and whoever interrupted it is told what they must know."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pexpect
import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.permissions import PROBE, READ, Permission
from tests.e2e.cluster import Namespace
from tests.e2e.gate import CREATE, DELETE, LOG, WATCH, Hold, Moment, gate
from tests.e2e.rights import forget_users, make_user
from tests.e2e.runs import command, is_the_plugin, set_up, started, still_there

pytestmark = pytest.mark.lab

#: Seconds from the last signal to the end: removal is bounded, and a pod's grace period is one second.
SOON = 15.0

CODES = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}


class Stage(NamedTuple):
    """Where a run is interrupted: at each of these requests, by one signal each. By then it has asked for so many pods."""

    name: str
    pods: int
    at: tuple[Hold, ...]
    services: tuple[str, ...] = ("web",)


def stages() -> list[Stage]:
    """Those of a run with one Service that works; with fresh holds."""
    answered = Hold(*CREATE, Moment.ANSWERED)
    return [
        Stage("reading, before the create", 0, (Hold("GET", "/services/web$"),)),
        Stage("the create on its way", 1, (Hold(*CREATE),)),
        Stage("the create's answer on its way", 1, (answered,)),
        Stage("watching", 1, (Hold(*WATCH, Moment.STREAMING),)),
        Stage("reading the log", 1, (Hold(*LOG),)),
        Stage("deleting", 1, (Hold(*DELETE),)),
        Stage("watching, again while deleting", 1, (Hold(*WATCH, Moment.STREAMING), Hold(*DELETE))),
        Stage("the create's answer, again while deleting", 1, (Hold(*CREATE, Moment.ANSWERED), Hold(*DELETE))),
    ]


def longer_stages() -> list[Stage]:
    """Those of a run that has one pod behind it."""
    return [
        Stage("between two Services", 1, (Hold("GET", "/services/other$"),), ("web", "other")),
        Stage("watching the second pod", 2, (Hold(*WATCH, Moment.STREAMING, pods=2),), ("refused",)),
    ]


class Run(NamedTuple):
    """One interrupted run and what it left."""

    stage: str
    signal: str
    code: int
    stderr: str
    stdout: str
    seconds: float
    pods: int
    pods_left: list[str]


@pytest.fixture(scope="module")
def web(namespace: Namespace) -> Iterator[Namespace]:
    set_up(namespace)
    yield namespace
    forget_users(namespace)


@pytest.fixture(scope="module")
def runs(web: Namespace, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Fifty runs, four at a time: each stage thrice by SIGINT, twice by SIGTERM, once by SIGHUP, and the longer ones."""
    signals = [signal.SIGINT] * 3 + [signal.SIGTERM] * 2 + [signal.SIGHUP]
    plans = [(stage, number) for number in signals for stage in stages()]
    plans += [(stage, signal.SIGINT) for stage in longer_stages()]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(interrupted, web, tmp_path_factory.mktemp("run"), *plan) for plan in plans]
        return [job.result() for job in jobs]


def interrupted(web: Namespace, folder: Path, stage: Stage, number: signal.Signals) -> Run:
    """Send the signal at each of the stage's requests. One that only reads gets no answer any more."""
    arguments = (*stage.services, "-o", "json")
    with gate(web.lab, folder, *stage.at) as opened, started(web, opened.kubeconfig, *arguments) as process:
        for hold in stage.at:
            hold.await_it()
            assert is_the_plugin(process.pid)
            process.send_signal(number)
            sent = time.monotonic()
            if hold.method != "GET":
                hold.let_go()
        stdout, stderr = process.communicate(timeout=SOON)
        seconds = time.monotonic() - sent
        pods = opened.pods
    left = still_there(web, pods)
    return Run(stage.name, number.name, process.returncode, stderr, stdout, seconds, len(pods), left)


def table(runs: list[Run]) -> str:
    """Counts for each stage and signal."""
    row = "{:42} {:8} {:>4} {:>5} {:>9} {:>10} {:>12}  {}".format
    rows = [row("interrupted while", "signal", "runs", "pods", "pods left", "tracebacks", "slowest, s", "exit codes")]

    def add(stage: str, number: str, same: list[Run]) -> None:
        left, traces = sum(len(run.pods_left) for run in same), sum("Traceback" in run.stderr for run in same)
        codes = ", ".join(f"{code} ({times})" for code, times in sorted(Counter(run.code for run in same).items()))
        slowest = f"{max(run.seconds for run in same):.2f}"
        rows.append(row(stage, number, len(same), sum(run.pods for run in same), left, traces, slowest, codes))

    for stage, number in sorted({(run.stage, run.signal): None for run in runs}, key=lambda pair: pair[0]):
        add(stage, number, [run for run in runs if (run.stage, run.signal) == (stage, number)])
    add("all", "", runs)
    return "\n".join(rows)


def test_fifty_interrupted_runs_leave_no_pod(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{table(runs)}")
    assert len(runs) == 50
    assert [(run.stage, run.pods_left) for run in runs if run.pods_left] == []


def test_each_run_was_interrupted_where_it_was_to_be(runs: list[Run]) -> None:
    pods = {stage.name: stage.pods for stage in (*stages(), *longer_stages())}
    assert [run for run in runs if run.pods != pods[run.stage]] == []


def test_the_exit_code_is_128_and_the_signal(runs: list[Run]) -> None:
    assert [run for run in runs if run.code != CODES[run.signal]] == []


def test_an_interrupt_is_no_traceback_and_no_half_document(runs: list[Run]) -> None:
    assert [run for run in runs if run.stdout] == []
    patience = "still removing the probe pod; this takes a few seconds at most\n"
    assert [run for run in runs if run.stderr != (patience if "again" in run.stage else "")] == []


def test_ctrl_c_on_a_terminal_again_and_again_while_the_create_is_in_flight(web: Namespace, tmp_path: Path) -> None:
    hold = Hold(*CREATE, Moment.ANSWERED)
    with gate(web.lab, tmp_path, hold) as opened:
        program, *arguments = web.lab.argv(command(web, opened.kubeconfig, "web"))
        surroundings = {**web.lab.environment(), "TERM": "xterm"}
        terminal = pexpect.spawn(program, arguments, env=surroundings, encoding="utf-8", timeout=SOON)
        hold.await_it()
        presses = 0
        while presses == 0 or terminal.expect(["still removing the probe pod", pexpect.TIMEOUT], timeout=0.5):
            terminal.sendintr()
            presses += 1
            assert presses < 20
        hold.let_go()
        terminal.expect(pexpect.EOF)
        terminal.close()
    assert presses > 1, "the first one is no reason to say anything"
    assert (terminal.exitstatus, "Traceback" in terminal.before) == (130, False)
    assert still_there(web, opened.pods) == []


def test_a_create_whose_answer_never_comes_is_undone(web: Namespace, tmp_path: Path) -> None:
    hold = Hold(*CREATE, Moment.ANSWERED, is_cut=True)
    with gate(web.lab, tmp_path, hold) as opened, started(web, opened.kubeconfig, "web") as process:
        hold.await_it()
        (pod,) = opened.pods
        assert pod in web.names("pods")
        process.send_signal(signal.SIGINT)
        hold.let_go()
        stdout, stderr = process.communicate(timeout=SOON)
    assert (process.returncode, stdout, stderr) == (130, "", "")
    assert still_there(web, [pod]) == []


def test_whoever_may_not_delete_pods_is_told_which_one_stays(web: Namespace, tmp_path: Path) -> None:
    no_delete = Permission(r.PODS, ("create", "get", "list", "watch"), "", "")
    user = make_user(web, [*READ, no_delete, *(p for p in PROBE if p.subresource)])
    hold = Hold(*WATCH, Moment.STREAMING)
    with gate(web.lab, tmp_path, hold, user=user) as opened, started(web, opened.kubeconfig, "web") as process:
        hold.await_it()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=SOON)
        (pod,) = opened.pods
    assert (process.returncode, stdout) == (130, "")
    said, advice = stderr.splitlines()
    assert said.startswith(f"probe pod {web.name}/{pod} may still be there: ")
    assert "forbidden" in said
    web.kubectl(*advice.split(f"-n {web.name} ")[1].split())
    assert still_there(web, [pod]) == []


def test_what_is_interrupted_is_not_kept_although_it_was_to_be(web: Namespace, tmp_path: Path) -> None:
    hold = Hold(*WATCH, Moment.STREAMING)
    with gate(web.lab, tmp_path, hold) as opened, started(web, opened.kubeconfig, "web", "--keep-pod") as process:
        hold.await_it()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=SOON)
    assert (process.returncode, stdout, stderr) == (130, "", "")
    assert still_there(web, opened.pods) == []


def test_ctrl_c_while_the_program_is_still_being_loaded(web: Namespace) -> None:
    """Python tells of each module that is loaded, and waits where nobody reads that."""
    ours = {"PYTHONPROFILEIMPORTTIME": "1"}
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    with (
        open(read, "rb", buffering=0) as told,  # noqa: PTH123 — a descriptor
        web.lab.popen(["kubectl-svcprobe", "web"], env=ours, stdout=subprocess.PIPE, stderr=write) as process,
    ):
        os.close(write)
        while not told.readline().endswith(b" kubectl_svcprobe.__main__\n"):
            assert process.poll() is None
        # Up to here it may have been the script that pip wrote; the next module is one that `main` asks for.
        told.readline()
        process.send_signal(signal.SIGINT)
        rest = told.read()
        while piece := told.read():
            rest += piece
        assert process.wait(SOON) == 130
    assert b"Traceback" not in rest


def test_nohup_means_it(web: Namespace, tmp_path: Path) -> None:
    hold = Hold(*WATCH, Moment.STREAMING)
    with gate(web.lab, tmp_path, hold) as opened:
        ignoring = ["nohup", "kubectl", "svcprobe", "web", "-n", web.name, "--kubeconfig", str(opened.kubeconfig)]
        with web.lab.popen(ignoring, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            hold.await_it()
            process.send_signal(signal.SIGHUP)
            hold.let_go()
            stdout, _ = process.communicate(timeout=60)
    assert (process.returncode, stdout.startswith("✔ web works")) == (0, True)
    assert still_there(web, opened.pods) == []


@pytest.mark.parametrize("services", [["web"], ["web", "other"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_traceback_and_no_pod_stays(
    web: Namespace, tmp_path: Path, services: list[str]
) -> None:
    with gate(web.lab, tmp_path) as opened:
        line = " ".join(command(web, opened.kubeconfig, *services))
        done = web.lab.run(["bash", "-c", f"{line} | head -1; exit ${{PIPESTATUS[0]}}"], check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "✔ web works: every path it offers answers.\n"
    assert opened.pods
    assert still_there(web, opened.pods) == []
