"""`--in pod/NAME`: an existing pod asks, in a cluster in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.seam import Executed
from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.report import Verdict
from tests.fake_cluster import FakeCluster
from tests.unit.flow import objects as o
from tests.unit.flow.test_inspection import codes, inspect

VERSION = b"curl 8.17.0 (x86_64-pc-linux-musl) libcurl/8.17.0\n"


def with_client(**status: Any) -> FakeCluster:
    client = o.pod("client", labels={"role": "client"})
    client["status"].update(status)
    return FakeCluster(*o.healthy(), client)


def curl(version: bytes, commands: list[Sequence[str]]) -> Any:
    """A container with this curl, which is answered everywhere."""

    def run(pod: str, container: str, command: Sequence[str]) -> Executed:
        commands.append(command)
        if command[1] == "--version":
            return Executed(version, exit_code=0)
        return Executed(o.Kubelet(FakeCluster()).log(list(command)), exit_code=0)

    return run


def test_a_pod_asks_by_its_own_curl_and_nothing_is_created() -> None:
    cluster, commands = with_client(), list[Sequence[str]]()
    cluster.run = curl(VERSION, commands)
    report, notes = inspect(cluster, inside="client")
    assert (report.verdict, codes(report), notes) == (Verdict.OK, [], [])
    assert {p.outcome for p in report.paths if p.vantage == "probe pod"} == {"answered"}
    assert report.probe is not None
    assert (report.probe.pod, report.probe.inside, report.probe.node) == ("client", "its own curl", "node-1")
    assert report.summary.startswith("devops works for pod/client of shop")
    assert not {q.verb for q in cluster.requests} & {"patch", "delete"}
    assert not [q for q in cluster.requests if q.verb == "create" and q.resource == "pods"]
    assert all(command[0] == "curl" for command in commands)


@pytest.mark.parametrize("version", [None, b"curl 7.64.0 (x86_64-pc-linux-gnu)\n", b"BusyBox\n"])
def test_without_a_curl_that_serves_an_ephemeral_container_asks_after_it_is_said(version: bytes | None) -> None:
    cluster = with_client()
    cluster.run = curl(version, []) if version else None
    kubelet = o.Kubelet(cluster)

    def on_patch(pod: dict[str, Any]) -> None:
        container = pod["spec"]["ephemeralContainers"][-1]
        assert "resources" not in container
        cluster.logs[o.NAMESPACE, "client", container["name"]] = kubelet.log(container["command"])
        ended = {"name": container["name"], "state": {"terminated": {"exitCode": 0}}}
        cluster.update({**pod, "status": {**pod["status"], "ephemeralContainerStatuses": [ended]}})

    cluster.on_patch = on_patch
    report, notes = inspect(cluster, inside="client")
    assert (report.verdict, codes(report)) == (Verdict.OK, [])
    assert len(notes) == 1
    assert "its entry stays in the pod's spec" in notes[0]
    assert report.probe is not None
    assert report.probe.inside.startswith("ephemeral container svcprobe-")


def test_who_may_not_run_commands_in_it_is_told_whom_to_ask() -> None:
    cluster = with_client()
    cluster.forbid(r.PODS, "get", "create", subresource="exec")
    cluster.listening[o.NAMESPACE, "devops-1"] = {8080}
    report, _ = inspect(cluster, inside="client")
    assert (report.verdict, codes(report)) == (Verdict.UNKNOWN, ["SVC902"])
    assert "nothing could be asked inside pod/client" in report.summary
    assert any("--resource=pods,pods/exec" in line for line in report.findings[0].fix)


@pytest.mark.parametrize(
    ("status", "name", "said"),
    [
        ({}, "nosuch", "there is no pod nosuch in shop"),
        ({"phase": "Pending"}, "client", "pod/client of shop is Pending"),
    ],
)
def test_a_pod_that_can_ask_nothing_is_one_clear_line(status: dict[str, Any], name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        inspect(with_client(**status), inside=name)


# --- through the API server


def test_without_a_probe_the_api_server_asks() -> None:
    cluster = FakeCluster(*o.healthy())
    cluster.listening[o.NAMESPACE, "devops-1"] = {8080}
    report, _ = inspect(cluster, probe=False)
    assert report.summary.startswith("devops answers the API server, and looks right inside")
    assert {p.kind for p in report.paths if p.outcome == "answered"} == {"ServiceProxy", "PortForward"}


def test_what_may_not_be_asked_through_it_is_named_with_the_reason() -> None:
    cluster = FakeCluster(*o.healthy())
    cluster.forbid(r.SERVICES, "get", subresource="proxy")
    cluster.forbid(r.PODS, "create", subresource="portforward")
    report, _ = inspect(cluster, probe=False)
    reasons = {p.kind: p.detail for p in report.paths if p.vantage == "API server"}
    assert reasons == {
        "ServiceProxy": "forbidden: this user may not get services/proxy",
        "PortForward": "forbidden: this user may not create pods/portforward",
    }


@pytest.mark.parametrize("wide", [False, True])
def test_where_a_pod_answers_the_api_server_asks_only_if_wished(wide: bool) -> None:
    cluster = FakeCluster(*o.healthy())
    o.Kubelet(cluster)
    inspect(cluster, through_api_server=wide)
    assert ("services/proxy" in {request.resource for request in cluster.requests}) is wide
