"""Asking as a client: what only that client meets, and that nothing takes the pod in its place for one of its own."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import yaml

from kubectl_svcprobe.access.permissions import CLIENT, PROBE, READ
from kubectl_svcprobe.facts.client import STAND_IN_LABELS
from tests.e2e.cluster import Namespace, Object, deployment, service
from tests.e2e.command import Answer, kubectl_svcprobe, svcprobe
from tests.e2e.recorder import Recording, recording
from tests.e2e.rights import forget_users, make_user

pytestmark = pytest.mark.lab

CLIENTS = ["deploy/front", "rs/bare", "ds/agent"]
RECORDED = ("pods", "endpointslices", "replicasets", "daemonsets", "poddisruptionbudgets")


def policy(name: str, **spec: Any) -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def budget(name: str, **spec: Any) -> Object:
    selector = {"matchLabels": {"app": name}}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name},
        "spec": {"selector": selector, **spec},
    }


def of_kind(kind: str, name: str) -> Object:
    """The same pods as a Deployment's, made by another kind."""
    found = {**deployment(name), "kind": kind}
    if kind == "DaemonSet":
        found["spec"] = {key: value for key, value in found["spec"].items() if key != "replicas"}
    return found


@pytest.fixture(scope="module")
def shop(namespace: Namespace) -> Iterator[Namespace]:
    """`web` admits `front` only; `open` admits everybody, but `back` may not leave for it."""
    front = deployment("front", 2, labels={"app": "front"})
    front["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    web = {"matchLabels": {"app": "web"}}
    namespace.apply(
        *(deployment("web"), service("web"), deployment("open"), service("open")),
        *(front, service("front"), budget("front", maxUnavailable=1)),
        *(of_kind("ReplicaSet", "bare"), service("bare"), budget("bare", minAvailable=1)),
        *(of_kind("DaemonSet", "agent"), service("agent"), budget("agent", minAvailable=1)),
        deployment("back"),
        policy(
            "web-from-front", podSelector=web, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "front"}}}]}]
        ),
        policy(
            "back-to-web",
            podSelector={"matchLabels": {"app": "back"}},
            policyTypes=["Egress"],
            egress=[{"to": [{"podSelector": web}]}],
        ),
    )
    for name in ("web", "open", "front", "back"):
        namespace.roll_out(name)
    namespace.kubectl("rollout", "status", "daemonset/agent", "--timeout=60s")
    namespace.kubectl("wait", "replicaset/bare", "--for=jsonpath={.status.readyReplicas}=1", "--timeout=60s")
    yield namespace
    forget_users(namespace)


# --- what one client meets and another does not


@pytest.fixture(scope="module")
def asked(shop: Namespace) -> dict[str, Answer]:
    """Both Services by the plain probe, and the open one as `back`, side by side: each takes its seconds."""
    questions = {"open": [], "web": ["--one-pod"], "open as back": ["--one-pod", "--from", "deploy/back"]}
    with ThreadPoolExecutor() as pool:
        runs = {
            name: pool.submit(svcprobe, shop.lab, name.split()[0], "-n", shop.name, *arguments)
            for name, arguments in questions.items()
        }
        return {name: run.result() for name, run in runs.items()}


def test_a_policy_that_the_plain_probe_does_not_meet(shop: Namespace, asked: dict[str, Answer]) -> None:
    plain, as_back = asked["open"], asked["open as back"]
    assert (plain.code, plain.report.codes) == (0, [])
    assert (as_back.code, as_back.report.codes) == (1, ["SVC609"])
    assert as_back.report.summary.startswith(f"deployment/back of {shop.name} does not reach open")
    assert as_back.report.json["probe"]["client"] == f"deployment/back of {shop.name}"


def test_a_policy_that_only_the_plain_probe_meets(shop: Namespace, asked: dict[str, Answer]) -> None:
    """The printed command asks as a client that is admitted."""
    plain = asked["web"]
    assert (plain.code, plain.report.verdict, plain.report.codes) == (0, "warning", ["SVC601"])
    (printed,) = (line for line in plain.report.finding("SVC601")["fix"] if " --from " in line)
    assert printed == f"kubectl svcprobe web --from deployment/front -n {shop.name}"
    as_front = svcprobe(shop.lab, *shlex.split(printed)[2:])
    assert (as_front.code, as_front.report.verdict, as_front.report.codes) == (0, "ok", [])
    assert as_front.report.summary.startswith(f"web works for deployment/front of {shop.name}")


# --- nothing takes the pod for its own


@pytest.fixture(scope="module")
def record(shop: Namespace) -> Recording:
    """Every state of all that might, while a pod stands in for each kind of client."""
    with recording(shop, *RECORDED) as record, ThreadPoolExecutor() as pool:
        for answer in pool.map(lambda client: svcprobe(shop.lab, "open", "-n", shop.name, "--from", client), CLIENTS):
            assert (answer.code, answer.report.codes) == (0, [])
    return record


def stand_ins(record: Recording) -> list[Object]:
    found = [pod for pod in record.of("pods") if STAND_IN_LABELS.items() <= pod["metadata"]["labels"].items()]
    assert {pod["metadata"]["labels"]["app"] for pod in found} == {"front", "bare", "agent"}
    return found


