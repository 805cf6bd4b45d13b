"""What a pod that stands in for a client has of it, and what it has not."""

from __future__ import annotations

from typing import Any

import pytest

from kubectl_svcprobe.facts.client import OWN_LABELS, STAND_IN_LABELS, Client, ClientWish
from kubectl_svcprobe.facts.model import ObjectRef
from kubectl_svcprobe.facts.stand_in import SKIP_ANNOTATIONS, SKIP_LABELS, Template, plain, stand_in
from kubectl_svcprobe.probe.podspec import NEVER_SECONDS, PodOptions, deadline, is_ours, manifest
from tests.unit.core.build import probe

POD = {
    "metadata": {
        "name": "web-0",
        "namespace": "shop",
        "labels": {
            "app": "web",
            "app.kubernetes.io/managed-by": "Helm",
            "statefulset.kubernetes.io/pod-name": "web-0",
            "controller-revision-hash": "web-5c9d7",
            "security.istio.io/tlsMode": "istio",
        },
        "annotations": {
            "sidecar.istio.io/status": "{}",
            "sidecar.istio.io/proxyCPU": "1",
            "prometheus.io/scrape": "true",
        },
        "ownerReferences": [{"kind": "StatefulSet", "name": "web", "controller": True}],
    },
    "spec": {
        "nodeName": "node-2",
        "serviceAccountName": "web",
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.53"]},
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["db"]}],
        "runtimeClassName": "gvisor",
        "imagePullSecrets": [{"name": "theirs"}],
        "nodeSelector": {"pool": "front"},
        "tolerations": [{"key": "front", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]
                }
            },
            "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []},
        },
        "containers": [{"name": "web", "image": "web:1"}, {"name": "istio-proxy", "image": "proxy:1"}],
        "volumes": [{"name": "data"}],
    },
}
#: The same pod as a workload's template.
MADE = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": POD}}


def client(mesh: str = "auto", kind: str = "Pod", **wish: Any) -> Client:
    obj = POD if kind == "Pod" else MADE
    found = ClientWish(kind=kind, name="web", mesh=mesh, **wish)
    return stand_in(found, "shop", Template.of_object(kind, obj), ("node-2",))


def made(of: Client, **options: Any) -> dict[str, Any]:
    return manifest((probe(0),), PodOptions("svcprobe-x7k2qf", "shop", client=of, **options))


def test_its_labels_are_the_client_s_but_those_of_controllers_and_injectors() -> None:
    assert client().labels == {"app": "web", "app.kubernetes.io/managed-by": "Helm", **STAND_IN_LABELS}
    assert client().title == "pod/web-0 of shop"
    assert (
        "labels controller-revision-hash, security.istio.io/tlsMode, statefulset.kubernetes.io/pod-name"
        in client().differs
    )


@pytest.mark.parametrize(
    "kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"]
)
def test_a_workload_is_known_by_its_template(kind: str) -> None:
    of = client(kind=kind)
    assert (of.labels, dict(of.spec)) == (client().labels, dict(client().spec))
    assert of.title == f"{kind.lower()}/web of shop"


def test_a_cron_job_is_known_by_the_template_of_its_jobs() -> None:
    obj = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"jobTemplate": {"spec": {"template": POD}}}}
    assert Template.of_object("CronJob", obj).labels == POD["metadata"]["labels"]


def test_labels_of_the_user_s_stand_over_the_client_s_or_alone() -> None:
    of = client(labels={"app": "other", "tier": "two"})
    assert of.labels == {"app": "other", "tier": "two", "app.kubernetes.io/managed-by": "Helm", **STAND_IN_LABELS}
    alone = stand_in(ClientWish(labels={"role": "front"}), "shop", None, ())
    assert alone.labels == {"role": "front", **STAND_IN_LABELS}
    assert (alone.title, alone.differs) == ("a pod role=front of shop", ())


def test_the_pod_asks_and_stands_as_the_client_does() -> None:
    spec = made(client())["spec"]
    for key in ("serviceAccountName", "dnsPolicy", "dnsConfig", "hostAliases", "runtimeClassName", "tolerations"):
        assert spec[key] == POD["spec"][key]
    assert spec["automountServiceAccountToken"] is False
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "front"}
    assert "podAntiAffinity" not in spec["affinity"]
    assert "volumes" not in spec


def test_its_node_is_one_where_the_client_may_run() -> None:
    (term,) = _required(made(client(), preferred_nodes=("node-2",)))
    assert term == {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}
    (term,) = _required(made(client(), avoided_node="node-1"))
    assert [field["values"] for field in term["matchFields"]] == [["node-1"]]
    assert term["matchExpressions"]


