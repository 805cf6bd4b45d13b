"""From a client's pod template to the identity of a pod that stands in for it: what is taken over, and what is left out. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_svcprobe.facts.client import OWN_LABELS, STAND_IN_LABELS, Client, ClientWish
from kubectl_svcprobe.facts.json_fields import at, flag, items, mapping, strings, text
from kubectl_svcprobe.facts.mesh import mesh_of
from kubectl_svcprobe.facts.model import Json, Meta, ObjectRef
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.words import labels as in_words

#: Labels by which controllers know their own pods: with one of them, the probe would be counted as a pod of theirs.
#: (apps/v1 types.go, batch/v1 types.go; Argo Rollouts' own for the hash.)
CONTROLLERS_OWN = frozenset(
    {
        "pod-template-hash",
        "rollouts-pod-template-hash",
        "controller-revision-hash",
        "pod-template-generation",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "controller-uid",
        "job-name",
        "batch.kubernetes.io/controller-uid",
        "batch.kubernetes.io/job-name",
        "batch.kubernetes.io/job-completion-index",
    }
)

#: Labels that a mesh's injector puts on what it has injected; it does so again where it injects the probe pod.
INJECTED = re.compile(
    r"security\.istio\.io/tlsMode|service\.istio\.io/canonical-(name|revision)|topology\.istio\.io/.*"
    r"|linkerd\.io/(control-plane-ns|workload-ns|proxy-.*)|consul\.hashicorp\.com/connect-inject-(status|managed-by)"
)

#: Annotations by which a mesh is told what to do with a pod, and those that only say what it did.
MESH_ANNOTATIONS = re.compile(
    r"(.*\.)?istio\.io/.*|(config\.|config\.alpha\.|config\.beta\.)?linkerd\.io/.*|kuma\.io/.*|consul\.hashicorp\.com/.*"
)
MESH_TRACES = re.compile(
    r"sidecar\.istio\.io/status|ambient\.istio\.io/redirection|istio\.io/rev"
    r"|linkerd\.io/(created-by|proxy-version|trust-root-sha256)|kuma\.io/(sidecar-injected|envoy-.*|virtual-probes.*)"
    r"|consul\.hashicorp\.com/(connect-inject-status|consul-k8s-version|original-pod|connect-inject-managed-by)"
)

#: How each mesh is asked to leave a pod alone (label and annotation, as its documentation has them).
SKIP_LABELS = {
    "sidecar.istio.io/inject": "false",
    "istio.io/dataplane-mode": "none",
    "kuma.io/sidecar-injection": "disabled",
}
SKIP_ANNOTATIONS = {"linkerd.io/inject": "disabled", "consul.hashicorp.com/connect-inject": "false"}

#: How each is asked for its proxy, where nothing of the client's says it.
KEEP_LABELS = {"Istio": {"sidecar.istio.io/inject": "true"}, "Kuma": {"kuma.io/sidecar-injection": "enabled"}}
KEEP_ANNOTATIONS = {
    "Linkerd": {"linkerd.io/inject": "enabled"},
    "Consul": {"consul.hashicorp.com/connect-inject": "true"},
}
#: What a label or an annotation of a template says that wants a proxy.
ASKS_FOR_PROXY = {
    key: (value, mesh)
    for wanted in (KEEP_LABELS, KEEP_ANNOTATIONS)
    for mesh, pairs in wanted.items()
    for key, value in pairs.items()
}
#: The proxy is to be up before curl starts: as a native sidecar where that is known, or by holding the other containers.
WAIT_FOR_PROXY = {
    "sidecar.istio.io/nativeSidecar": "true",
    "proxy.istio.io/config": "holdApplicationUntilProxyStarts: true",
    "config.linkerd.io/proxy-await": "enabled",
}

#: What decides how a pod's packets and questions leave it, and where it may run; the rest of its spec is not taken over.
TAKEN_OVER = (
    "serviceAccountName",
    "dnsPolicy",
    "dnsConfig",
    "hostAliases",
    "runtimeClassName",
    "imagePullSecrets",
    "nodeSelector",
    "tolerations",
)

ALWAYS_DIFFERENT = ("image", "service account token", "volumes", "age")


@dataclass(frozen=True)
class Template:
    """What a client's pods are made from: metadata and spec of a pod, or of a workload's pod template.

    `runs_proxy` is the mesh whose proxy a running pod has.
    """

    of: ObjectRef
    labels: Mapping[str, str]
    annotations: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    runs_proxy: str = ""
    made_by: str = ""

    @classmethod
    def of_object(cls, kind: str, obj: Json) -> Template:
        """Of a pod itself, or of what a workload makes its pods from."""
        meta = Meta.from_json(obj)
        ref = ObjectRef(kind, meta.namespace, meta.name)
        if kind == "Pod":
            pod = Pod.from_json(obj)
            maker = pod.meta.controller.kind if pod.meta.controller else ""
            return cls(ref, meta.labels, meta.annotations, mapping(obj, "spec"), mesh_of(pod), maker)
        template = at(obj, *(["spec", "jobTemplate"] if kind == "CronJob" else []), "spec", "template")
        made = mapping(template, "metadata")
        return cls(ref, strings(made, "labels"), strings(made, "annotations"), mapping(template, "spec"), made_by=kind)

    @property
    def mesh(self) -> str:
        """The mesh that its pods are in: by the proxy that runs, or by what the template asks for."""
        said = {**self.annotations, **self.labels}
        asked = (mesh for key, (value, mesh) in ASKS_FOR_PROXY.items() if said.get(key) == value)
        return self.runs_proxy or next(asked, "")

    @property
    def is_on_host_network(self) -> bool:
        """Its pods have their node's addresses."""
        return flag(self.spec, "hostNetwork")

    @property
    def is_windows(self) -> bool:
        """Its pods run on Windows, where this tool's image does not."""
        selector = strings(self.spec, "nodeSelector")
        return text(mapping(self.spec, "os"), "name") == "windows" or selector.get("kubernetes.io/os") == "windows"


