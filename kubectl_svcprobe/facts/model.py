"""The objects of the API, cut down to the fields that are used.

Every class reads its part of the JSON that the API server sends (`kubectl get -o json` shows the same). Absent, null and
empty are the same thing to a reader, so they are the same here: no field is None unless its absence means something.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_svcprobe.facts.json_fields import at, flag, integer, items, mapping, strings, text, texts

Json = Mapping[str, Any]


@dataclass(frozen=True, order=True)
class ObjectRef:
    """Kind and name of an object, written as kubectl does: `deployment/devops`."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.lower()}/{self.name}"


@dataclass(frozen=True)
class Meta:
    """What every object carries. Timestamps stay as the API writes them (RFC 3339, UTC)."""

    namespace: str
    name: str
    uid: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    deleted: str = ""
    finalizers: tuple[str, ...] = ()
    controller: ObjectRef | None = None

    @classmethod
    def from_json(cls, obj: Json) -> Meta:
        """Read `metadata`; `controller` is the owner reference that has `controller: true`."""
        meta = mapping(obj, "metadata")
        namespace = text(meta, "namespace")
        owners = [
            ObjectRef(text(owner, "kind"), namespace, text(owner, "name"))
            for owner in items(meta, "ownerReferences")
            if flag(owner, "controller")
        ]
        return cls(
            namespace=namespace,
            name=text(meta, "name"),
            uid=text(meta, "uid"),
            labels=strings(meta, "labels"),
            annotations=strings(meta, "annotations"),
            created=text(meta, "creationTimestamp"),
            deleted=text(meta, "deletionTimestamp"),
            finalizers=texts(meta, "finalizers"),
            controller=owners[0] if owners else None,
        )


@dataclass(frozen=True)
class Condition:
    """One entry of `status.conditions`."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: str = ""

    @classmethod
    def all_of(cls, obj: Json) -> dict[str, Condition]:
        """The conditions of an object by type."""
        found = (
            cls(
                text(c, "type"), text(c, "status"), text(c, "reason"), text(c, "message"), text(c, "lastTransitionTime")
            )
            for c in items(mapping(obj, "status"), "conditions")
        )
        return {condition.type: condition for condition in found}


@dataclass(frozen=True)
class ServicePort:
    """One port of a Service; `target_port` is a number or a container port's name, `index` its place in `spec.ports`."""

    port: int
    target_port: int | str
    name: str = ""
    protocol: str = "TCP"
    node_port: int = 0
    app_protocol: str = ""
    index: int = 0

    @classmethod
    def from_json(cls, obj: Json, index: int = 0) -> ServicePort:
        """An omitted targetPort equals `port`."""
        port = integer(obj, "port")
        target = obj.get("targetPort") or port
        return cls(
            port=port,
            target_port=target if isinstance(target, int) else str(target),
            name=text(obj, "name"),
            protocol=text(obj, "protocol") or "TCP",
            node_port=integer(obj, "nodePort"),
            app_protocol=text(obj, "appProtocol"),
            index=index,
        )


@dataclass(frozen=True)
class LoadBalancerIngress:
    """One address that a load balancer was given: `ip` or `hostname`; `errors` are its ports that failed."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str = ""
    errors: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The address, whichever kind it is."""
        return self.ip or self.hostname

    @classmethod
    def from_json(cls, obj: Json) -> LoadBalancerIngress:
        """Read one entry of `status.loadBalancer.ingress`."""
        errors = [
            f"{integer(p, 'port')}/{text(p, 'protocol')}: {text(p, 'error')}"
            for p in items(obj, "ports")
            if text(p, "error")
        ]
        return cls(text(obj, "ip"), text(obj, "hostname"), text(obj, "ipMode"), tuple(errors))


@dataclass(frozen=True)
class Service:
    """A Service. `selector` empty means selectorless; `cluster_ips` is empty for ExternalName and headless Services.

    `left_out` are the ports that it has too, and that the user did not ask about.
    """

    meta: Meta
    type: str = "ClusterIP"
    selector: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    left_out: tuple[ServicePort, ...] = ()
    cluster_ips: tuple[str, ...] = ()
    is_headless: bool = False
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str = ""
    external_ips: tuple[str, ...] = ()
    external_name: str = ""
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""
    traffic_distribution: str = ""
    session_affinity: str = "None"
    session_affinity_seconds: int = 0
    publish_not_ready_addresses: bool = False
    allocate_node_ports: bool = True
    health_check_node_port: int = 0
    load_balancer_class: str = ""
    load_balancer_ip: str = ""
    load_balancer_source_ranges: tuple[str, ...] = ()
    load_balancer_ingress: tuple[LoadBalancerIngress, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return self.meta.name

    @property
    def namespace(self) -> str:
        """Its namespace."""
        return self.meta.namespace

    @property
    def ref(self) -> ObjectRef:
        """`service/NAME`."""
        return ObjectRef("Service", self.meta.namespace, self.meta.name)

    @property
    def is_external_name(self) -> bool:
        """A DNS alias: it has no endpoints, and its ports are without effect."""
        return self.type == "ExternalName"

    @property
    def is_pending(self) -> bool:
        """A LoadBalancer that no address was given to yet."""
        return self.type == "LoadBalancer" and not self.load_balancer_ingress

    @classmethod
    def from_json(cls, obj: Json) -> Service:
        """Read a core/v1 Service."""
        spec, status = mapping(obj, "spec"), mapping(obj, "status")
        addresses = texts(spec, "clusterIPs") or (text(spec, "clusterIP"),)
        return cls(
            meta=Meta.from_json(obj),
            type=text(spec, "type") or "ClusterIP",
            selector=strings(spec, "selector"),
            ports=tuple(ServicePort.from_json(port, index) for index, port in enumerate(items(spec, "ports"))),
            cluster_ips=tuple(ip for ip in addresses if ip not in ("", "None")),
            is_headless="None" in addresses,
            ip_families=texts(spec, "ipFamilies"),
            ip_family_policy=text(spec, "ipFamilyPolicy"),
            external_ips=texts(spec, "externalIPs"),
            external_name=text(spec, "externalName"),
            external_traffic_policy=text(spec, "externalTrafficPolicy"),
            internal_traffic_policy=text(spec, "internalTrafficPolicy"),
            traffic_distribution=text(spec, "trafficDistribution"),
            session_affinity=text(spec, "sessionAffinity") or "None",
            session_affinity_seconds=integer(at(spec, "sessionAffinityConfig", "clientIP"), "timeoutSeconds"),
            publish_not_ready_addresses=flag(spec, "publishNotReadyAddresses"),
            allocate_node_ports=spec.get("allocateLoadBalancerNodePorts") is not False,
            health_check_node_port=integer(spec, "healthCheckNodePort"),
            load_balancer_class=text(spec, "loadBalancerClass"),
            load_balancer_ip=text(spec, "loadBalancerIP"),
            load_balancer_source_ranges=texts(spec, "loadBalancerSourceRanges"),
            load_balancer_ingress=tuple(
                LoadBalancerIngress.from_json(i) for i in items(mapping(status, "loadBalancer"), "ingress")
            ),
            conditions=Condition.all_of(obj),
        )