def test_a_node_that_was_asked_for_stands_over_all_that_says_where_the_client_runs() -> None:
    spec = made(client(), node="node-3")["spec"]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    (term,) = _required({"spec": spec})
    assert "matchExpressions" not in term


def _required(pod: dict[str, Any]) -> list[dict[str, Any]]:
    affinity = pod["spec"]["affinity"]["nodeAffinity"]
    return list(affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"])


def test_where_it_came_to_another_node_that_is_said() -> None:
    assert client().differences("node-2", "Istio") == client().differs
    assert client().differences("node-3", "Istio")[-1] == "node (the client is on node-2)"


def test_where_the_client_is_in_a_mesh_and_its_stand_in_is_not_that_is_said() -> None:
    assert client().differences("node-2")[-1] == "proxy of Istio (--mesh keep asks for it)"
    template = Template(ObjectRef("Deployment", "shop", "a"), {}, {"linkerd.io/inject": "enabled"})
    of = stand_in(ClientWish("Deployment", "a"), "shop", template, ())
    assert of.differences("")[-1] == "proxy of Linkerd (--mesh keep asks for it)"


# --- never ready


def test_it_is_never_ready_by_a_gate_and_by_a_probe() -> None:
    pod = made(client())
    assert pod["spec"]["readinessGates"] == [{"conditionType": "svcprobe.io/never-ready"}]
    (container,) = pod["spec"]["containers"]
    options = PodOptions("svcprobe-x7k2qf", "shop", client=client())
    assert container["readinessProbe"]["initialDelaySeconds"] == NEVER_SECONDS > deadline((probe(0),), options)


def test_the_plain_pod_is_never_ready_either_which_takes_the_gate_alone() -> None:
    pod = made(Client())
    assert pod["spec"]["readinessGates"] == [{"conditionType": "svcprobe.io/never-ready"}]
    assert "readinessProbe" not in pod["spec"]["containers"][0]


def test_it_is_ours_by_a_label_of_its_own() -> None:
    assert is_ours(made(client()))
    pod = made(client())
    del pod["metadata"]["labels"]["svcprobe.io/stand-in"]
    assert not is_ours(pod)


# --- meshes


def test_by_itself_no_annotation_goes_along_and_the_namespace_decides() -> None:
    assert client().annotations == {}
    assert "annotations" in client().differs
    assert made(client())["metadata"]["annotations"] == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}


def test_kept_in_the_mesh_it_is_injected_as_the_client_and_waits_for_the_proxy() -> None:
    of = client("keep")
    assert of.annotations == {
        "sidecar.istio.io/proxyCPU": "1",
        "sidecar.istio.io/nativeSidecar": "true",
        "proxy.istio.io/config": "holdApplicationUntilProxyStarts: true",
        "config.linkerd.io/proxy-await": "enabled",
    }
    assert of.labels["sidecar.istio.io/inject"] == "true"


def test_a_client_that_opts_out_is_not_brought_into_the_mesh() -> None:
    template = Template.of_object("Pod", {"metadata": {"name": "a", "labels": {"sidecar.istio.io/inject": "false"}}})
    of = stand_in(ClientWish("Pod", "a", mesh="keep"), "shop", template, ())
    assert of.labels == {"sidecar.istio.io/inject": "false", **STAND_IN_LABELS}


def test_out_of_the_mesh_every_mesh_is_told_so() -> None:
    of = client("skip", labels={"sidecar.istio.io/inject": "true"})
    assert SKIP_LABELS.items() <= of.labels.items()
    assert of.annotations == SKIP_ANNOTATIONS


def test_the_plain_pod_can_be_in_or_out_too_and_stays_plain() -> None:
    out = plain(ClientWish(mesh="skip"), "shop")
    assert (out.labels, out.stands_in, out.who) == ({**OWN_LABELS, **SKIP_LABELS}, False, "the probe pod")
    inside = plain(ClientWish(mesh="keep"), "shop")
    assert inside.labels["sidecar.istio.io/inject"] == "true"
    assert inside.annotations["linkerd.io/inject"] == "enabled"
    assert plain(ClientWish(), "shop") == Client("shop")


def test_secrets_for_the_image_are_the_user_s_and_the_client_s() -> None:
    of = client(pull_secrets=("mine", "theirs"))
    assert of.spec["imagePullSecrets"] == [{"name": "mine"}, {"name": "theirs"}]
    assert plain(ClientWish(pull_secrets=("mine",)), "shop").spec == {"imagePullSecrets": [{"name": "mine"}]}
