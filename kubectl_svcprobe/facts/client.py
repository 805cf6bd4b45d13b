"""Who asks from inside the cluster: a plain pod that bears this tool's label alone, or one that stands in for a client. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.words import listed

#: The one label of a plain probe pod.
OWN_LABELS: Mapping[str, str] = {"app.kubernetes.io/managed-by": "kubectl-svcprobe"}

#: What a pod bears that stands in for a client: `managed-by` is the client's own word there, and a policy may ask for it.
STAND_IN_LABELS: Mapping[str, str] = {"svcprobe.io/stand-in": "true"}


@dataclass(frozen=True)
class Client:
    """A probe pod's identity, as policies, meshes and the DNS see it. An empty namespace is the Service's.

    `stands_in` is set where the user asked for a client: then what fails, fails for that client. `of` is the object that
    it stands in for, and `title` its name in a sentence. `labels` are the pod's own. `spec` holds the fields of a pod's spec
    that are taken over as they are, `annotations` what a mesh's injector reads, `nodes` where the client runs, `owner` the
    owner reference that keeps controllers away. `differs` is in words what the pod does not share with its client,
    `left_out` the keys of the labels among that, and `mesh` the one that the client's own pods are in, where they say so.
    """

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: dict(OWN_LABELS))
    stands_in: bool = False
    of: ObjectRef | None = None
    title: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    owner: Mapping[str, Any] = field(default_factory=dict)
    differs: tuple[str, ...] = ()
    left_out: frozenset[str] = frozenset()
    mesh: str = ""

    @property
    def who(self) -> str:
        """The subject of a sentence: `deployment/frontend of shop`, `a pod role=front of shop`, `the probe pod`."""
        return self.title or "the probe pod"

    def differences(self, node: str, mesh: str = "") -> tuple[str, ...]:
        """What a pod on this node, with the proxy of this mesh, does not share with the client."""
        found = list(self.differs)
        if self.nodes and node and node not in self.nodes:
            found.append(f"node (the client is on {listed(self.nodes, 3)})")
        if self.mesh and not mesh:
            found.append(f"proxy of {self.mesh} (--mesh keep asks for it)")
        return tuple(found)


@dataclass(frozen=True)
class ClientWish:
    """What the user said of the client; `kind` is as the API spells it, and `mesh` is auto, keep or skip."""

    kind: str = ""
    name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    mesh: str = "auto"
    pull_secrets: tuple[str, ...] = ()

    @property
    def is_for_a_client(self) -> bool:
        """Whether some client is meant, and not just another place for the plain pod."""
        return bool(self.kind or self.labels)
