"""How long `kubectl svcprobe` takes beside the least that a pod costs: both in turn, in one run, on the lab.

    python -m tests.bench [--runs N]

The floor is what any tool pays that asks from inside the cluster: the same pod with one target, made through a connection
that stands already: create, container terminated, log. Times are of the wall clock; compare ratios, not machines.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from kubectl_svcprobe.access import kubeconfig
from kubectl_svcprobe.access.kube import Cluster
from kubectl_svcprobe.access.resources import PODS
from kubectl_svcprobe.asking import new_pod_name
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.podspec import CONTAINER, PodOptions, manifest
from kubectl_svcprobe.probe.request import Request
from tests.bench.crowd import crowd
from tests.contract.real_api import entered
from tests.e2e.cluster import Namespace
from tests.lab import Lab

NAMESPACE = "bench"
CROWD = 500
EXAMPLES = Path(__file__).parents[2] / "examples"
REQUEST = re.compile(r"^(GET|POST|DELETE) \S+ \d+ (\d+) bytes$", re.MULTILINE)


class Sample(NamedTuple):
    """Seconds of one turn."""

    command: float
    floor: float


class Traffic(NamedTuple):
    """What one run asks of the API server."""

    requests: int
    bytes: int


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--runs", type=int, default=10, help="how often each is measured (default 10)")
    runs = parser.parse_args().runs
    lab = Lab.ensure()
    with example(lab), entered(lab.network):
        cluster = Cluster.connect(kubeconfig.load(str(lab.kubeconfig), None, os.environ), user_agent="bench")
        wait = [run(lab, ["true"])[0] for _ in range(runs)]
        turn(lab, cluster)  # not counted: images, caches and connections are warm after it
        samples = [turn(lab, cluster) for _ in range(runs)]
        report(samples, statistics.median(wait), traffic(lab))
        from_objects(lab, runs)


@contextmanager
def example(lab: Lab) -> Iterator[None]:
    """The tutorial's Service, with three pods and a node port, in a namespace that goes again."""
    lab.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    lab.kubectl("create", "namespace", NAMESPACE)
    try:
        lab.kubectl("-n", NAMESPACE, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        for name in ("deployment.yml", "service-node-port.yml"):
            lab.kubectl("-n", NAMESPACE, "apply", "-f", str(EXAMPLES / name))
        lab.kubectl("-n", NAMESPACE, "rollout", "status", "deployment/devops", "--timeout=60s")
        yield
    finally:
        lab.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def turn(lab: Lab, cluster: Cluster) -> Sample:
    """One of each."""
    seconds, _ = run(lab, ["kubectl", "svcprobe", "devops", "-n", NAMESPACE])
    return Sample(seconds, bare_pod(cluster))


def run(lab: Lab, command: Sequence[str]) -> tuple[float, str]:
    """The seconds that a command takes on the workstation, and what it says on stderr."""
    started = time.perf_counter()
    done = subprocess.run(lab.argv(command), env=lab.environment(), capture_output=True, text=True, check=True)
    return time.perf_counter() - started, done.stderr


def bare_pod(cluster: Cluster) -> float:
    """Seconds from create to log of a pod with one target."""
    path = ExposurePath(PathKind.CONTROL, "kubernetes.default.svc", 443)
    probe = Probe(0, path, Vantage.POD, Request("https", "/version"))
    name = new_pod_name()
    started = time.perf_counter()
    created = cluster.create(PODS, NAMESPACE, manifest((probe,), PodOptions(name, NAMESPACE)))
    version = created["metadata"]["resourceVersion"]
    events = cluster.watch(
        PODS, NAMESPACE, field_selector=f"metadata.name={name}", resource_version=version, timeout=60
    )
    for _, item in events:
        if any(s.name == CONTAINER and s.state == "terminated" for s in Pod.from_json(item).statuses):
            break
    events.close()
    log = cluster.log(NAMESPACE, name, CONTAINER)
    seconds = time.perf_counter() - started
    cluster.delete(PODS, NAMESPACE, name, grace_period=0)
    assert b"svcprobe:0:0" in log
    return seconds


def traffic(lab: Lab) -> Traffic:
    """Requests to the API server and bytes of its answers, as `-v` counts them."""
    return counted(run(lab, ["kubectl", "svcprobe", "devops", "-n", NAMESPACE, "-v"])[1])


def counted(said: str) -> Traffic:
    """The requests that `-v` tells of."""
    sizes = [int(size) for _, size in REQUEST.findall(said)]
    return Traffic(len(sizes), sum(sizes))


def report(samples: Sequence[Sample], entering: float, asked: Traffic) -> None:
    """Medians with their spread, and what the tool adds to the floor."""
    commands, floors = [s.command for s in samples], [s.floor for s in samples]
    print(f"{len(samples)} runs each, in turn, on {os.cpu_count()} cores")
    print(spread("kubectl svcprobe devops", commands))
    print(spread("a bare pod: create, terminated, log", floors))
    print(spread("the difference, turn by turn", [s.command - s.floor for s in samples]))
    ratio = statistics.median(commands) / statistics.median(floors)
    print(f"{'ratio of the medians':38} {ratio:6.2f}")
    print(f"{'entering the lab, in the first':38} {entering:6.2f} s")
    print(f"API requests a run: {asked.requests}, {asked.bytes:,} bytes of answers")


def from_objects(lab: Lab, runs: int) -> None:
    """The verdict without a probe, by the number of pods behind the Service, beside kubectl's own reading of the same."""
    namespace = Namespace(lab, NAMESPACE)
    print(f"\nwithout probing, {runs} runs each, in turn")
    verdict = ["kubectl", "svcprobe", "--no-probe", "--no-from-here", "-n", NAMESPACE]
    with crowd(lab, namespace, "crowd", CROWD):
        medians = []
        for name, pods in (("devops", 3), ("crowd", CROWD)):
            describe = ["kubectl", "describe", "service", name, "-n", NAMESPACE]
            commands = ([*verdict, name], describe)
            samples = [[run(lab, command)[0] for command in commands] for _ in range(runs)]
            ours, described = zip(*samples, strict=True)
            print(spread(f"kubectl svcprobe, {pods} pods", ours))
            print(spread(f"kubectl describe service, {pods} pods", described))
            medians.append(statistics.median(ours))
            asked = counted(run(lab, [*verdict, name, "-v"])[1])
            print(f"API requests a run: {asked.requests}, {asked.bytes:,} bytes of answers")
    print(f"{f'ratio of {CROWD} pods to 3':38} {medians[1] / medians[0]:6.2f}")


def spread(what: str, seconds: Sequence[float]) -> str:
    """Median, least and most."""
    return f"{what:38} {statistics.median(seconds):6.2f} s   ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
