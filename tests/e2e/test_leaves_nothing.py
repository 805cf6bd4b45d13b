"""Whatever happens to the program, no probe pod stays behind; and what a killed one leaves is found again."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.cluster import Namespace, deployment, service
from tests.e2e.command import kubectl_svcprobe, svcprobe
from tests.e2e.gate import POD, Gate, Hold, gate

pytestmark = pytest.mark.lab

#: Seconds from the signal to the end: removal is bounded, and a pod's grace period is one second.
SOON = 15.0

SERVICE = ("GET", r"/services/web$")
CREATE = ("POST", rf"{POD}\?")
WATCH = ("GET", rf"{POD}\?watch=true")
LOG = ("GET", rf"{POD}/[^/]+/log\?")
DELETE = ("DELETE", rf"{POD}/svcprobe-")


class Stage(NamedTuple):
    """Where a run is interrupted: at each of these requests, one signal a request."""

    name: str
    at: tuple[Hold, ...]


def stages() -> list[Stage]:
    """Fresh holds for each run."""
    return [
        Stage("reading, before the create", (Hold(*SERVICE),)),
        Stage("the create on its way", (Hold(*CREATE),)),
        Stage("the create's answer on its way", (Hold(*CREATE, before_the_answer=True),)),
        Stage("watching", (Hold(*WATCH),)),
        Stage("reading the log", (Hold(*LOG),)),
        Stage("deleting", (Hold(*DELETE),)),
        Stage("watching, again while deleting", (Hold(*WATCH), Hold(*DELETE))),
        Stage("the create's answer, again while deleting", (Hold(*CREATE, before_the_answer=True), Hold(*DELETE))),
    ]


class Run(NamedTuple):
    """One interrupted run and what it left."""

    stage: str
    signal: str
    code: int
    stderr: str
    stdout: str
    pods_left: list[str]


@pytest.fixture(scope="module")
def web(namespace: Namespace) -> Namespace:
    """A Service that works, so that a run has one pod and no second one."""
    namespace.apply(deployment(), service())
    namespace.roll_out("web")
    return namespace


@pytest.fixture(scope="module")
def runs(web: Namespace, tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Fifty runs, four at a time: each stage three times with each of two signals, and two closed terminals."""
    signals = [signal.SIGINT, signal.SIGTERM] * 3
    plans = [(stage, number) for number in signals for stage in stages()]
    plans += [(stage, signal.SIGHUP) for stage in stages() if stage.name in ("watching", "deleting")]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(interrupted, web, tmp_path_factory.mktemp("run"), *plan) for plan in plans]
        return [job.result() for job in jobs]


def interrupted(web: Namespace, folder: Path, stage: Stage, number: signal.Signals) -> Run:
    """Run, and send the signal at each of the stage's requests."""
    with gate(web.lab, folder, *stage.at) as opened, started(web, opened) as process:
        for hold in stage.at:
            hold.await_it()
            process.send_signal(number)
            hold.may_go_on.set()
        stdout, stderr = process.communicate(timeout=SOON)
    return Run(stage.name, number.name, process.returncode, stderr, stdout, still_there(web, opened.pods))


def started(web: Namespace, opened: Gate) -> subprocess.Popen[str]:
    """`kubectl svcprobe web`, through the gate."""
    command = ["kubectl", "svcprobe", "web", "-n", web.name, "--kubeconfig", str(opened.kubeconfig)]
    return web.lab.popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def still_there(web: Namespace, pods: list[str]) -> list[str]:
    """Those of these pods that do not go within a few seconds."""
    for pod in pods:
        web.kubectl("wait", "--for=delete", f"pod/{pod}", "--timeout=10s", check=False)
    return [pod for pod in pods if pod in web.names("pods")]


