"""A run that is killed cannot remove its pod: what is left ends by itself, and `cleanup` removes it and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.permissions import PROBE, READ, Permission
from tests.e2e.cluster import Namespace, Object
from tests.e2e.command import kubectl_svcprobe, svcprobe
from tests.e2e.gate import LOG, WATCH, Gate, Hold, Moment, gate
from tests.e2e.rights import forget_users, make_user
from tests.e2e.runs import is_the_plugin, set_up, started, still_there

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def web(namespace: Namespace) -> Iterator[Namespace]:
    set_up(namespace)
    yield namespace
    forget_users(namespace)


def container_state(pod: Object) -> str:
    """Waiting, running or terminated; empty before a kubelet has said anything."""
    statuses = pod["status"].get("containerStatuses") or [{"state": {}}]
    return "".join(statuses[0]["state"])


class Killed(NamedTuple):
    """In which state its pod is when a run is killed, and what the run is asked for so that it comes to it.

    The user may not read nodes, so that nobody notices in advance that one does not exist.
    """

    state: str
    arguments: tuple[str, ...]
    is_so: Callable[[Object], bool]


KILLED = [
    Killed(
        "waiting for a node",
        ("web", "--node", "nowhere"),
        lambda pod: any(c.get("reason") == "Unschedulable" for c in pod["status"].get("conditions", [])),
    ),
    Killed("starting", ("web", "--image", "lab.test/nosuch:1"), lambda pod: container_state(pod) == "waiting"),
    Killed("running", ("silent", "--timeout", "60s"), lambda pod: container_state(pod) == "running"),
    Killed("over", ("web",), lambda pod: container_state(pod) == "terminated"),
]


def killed(web: Namespace, opened: Gate, hold: Hold, case: Killed) -> Object:
    """The pod of a run that is killed, while it watches the pod in blindness, as soon as the pod is in that state."""
    with started(web, opened.kubeconfig, *case.arguments) as process:
        hold.await_it()
        (name,) = opened.pods

        def is_so(pods: list[Object]) -> bool:
            return any(case.is_so(pod) for pod in pods if pod["metadata"]["name"] == name)

        web.until("pods", is_so)
        assert is_the_plugin(process.pid)
        process.kill()
        assert process.wait() == -9
    pod: Object = web.get("pod", name)
    return pod


@pytest.fixture(scope="module")
def user(web: Namespace) -> Path:
    """One who may do all that the command does, but not read nodes."""
    return make_user(web, [p for p in (*READ, *PROBE) if p.resource is not r.NODES])


@pytest.mark.parametrize("case", KILLED, ids=lambda case: case.state)
def test_what_is_left_ends_by_itself_and_goes_with_cleanup(
    web: Namespace, user: Path, tmp_path: Path, case: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    hold = Hold(*WATCH, Moment.STREAMING)
    with gate(web.lab, tmp_path, hold, user=user) as opened:
        pod = killed(web, opened, hold, case)
    assert case.is_so(pod)
    assert 60 < pod["spec"]["activeDeadlineSeconds"] <= 130
    with capsys.disabled():
        print(f"\nkilled while its pod is {case.state}: {life(pod)}")
    done = kubectl_svcprobe(web.lab, "cleanup", "-n", web.name)
    name = pod["metadata"]["name"]
    assert (done.code, done.stdout, done.stderr) == (0, f"pod {web.name}/{name} removed\n", "")
    assert still_there(web, [name]) == []


def life(pod: Object) -> str:
    """Until when it can run at most: the deadline counts from when a kubelet has taken it up."""
    seconds = pod["spec"]["activeDeadlineSeconds"]
    taken_up = pod["status"].get("startTime")
    if not taken_up:
        return f"{pod['metadata']['name']} runs for at most {seconds} s, once a node takes it"
    end = datetime.fromisoformat(taken_up.replace("Z", "+00:00")) + timedelta(seconds=seconds)
    return f"{pod['metadata']['name']} runs until {end:%H:%M:%S} at the latest, {seconds} s from {taken_up}"


def test_the_next_run_leaves_alone_what_ended_less_than_a_minute_ago(web: Namespace, tmp_path: Path) -> None:
    """Somebody may be reading its log."""
    hold = Hold(*LOG)
    with gate(web.lab, tmp_path, hold) as opened:
        left = killed(web, opened, hold, KILLED[-1])["metadata"]["name"]
    later = svcprobe(web.lab, "web", "-n", web.name)
    assert (later.code, later.report.verdict, later.stderr) == (0, "ok", "")
    assert left in web.names("pods")
    assert kubectl_svcprobe(web.lab, "cleanup", "-n", web.name).stdout == f"pod {web.name}/{left} removed\n"


def look_alikes() -> Iterator[Object]:
    """Pods of others that resemble a probe pod: each by all but one of what is looked at."""
    ours = {"app.kubernetes.io/managed-by": "kubectl-svcprobe"}
    curl = ["curl", "-q", "-s", "file:///etc/hosts"]
    yield look_alike("someone-elses", ours, "probe", curl)
    yield look_alike("svcprobe-unlabelled", {}, "probe", curl)
    yield look_alike("svcprobe-managed", {"app.kubernetes.io/managed-by": "Helm"}, "probe", curl)
    yield look_alike("svcprobe-container", ours, "main", curl)
    yield look_alike("svcprobe-command", ours, "probe", ["sleep", "600"])
    yield look_alike("svcprobe-restarts", ours, "probe", curl, "OnFailure")


def look_alike(name: str, labels: dict[str, str], container: str, command: list[str], restart: str = "Never") -> Object:
    containers = [{"name": container, "image": "lab.test/curl:1", "command": command}]
    spec = {"containers": containers, "restartPolicy": restart, "terminationGracePeriodSeconds": 1}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


@pytest.fixture(scope="module")
def others(web: Namespace) -> dict[str, str]:
    """The look-alikes' names and UIDs."""
    web.apply(*look_alikes())
    names = {pod["metadata"]["name"] for pod in look_alikes()}
    return {name: uid for name, uid in uids(web).items() if name in names}


