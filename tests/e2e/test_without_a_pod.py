"""Where no probe pod may run, or one is there already: through the API server, and from inside a client."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubectl_svcprobe.access.permissions import API_SERVER, INSIDE, READ
from tests.e2e.cluster import Namespace, Object, deployment, service
from tests.e2e.command import kubectl_svcprobe, svcprobe
from tests.e2e.rights import forget_users, make_user
from tests.lab import CURL_STAND_IN

pytestmark = pytest.mark.lab

#: A client that has curl, and goes on asking its own closed port.
WITH_CURL: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "client", "labels": {"role": "client"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "client",
                "image": CURL_STAND_IN,
                "command": ["curl", "-s", "--retry", "1000", "--retry-delay", "60", "--retry-connrefused"],
                "args": ["http://127.0.0.1:1/"],
            }
        ],
    },
}


@pytest.fixture(scope="module")
def web(namespace: Namespace) -> Iterator[Namespace]:
    """A Service that works, and one that leads to a port where nothing listens."""
    wrong = service("wrong", selector={"app": "web"}, ports=[{"name": "http", "port": 80, "targetPort": 9}])
    namespace.apply(deployment(), service(), wrong, WITH_CURL)
    namespace.roll_out("web")
    namespace.kubectl("wait", "--for=condition=Ready", "pod/client", "--timeout=60s")
    yield namespace
    forget_users(namespace)


def test_who_may_create_no_pod_is_told_what_the_api_server_meets(web: Namespace) -> None:
    kubeconfig = str(make_user(web, [*READ, *API_SERVER]))
    answer = svcprobe(web.lab, "web", "--kubeconfig", kubeconfig)
    assert (answer.code, answer.report.verdict, answer.report.codes) == (3, "unknown", ["SVC902"])
    assert answer.report.outcomes("ServiceProxy", "API server") == {"services/web:80": "answered"}
    assert set(answer.report.outcomes("PortForward", "API server").values()) == {"answered"}
    assert any("create role" in line for line in answer.report.finding("SVC902")["fix"])


def test_without_a_probe_a_port_where_nothing_listens_is_found_all_the_same(web: Namespace) -> None:
    kubeconfig = str(make_user(web, [*READ, *API_SERVER]))
    answer = svcprobe(web.lab, "wrong", "--no-probe", "--kubeconfig", kubeconfig)
    assert (answer.code, answer.report.verdict, answer.report.codes) == (1, "broken", ["SVC905"])
    well = svcprobe(web.lab, "web", "--no-probe", "--kubeconfig", kubeconfig)
    assert (well.code, well.report.verdict, well.stderr) == (0, "ok", "")


def test_who_may_read_services_only_still_learns_whether_they_answer(web: Namespace) -> None:
    services = next(p for p in READ if p.plural == "services")
    proxy = next(p for p in API_SERVER if p.plural == "services/proxy")
    answer = svcprobe(web.lab, "web", "--kubeconfig", str(make_user(web, [services, proxy])))
    assert (answer.code, answer.report.verdict) == (3, "unknown")
    assert answer.report.outcomes("ServiceProxy", "API server") == {"services/web:80": "answered"}


def test_what_may_not_be_asked_either_is_named_with_its_reason(web: Namespace) -> None:
    answer = svcprobe(web.lab, "web", "--no-probe", "--kubeconfig", str(make_user(web, READ)))
    assert (answer.code, answer.report.verdict) == (0, "ok")
    for path in answer.report.paths("ServiceProxy") + answer.report.paths("PortForward"):
        assert (path["outcome"], "forbidden" in path["detail"]) == ("not-run", True)
    assert {p["kind"] for p in answer.report.paths()} >= {"ServiceProxy", "PortForward", "ClusterIP", "DNS", "Endpoint"}


def test_a_client_that_has_curl_asks_itself(web: Namespace) -> None:
    before = web.get("pod", "client")["spec"]
    kubeconfig = str(make_user(web, [*READ, *INSIDE]))
    answer = svcprobe(web.lab, "web", "--in", "pod/client", "--kubeconfig", kubeconfig)
    assert (answer.code, answer.report.verdict, answer.stderr) == (0, "ok", "")
    assert set(answer.report.outcomes("ClusterIP").values()) == {"answered"}
    assert web.get("pod", "client")["spec"] == before


def test_a_client_without_curl_gets_a_container_that_asks_and_is_told_of_before(web: Namespace) -> None:
    (pod, *_) = web.names("pods", "-l", "app=web")
    answer = svcprobe(web.lab, "web", "--in", f"pod/{pod}", "--kubeconfig", str(make_user(web, [*READ, *INSIDE])))
    assert (answer.code, answer.report.verdict) == (0, "ok")
    (entry,) = web.get("pod", pod)["spec"]["ephemeralContainers"]
    assert entry["name"] in answer.stderr
    assert "stays in the pod's spec" in answer.stderr


def test_a_client_that_is_not_there_is_one_line(web: Namespace) -> None:
    answer = kubectl_svcprobe(web.lab, "web", "-n", web.name, "--in", "pod/nobody")
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"error: --in: there is no pod nobody in {web.name}")
    assert len(answer.stderr.splitlines()) == 1
