"""The probe container's process, run here: the real curl with exactly the arguments that the pod gets."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.observe import Observation, read_log
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.podspec import Timing, curl_arguments
from kubectl_svcprobe.probe.request import Request

CURL = shutil.which("curl")

needs_curl = pytest.mark.skipif(CURL is None, reason="there is no curl on this machine")

#: Shorter than in real life, and still long for a loopback.
TIMING = Timing(connect=1.0, transfer=2.0, silent=1.0)

#: No run here may take longer: all its transfers are parallel.
LIMIT = 30.0


@dataclass(frozen=True)
class Run:
    """What came back of one curl process."""

    observations: tuple[Observation, ...]
    other: str
    log: bytes
    errors: str

    def of(self, probe: Probe) -> list[Observation]:
        """The attempts of one probe, in their order."""
        return sorted((o for o in self.observations if o.probe_id == probe.id), key=lambda o: o.attempt)


def probe(number: int, host: str, port: int, request: Request, attempts: int = 1) -> Probe:
    return Probe(number, ExposurePath(PathKind.ENDPOINT, host, port), Vantage.POD, request, attempts)


def run(probes: tuple[Probe, ...], timing: Timing = TIMING, environment: Mapping[str, str] | None = None) -> Run:
    done = execute(curl_arguments(probes, timing), environment)
    observations, other = read_log(done.stdout, {p.id: p.request for p in probes})
    return Run(tuple(observations), other, done.stdout, done.stderr.decode("utf-8", "replace"))


def execute(arguments: list[str], environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    assert CURL
    return subprocess.run(
        [CURL, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        env={**os.environ, **(environment or {})},
        check=False,
    )
