"""A command on the workstation is a process like any other: its exit code, its terminal, its signals, its files."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import Lab, LabError
from tests.lab.layout import CHECKOUT

pytestmark = pytest.mark.lab


def run(lab: Lab, *command: str) -> list[str]:
    return [sys.executable, "-m", "tests.lab", "--home", str(lab.layout.home), "run", "--", *command]


def test_exit_code_and_streams_pass_through(lab: Lab) -> None:
    command = run(lab, "sh", "-c", "cat; echo problem >&2; exit 7")
    result = subprocess.run(command, input="words", capture_output=True, text=True, cwd=CHECKOUT, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (7, "words", "problem\n")


def test_a_signal_reaches_the_command_itself(lab: Lab) -> None:
    with subprocess.Popen(
        run(lab, "sh", "-c", "echo ready; exec sleep 600"), stdout=subprocess.PIPE, cwd=CHECKOUT
    ) as sleeping:
        assert sleeping.stdout
        assert sleeping.stdout.readline() == b"ready\n"
        sleeping.send_signal(signal.SIGTERM)
        assert sleeping.wait(10) == -signal.SIGTERM


def test_a_terminal_stays_a_terminal(lab: Lab) -> None:
    pexpect = pytest.importorskip("pexpect")
    command = run(lab, "sh", "-c", "test -t 0 && test -t 1 && stty size && read answer && echo got $answer")
    terminal = pexpect.spawn(command[0], command[1:], cwd=str(CHECKOUT), dimensions=(33, 101), timeout=20)
    terminal.expect("33 101")
    terminal.sendline("it")
    terminal.expect("got it")


def test_it_has_its_kubectl_its_names_and_no_proxy(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.7:3128")
    monkeypatch.setenv("no_proxy", "example.test")
    told = lab.run(["sh", "-c", "env; command -v kubectl; cat /etc/hosts"]).stdout
    assert "_proxy=" not in told.lower()
    assert f"KUBECONFIG={lab.kubeconfig}\n" in told
    assert f"{lab.settings.programs}/cli/kubectl\n" in told
    assert "172.30.0.50 www.example.test\n" in told
    assert Path(sys.executable).parent == Path(lab.environment()["PATH"].split(os.pathsep)[0])


def test_it_sees_the_users_files(lab: Lab, tmp_path: Path) -> None:
    lab.run(["sh", "-c", f"echo mine > {tmp_path}/file"])
    assert (tmp_path / "file").read_text() == "mine\n"


def test_it_reaches_the_nodes_but_no_pod_and_no_cluster_address(lab: Lab) -> None:
    reached = lab.run(["curl", "-sk", "--max-time", "5", "https://172.30.0.11:10250/healthz"], check=False)
    assert reached.stdout == "Unauthorized"
    dns = lab.kubectl("-n", "kube-system", "get", "pods", "-o", "jsonpath={.items[0].status.podIP}")
    for inside in ("10.96.0.1:443", f"{dns}:8181"):
        assert lab.run(["curl", "-s", "--max-time", "5", inside], check=False).returncode == 7


def test_a_user_has_the_name_and_the_groups_asked_for(lab: Lab) -> None:
    jane = lab.user("jane/doe+1", ["dev", "ops"])
    told = lab.run(["kubectl", "--kubeconfig", jane, "auth", "whoami", "-o", "jsonpath={.status.userInfo}"]).stdout
    assert '"username":"jane/doe+1"' in told
    assert '"groups":["dev","ops","system:authenticated"]' in told
    with pytest.raises(LabError, match="Forbidden"):
        lab.run(["kubectl", "--kubeconfig", jane, "get", "pods"])


def test_requests_are_in_the_audit_log_with_their_user_agent(lab: Lab) -> None:
    lab.kubectl("get", "--raw", "/version?who=this-test")
    with subprocess.Popen(["tail", "-n", "+1", "-f", lab.layout.audit_log], stdout=subprocess.PIPE, text=True) as log:
        assert log.stdout
        found = next(line for line in log.stdout if "who=this-test" in line)
        log.kill()
    assert '"userAgent":"kubectl/' in found
