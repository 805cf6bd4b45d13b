"""What decides how many pods a workload has: who scaled it last, its revisions, and its autoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kubectl_svcprobe.facts.json_fields import at, integer, items, mapping, text, texts
from kubectl_svcprobe.facts.model import Condition, Json, Meta, ObjectRef


@dataclass(frozen=True)
class Edit:
    """Who wrote a field last, by `metadata.managedFields`: the manager's name, and when."""

    manager: str
    at: str
    subresource: str = ""


def last_edit_of_replicas(obj: Json) -> Edit | None:
    """The last entry of managedFields that holds `spec.replicas`.

    Where the object has entries and none of them does, the subresource `scale` wrote 0: that leaves no owner of the field
    (seen with Kubernetes 1.35, since a Scale of 0 replicas omits it).
    """
    entries = items(mapping(obj, "metadata"), "managedFields")
    owners = [entry for entry in entries if "f:replicas" in at(entry, "fieldsV1", "f:spec")]
    if not owners:
        return Edit("", "", "scale") if entries else None
    entry = max(owners, key=lambda e: text(e, "time"))
    return Edit(text(entry, "manager"), text(entry, "time"), text(entry, "subresource"))


@dataclass(frozen=True)
class Revision:
    """A ReplicaSet: one revision of a Deployment."""

    meta: Meta
    number: int = 0
    replicas: int = 0
    ready: int = 0
    images: Mapping[str, str] = field(default_factory=dict)

    @property
    def template_hash(self) -> str:
        """What its pods carry as the label `pod-template-hash`."""
        return self.meta.labels.get("pod-template-hash", "")

    @classmethod
    def from_json(cls, obj: Json) -> Revision:
        """Read an apps/v1 ReplicaSet; the annotation is the Deployment controller's."""
        meta, spec = Meta.from_json(obj), mapping(obj, "spec")
        number = meta.annotations.get("deployment.kubernetes.io/revision", "")
        containers = items(at(spec, "template", "spec"), "containers")
        return cls(
            meta=meta,
            number=int(number) if number.isdigit() else 0,
            replicas=integer(spec, "replicas"),
            ready=integer(mapping(obj, "status"), "readyReplicas"),
            images={text(c, "name"): text(c, "image") for c in containers},
        )


@dataclass(frozen=True)
class Autoscaler:
    """A HorizontalPodAutoscaler."""

    meta: Meta
    target: ObjectRef
    least: int = 1
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    @property
    def scaled_object(self) -> str:
        """The KEDA ScaledObject that made it; empty where none did."""
        is_kedas = self.meta.labels.get("app.kubernetes.io/managed-by") == "keda-operator"
        return self.meta.labels.get("scaledobject.keda.sh/name", "") or (
            self.meta.name.removeprefix("keda-hpa-") if is_kedas else ""
        )

    @classmethod
    def from_json(cls, obj: Json) -> Autoscaler:
        """Read an autoscaling/v2 HorizontalPodAutoscaler."""
        spec, meta = mapping(obj, "spec"), Meta.from_json(obj)
        target, least = mapping(spec, "scaleTargetRef"), spec.get("minReplicas", 1)
        return cls(
            meta,
            ObjectRef(text(target, "kind"), meta.namespace, text(target, "name")),
            least if isinstance(least, int) else 1,
            Condition.all_of(obj),
        )


@dataclass(frozen=True)
class LastWords:
    """The end of what a container wrote before it ended."""

    pod: str
    container: str
    line: str


@dataclass(frozen=True)
class Reference:
    """A ConfigMap or Secret, and perhaps one key of it, that a container cannot start without."""

    kind: str
    name: str
    key: str = ""

    @classmethod
    def all_of(cls, container: Json) -> tuple[Reference, ...]:
        """What `env` and `envFrom` ask for, without what is optional."""
        found = []
        for kind, one, many in (
            ("ConfigMap", "configMapKeyRef", "configMapRef"),
            ("Secret", "secretKeyRef", "secretRef"),
        ):
            single = [at(e, "valueFrom", one) for e in items(container, "env")]
            whole = [mapping(e, many) for e in items(container, "envFrom")]
            found += [
                cls(kind, text(r, "name"), text(r, "key"))
                for r in (*single, *whole)
                if r and r.get("optional") is not True
            ]
        return tuple(found)


@dataclass(frozen=True)
class ReadinessProbe:
    """How a container is asked whether it is ready; `index` is its place in `spec.containers`."""

    kind: str
    port: int | str = 0
    path: str = ""
    timeout: int = 1
    command: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, obj: Json) -> ReadinessProbe | None:
        """None where there is none; `timeoutSeconds` is 1 unless said."""
        for kind in ("httpGet", "tcpSocket", "grpc", "exec"):
            if kind in obj:
                handler, port = mapping(obj, kind), mapping(obj, kind).get("port", 0)
                return cls(
                    kind,
                    port if isinstance(port, (int, str)) else 0,
                    text(handler, "path"),
                    integer(obj, "timeoutSeconds") or 1,
                    texts(handler, "command"),
                )
        return None
