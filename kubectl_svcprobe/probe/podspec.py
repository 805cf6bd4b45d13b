"""The probe pod's manifest: one container, one curl process, every transfer an argument of it. No shell, no token, no rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from kubectl_svcprobe.facts.client import OWN_LABELS, STAND_IN_LABELS, Client
from kubectl_svcprobe.probe.headers import headers_of
from kubectl_svcprobe.probe.plan import Probe

#: A tag, so that an air-gapped cluster's mirror can serve it under the same name.
DEFAULT_IMAGE = "docker.io/curlimages/curl:8.17.0"

LABELS = dict(OWN_LABELS)

NAME_PREFIX = "svcprobe-"
CONTAINER = "probe"
SETTLE_CONTAINER = "settle"

#: How long a settled pod waits before it says anything.
SETTLE_SECONDS = 5

#: What a pod may take from its acceptance by a kubelet to its first transfer: pulling the image above all.
START_SECONDS = 60

#: Marks a pod that `--keep-pod` left on purpose, so that the next run leaves it alone; `cleanup` does not.
KEEP_ANNOTATION = "svcprobe.io/keep"

#: A condition that nobody sets, so that the pod is never ready: no Service sends it a request, no budget counts it.
READINESS_GATE = "svcprobe.io/never-ready"

#: Long after the deadline: a probe that is not asked before then cannot succeed, nor does it send anything.
NEVER_SECONDS = 86400

#: Requests equal limits, as some LimitRanges demand. With less processor time (50m, say) the kernel lets curl run for 5 ms
#: in every 100, and the times in the report would be the quota's and not the network's.
QUANTITIES = {"cpu": "250m", "memory": "64Mi", "ephemeral-storage": "16Mi"}

#: How long a transfer may take that is only asked on the side.
ASIDE_SECONDS = 1.5

MAX_PARALLEL = 300
SAMPLES_AT_ONCE = 10
MAX_PREFERRED = 10


@dataclass(frozen=True)
class Timing:
    """Limits in seconds: to connect (name lookup and TLS included), for a whole transfer, and for a silent TCP connect."""

    connect: float = 2.0
    transfer: float = 5.0
    silent: float = 2.0


@dataclass(frozen=True)
class PodOptions:
    """What the user may choose about the pod."""

    name: str
    namespace: str
    image: str = DEFAULT_IMAGE
    node: str = ""
    preferred_nodes: tuple[str, ...] = ()
    avoided_node: str = ""
    settle: bool = False
    keep: bool = False
    user_id: int | None = 65532
    client: Client = field(default_factory=Client)
    timing: Timing = field(default_factory=Timing)


def manifest(probes: tuple[Probe, ...], options: PodOptions) -> dict[str, Any]:
    """The Pod, as dict. It passes the `restricted` Pod Security level and names every quantity that a quota may ask for."""
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": deadline(probes, options),
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "readinessGates": [{"conditionType": READINESS_GATE}],
        "securityContext": _pod_security(options.user_id),
        "containers": [_container(CONTAINER, options.image, curl_arguments(probes, options.timing))],
    }
    if options.client.stands_in:
        spec["containers"][0]["readinessProbe"] = _never_ready()
    spec.update(_taken_over(options))
    if options.settle:
        spec["initContainers"] = [_container(SETTLE_CONTAINER, options.image, settle_arguments())]
    if affinity := _affinity(options):
        spec["affinity"] = affinity
    if options.node:
        spec["tolerations"] = [{"operator": "Exists"}]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _metadata(options), "spec": spec}


def _metadata(options: PodOptions) -> dict[str, Any]:
    annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", **options.client.annotations}
    if options.keep:
        annotations[KEEP_ANNOTATION] = "true"
    metadata: dict[str, Any] = {
        "name": options.name,
        "namespace": options.namespace,
        "labels": dict(options.client.labels),
        "annotations": annotations,
    }
    if options.client.owner:
        metadata["ownerReferences"] = [dict(options.client.owner)]
    return metadata


def _taken_over(options: PodOptions) -> dict[str, Any]:
    """What the client's spec says of its packets, its questions and its nodes; of the latter nothing where one was asked for."""
    taken = {key: value for key, value in options.client.spec.items() if key != "affinity"}
    where = taken.pop("nodeSelector", {})
    if options.node:
        taken.pop("tolerations", None)
        return taken
    return {**taken, "nodeSelector": {"kubernetes.io/os": "linux", **where}}


