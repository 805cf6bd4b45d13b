"""Where the user, the namespace or the nodes allow little: the probe still runs, or the report says what is missing."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kubectl_svcprobe.access.permissions import API_SERVER, PROBE, READ, Permission
from tests.e2e.cluster import Namespace, Object, deployment, ready_addresses, service
from tests.e2e.command import Report, kubectl_svcprobe, svcprobe
from tests.e2e.rights import forget_users, make_user
from tests.lab import Lab

pytestmark = pytest.mark.lab

PROBE_PODS = "app.kubernetes.io/managed-by=kubectl-svcprobe"

RESTRICTED: Object = {
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
}


@pytest.fixture(scope="module")
def web(namespace: Namespace) -> Iterator[Namespace]:
    """A Service that works, by node port too, and one whose selector has a typo."""
    namespace.apply(
        deployment(), service(type="NodePort"), {**service("typo"), "spec": {**service("typo")["spec"], **WRONG}}
    )
    namespace.roll_out("web")
    yield namespace
    forget_users(namespace)


WRONG = {"selector": {"app": "wbe"}}


def assert_no_pod_is_left(namespace: Namespace) -> None:
    namespace.until("pods", lambda pods: not pods, PROBE_PODS)


# --- namespaces


def test_a_namespace_that_enforces_restricted_pods(lab: Lab) -> None:
    with Namespace.fresh(lab, "test-pod-security", "pod-security.kubernetes.io/enforce=restricted") as namespace:
        confined = deployment(**RESTRICTED)
        container = confined["spec"]["template"]["spec"]["containers"][0]
        container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        namespace.apply(confined, service(type="NodePort"))
        namespace.roll_out("web")
        answer = svcprobe(lab, "web", "-n", namespace.name)
        assert (answer.code, answer.report.verdict, answer.stderr) == (0, "ok", "")
        assert set(answer.report.outcomes("ClusterIP").values()) == {"answered"}
        assert_no_pod_is_left(namespace)


def test_a_namespace_with_quota_and_limits(lab: Lab) -> None:
    with Namespace.fresh(lab, "test-quota") as namespace:
        quantities = {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "512Mi"}
        hard = {f"{kind}.{what}": value for kind in ("requests", "limits") for what, value in quantities.items()}
        default = {"cpu": "100m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
        limits = {"type": "Container", "default": default, "defaultRequest": default, "max": quantities}
        namespace.apply(
            {
                "kind": "ResourceQuota",
                "apiVersion": "v1",
                "metadata": {"name": "all"},
                "spec": {"hard": {**hard, "pods": "2"}},
            },
            {
                "kind": "LimitRange",
                "apiVersion": "v1",
                "metadata": {"name": "all"},
                "spec": {"limits": [{**limits, "maxLimitRequestRatio": {"cpu": "1", "memory": "1"}}]},
            },
        )
        namespace.kubectl("wait", "--for=jsonpath={.status.hard.pods}=2", "resourcequota/all", "--timeout=30s")
        namespace.apply(deployment(), service())
        namespace.roll_out("web")
        answer = svcprobe(lab, "web", "-n", namespace.name)
        assert (answer.code, answer.report.verdict, answer.stderr) == (0, "ok", "")
        assert_no_pod_is_left(namespace)

        # Now the last pod that the quota admits is another one.
        namespace.kubectl("scale", "deployment", "web", "--replicas=2")
        namespace.roll_out("web")
        full = svcprobe(lab, "web", "-n", namespace.name)
        assert (full.code, full.report.verdict, full.report.codes) == (3, "unknown", ["SVC902"])
        assert "exceeded quota: all" in full.report.finding("SVC902")["message"]
        assert len(full.report.ready_addresses) == 2, "all that needs no pod is said nevertheless"


def test_an_image_that_cannot_be_pulled(web: Namespace) -> None:
    started = time.monotonic()
    answer = svcprobe(web.lab, "web", "-n", web.name, "--image", "nosuch.test/curl:1")
    assert time.monotonic() - started < 12
    assert (answer.code, answer.report.verdict, answer.report.codes) == (3, "unknown", ["SVC902"])
    assert "nosuch.test/curl:1" in answer.report.finding("SVC902")["message"]
    assert set(answer.report.outcomes("NodePort", "this machine").values()) == {"answered"}
    assert set(answer.report.outcomes("ClusterIP").values()) == {"not-run"}
    assert_no_pod_is_left(web)


# --- users


def unread(report: Report) -> dict[str, str]:
    """What could not be read, and why, without the rules that were skipped for it."""
    return {what: why for what, why in report.skipped.items() if not what.startswith("SVC")}


def test_who_may_read_only_the_service_learns_no_more(web: Namespace) -> None:
    kubeconfig = make_user(web, [only(READ, "services")])
    answer = svcprobe(web.lab, "web", "--kubeconfig", str(kubeconfig))
    assert (answer.code, answer.report.verdict) == (3, "unknown")
    assert answer.report.codes[0] == "SVC901"
    assert "could not tell" in answer.report.summary
    refused = unread(answer.report)
    for plural in ("pods", "endpointslices", "events", "networkpolicies"):
        assert refused[f"{plural} in {web.name}"].startswith("forbidden"), refused
    assert refused["nodes"].startswith("forbidden")
    assert (answer.report.pods, answer.report.ready_addresses) == (set(), set())
    text = kubectl_svcprobe(web.lab, "web", "--kubeconfig", str(kubeconfig)).stdout
    assert "0 pods" not in text
    assert "no endpoint" not in text


def test_who_may_not_create_pods_sees_the_objects_and_what_this_machine_sees(web: Namespace) -> None:
    kubeconfig = make_user(web, READ)
    answer = svcprobe(web.lab, "web", "--kubeconfig", str(kubeconfig))
    assert (answer.code, answer.report.verdict, answer.report.codes) == (3, "unknown", ["SVC902"])
    assert "cannot create resource" in answer.report.finding("SVC902")["message"]
    assert unread(answer.report) == {}
    assert answer.report.pods == set(web.names("pods", "-l", "app=web"))
    assert set(answer.report.outcomes("NodePort", "this machine").values()) == {"answered"}

    without = svcprobe(web.lab, "web", "--kubeconfig", str(kubeconfig), "--no-probe")
    assert (without.code, without.report.verdict, without.stderr) == (0, "ok", "")


def test_the_permissions_as_published_are_enough(web: Namespace) -> None:
    kubeconfig = str(make_user(web, [*READ, *PROBE]))
    for target, code in (("web", 0), ("typo", 1), ("nosuch", 3)):
        answer = svcprobe(web.lab, target, "--kubeconfig", kubeconfig)
        assert (answer.code, unread(answer.report), answer.stderr) == (code, {}, "")
    listed = svcprobe(web.lab, "--kubeconfig", kubeconfig)
    assert [(r.json["service"]["name"], r.verdict) for r in listed.reports] == [("typo", "broken"), ("web", "ok")]
    assert kubectl_svcprobe(web.lab, "cleanup", "--kubeconfig", kubeconfig).code == 0
    assert_no_pod_is_left(web)


def test_they_are_enough_for_one_namespace_alone(web: Namespace) -> None:
    """Then a name cannot be looked for in other namespaces, which is said."""
    kubeconfig = str(make_user(web, [*READ, *PROBE], everywhere=False))
    answer = svcprobe(web.lab, "web", "--kubeconfig", kubeconfig)
    assert (answer.code, answer.report.verdict, unread(answer.report)) == (0, "ok", {})
    missing = svcprobe(web.lab, "nosuch", "--kubeconfig", kubeconfig)
    assert (missing.code, missing.report.codes) == (3, ["SVC101"])
    assert "forbidden" in unread(missing.report)["services in all namespaces"]


def only(permissions: tuple[Permission, ...], plural: str) -> Permission:
    return next(p for p in permissions if p.plural == plural)


#: For each permission, a Service whose report needs it.
NEEDED_FOR = {
    "endpointslices": "web",
    "events": "web",
    "networkpolicies": "web",
    "ingresses": "web",
    "nodes": "web",
    "deployments": "typo",
    "statefulsets": "typo",
    "daemonsets": "typo",
}


#: What only adds a word to the finding about a Service that is down: its refusal takes nothing else away.
OPTIONAL = {
    "httproutes",
    "grpcroutes",
    "routes",
    "gateways",
    "ingressclasses",
    "configmaps",
    "replicasets",
    "horizontalpodautoscalers",
    "peerauthentications",
    "authorizationpolicies",
    "jobs",
    "servicecidrs",
}


@pytest.mark.parametrize("plural", sorted(OPTIONAL))
def test_what_only_adds_a_word_takes_nothing_else_away(web: Namespace, plural: str) -> None:
    kubeconfig = make_user(web, [*(p for p in READ if p.plural != plural), *PROBE])
    answer = svcprobe(web.lab, "typo", "--kubeconfig", str(kubeconfig))
    assert (answer.code, answer.report.codes, unread(answer.report)) == (1, ["SVC201"], {})


@pytest.mark.parametrize("plural", NEEDED_FOR)
def test_what_may_not_be_read_is_named_and_not_taken_for_empty(web: Namespace, plural: str) -> None:
    kubeconfig = make_user(web, [*(p for p in READ if p.plural != plural), *PROBE])
    target = NEEDED_FOR[plural]
    answer = svcprobe(web.lab, target, "--kubeconfig", str(kubeconfig))
    what = "nodes" if plural == "nodes" else f"{plural} in {web.name}"
    assert set(unread(answer.report)) == {what}
    assert unread(answer.report)[what].startswith("forbidden")
    if target == "web":
        assert answer.report.codes == [], "what answers is not called broken for lack of knowledge"
        assert set(answer.report.outcomes("ClusterIP").values()) == {"answered"}
    else:
        assert answer.report.codes == ["SVC201"]
    text = kubectl_svcprobe(web.lab, target, "--kubeconfig", str(kubeconfig), "-o", "wide").stdout
    assert plural in text


@contextmanager
def refusing(web: Namespace) -> Iterator[str]:
    """A Service that leads to a port where nothing listens."""
    ports = [{"name": "http", "port": 80, "targetPort": 9}]
    web.apply(service("refused", selector={"app": "web"}, ports=ports))
    web.until("endpointslices", lambda found: bool(ready_addresses(found)), "kubernetes.io/service-name=refused")
    try:
        yield "refused"
    finally:
        web.kubectl("delete", "service", "refused")


@pytest.mark.parametrize(("withheld", "said"), [("", "refused there too"), ("pods/portforward", "could not be asked")])
def test_a_refusal_is_looked_into_by_who_may_forward_ports(web: Namespace, withheld: str, said: str) -> None:
    kubeconfig = make_user(web, [*READ, *(p for p in PROBE if p.plural != withheld)])
    with refusing(web) as name:
        answer = svcprobe(web.lab, name, "--kubeconfig", str(kubeconfig))
    assert (answer.code, answer.report.codes, answer.stderr) == (1, ["SVC406"], "")
    (line,) = (line for line in answer.report.finding("SVC406")["evidence"] if line.startswith("port-forward"))
    assert said in line
    assert ("forbidden" in line) == bool(withheld)


def test_every_published_permission_is_tried_out() -> None:
    others = {"services", "pods", "namespaces", "pods/log", "pods/portforward"} | OPTIONAL
    assert set(NEEDED_FOR) | others == {p.plural for p in (*READ, *PROBE)}


def test_who_may_not_read_the_log_is_told_so(web: Namespace) -> None:
    kubeconfig = make_user(web, [*READ, only(PROBE, "pods")])
    answer = svcprobe(web.lab, "web", "--kubeconfig", str(kubeconfig))
    assert (answer.code, answer.report.codes) == (3, ["SVC902"])
    assert "log cannot be read" in answer.report.finding("SVC902")["message"]
    assert_no_pod_is_left(web)


def test_a_stranger_is_refused_in_the_words_of_the_server(web: Namespace) -> None:
    kubeconfig = make_user(web, [])
    answer = kubectl_svcprobe(web.lab, "web", "--kubeconfig", str(kubeconfig))
    theirs = web.lab.run(["kubectl", "get", "service", "web", "--kubeconfig", kubeconfig], check=False).stderr
    assert (answer.code, answer.stdout) == (3, "")
    assert answer.stderr == theirs


# --- what is asked


def test_nothing_is_asked_beyond_the_published_permissions(web: Namespace) -> None:
    """By the API server's own audit log, over all that the command does."""
    kubeconfig = make_user(web, [*READ, *PROBE, *API_SERVER])
    for arguments in (["web"], ["typo"], ["nosuch"], [], ["web", "--no-probe"], ["web", "--dry-run"], ["cleanup"]):
        kubectl_svcprobe(web.lab, *arguments, "--kubeconfig", str(kubeconfig))
    with refusing(web) as name:
        kubectl_svcprobe(web.lab, name, "--kubeconfig", str(kubeconfig))
    asked = audited(web.lab, str(kubeconfig))
    allowed = {(verb, p.plural) for p in (*READ, *PROBE, *API_SERVER) for verb in p.verbs}
    assert {what for what, _ in asked} <= allowed
    assert {code for _, code in asked} <= {101, 200, 201, 404, 502, 503}
    assert ("create", "pods") in {what for what, _ in asked}


def audited(lab: Lab, kubeconfig: str) -> list[tuple[tuple[str, str], int]]:
    """Verb, resource and status of all requests of this user's runs, up to the request that is made here for a mark."""
    me = json.loads(lab.kubectl("auth", "whoami", "-o", "json", "--kubeconfig", kubeconfig))["status"]["userInfo"][
        "username"
    ]
    found: list[tuple[tuple[str, str], int]] = []
    log = ["timeout", "20", "tail", "-n", "+1", "-F", str(lab.layout.audit_log)]
    with subprocess.Popen(log, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                event: dict[str, Any] = json.loads(line)
                if event["user"]["username"] != me:
                    continue
                if "selfsubjectreviews" in event["requestURI"]:
                    return found
                # Which APIs there are may be asked by everybody who is somebody (system:discovery).
                if event["userAgent"].startswith("kubectl-svcprobe/") and event["requestURI"] != "/apis":
                    about = event["objectRef"]
                    parts = filter(None, (about["resource"], about.get("subresource")))
                    found.append(((event["verb"], "/".join(parts)), event["responseStatus"]["code"]))
        finally:
            process.terminate()
    raise AssertionError("the audit log does not come to an end")