def test_no_service_sends_it_a_request(record: Recording) -> None:
    names = {pod["metadata"]["name"] for pod in stand_ins(record)}
    listed = [
        endpoint
        for found in record.of("endpointslices")
        for endpoint in found.get("endpoints") or ()
        if endpoint.get("targetRef", {}).get("name") in names
    ]
    assert listed, "the Services select its labels"
    assert not any(e["conditions"].get("ready") or e["conditions"].get("serving") for e in listed)
    for pod in stand_ins(record):
        conditions = {c["type"]: c["status"] for c in pod["status"].get("conditions", ())}
        assert conditions.get("Ready", "False") == "False"


def test_no_controller_touches_it(shop: Namespace, record: Recording) -> None:
    for pod in stand_ins(record):
        owners = [owner["kind"] for owner in pod["metadata"].get("ownerReferences", ())]
        assert owners == ([] if pod["metadata"]["labels"]["app"] == "front" else ["ConfigMap"])
        writers = {entry["manager"] for entry in pod["metadata"].get("managedFields", ())}
        assert not any("controller" in writer for writer in writers), writers


@pytest.mark.parametrize("name", ["front", "bare"])
def test_no_replica_set_counts_it(record: Recording, name: str) -> None:
    assert {found["status"]["replicas"] for found in record.of("replicasets", name)} == {2 if name == "front" else 1}


def test_no_daemon_set_counts_it(record: Recording) -> None:
    states = [found["status"] for found in record.of("daemonsets")]
    assert {(s["currentNumberScheduled"], s["numberMisscheduled"]) for s in states} == {(len_of(record), 0)}


def len_of(record: Recording) -> int:
    return len({p["metadata"]["name"] for p in record.of("pods", "agent-")})


def test_the_pods_of_the_client_stay_as_they_are(shop: Namespace, record: Recording) -> None:
    theirs = {p["metadata"]["name"] for p in record.of("pods") if not p["metadata"]["name"].startswith("svcprobe-")}
    assert theirs == set(shop.names("pods"))
    assert not any(
        pod["metadata"].get("deletionTimestamp") for pod in record.of("pods") if pod["metadata"]["name"] in theirs
    )


@pytest.mark.parametrize("name", ["front", "bare", "agent"])
def test_no_budget_allows_more_or_less_for_it(record: Recording, name: str) -> None:
    states = [found["status"] for found in record.of("poddisruptionbudgets", name)]
    told = {(s["disruptionsAllowed"], s["currentHealthy"], s["desiredHealthy"]) for s in states}
    assert len(told) == 1, told


# --- where it could be taken for one, there is none


def test_it_is_refused_where_a_service_publishes_pods_that_are_not_ready(shop: Namespace) -> None:
    shop.apply(service("peers", selector={"app": "back"}, publishNotReadyAddresses=True))
    answer = kubectl_svcprobe(shop.lab, "open", "-n", shop.name, "--from", "deploy/back")
    shop.kubectl("delete", "service", "peers")
    assert (answer.code, answer.stdout) == (3, "")
    assert "service/peers selects its labels and publishes addresses of pods that are not ready" in answer.stderr


def test_it_is_refused_where_a_budget_would_be_upset(shop: Namespace) -> None:
    shop.apply(budget("bare", minAvailable="50%"))
    answer = kubectl_svcprobe(shop.lab, "open", "-n", shop.name, "--from", "rs/bare")
    shop.apply(budget("bare", minAvailable=1))
    assert (answer.code, answer.stdout) == (3, "")
    assert (
        "replicaset/bare would adopt it, and the owner that prevents it would upset poddisruptionbudget/bare"
        in answer.stderr
    )


# --- the pod itself


def test_the_published_permissions_are_enough_and_dry_run_prints_the_pod(shop: Namespace) -> None:
    kubeconfig = str(make_user(shop, [*READ, *PROBE, *CLIENT]))
    arguments = [
        "open",
        "--from",
        "rs/bare",
        "--mesh",
        "skip",
        "--image-pull-secret",
        "mine",
        "--kubeconfig",
        kubeconfig,
    ]
    answer = kubectl_svcprobe(shop.lab, *arguments, "--dry-run")
    assert (answer.code, answer.stderr) == (0, "")
    pod = yaml.safe_load(answer.stdout)
    assert pod["metadata"]["labels"] == {
        "app": "bare",
        "sidecar.istio.io/inject": "false",
        "istio.io/dataplane-mode": "none",
        "kuma.io/sidecar-injection": "disabled",
        **STAND_IN_LABELS,
    }
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ConfigMap", "kube-root-ca.crt", True)
    assert pod["spec"]["imagePullSecrets"] == [{"name": "mine"}]
    made = shop.lab.run(
        ["kubectl", "create", "--dry-run=server", "-o", "name", "-f", "-", "--kubeconfig", kubeconfig],
        input=answer.stdout,
    )
    assert made.stdout.startswith("pod/svcprobe-")


def test_one_that_is_kept_is_found_by_cleanup(shop: Namespace) -> None:
    kept = svcprobe(shop.lab, "open", "-n", shop.name, "--from", "deploy/front", "--keep-pod")
    name = kept.report.json["probe"]["pod"]
    assert name in shop.names("pods")
    removed = kubectl_svcprobe(shop.lab, "cleanup", "-n", shop.name)
    assert removed.stdout == f"pod {shop.name}/{name} removed\n"