def uids(web: Namespace) -> dict[str, str]:
    """Those of all pods that nobody has deleted."""
    pods = [pod["metadata"] for pod in web.get("pods")["items"]]
    return {pod["name"]: pod["uid"] for pod in pods if "deletionTimestamp" not in pod}


def kept(web: Namespace) -> str:
    """A probe pod that is left."""
    answer = svcprobe(web.lab, "web", "-n", web.name, "--keep-pod")
    return str(json.loads(answer.stdout)["reports"][0]["probe"]["pod"])


def test_cleanup_removes_probe_pods_and_leaves_look_alikes_alone(web: Namespace, others: dict[str, str]) -> None:
    pods = sorted([kept(web), kept(web)])
    done = kubectl_svcprobe(web.lab, "cleanup", "-n", web.name)
    assert (done.code, sorted(done.stdout.splitlines())) == (0, [f"pod {web.name}/{pod} removed" for pod in pods])
    assert still_there(web, pods) == []
    assert others.items() <= uids(web).items()
    again = kubectl_svcprobe(web.lab, "cleanup", "-n", web.name)
    assert (again.code, again.stdout) == (0, "")
    assert again.stderr == f"No probe pods found in {web.name} namespace.\n"


def test_cleanup_everywhere(web: Namespace, others: dict[str, str]) -> None:
    """By a user who sees all pods and may delete those of one namespace, since others may use this cluster meanwhile."""
    see, delete = Permission(r.PODS, ("list",), "", ""), Permission(r.PODS, ("create", "delete"), "", "")
    pod = kept(web)
    done = kubectl_svcprobe(web.lab, "cleanup", "-A", "--kubeconfig", str(make_user(web, [see, delete])))
    assert done.stdout == f"pod {web.name}/{pod} removed\n"
    refused = [line for line in done.stderr.splitlines() if "is still there" in line]
    assert f" {web.name}/" not in done.stderr
    assert done.code == (3 if refused else 0)
    assert still_there(web, [pod]) == []
    assert others.items() <= uids(web).items()
