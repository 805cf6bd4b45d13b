"""Who asks from inside the cluster: a plain pod that bears this tool's label alone, or one that stands in for a client. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.words import labels as in_words

#: The one label of a plain probe pod.
OWN_LABELS: Mapping[str, str] = {"app.kubernetes.io/managed-by": "kubectl-svcprobe"}


@dataclass(frozen=True)
class Client:
    """A probe pod's identity, as policies, meshes and the DNS see it. An empty namespace is the Service's.

    `of` is the object that it stands in for, `labels` are those by which it is judged. `spec` holds the fields of a pod's
    spec that are taken over as they are, `annotations` what a mesh's injector reads, `nodes` where the client runs, `owner`
    the owner reference that keeps controllers away, and `differs` in words what the pod does not share with its client.
    """

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: dict(OWN_LABELS))
    of: ObjectRef | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    owner: Mapping[str, Any] = field(default_factory=dict)
    differs: tuple[str, ...] = ()

    @property
    def stands_in(self) -> bool:
        """Whether it is more than a plain pod: then its failures are those of the client that the user asked about."""
        return self.of is not None or dict(self.labels) != dict(OWN_LABELS)

    @property
    def who(self) -> str:
        """The subject of a sentence: `deployment/frontend of shop`, `a pod role=frontend of shop`, `the probe pod`."""
        if self.of:
            return f"{self.of} of {self.namespace}"
        return f"a pod {in_words(dict(self.labels))} of {self.namespace}" if self.stands_in else "the probe pod"
