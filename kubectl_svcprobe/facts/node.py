"""Nodes, and events."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from kubectl_svcprobe.facts.json_fields import flag, integer, items, mapping, text, texts
from kubectl_svcprobe.facts.model import Condition, Json, Meta, ObjectRef


@dataclass(frozen=True)
class NodeAddress:
    """An address of a Node and its type: InternalIP, ExternalIP or Hostname."""

    type: str
    address: str


@dataclass(frozen=True)
class Node:
    """A Node."""

    meta: Meta
    addresses: tuple[NodeAddress, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    images: frozenset[str] = frozenset()
    is_unschedulable: bool = False
    pod_ranges: tuple[str, ...] = ()
    provider_id: str = ""
    kubelet_version: str = ""

    @property
    def is_control_plane(self) -> bool:
        """Kept for the control plane: whatever else runs there is an exception."""
        return "node-role.kubernetes.io/control-plane" in self.meta.labels

    @property
    def is_linux(self) -> bool:
        """A probe pod can run there."""
        return self.meta.labels.get("kubernetes.io/os", "linux") == "linux"

    @property
    def is_ready(self) -> bool:
        """Nothing is known against it: its kubelet reports well, or its condition is not known at all."""
        ready = self.conditions.get("Ready")
        return ready is None or ready.status == "True"

    def gives(self, address: str) -> bool:
        """Whether an address is in the range out of which the node gives its pods theirs."""
        try:
            wanted = ipaddress.ip_address(address)
            return any(wanted in ipaddress.ip_network(piece, strict=False) for piece in self.pod_ranges)
        except ValueError:
            return False

    def ips(self, kind: str) -> tuple[str, ...]:
        """The addresses of one type."""
        return tuple(a.address for a in self.addresses if a.type == kind)

    @classmethod
    def from_json(cls, obj: Json) -> Node:
        """Read a core/v1 Node; `images` are all names of all images that it reports."""
        status = mapping(obj, "status")
        return cls(
            meta=Meta.from_json(obj),
            addresses=tuple(NodeAddress(text(a, "type"), text(a, "address")) for a in items(status, "addresses")),
            conditions=Condition.all_of(obj),
            is_unschedulable=flag(mapping(obj, "spec"), "unschedulable"),
            pod_ranges=texts(mapping(obj, "spec"), "podCIDRs"),
            images=frozenset(name for image in items(status, "images") for name in texts(image, "names")),
            provider_id=text(mapping(obj, "spec"), "providerID"),
            kubelet_version=text(mapping(status, "nodeInfo"), "kubeletVersion"),
        )


@dataclass(frozen=True)
class Event:
    """An Event: who, what, how often, and when last."""

    about: ObjectRef
    type: str
    reason: str
    message: str
    count: int = 1
    last: str = ""

    @classmethod
    def from_json(cls, obj: Json) -> Event:
        """Old and new style events keep their time in different fields."""
        about, series = mapping(obj, "involvedObject"), mapping(obj, "series")
        times = (text(series, "lastObservedTime"), text(obj, "lastTimestamp"), text(obj, "eventTime"))
        return cls(
            about=ObjectRef(text(about, "kind"), text(about, "namespace"), text(about, "name")),
            type=text(obj, "type"),
            reason=text(obj, "reason"),
            message=text(obj, "message"),
            count=integer(series, "count") or integer(obj, "count") or 1,
            last=next((time for time in times if time), Meta.from_json(obj).created),
        )