def _never_ready() -> dict[str, Any]:
    return {"tcpSocket": {"port": 1}, "initialDelaySeconds": NEVER_SECONDS, "periodSeconds": NEVER_SECONDS}


def _pod_security(user_id: int | None) -> dict[str, Any]:
    """The image's user has a name, not a number, which `runAsNonRoot` alone refuses; so a number is given."""
    context: dict[str, Any] = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    if user_id is not None:
        context.update(runAsUser=user_id, runAsGroup=user_id)
    return context


def _container(name: str, image: str, arguments: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["curl", *arguments],
        "resources": {"requests": dict(QUANTITIES), "limits": dict(QUANTITIES)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def ephemeral_container(name: str, image: str, probes: tuple[Probe, ...], timing: Timing) -> dict[str, Any]:
    """The same curl as a container beside those of a pod; the API takes no resources for such a one."""
    container = _container(name, image, curl_arguments(probes, timing))
    del container["resources"]
    user = PodOptions(name, "").user_id
    container["securityContext"].update(runAsUser=user, runAsGroup=user, **_pod_security(None))
    return container


def _affinity(options: PodOptions) -> dict[str, Any]:
    """`--node` is required, by affinity and not `nodeName`, so that the scheduler still says why it cannot be.

    Where a client runs is only preferred: its pods may keep others with its labels away from their nodes.
    """
    if options.node:
        return {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": [_is_node(options.node)]}}}
    theirs = options.client.spec.get("affinity", {}).get("nodeAffinity", {}).get(_REQUIRED, {}).get("nodeSelectorTerms")
    affinity: dict[str, Any] = {_REQUIRED: {"nodeSelectorTerms": theirs}} if theirs else {}
    if options.avoided_node:
        away = _is_node(options.avoided_node, "NotIn")["matchFields"]
        terms = [{**term, "matchFields": [*term.get("matchFields", []), *away]} for term in theirs or [{}]]
        affinity = {_REQUIRED: {"nodeSelectorTerms": terms}}
    elif options.preferred_nodes:
        preferred = [{"weight": 100, "preference": _is_node(name)} for name in options.preferred_nodes[:MAX_PREFERRED]]
        affinity["preferredDuringSchedulingIgnoredDuringExecution"] = preferred
    return {"nodeAffinity": affinity} if affinity else {}


_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def _is_node(name: str, operator: str = "In") -> dict[str, Any]:
    """A node selector term; `matchFields` takes one value only."""
    return {"matchFields": [{"key": "metadata.name", "operator": operator, "values": [name]}]}


def deadline(probes: tuple[Probe, ...], options: PodOptions) -> int:
    """Seconds after which the kubelet ends the pod by itself, whatever became of this program."""
    rounds = ceil(max(sum(probe.attempts for probe in probes), 1) / _parallel(probes))
    settle = SETTLE_SECONDS if options.settle else 0
    return START_SECONDS + settle + ceil(rounds * max(options.timing.transfer, options.timing.silent))


def settle_arguments() -> list[str]:
    """Wait without a shell: curl asks a closed port of its own loopback, waits before it asks again, and ends well.

    The exit code of a serial curl is its last transfer's. (Not `--retry` in the probe's own, parallel run: curl 8.16 to
    8.19 hang there, curl issue 20669.)
    """
    wait = ["--retry", "1", "--retry-delay", str(SETTLE_SECONDS), "--retry-connrefused", "--noproxy", "*"]
    return ["-q", "-s", *wait, "http://127.0.0.1:1/", "--next", "-s", "file:///etc/resolv.conf"]


def curl_arguments(probes: tuple[Probe, ...], timing: Timing) -> list[str]:
    """All transfers for one parallel curl, and the pod's resolv.conf in front. `-q` comes first to skip any .curlrc."""
    parallel = str(_parallel(probes))
    arguments = ["-q", "-s", "--no-progress-meter", "-Z", "--parallel-immediate", "--parallel-max", parallel]
    arguments.append("file:///etc/resolv.conf")
    for probe in probes:
        for attempt in range(probe.attempts):
            arguments.append("--next")
            arguments.extend(transfer_arguments(probe, attempt, timing))
    return arguments


def _parallel(probes: tuple[Probe, ...]) -> int:
    """How many transfers at once: all, but of samples a few, which are to measure an answer and not a crowd."""
    samples = sum(probe.attempts for probe in probes if probe.is_sample)
    others = sum(probe.attempts for probe in probes) - samples
    return min(max(others + min(samples, SAMPLES_AT_ONCE), 1), MAX_PARALLEL)


def transfer_arguments(probe: Probe, attempt: int, timing: Timing) -> Iterator[str]:
    """One transfer's own options. Nothing from the cluster is an option here: it is in the URL or in the value of `-H`."""
    request = probe.request
    yield from ("-g", "--noproxy", "*", "-o", "/dev/null", "-w", _written(probe, attempt))
    limit = timing.transfer if request.is_http else timing.silent
    limit = min(limit, ASIDE_SECONDS) if probe.is_aside else limit
    yield from ("--connect-timeout", f"{timing.connect:g}", "-m", f"{limit:g}")
    if probe.path.family:
        yield "-6" if probe.path.family == "IPv6" else "-4"
    if request.scheme == "lookup":
        # From the loopback address no connection to elsewhere can be made: curl looks up the name, and fails there.
        yield from ("--interface", "127.0.0.1")
    if request.is_http:
        yield from ("--proto", "=http,https", "-A", "kubectl-svcprobe", "--max-filesize", "1048576")
        yield from ("-H", "Connection: close")
        if request.host and not probe.path.authority:
            yield from ("-H", f"Host: {request.host}")
    if request.scheme == "https":
        yield "-k"
    if probe.is_aside and request.scheme in ("http", "https"):
        # Or it would go by the connection of another transfer to the same port that speaks HTTP/2.
        yield "--http1.1"
    if request.is_proxied:
        yield "--haproxy-protocol"
    if request.is_http2:
        yield "--http2-prior-knowledge"
    if request.scheme == "grpc":
        # A call without a message: its five zero bytes can stand in no argument. A server of gRPC says so, which proves as much.
        yield from ("-X", "POST", "-d", "", "-H", "Content-Type: application/grpc", "-H", "TE: trailers")
    yield from _whereto(probe)


def _whereto(probe: Probe) -> Iterator[str]:
    """The URL; by a name that a proxy knows, at the proxy's address: then the Host header and TLS' server name are that name."""
    path, request = probe.path, probe.request
    if path.authority and request.is_http:
        address = f"[{path.host}]" if ":" in path.host else path.host
        yield from ("--connect-to", f"{path.authority}:{path.port}:{address}:{path.port}")
    yield from ("--url", request.url(path.authority if request.is_http and path.authority else path.host, path.port))


def _written(probe: Probe, attempt: int) -> str:
    """What curl writes after a transfer: its JSON, and headers by which proxies and servers of gRPC give themselves away.

    The line breaks and tabs are curl's own escapes. curl before 7.84 knows no `%header{}`, and writes the word itself.
    """
    mark = f"{probe.id}:{attempt}"
    headers = "\\t".join(f"%header{{{name}}}" for name in headers_of(probe.request.scheme, probe.is_sample))
    return f"\\nsvcprobe:{mark} %{{json}}\\nserver:{mark} {headers}\\n"


def is_ours(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is one of this tool's: by label, name and shape, so that a look-alike is never removed."""
    metadata, spec = pod.get("metadata") or {}, pod.get("spec") or {}
    containers, labels = spec.get("containers") or [], metadata.get("labels") or {}
    return (
        any(own.items() <= labels.items() for own in (LABELS, STAND_IN_LABELS))
        and str(metadata.get("name", "")).startswith(NAME_PREFIX)
        and any(c.get("name") == CONTAINER and (c.get("command") or [""])[:2] == ["curl", "-q"] for c in containers)
        and spec.get("restartPolicy") == "Never"
    )