def test_fifty_interrupted_runs_leave_no_pod(runs: list[Run], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{table(runs)}")
    assert [(run.stage, run.pods_left) for run in runs if run.pods_left] == []


def test_the_exit_code_is_128_and_the_signal(runs: list[Run]) -> None:
    expected = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
    assert [run for run in runs if run.code != expected[run.signal]] == []


def test_an_interrupt_is_no_traceback_and_no_half_report(runs: list[Run]) -> None:
    assert [run for run in runs if "Traceback" in run.stderr or run.stdout] == []


def test_a_second_ctrl_c_is_told_that_the_removal_goes_on(runs: list[Run]) -> None:
    twice = [run for run in runs if "again" in run.stage]
    assert [run.stderr for run in twice if "still removing the probe pod" not in run.stderr] == []


def table(runs: list[Run]) -> str:
    """Counts for each stage and signal."""
    rows = [f"{'interrupted while':42} {'signal':8} {'runs':>4} {'pods left':>9} {'tracebacks':>10}  exit codes"]
    for stage, number in dict.fromkeys((run.stage, run.signal) for run in runs):
        same = [run for run in runs if (run.stage, run.signal) == (stage, number)]
        left, traces = sum(len(run.pods_left) for run in same), sum("Traceback" in run.stderr for run in same)
        codes = ", ".join(f"{code} ({times})" for code, times in Counter(run.code for run in same).items())
        rows.append(f"{stage:42} {number:8} {len(same):4} {left:9} {traces:10}  {codes}")
    rows.append(f"{'all':51} {len(runs):4} {sum(len(run.pods_left) for run in runs):9}")
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("state", "hold"),
    [
        ("pending or starting", Hold(*CREATE, before_the_answer=True)),
        ("running or ended", Hold(*LOG)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_killed_run_leaves_ends_by_itself_and_goes_with_cleanup(
    web: Namespace, tmp_path: Path, state: str, hold: Hold
) -> None:
    with gate(web.lab, tmp_path, hold) as opened, started(web, opened) as process:
        hold.await_it()
        process.kill()
        process.wait()
        (name,) = opened.pods
    left = web.get("pod", name)
    assert 0 < left["spec"]["activeDeadlineSeconds"] <= 90
    done = kubectl_svcprobe(web.lab, "cleanup", "-n", web.name)
    assert (done.code, f"pod {web.name}/{name} removed" in done.stdout) == (0, True)
    assert still_there(web, [name]) == []


def look_alikes() -> Iterator[tuple[str, dict[str, str], list[str]]]:
    """Pods of others that resemble a probe pod: name, labels and command."""
    ours = {"app.kubernetes.io/managed-by": "kubectl-svcprobe"}
    yield "someone-elses", ours, ["curl", "-q", "file:///etc/hosts"]
    yield "svcprobe-lookalike", ours, ["sleep", "600"]
    yield "svcprobe-unlabelled", {}, ["curl", "-q", "file:///etc/hosts"]


def test_cleanup_leaves_look_alikes_alone(web: Namespace) -> None:
    for name, labels, command in look_alikes():
        container = {"name": "probe", "image": "lab.test/curl:1", "command": command}
        spec = {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1}
        web.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec})
    for everywhere in (["-n", web.name], ["-A"]):
        assert kubectl_svcprobe(web.lab, "cleanup", *everywhere).code == 0
    assert {name for name, _, _ in look_alikes()} <= set(web.names("pods"))


def test_a_kept_pod_is_left_alone_by_the_next_run_and_removed_by_cleanup(web: Namespace) -> None:
    kept = svcprobe(web.lab, "web", "-n", web.name, "--keep-pod")
    name = json.loads(kept.stdout)["reports"][0]["probe"]["pod"]
    assert svcprobe(web.lab, "web", "-n", web.name).report.verdict == "ok"
    assert name in web.names("pods")
    assert f"pod {web.name}/{name} removed" in kubectl_svcprobe(web.lab, "cleanup", "-n", web.name).stdout
    assert still_there(web, [name]) == []


def test_a_reader_that_leaves_is_no_traceback(web: Namespace) -> None:
    command = f"kubectl svcprobe web -n {web.name} | head -1"
    done = web.lab.run(["sh", "-c", command], check=False, timeout=60)
    assert done.stdout == "✔ web works: every path it offers answers.\n"
    assert done.stderr == ""
