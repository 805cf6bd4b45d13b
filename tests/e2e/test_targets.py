"""Whatever is at hand names the Service: each row of `targets/words.yaml`, given to the installed command."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.e2e import targets
from tests.e2e.cluster import Namespace
from tests.e2e.command import Answer, kubectl_svcprobe, svcprobe
from tests.e2e.targets import Row
from tests.lab import Lab

pytestmark = pytest.mark.lab

#: A packet would add nothing.
QUIET = ["--no-probe", "--no-from-here"]

KINDS = {
    "httproutes.gateway.networking.k8s.io": "HTTPRoute",
    "grpcroutes.gateway.networking.k8s.io": "GRPCRoute",
    "routes.route.openshift.io": "Route",
}


@pytest.fixture(scope="module")
def shop(namespace: Namespace) -> Mapping[str, str]:
    """What the rows speak of; the values are what this cluster chose."""
    for name in ("shop", "workloads"):
        namespace.lab.kubectl("-n", namespace.name, "apply", "-f", str(targets.FOLDER / f"{name}.yaml"))
    status = (targets.FOLDER / "status.json").read_text()
    namespace.kubectl("patch", "service", "public", "--subresource=status", "--type=merge", "-p", status)
    namespace.roll_out("web")
    namespace.kubectl("wait", "--for=condition=Ready", "pod/stray", "pod/db-0", "--timeout=60s")
    pods = {pod["metadata"]["name"]: pod for pod in namespace.get("pods")["items"]}
    web = next(pod for name, pod in pods.items() if name.startswith("web-"))
    node, address = _node_of_nobody(namespace)
    return {
        "ns": namespace.name,
        "pod": web["metadata"]["name"],
        "replicaset": web["metadata"]["ownerReferences"][0]["name"],
        "pod-ip": web["status"]["podIP"],
        "pod-ip-dashed": web["status"]["podIP"].replace(".", "-"),
        "db-ip": pods["db-0"]["status"]["podIP"],
        "stray-ip": pods["stray"]["status"]["podIP"],
        "zone": pods["stray"]["metadata"]["labels"]["topology.kubernetes.io/zone"],
        "node": node,
        "node-ip": address,
    }


def _node_of_nobody(namespace: Namespace) -> tuple[str, str]:
    """A node, by name and address, that other work does not use as an external IP."""
    services = json.loads(namespace.lab.kubectl("get", "services", "-A", "-o", "json"))["items"]
    taken = {ip for service in services for ip in service["spec"].get("externalIPs", ())}
    nodes = {
        node["metadata"]["name"]: node["status"]["addresses"][0]["address"] for node in namespace.get("nodes")["items"]
    }
    return next((name, ip) for name, ip in nodes.items() if ip not in taken)


@pytest.fixture(scope="module")
def routes(namespace: Namespace, shop: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Routes of kinds that the cluster may not have: such as are missing are there for as long."""
    with contextlib.ExitStack() as stack:
        for definition in KINDS:
            if not namespace.kubectl("get", "crd", definition, "--ignore-not-found"):
                stack.enter_context(_kind(namespace, definition))
        namespace.kubectl("apply", "-f", str(targets.FOLDER / "routes.yaml"))
        yield shop


@contextlib.contextmanager
def _kind(namespace: Namespace, name: str) -> Iterator[None]:
    plural, _, group = name.partition(".")
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": plural[:-1], "kind": KINDS[name]},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
        },
    }
    namespace.lab.kubectl("apply", "-f", "-", input=json.dumps(definition))
    try:
        namespace.kubectl("wait", "--for=condition=Established", f"crd/{name}", "--timeout=30s")
        yield
    finally:
        namespace.kubectl("delete", "crd", name, "--wait=false")


Answers = dict[Row, Future[Answer]]


def _ask_all(lab: Lab, which: str, values: Mapping[str, str], *flags: str) -> Iterator[Answers]:
    """A run for each row, a few at a time, since each of them mostly waits."""

    def ask(row: Row) -> Answer:
        row = row.filled(values)
        return kubectl_svcprobe(lab, row.give, *shlex.split(row.flags), *QUIET, *flags)

    with ThreadPoolExecutor(4) as threads:
        yield {row: threads.submit(ask, row) for row in targets.rows(which)}
        threads.shutdown(cancel_futures=True)


@pytest.fixture(scope="module")
def refusals(lab: Lab, shop: Mapping[str, str]) -> Iterator[Answers]:
    yield from _ask_all(lab, "wrong", shop)


@pytest.fixture(scope="module")
def reports(lab: Lab, routes: Mapping[str, str]) -> Iterator[Answers]:
    yield from _ask_all(lab, "right", routes, "-o", "json")


@pytest.mark.parametrize("row", targets.rows("wrong"), ids=lambda row: row.give or "nothing")
def test_a_wrong_word_is_told_what_it_is(refusals: Answers, shop: Mapping[str, str], row: Row) -> None:
    answer = refusals[row].result()
    row = row.filled(shop)
    assert answer.code == row.code, answer
    if row.reports:
        said = " ".join(answer.stdout.partition("\n\n")[0].split())
        assert said == f"? {row.reports}"
    else:
        assert (answer.stdout, answer.stderr.count("\n")) == ("", 1)
        assert answer.stderr == f"{row.says}\n" or (row.begins and answer.stderr.startswith(row.begins))
    assert "cret" not in answer.stdout + answer.stderr


@pytest.mark.parametrize("row", targets.rows("right"), ids=lambda row: row.give)
def test_whatever_is_at_hand_leads_to_its_services(reports: Answers, shop: Mapping[str, str], row: Row) -> None:
    answer = reports[row].result()
    row = row.filled(shop)
    services = [report.json["service"] for report in answer.reports]
    assert {service["namespace"] for service in services} == {shop["ns"]}, answer.stderr
    wanted = [word.partition(":")[::2] for word in row.leads.split()]
    assert [service["name"] for service in services] == [name for name, _ in wanted]
    for service, (_, port) in zip(services, wanted, strict=True):
        assert not port or [p["port"] for p in service["ports"]] == [int(port)]
    assert answer.reports[0].json["target"] == row.asked
    assert "cret" not in answer.stdout + answer.stderr


def test_a_url_is_asked_as_it_stands(lab: Lab, shop: Mapping[str, str]) -> None:
    answer = svcprobe(lab, f"http://app:s3cret@explain.{shop['ns']}/hostname?x=1#top", "--one-pod")
    assert {path["request"] for path in answer.report.paths(vantage="probe pod")} == {"GET /hostname?x=1"}
    assert set(answer.report.outcomes("ClusterIP").values()) == {"answered"}
    assert "s3cret" not in answer.stdout + answer.stderr


def test_a_word_decides_what_the_pod_would_ask(lab: Lab, shop: Mapping[str, str]) -> None:
    manifest = kubectl_svcprobe(lab, f"https://explain.{shop['ns']}:80/hostname", "--dry-run").stdout
    assert "https://" in manifest
    assert "/hostname" in manifest
