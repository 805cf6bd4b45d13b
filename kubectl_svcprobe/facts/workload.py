"""Pods and what makes them: their containers, states and owners, and the workloads' pod templates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kubectl_svcprobe.facts.json_fields import at, flag, integer, items, mapping, strings, text
from kubectl_svcprobe.facts.model import Condition, Json, Meta, ObjectRef
from kubectl_svcprobe.facts.scaling import Edit, ReadinessProbe, Reference, last_edit_of_replicas


@dataclass(frozen=True)
class ContainerPort:
    """A port that a container declares; declaring opens nothing, but a named targetPort is looked up here."""

    number: int
    name: str = ""
    protocol: str = "TCP"


@dataclass(frozen=True)
class HttpGet:
    """The httpGet handler of a probe; of its headers only Host is kept, the others may be secrets."""

    port: int | str
    path: str = "/"
    scheme: str = "HTTP"
    host: str = ""

    @classmethod
    def from_json(cls, obj: Json) -> HttpGet | None:
        """None where the probe is of another kind, or absent."""
        get = mapping(obj, "httpGet")
        port = get.get("port")
        if not isinstance(port, (int, str)):
            return None
        hosts = [text(h, "value") for h in items(get, "httpHeaders") if text(h, "name").lower() == "host"]
        return cls(port, text(get, "path") or "/", (text(get, "scheme") or "HTTP").upper(), hosts[0] if hosts else "")


@dataclass(frozen=True)
class Container:
    """A container as specified."""

    name: str
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()
    http_probes: tuple[HttpGet, ...] = ()
    has_readiness_probe: bool = False
    readiness: ReadinessProbe | None = None
    memory_limit: str = ""
    requests: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Reference, ...] = ()

    @classmethod
    def from_json(cls, obj: Json) -> Container:
        """`http_probes` has the readiness probe first, then liveness and startup."""
        probes = [HttpGet.from_json(mapping(obj, name)) for name in ("readinessProbe", "livenessProbe", "startupProbe")]
        return cls(
            name=text(obj, "name"),
            image=text(obj, "image"),
            ports=tuple(
                ContainerPort(integer(p, "containerPort"), text(p, "name"), text(p, "protocol") or "TCP")
                for p in items(obj, "ports")
            ),
            http_probes=tuple(probe for probe in probes if probe),
            has_readiness_probe=bool(mapping(obj, "readinessProbe")),
            readiness=ReadinessProbe.from_json(mapping(obj, "readinessProbe")),
            memory_limit=text(at(obj, "resources", "limits"), "memory"),
            requests=strings(at(obj, "resources"), "requests"),
            needs=Reference.all_of(obj),
        )


@dataclass(frozen=True)
class ContainerStatus:
    """What the kubelet says of a container; `state` is waiting, running, terminated, or empty when not known yet."""

    name: str
    ready: bool = False
    state: str = ""
    reason: str = ""
    message: str = ""
    exit_code: int = 0
    restarts: int = 0
    last_reason: str = ""
    last_exit_code: int = 0
    last_message: str = ""
    last_ended: str = ""
    is_init: bool = False

    @property
    def has_ended_badly(self) -> bool:
        """It ended with an error, or ends again and again."""
        is_over = self.state == "terminated" and self.exit_code != 0
        return is_over or self.reason == "CrashLoopBackOff" or (bool(self.last_reason) and not self.ready)

    @classmethod
    def from_json(cls, obj: Json, is_init: bool = False) -> ContainerStatus:
        """Exactly one of the three states is set."""
        states = mapping(obj, "state")
        state = next((name for name in ("waiting", "running", "terminated") if isinstance(states.get(name), dict)), "")
        now, last = mapping(states, state), at(obj, "lastState", "terminated")
        return cls(
            name=text(obj, "name"),
            ready=flag(obj, "ready"),
            state=state,
            reason=text(now, "reason"),
            message=text(now, "message"),
            exit_code=integer(now, "exitCode"),
            restarts=integer(obj, "restartCount"),
            last_reason=text(last, "reason"),
            last_exit_code=integer(last, "exitCode"),
            last_message=text(last, "message"),
            last_ended=text(last, "finishedAt"),
            is_init=is_init,
        )


@dataclass(frozen=True)
class Pod:
    """A pod, as far as a Service cares."""

    meta: Meta
    phase: str = ""
    reason: str = ""
    message: str = ""
    ips: tuple[str, ...] = ()
    node: str = ""
    host_ips: tuple[str, ...] = ()
    is_host_network: bool = False
    containers: tuple[Container, ...] = ()
    sidecars: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    statuses: tuple[ContainerStatus, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    readiness_gates: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    enables_service_links: bool = True

    @property
    def ref(self) -> ObjectRef:
        """`pod/NAME`."""
        return ObjectRef("Pod", self.meta.namespace, self.meta.name)

    @property
    def is_terminating(self) -> bool:
        """Its deletion was asked for."""
        return bool(self.meta.deleted)

    @property
    def is_finished(self) -> bool:
        """It will not run again, so no EndpointSlice lists it."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_ready(self) -> bool:
        """Its Ready condition is true."""
        ready = self.conditions.get("Ready")
        return ready is not None and ready.status == "True"

    @property
    def workload(self) -> ObjectRef:
        """What made the pod, as a person would name it: the Deployment rather than its ReplicaSet.

        A ReplicaSet is named after its Deployment and the pod's `pod-template-hash`, so no further read is needed.
        """
        owner = self.meta.controller
        if owner is None:
            return self.ref
        template = self.meta.labels.get("pod-template-hash", "")
        if owner.kind == "ReplicaSet" and template and owner.name.endswith(f"-{template}"):
            return ObjectRef("Deployment", owner.namespace, owner.name[: -len(template) - 1])
        if owner.kind == "Job" and (cron := re.fullmatch(r"(.+)-\d{8,10}", owner.name)):
            return ObjectRef("CronJob", owner.namespace, cron.group(1))
        return owner

    def port_numbers(self, name: str, protocol: str) -> tuple[int, ...]:
        """The container ports of that name and protocol; restartable init containers count too (KEP-753)."""
        declared = (port for container in (*self.containers, *self.sidecars) for port in container.ports)
        return tuple(port.number for port in declared if port.name == name and port.protocol == protocol)

    def readiness_ports(self) -> tuple[int, ...]:
        """The ports that its readiness probes connect to."""
        found: list[int] = []
        for container in (*self.containers, *self.sidecars):
            asked = container.readiness.port if container.readiness else 0
            found += [asked] if isinstance(asked, int) else self.port_numbers(asked, "TCP")
        return tuple(port for port in found if port)

    @classmethod
    def from_json(cls, obj: Json) -> Pod:
        """Read a core/v1 Pod."""
        spec, status = mapping(obj, "spec"), mapping(obj, "status")
        ips = [text(ip, "ip") for ip in items(status, "podIPs")] or [text(status, "podIP")]
        hosts = [text(ip, "ip") for ip in items(status, "hostIPs")] or [text(status, "hostIP")]
        init_statuses = [ContainerStatus.from_json(s, is_init=True) for s in items(status, "initContainerStatuses")]
        return cls(
            meta=Meta.from_json(obj),
            phase=text(status, "phase"),
            reason=text(status, "reason"),
            message=text(status, "message"),
            ips=tuple(ip for ip in ips if ip),
            node=text(spec, "nodeName"),
            host_ips=tuple(ip for ip in hosts if ip),
            is_host_network=flag(spec, "hostNetwork"),
            containers=tuple(Container.from_json(c) for c in items(spec, "containers")),
            sidecars=tuple(
                Container.from_json(c) for c in items(spec, "initContainers") if text(c, "restartPolicy") == "Always"
            ),
            init_containers=tuple(Container.from_json(c) for c in items(spec, "initContainers")),
            statuses=(*init_statuses, *(ContainerStatus.from_json(s) for s in items(status, "containerStatuses"))),
            conditions=Condition.all_of(obj),
            readiness_gates=tuple(text(gate, "conditionType") for gate in items(spec, "readinessGates")),
            node_selector=strings(spec, "nodeSelector"),
            enables_service_links=spec.get("enableServiceLinks") is not False,
        )


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet: how many pods it wants, and the labels that it gives them."""

    ref: ObjectRef
    meta: Meta
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    replicas: int = 1
    ready_replicas: int = 0
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    match_labels: Mapping[str, str] = field(default_factory=dict)
    node_selector: Mapping[str, str] = field(default_factory=dict)
    scaled_by: Edit | None = None

    @classmethod
    def from_json(cls, kind: str, obj: Json) -> Workload:
        """`replicas` of a DaemonSet is the number of nodes that it should run on."""
        spec, status, meta = mapping(obj, "spec"), mapping(obj, "status"), Meta.from_json(obj)
        wanted = spec.get("replicas", 1) if kind != "DaemonSet" else status.get("desiredNumberScheduled", 0)
        return cls(
            ref=ObjectRef(kind, meta.namespace, meta.name),
            meta=meta,
            pod_labels=strings(at(spec, "template", "metadata"), "labels"),
            replicas=wanted if isinstance(wanted, int) else 1,
            ready_replicas=integer(status, "readyReplicas") or integer(status, "numberReady"),
            conditions=Condition.all_of(obj),
            match_labels=strings(mapping(spec, "selector"), "matchLabels"),
            node_selector=strings(at(spec, "template", "spec"), "nodeSelector"),
            scaled_by=last_edit_of_replicas(obj),
        )
