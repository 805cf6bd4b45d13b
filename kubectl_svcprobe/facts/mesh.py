"""Service meshes: which pods have a proxy of one, and what Istio's policies ask of a client.

Istio's policies are read only where a pod behind the Service runs its proxy, and all of it is optional.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.facts.json_fields import at, mapping, strings, text
from kubectl_svcprobe.facts.model import Json, Meta
from kubectl_svcprobe.facts.policy import selects
from kubectl_svcprobe.facts.workload import Pod

if TYPE_CHECKING:
    from kubectl_svcprobe.facts.reader import Reader
    from kubectl_svcprobe.facts.snapshot import Snapshot

#: The containers that take a pod's connections, as the meshes' injectors call them.
PROXIES = {
    "istio-proxy": "Istio",
    "linkerd-proxy": "Linkerd",
    "kuma-sidecar": "Kuma",
    "consul-dataplane": "Consul",
}

#: Annotations by which a port bypasses the proxy.
BYPASSES = ("traffic.sidecar.istio.io/excludeInboundPorts", "config.linkerd.io/skip-inbound-ports")

#: Where Istio's policies for all namespaces are, unless its installation says otherwise.
ISTIO_ROOT = "istio-system"

STRICT = "STRICT"


@dataclass(frozen=True)
class IstioPolicy:
    """A PeerAuthentication or AuthorizationPolicy; the modes are a PeerAuthentication's."""

    meta: Meta
    selector: Mapping[str, str]
    mode: str = ""
    port_modes: Mapping[int, str] | None = None

    @classmethod
    def from_json(cls, obj: Json) -> IstioPolicy:
        """Both kinds have `spec.selector.matchLabels`."""
        spec = mapping(obj, "spec")
        ports = mapping(spec, "portLevelMtls")
        modes = {int(port): text(mapping(ports, port), "mode") for port in ports if str(port).isdigit()}
        return cls(
            Meta.from_json(obj), strings(at(spec, "selector"), "matchLabels"), text(at(spec, "mtls"), "mode"), modes
        )

    def covers(self, pod: Pod) -> bool:
        """Whether it is about this pod: by its labels, its namespace, or as one for all namespaces."""
        if self.selector:
            return self.meta.namespace == pod.meta.namespace and selects(dict(self.selector), pod.meta.labels)
        return self.meta.namespace in (pod.meta.namespace, ISTIO_ROOT)


@dataclass(frozen=True)
class IstioPolicies:
    """What was read; None is not known."""

    peers: tuple[IstioPolicy, ...] | None = None
    authorizations: tuple[IstioPolicy, ...] | None = None

    def mutual_tls(self, pod: Pod, port: int) -> tuple[str, IstioPolicy | None]:
        """The mode in force at a port of a pod, and the policy that says so: the narrowest counts, then the oldest."""
        for mode, policy in self._modes(pod, port):
            if mode not in ("", "UNSET"):
                return mode, policy
        return "PERMISSIVE", None

    def _modes(self, pod: Pod, port: int) -> Iterator[tuple[str, IstioPolicy]]:
        covering = sorted((p for p in self.peers or () if p.covers(pod)), key=lambda p: p.meta.created)
        for policy in (p for p in covering if p.selector):
            yield (policy.port_modes or {}).get(port, ""), policy
        for of_scope in (
            [p for p in covering if p.selector],
            [p for p in covering if not p.selector and p.meta.namespace == pod.meta.namespace],
            [p for p in covering if not p.selector],
        ):
            for policy in of_scope:
                yield policy.mode, policy


def mesh_of(pod: Pod) -> str:
    """The mesh whose proxy takes this pod's connections; empty if there is none."""
    if pod.meta.annotations.get("ambient.istio.io/redirection") == "enabled":
        return "Istio"
    names = (container.name for container in (*pod.containers, *pod.sidecars))
    return next((PROXIES[name] for name in names if name in PROXIES), "")


def proxy_of(pod: Pod) -> str:
    """The name of its proxy's container; empty if there is none."""
    names = (container.name for container in (*pod.containers, *pod.sidecars))
    return next((name for name in names if name in PROXIES), "")


def bypasses(pod: Pod, port: int) -> bool:
    """Whether the pod is annotated so that connections to this port do not go through its proxy."""
    listed = ",".join(pod.meta.annotations.get(key, "") for key in BYPASSES)
    return any(_is_within(port, entry.strip()) for entry in listed.split(","))


def _is_within(port: int, entry: str) -> bool:
    """`8080` or `8080-8090`."""
    first, _, last = entry.partition("-")
    return first.isdigit() and int(first) <= port <= int(last if last.isdigit() else first)


def look_at_mesh(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """Add Istio's policies where its proxy takes the connections of a pod behind the Service."""
    groups = snapshot.api_groups
    if (groups and r.PEER_AUTHENTICATIONS.group not in groups) or "Istio" not in map(mesh_of, snapshot.pods):
        return snapshot
    namespaces = dict.fromkeys((snapshot.namespace, ISTIO_ROOT))
    peers = [reader.read_optional(r.PEER_AUTHENTICATIONS, name, IstioPolicy.from_json) for name in namespaces]
    allowed = [reader.read_optional(r.AUTHORIZATION_POLICIES, name, IstioPolicy.from_json) for name in namespaces]
    return replace(
        snapshot,
        istio=IstioPolicies(_all_of(f.result() for f in peers), _all_of(f.result() for f in allowed)),
    )


def _all_of(found: Iterable[tuple[IstioPolicy, ...] | None]) -> tuple[IstioPolicy, ...] | None:
    """All of them; not known if the Service's own namespace, the first, could not be read."""
    lists = list(found)
    return None if lists[0] is None else tuple(policy for each in lists for policy in each or ())
