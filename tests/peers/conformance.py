"""Whether the lab enforces NetworkPolicies as Kubernetes means them, by the cases and truth tables of cyclonus.

python -m tests.peers.conformance [--exclude TAG,…] [--include TAG,…] [--proxy-mode MODE] [--write]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.lab import Lab
from tests.lab.layout import CHECKOUT, CONFORMANCE_IMAGE, DNS_ADDRESS, PROXY_MODES
from tests.lab.progress import Progress

from . import build

PAGE = CHECKOUT / "docs" / "lab-conformance.md"
NODES = 2
LOG = "policy-agent.log"

Case = dict[str, Any]

INTRODUCTION = """# NetworkPolicy in the lab

The [lab](lab.md) enforces NetworkPolicies with an agent of its own, and a finding about a policy is only worth as much as that
agent. So it is measured: [cyclonus](https://github.com/mattfenwick/cyclonus) {version} generates policies, works out by itself
which of nine pods in three namespaces may reach which on TCP and UDP 80 and 81, and compares that with what really passes.
`make lab-conformance` starts a lab of its own, repeats this and writes this page.
"""
DEVIATIONS = """
- What a pod sends to itself is not compared: cyclonus expects a policy to forbid it, and the
  [documentation](https://kubernetes.io/docs/concepts/services-networking/network-policies/) says that "a pod cannot block access
  to itself".
- Probes are not sent by `exec`, but opened in the network namespace of the pod they come from: the same packets, without half a
  minute of work for each step. A step that differs from what is expected is repeated up to twice, as a busy machine answers late.
- Nothing is probed over SCTP, which this kernel has not; the cases whose policies name it run with TCP and UDP.
"""


def run(lab: Lab, include: str, exclude: str, progress: Progress) -> list[Case]:
    registry = CONFORMANCE_IMAGE.partition("/")[0]
    program = build.program("cyclonus", progress)
    with tempfile.TemporaryDirectory(prefix="lab-conformance") as directory:
        results, log = Path(directory, "results"), Path(directory, "log")
        command: list[str | Path] = [
            program, f"-image-registry={registry}", f"-dns={DNS_ADDRESS}", f"-results={results}",
            f"-include={include}", f"-exclude={exclude}",
        ]  # fmt: skip
        with log.open("w") as output, lab.popen(command, stdout=output, stderr=output) as process:
            while process.poll() is None:
                time.sleep(1)
                done = re.findall(r"^case (.*)", log.read_text(), re.M)
                progress.at(done[-1] if done else "pods")
        cases = [json.loads(line) for line in results.read_text().splitlines()]
        if process.returncode:
            sys.stderr.write(log.read_text()[-20000:])
    return cases


def table(cases: Iterable[Case]) -> str:
    """By cyclonus' own tags; a case has several."""
    passed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for case in cases:
        for tag in case["tags"]:
            total[tag] += 1
            passed[tag] += case["passed"]
    rows = [f"| {' | '.join(tag.split('/', 1))} | {passed[tag]} of {total[tag]} |" for tag in sorted(total)]
    return "\n".join(["| group | cases with | passed |", "|---|---|---|", *rows])


def page(cases: list[Case], lab: Lab, delays: list[int], minutes: float) -> str:
    good = sum(case["passed"] for case in cases)
    server = json.loads(lab.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
    repeated = sum(case["tries"] for case in cases)
    facts = [
        f"\n**{good} of {len(cases)} cases passed**: {sum(case['probes'] for case in cases)} connections in {minutes:.0f} min, "
        f"on Kubernetes {server}, {lab.settings.nodes} nodes, kube-proxy in {lab.settings.proxy_mode} mode.",
        f"From the news of a change to the rules in force on a node: {statistics.median(delays):.0f} ms in the middle, "
        f"{statistics.quantiles(delays, n=100)[94]:.0f} ms in 95 of 100 cases, in {len(delays)} rewrites.",
        f"{repeated} steps were run, repeated ones included.",
    ]
    failures = [
        f"- failed: {case['description']} {case.get('error', '')}".rstrip() for case in cases if not case["passed"]
    ]
    parts = [
        INTRODUCTION.format(version=build.version("cyclonus")),
        "\n".join(facts),
        DEVIATIONS,
        table(cases),
        *failures,
    ]
    return "\n".join(parts) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.peers.conformance", description=__doc__)
    parser.add_argument("--include", default="", help="only cases with one of these tags")
    parser.add_argument("--exclude", default="", help="no case with one of these tags")
    parser.add_argument("--proxy-mode", choices=PROXY_MODES, default="iptables")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(CHECKOUT)}")
    options = parser.parse_args()
    progress = Progress()
    with tempfile.TemporaryDirectory(prefix="lab-conformance") as home:
        lab = Lab.start(NODES, Path(home, "home"), options.proxy_mode, load_balancer="off", progress=progress)
        try:
            progress.step("cyclonus")
            began = time.monotonic()
            cases = run(lab, options.include, options.exclude, progress)
            minutes = (time.monotonic() - began) / 60
            delays = [int(found) for found in re.findall(r"(\d+) ms after", (lab.layout.logs / LOG).read_text())]
            text = page(cases, lab, delays, minutes)
        finally:
            lab.stop()
    if options.write:
        PAGE.write_text(text)
    else:
        print(text)
    return 0 if cases and all(case["passed"] for case in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
