"""`--in pod/NAME`: the real client asks, by its own curl, or by an ephemeral container beside it where it has none."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote_plus

from kubectl_svcprobe.access.resources import PODS
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.asking import PodAsker, new_pod_name, probe_facts, read
from kubectl_svcprobe.errors import AccessError, NotFound, ProbePodError, UsageError
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.client import Client
from kubectl_svcprobe.facts.json_fields import at, items, text
from kubectl_svcprobe.facts.mesh import mesh_of
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.probe.exposure import Vantage
from kubectl_svcprobe.probe.observe import cluster_domain
from kubectl_svcprobe.probe.plan import Probe, ProbePlan
from kubectl_svcprobe.probe.podlife import LOG_LIMIT_BYTES, PodRun
from kubectl_svcprobe.probe.podspec import START_SECONDS, Timing, curl_arguments, ephemeral_container
from kubectl_svcprobe.probe.podwatch import HOPELESS
from kubectl_svcprobe.probe.results import asked_from, join, with_true_names, within_families
from kubectl_svcprobe.run import Run

#: The first curl whose JSON has all that is read of it.
OLDEST_CURL = (7, 75)

#: A command travels in a URL, and proxies in front of API servers take no longer ones than some 8 kB.
URL_BYTES = 6000

#: Commands that run at once in the container, and seconds that one may take beyond its own limits.
AT_ONCE = 4
GRACE_SECONDS = 5.0

#: Why there is no result.
NOTHING_ASKED = "nothing could be asked inside the client"

#: Seconds between two looks at an ephemeral container.
PAUSE = 0.3


def inside_client(cluster: ClusterApi, name: str, namespace: str) -> Client:
    """The client that is a pod itself. Raises UsageError where there is no such pod, or where it does not run."""
    pod = _pod(cluster, namespace, name)
    if pod.phase != "Running" or pod.is_terminating:
        state = "is being deleted" if pod.is_terminating else f"is {pod.phase or 'not running'}"
        raise UsageError(f"error: --in: pod/{name} of {namespace} {state}, so nothing can ask inside it")
    return Client(
        namespace=namespace,
        labels=dict(pod.meta.labels),
        stands_in=True,
        of=ObjectRef("Pod", namespace, name),
        title=f"pod/{name} of {namespace}",
        nodes=(pod.node,),
    )


def _pod(cluster: ClusterApi, namespace: str, name: str) -> Pod:
    try:
        return Pod.from_json(cluster.get(PODS, namespace, name))
    except NotFound:
        hint = "--from-namespace says where it is, if not there"
        raise UsageError(f"error: --in: there is no pod {name} in {namespace}; {hint}") from None


@dataclass(frozen=True)
class InsideAsker:
    """Asks from inside a pod that is there already; nothing is written to its file system."""

    run: Run

    def manifests(self, snapshot: Snapshot, plan: ProbePlan) -> list[dict[str, Any]]:
        """No pod is made."""
        return []

    def ask(self, snapshot: Snapshot, plan: ProbePlan) -> Evidence:
        """What that pod met. It is not in its first seconds, so what failed is not asked again."""
        probes = plan.from_vantage(Vantage.POD)
        if not probes:
            return Evidence(snapshot, plan, kubectl=self.run.kubectl)
        started = time.monotonic()
        pod = _pod(self.run.cluster, snapshot.client_namespace, self.run.options.inside)
        run = PodRun(pod.meta.name, node=pod.node, ips=pod.ips, mesh=mesh_of(pod))
        by = ""
        try:
            by, run.log = self._ask_in(pod, probes)
            run.problem = "" if b"svcprobe:" in run.log else "curl reported nothing"
        except (ProbePodError, AccessError) as error:
            run.problem = f"nothing could be asked inside pod/{pod.meta.name}: {error}"
        run.seconds = time.monotonic() - started
        observations, resolv_conf = read(run, probes)
        results = asked_from(within_families(join(probes, observations, NOTHING_ASKED), run.ips), run.node)
        options = PodAsker(self.run).pod_options(snapshot, plan)
        facts = replace(probe_facts(run, options, settled=False), inside=by or "nothing", image="", differs=())
        return Evidence(
            PodAsker(self.run).look_at_system(snapshot, results),
            plan,
            with_true_names(results, cluster_domain(resolv_conf)),
            facts,
            resolv_conf,
            self.run.kubectl,
        )

    def _ask_in(self, pod: Pod, probes: tuple[Probe, ...]) -> tuple[str, bytes]:
        """By what, and what it wrote. Raises ProbePodError and AccessError."""
        container = self.run.options.container
        self.run.say(f"looking for curl in pod/{pod.meta.name}")
        if why_not := self._lacks_curl(pod, container):
            return self._by_ephemeral_container(pod, probes, why_not)
        self.run.say(f"asking inside pod/{pod.meta.name}")
        timing = self.run.options.timing
        with ThreadPoolExecutor(AT_ONCE) as pool:
            written = list(pool.map(lambda part: self._curl(pod, container, part, timing), batches(probes, timing)))
        return "its own curl", b"\n".join(written)

    def _lacks_curl(self, pod: Pod, container: str) -> str:
        """Why the container's own curl does not serve; empty if it does. Raises AccessError where nobody may ask it."""
        came = self.run.cluster.execute(
            pod.meta.namespace, pod.meta.name, container, ["curl", "--version"], timeout=10, limit_bytes=4096
        )
        if came.exit_code != 0:
            return "has no curl"
        found = re.match(rb"curl (\d+)\.(\d+)", came.stdout)
        version = (int(found.group(1)), int(found.group(2))) if found else (0, 0)
        return "" if version >= OLDEST_CURL else "has a curl that is too old"

    def _curl(self, pod: Pod, container: str, probes: tuple[Probe, ...], timing: Timing) -> bytes:
        came = self.run.cluster.execute(
            pod.meta.namespace,
            pod.meta.name,
            container,
            ["curl", *curl_arguments(probes, timing)],
            timeout=timing.connect + timing.transfer + GRACE_SECONDS,
            limit_bytes=LOG_LIMIT_BYTES,
        )
        if not came.stdout and (came.problem or came.stderr):
            raise ProbePodError(came.problem or came.stderr.strip().splitlines()[0])
        return came.stdout

    def _by_ephemeral_container(self, pod: Pod, probes: tuple[Probe, ...], why: str) -> tuple[str, bytes]:
        name, options = new_pod_name(), self.run.options
        self.run.note(
            f"pod/{pod.meta.name} {why}: an ephemeral container, {name}, asks inside it; it ends at once, and its entry stays "
            "in the pod's spec until the pod is gone"
        )
        body = {"spec": {"ephemeralContainers": [ephemeral_container(name, options.image, probes, options.timing)]}}
        where = pod.meta.namespace, pod.meta.name
        self.run.cluster.patch(PODS, *where, body, subresource="ephemeralcontainers")
        self._await_end(*where, name)
        return f"ephemeral container {name}", self.run.cluster.log(*where, name, limit_bytes=LOG_LIMIT_BYTES)

    def _await_end(self, namespace: str, pod: str, name: str) -> None:
        """Until the container has ended. Raises ProbePodError where it never will."""
        self.run.say(f"waiting for ephemeral container {name} of pod/{pod}")
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            obj = self.run.cluster.get(PODS, namespace, pod)
            status = next(
                (s for s in items(at(obj, "status"), "ephemeralContainerStatuses") if text(s, "name") == name), {}
            )
            if at(status, "state", "terminated"):
                return
            waiting = at(status, "state", "waiting")
            if (reason := text(waiting, "reason")) in HOPELESS:
                raise ProbePodError(f"ephemeral container {name} cannot start: {reason}: {text(waiting, 'message')}")
            time.sleep(PAUSE)
        raise ProbePodError(f"ephemeral container {name} did not end within {START_SECONDS} s")


def batches(probes: Sequence[Probe], timing: Timing) -> Iterator[tuple[Probe, ...]]:
    """The probes in groups whose command is short enough for a URL; each at least one."""
    group: list[Probe] = []
    for probe in probes:
        if group and _url_bytes((*group, probe), timing) > URL_BYTES:
            yield tuple(group)
            group = []
        group.append(probe)
    if group:
        yield tuple(group)


def _url_bytes(probes: tuple[Probe, ...], timing: Timing) -> int:
    return sum(len("&command=") + len(quote_plus(word)) for word in curl_arguments(probes, timing))
