"""What `--trace` shows."""

from __future__ import annotations

import shlex

import pytest

from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.podspec import Timing
from kubectl_svcprobe.probe.request import Request
from kubectl_svcprobe.probe.results import join
from kubectl_svcprobe.probe.trace import trace

HTTP = Request("http", "/healthz")
CLUSTER_IP = ExposurePath(PathKind.CLUSTER_IP, "10.96.0.7", 80)


def traced(probe: Probe, *observations: Observation, why_missing: str = "") -> list[str]:
    results = join((probe,), observations, why_missing)
    return list(trace(results, Timing(), "shop", Kubectl(context="prod")))


def test_a_pods_transfer_is_a_command_that_can_be_pasted() -> None:
    head, command, *answers = traced(
        Probe(3, CLUSTER_IP, Vantage.POD, HTTP, node="node-1"),
        Observation(3, 1, Outcome.TIMED_OUT, seconds=2.0, is_retry=True),
        Observation(3, 0, Outcome.ANSWERED, 200, 0.004, 0.001, 0.00001, "10.96.0.7", first_byte_seconds=0.002),
    )
    assert head == "pod on node-1: ClusterIP 10.96.0.7:80"
    words = shlex.split(command)
    assert (words[0], words[-2:]) == ("curl", ["--url", "http://10.96.0.7:80/healthz"])
    assert answers == [
        "  = answered 200 from 10.96.0.7 · connected after 1.0 ms, first byte 2.0 ms, in all 4.0 ms",
        "  = timed out · in all 2000.0 ms, asked again",
    ]


def test_what_did_not_run_says_why() -> None:
    lines = traced(Probe(0, CLUSTER_IP, Vantage.POD, HTTP), why_missing="the probe pod did not run")
    assert lines[-1] == "  = not run: the probe pod did not run"


@pytest.mark.parametrize(
    ("kind", "host", "request_", "command"),
    [
        (
            PathKind.SERVICE_PROXY,
            "services/web",
            HTTP,
            "kubectl --context prod get --raw /api/v1/namespaces/shop/services/web:80/proxy/healthz",
        ),
        (
            PathKind.SERVICE_PROXY,
            "services/web",
            Request("https", "/"),
            "kubectl --context prod get --raw /api/v1/namespaces/shop/services/https:web:80/proxy/",
        ),
        (PathKind.PORT_FORWARD, "pod/web-0", HTTP, "kubectl --context prod -n shop port-forward pod/web-0 :80"),
    ],
)
def test_the_ways_through_the_api_server_are_kubectls(
    kind: PathKind, host: str, request_: Request, command: str
) -> None:
    probe = Probe(0, ExposurePath(kind, host, 80), Vantage.API_SERVER, request_)
    assert traced(probe)[1] == f"  {command}"


@pytest.mark.parametrize(
    ("scheme", "ending"),
    [("http", "# asked in Python"), ("udp", "# by UDP, from a socket of this program's own")],
)
def test_what_this_machine_asks_otherwise_is_said(scheme: str, ending: str) -> None:
    probe = Probe(0, ExposurePath(PathKind.NODE_PORT, "192.168.7.11", 30080), Vantage.HERE, Request(scheme))
    assert traced(probe)[1].endswith(ending)
