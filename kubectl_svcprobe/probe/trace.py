"""What `--trace` shows: each question as a command that can be pasted, and what each answer was taken for. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.observe import Observation
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.podspec import Timing, transfer_arguments
from kubectl_svcprobe.probe.results import PathResult

#: Seconds that are no span: what curl takes to see that a name is an address.
NOTHING = 0.00005

#: What is asked by a socket of this program's own, so that no command is the same.
WITHOUT_COMMAND = {"udp": "by UDP", "h2c": "by a greeting of HTTP/2", "grpc": "by a greeting of HTTP/2"}


def trace(results: Iterable[PathResult], timing: Timing, namespace: str, kubectl: Kubectl) -> Iterator[str]:
    """Blocks of lines, one for each way and place that was asked from; `namespace` is the Service's."""
    for result in results:
        probe = result.probe
        yield f"{_place(probe)}: {probe.path.kind.value} {probe.path.target}"
        yield f"  {_command(probe, timing, namespace, kubectl)}"
        for observation in sorted(result.observations, key=lambda o: (o.is_retry, o.attempt)):
            yield f"  = {_answer(observation)}"
        if not result.observations:
            yield f"  = {result.outcome.value.replace('-', ' ')}: {result.detail}"


def _place(probe: Probe) -> str:
    """Where it was asked from."""
    return f"pod on {probe.node}" if probe.vantage.is_pod and probe.node else probe.vantage.value


def _command(probe: Probe, timing: Timing, namespace: str, kubectl: Kubectl) -> str:
    """The command; in the pod it was one of many transfers of one curl."""
    path = probe.path
    if path.kind is PathKind.SERVICE_PROXY:
        service = path.host.removeprefix("services/")
        scheme = "https:" if probe.request.scheme == "https" else ""
        where = f"/api/v1/namespaces/{namespace}/services/{scheme}{service}:{path.port}/proxy{probe.request.path}"
        return kubectl("", "get", "--raw", where)
    if path.kind is PathKind.PORT_FORWARD:
        return kubectl(namespace, "port-forward", path.host, f":{path.port}")
    if probe.vantage is Vantage.HERE and probe.request.scheme in WITHOUT_COMMAND:
        return f"# {WITHOUT_COMMAND[probe.request.scheme]}, from a socket of this program's own"
    command = shlex.join(["curl", "-q", "-s", *transfer_arguments(probe, 0, timing)])
    return f"{command}  # asked in Python" if probe.vantage is Vantage.HERE else command


def _answer(observation: Observation) -> str:
    """What one attempt was taken for, and its times in milliseconds."""
    parts = [observation.outcome.value.replace("-", " ")]
    if observation.http_status:
        parts.append(str(observation.http_status))
    if observation.detail:
        parts.append(f"({observation.detail})")
    if observation.remote_ip:
        parts.append(f"from {observation.remote_ip}")
    spans = (
        ("lookup", observation.lookup_seconds),
        ("connected after", observation.connect_seconds),
        ("TLS", observation.tls_seconds),
        ("first byte", observation.first_byte_seconds),
        ("in all", observation.seconds),
    )
    times = ", ".join(f"{word} {seconds * 1000:.1f} ms" for word, seconds in spans if seconds > NOTHING)
    again = ", asked again" if observation.is_retry else ""
    return f"{' '.join(parts)}{f' · {times}' if times else ''}{again}"