def plain(wish: ClientWish, namespace: str) -> Client:
    """The plain pod, in its namespace, and in or out of a mesh as the user wants it."""
    return Client(
        namespace=namespace,
        labels={**OWN_LABELS, **_mesh_labels(wish, {}, "")},
        spec={"imagePullSecrets": _pull_secrets(wish, {})} if wish.pull_secrets else {},
        annotations=_mesh_annotations(wish, {}, ""),
    )


def stand_in(wish: ClientWish, namespace: str, template: Template | None, nodes: tuple[str, ...]) -> Client:
    """The pod that stands in for a client: `template` is None where only labels were given."""
    theirs = template.labels if template else {}
    spec = template.spec if template else {}
    mesh = template.mesh if template else ""
    kept = {k: v for k, v in {**theirs, **wish.labels}.items() if not is_left_out(k)}
    title = f"{template.of} of {namespace}" if template else f"a pod {in_words(wish.labels)} of {namespace}"
    if template and wish.labels:
        title = f"{template.of} of {namespace} with {in_words(wish.labels)}"
    return Client(
        namespace=namespace,
        labels={**kept, **_mesh_labels(wish, kept, mesh), **STAND_IN_LABELS},
        stands_in=True,
        of=template.of if template else None,
        title=title,
        spec=_spec(wish, spec),
        annotations=_mesh_annotations(wish, template.annotations if template else {}, mesh),
        nodes=nodes,
        differs=tuple(_differs(wish, template)) if template else (),
        left_out=frozenset(key for key in theirs if is_left_out(key)),
        mesh=template.mesh if template else "",
    )


def is_left_out(key: str) -> bool:
    """Whether a label is a controller's or an injector's, and not the client's own."""
    return key in CONTROLLERS_OWN or bool(INJECTED.fullmatch(key))


def _differs(wish: ClientWish, template: Template) -> Iterator[str]:
    yield from ALWAYS_DIFFERENT
    kept = _mesh_annotations(wish, template.annotations, template.mesh)
    if any(key not in kept for key in template.annotations):
        yield "annotations"
    if left := sorted(key for key in template.labels if is_left_out(key) and key not in wish.labels):
        yield f"labels {', '.join(left)}"


def _spec(wish: ClientWish, theirs: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are taken over, cleaned of what is empty."""
    taken = {key: theirs[key] for key in TAKEN_OVER if theirs.get(key)}
    if secrets := _pull_secrets(wish, theirs):
        taken["imagePullSecrets"] = secrets
    required = at(theirs, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    if required:
        taken["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return taken


def _pull_secrets(wish: ClientWish, theirs: Mapping[str, Any]) -> list[dict[str, str]]:
    names = dict.fromkeys((*wish.pull_secrets, *(text(s, "name") for s in items(theirs, "imagePullSecrets"))))
    return [{"name": name} for name in names if name]


def _mesh_labels(wish: ClientWish, theirs: Mapping[str, str], mesh: str) -> dict[str, str]:
    if wish.mesh == "skip":
        return dict(SKIP_LABELS)
    if wish.mesh != "keep":
        return {}
    wanted = [KEEP_LABELS.get(mesh, {})] if mesh or wish.kind else list(KEEP_LABELS.values())
    return {key: value for found in wanted for key, value in found.items() if key not in theirs}


def _mesh_annotations(wish: ClientWish, theirs: Mapping[str, str], mesh: str) -> dict[str, str]:
    """None in `auto`, where the namespace's own rule decides; with `keep`, all that the client tells its injector."""
    if wish.mesh == "skip":
        return dict(SKIP_ANNOTATIONS)
    if wish.mesh != "keep":
        return {}
    wanted = [KEEP_ANNOTATIONS.get(mesh, {})] if mesh or wish.kind else list(KEEP_ANNOTATIONS.values())
    asked = {key: value for found in wanted for key, value in found.items()}
    kept = {k: v for k, v in theirs.items() if MESH_ANNOTATIONS.fullmatch(k) and not MESH_TRACES.fullmatch(k)}
    return {**WAIT_FOR_PROXY, **asked, **kept}
