"""A pod on each node: what the matrix says of policies that differ by node, and that none of the pods is ever left."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.cluster import Namespace, deployment, ready_addresses, service
from tests.e2e.command import kubectl_svcprobe, svcprobe
from tests.e2e.gate import CREATE, DELETE, WATCH, Hold, Moment, gate
from tests.e2e.runs import is_the_plugin, started, still_there
from tests.lab import Lab

pytestmark = pytest.mark.lab

#: Seconds from the signal to the end.
SOON = 15.0

CODES = {"SIGHUP": 129, "SIGINT": 130, "SIGTERM": 143}

#: Where the only endpoint is.
HOME = "node-1"


@pytest.fixture(scope="module")
def web(namespace: Namespace) -> Namespace:
    """One pod on one of the nodes, behind a plain Service and one with both policies Local."""
    pinned = deployment(nodeSelector={"kubernetes.io/hostname": HOME})
    local = {"type": "NodePort", "internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local"}
    namespace.apply(pinned, service(type="NodePort"), service("local", selector={"app": "web"}, **local))
    namespace.roll_out("web")
    for name in ("web", "local"):
        namespace.until(
            "endpointslices", lambda found: bool(ready_addresses(found)), f"kubernetes.io/service-name={name}"
        )
    return namespace


@pytest.fixture(scope="module")
def nodes(lab: Lab) -> set[str]:
    found = json.loads(lab.kubectl("get", "nodes", "-o", "json"))["items"]
    return {node["metadata"]["name"] for node in found}


def test_every_node_is_asked_from_and_no_pod_is_left(web: Namespace, nodes: set[str]) -> None:
    answer = svcprobe(web.lab, "web", "--all-nodes", "-n", web.name)
    report = answer.report
    assert (answer.code, report.verdict, answer.stderr) == (0, "ok", "")
    assert {path["from_node"] for path in report.paths("ClusterIP")} == nodes
    assert {(node["node"], node["problem"]) for node in report.json["probe"]["each_node"]} == {(n, "") for n in nodes}
    assert still_there(web, [node["pod"] for node in report.json["probe"]["each_node"]]) == []


def test_under_both_policies_local_each_node_does_what_was_to_be_expected(web: Namespace, nodes: set[str]) -> None:
    answer = svcprobe(web.lab, "local", "--all-nodes", "-n", web.name)
    report = answer.report
    assert (answer.code, report.verdict) == (0, "warning")
    rows = report.json["expectations"]
    seen = {
        (r["policy"].partition(":")[0], r["asked_from"], r["node"] == HOME): (r["ready"], r["expected"], r["observed"])
        for r in rows
    }
    internal, external = "internalTrafficPolicy", "externalTrafficPolicy"
    assert seen[internal, "pod there", True] == (1, "answers", "answered")
    assert seen[internal, "pod there", False] == (0, "dropped", "timed-out")
    assert seen[external, "this machine", True] == (1, "answers", "answered")
    assert seen[external, "this machine", False] == (0, "dropped", "timed-out")
    for place in ("pod there", "pod elsewhere"):
        assert seen[external, place, True] == (1, "answers", "answered")
        assert seen[external, place, False][:2] == (0, "either")
    assert {r["node"] for r in rows if r["policy"].startswith(internal)} == nodes
    assert {path["expectation"] for path in report.paths("ClusterIP")} == {"answers", "dropped"}
    # What was to be expected is no failure, so nothing was asked again.
    assert not any(node["settled"] for node in report.json["probe"]["each_node"])


def test_from_one_node_what_is_declared_is_no_failure_either(web: Namespace, nodes: set[str]) -> None:
    elsewhere = max(nodes - {HOME})
    report = svcprobe(web.lab, "local", "--node", elsewhere, "--no-from-here", "-n", web.name).report
    (path,) = report.paths("ClusterIP")
    assert (path["outcome"], path["expected"], path["expectation"]) == ("timed-out", "as declared", "dropped")
    assert (report.verdict, report.json["probe"]["settled"]) == ("warning", False)


def test_a_quota_for_one_more_pod_is_enough_for_all_nodes_one_after_the_other(lab: Lab, nodes: set[str]) -> None:
    with Namespace.fresh(lab, "test-all-nodes-quota") as tight:
        tight.apply(deployment(), service())
        tight.roll_out("web")
        tight.kubectl("create", "quota", "pods", "--hard=pods=2")
        tight.kubectl("wait", "--for=jsonpath={.status.used.pods}=1", "quota/pods", "--timeout=30s")
        report = svcprobe(lab, "web", "--all-nodes", "--no-from-here", "-n", tight.name).report
        assert report.verdict == "ok"
        assert {path["from_node"] for path in report.paths("ClusterIP")} == nodes


def test_no_node_is_called_broken_that_could_not_be_asked(lab: Lab) -> None:
    with Namespace.fresh(lab, "test-all-nodes-none") as full:
        full.apply(deployment(), service())
        full.roll_out("web")
        full.kubectl("create", "quota", "pods", "--hard=pods=1")
        full.kubectl("wait", "--for=jsonpath={.status.used.pods}=1", "quota/pods", "--timeout=30s")
        answer = svcprobe(lab, "web", "--all-nodes", "--no-from-here", "-n", full.name)
        assert (answer.code, answer.report.verdict, answer.report.codes) == (3, "unknown", ["SVC902"])
        assert all("exceeded quota" in node["problem"] for node in answer.report.json["probe"]["each_node"])


STAGES = {
    "one watch, all pods made": (Hold(*WATCH, Moment.STREAMING, pods=3),),
    "one create's answer on its way": (Hold(*CREATE, Moment.ANSWERED, pods=2),),
    "one delete, and once more": (Hold(*DELETE), Hold(*DELETE, Moment.ANSWERED)),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
@pytest.mark.parametrize("stage", STAGES)
def test_whatever_it_is_interrupted_at_all_pods_go(
    web: Namespace, tmp_path: Path, stage: str, number: signal.Signals
) -> None:
    holds = tuple(Hold(h.method, h.path, h.moment, h.pods) for h in STAGES[stage])
    with gate(web.lab, tmp_path, *holds) as opened:
        with started(web, opened.kubeconfig, "web", "--all-nodes", "-o", "json") as process:
            for hold in holds:
                hold.await_it()
                assert is_the_plugin(process.pid)
                process.send_signal(number)
                sent = time.monotonic()
                if hold.method != "GET":
                    hold.let_go()
            stdout, stderr = process.communicate(timeout=SOON)
        assert time.monotonic() - sent < SOON
    assert (process.returncode, stdout, "Traceback" in stderr) == (CODES[number.name], "", False)
    assert opened.pods
    assert still_there(web, opened.pods) == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["web", "--all-nodes", "--no-probe"], "--no-probe starts no pod, and --all-nodes one on each node"),
        (["web", "--all-nodes", "--node", HOME], "--node names one node, and --all-nodes asks from all of them"),
        (["web", "--all-nodes", "--one-pod"], "--one-pod starts one pod, and --all-nodes one on each node"),
        (["--all-nodes"], "--all-nodes needs a SERVICE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_contradicts_it_is_a_usage_error(web: Namespace, flags: list[str], said: str) -> None:
    answer = kubectl_svcprobe(web.lab, *flags, "-n", web.name)
    assert (answer.code, answer.stdout, len(answer.stderr.splitlines())) == (2, "", 1)
    assert said in answer.stderr
