"""What `ClusterApi` promises, checked against the cluster in memory and against a real API server."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kubectl_svcprobe.access.resources import ENDPOINT_SLICES, EVENTS, PODS, SERVICES, Resource
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import ApiError, Conflict, Forbidden, NotFound
from tests.contract.backends import Backend, fake_backend, real_backend

ROUTES = Resource("not-served.example", "v1", "routes", "Route")


@pytest.fixture(params=["fake", pytest.param("api", marks=pytest.mark.api)])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "fake":
        with fake_backend() as backend:
            yield backend
        return
    with real_backend(request.getfixturevalue("api_lab")) as backend:
        yield backend


def service(name: str, **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {"ports": [{"port": 80}]},
    }


def pod(name: str) -> dict[str, Any]:
    """A pod that no scheduler takes, so that it stays as it was created."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "main", "image": "none"}]},
    }


def names(items: list[dict[str, Any]]) -> list[str]:
    return [item["metadata"]["name"] for item in items]


def test_get_returns_the_object_with_kind_and_identity(backend: Backend) -> None:
    created = backend.cluster.create(SERVICES, backend.namespace, service("web"))
    found = backend.cluster.get(SERVICES, backend.namespace, "web")
    assert (found["kind"], found["apiVersion"]) == ("Service", "v1")
    assert found["metadata"]["namespace"] == backend.namespace
    assert found["metadata"]["uid"] == created["metadata"]["uid"]
    assert found["metadata"]["resourceVersion"]
    assert found["metadata"]["creationTimestamp"]


@pytest.mark.parametrize(
    ("resource", "message"),
    [
        (SERVICES, 'Error from server (NotFound): services "nope" not found'),
        (ENDPOINT_SLICES, 'Error from server (NotFound): endpointslices.discovery.k8s.io "nope" not found'),
    ],
)
def test_what_does_not_exist_is_not_found_in_kubectls_words(backend: Backend, resource: Resource, message: str) -> None:
    with pytest.raises(NotFound) as error:
        backend.cluster.get(resource, backend.namespace, "nope")
    assert (error.value.status, error.value.reason, str(error.value)) == (404, "NotFound", message)


def test_a_resource_that_is_not_served_is_not_found(backend: Backend) -> None:
    with pytest.raises(NotFound, match="the server could not find the requested resource"):
        backend.cluster.list(ROUTES, backend.namespace)


def test_an_empty_namespace_and_one_that_does_not_exist_have_no_objects(backend: Backend) -> None:
    assert backend.cluster.list(SERVICES, backend.namespace) == []
    assert backend.cluster.list(SERVICES, "no-such-namespace") == []


def test_listed_objects_come_by_name_and_without_kind(backend: Backend) -> None:
    for name in ("b", "c", "a"):
        backend.cluster.create(SERVICES, backend.namespace, service(name))
    items = backend.cluster.list(SERVICES, backend.namespace)
    assert names(items) == ["a", "b", "c"]
    assert not any("kind" in item or "apiVersion" in item for item in items)


def test_without_a_namespace_all_of_them_are_listed(backend: Backend) -> None:
    backend.cluster.create(SERVICES, backend.namespace, service("web"))
    found = backend.cluster.list(SERVICES)
    assert (backend.namespace, "web") in {(item["metadata"]["namespace"], item["metadata"]["name"]) for item in found}


def test_pages_do_not_show(backend: Backend) -> None:
    for number in range(5):
        backend.cluster.create(SERVICES, backend.namespace, service(f"web-{number}"))
    paged = backend.cluster.list(SERVICES, backend.namespace, limit=2)
    assert names(paged) == [f"web-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("app=web", ["blue", "green"]),
        ("app==web,colour=green", ["green"]),
        ("app!=web", ["bare", "other"]),
        ("colour in (blue, red)", ["blue"]),
        ("app notin (web)", ["bare", "other"]),
        ("app", ["blue", "green", "other"]),
        ("!app", ["bare"]),
        ("app=nothing", []),
    ],
)
def test_labels_select(backend: Backend, selector: str, expected: list[str]) -> None:
    backend.cluster.create(SERVICES, backend.namespace, service("blue", app="web", colour="blue"))
    backend.cluster.create(SERVICES, backend.namespace, service("green", app="web", colour="green"))
    backend.cluster.create(SERVICES, backend.namespace, service("other", app="db"))
    backend.cluster.create(SERVICES, backend.namespace, service("bare"))
    assert names(backend.cluster.list(SERVICES, backend.namespace, label_selector=selector)) == expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("metadata.name=one", ["one"]),
        ("metadata.name!=one", ["two"]),
        ("spec.nodeName=", ["one", "two"]),
        ("spec.nodeName=node-1", []),
        ("spec.restartPolicy=Always,metadata.name=two", ["two"]),
    ],
)
def test_fields_select(backend: Backend, selector: str, expected: list[str]) -> None:
    for name in ("one", "two"):
        body = pod(name)
        body["spec"]["restartPolicy"] = "Always"
        backend.cluster.create(PODS, backend.namespace, body)
    assert names(backend.cluster.list(PODS, backend.namespace, field_selector=selector)) == expected


def test_events_are_selected_by_what_they_are_about(backend: Backend) -> None:
    for name in ("web", "db"):
        about = {"kind": "Service", "namespace": backend.namespace, "name": name}
        event = {"metadata": {"name": f"about-{name}"}, "involvedObject": about, "reason": "Test", "type": "Normal"}
        backend.cluster.create(EVENTS, backend.namespace, event)
    selector = "involvedObject.kind=Service,involvedObject.name=web"
    assert names(backend.cluster.list(EVENTS, backend.namespace, field_selector=selector)) == ["about-web"]


def test_a_field_that_cannot_be_selected_by_is_refused(backend: Backend) -> None:
    backend.cluster.create(SERVICES, backend.namespace, service("web"))
    with pytest.raises(ApiError, match="field label not supported") as error:
        backend.cluster.list(SERVICES, backend.namespace, field_selector="spec.nope=1")
    assert error.value.status == 400


def test_creating_twice_says_so(backend: Backend) -> None:
    backend.cluster.create(SERVICES, backend.namespace, service("web"))
    with pytest.raises(Conflict) as error:
        backend.cluster.create(SERVICES, backend.namespace, service("web"))
    assert error.value.reason == "AlreadyExists"
    assert str(error.value) == 'Error from server (AlreadyExists): services "web" already exists'


def test_a_dry_run_creates_nothing(backend: Backend) -> None:
    would_be = backend.cluster.create(PODS, backend.namespace, pod("web"), dry_run=True)
    assert would_be["metadata"]["name"] == "web"
    assert backend.cluster.list(PODS, backend.namespace) == []


def test_a_generated_name_is_returned(backend: Backend) -> None:
    body = pod("ignored")
    body["metadata"] = {"generateName": "probe-"}
    created = backend.cluster.create(PODS, backend.namespace, body)
    assert created["metadata"]["name"].startswith("probe-")
    assert names(backend.cluster.list(PODS, backend.namespace)) == [created["metadata"]["name"]]


def test_the_body_handed_in_is_not_changed(backend: Backend) -> None:
    body = pod("web")
    backend.cluster.create(PODS, backend.namespace, body)
    assert body == pod("web")


def test_what_is_deleted_is_gone(backend: Backend) -> None:
    backend.cluster.create(PODS, backend.namespace, pod("web"))
    backend.cluster.delete(PODS, backend.namespace, "web", grace_period=0)
    with pytest.raises(NotFound):
        backend.cluster.get(PODS, backend.namespace, "web")
    with pytest.raises(NotFound):
        backend.cluster.delete(PODS, backend.namespace, "web")


def test_another_object_of_the_same_name_is_not_deleted(backend: Backend) -> None:
    created = backend.cluster.create(PODS, backend.namespace, pod("web"))
    with pytest.raises(Conflict) as error:
        backend.cluster.delete(PODS, backend.namespace, "web", uid="00000000-0000-0000-0000-000000000000")
    assert error.value.reason == "Conflict"
    backend.cluster.delete(PODS, backend.namespace, "web", uid=created["metadata"]["uid"])
    assert backend.cluster.list(PODS, backend.namespace) == []


def test_a_watch_goes_on_from_a_listing(backend: Backend) -> None:
    backend.cluster.create(PODS, backend.namespace, pod("before"))
    version = backend.cluster.listing(PODS, backend.namespace).resource_version
    created = backend.cluster.create(PODS, backend.namespace, pod("web"))
    backend.cluster.create(PODS, backend.namespace, pod("other"))
    backend.cluster.delete(PODS, backend.namespace, "web", grace_period=0)
    events = backend.cluster.watch(
        PODS, backend.namespace, field_selector="metadata.name=web", resource_version=version, timeout=5
    )
    with contextlib.closing(events):
        kind, item = next(events)
        assert (kind, item["kind"], item["metadata"]["uid"]) == ("ADDED", "Pod", created["metadata"]["uid"])
        assert any(kind == "DELETED" for kind, _ in events)


def test_a_watch_from_nowhere_starts_with_what_is_there(backend: Backend) -> None:
    backend.cluster.create(SERVICES, backend.namespace, service("web", app="web"))
    backend.cluster.create(SERVICES, backend.namespace, service("db", app="db"))
    with contextlib.closing(
        backend.cluster.watch(SERVICES, backend.namespace, label_selector="app=web", timeout=5)
    ) as events:
        kind, item = next(events)
    assert (kind, item["metadata"]["name"]) == ("ADDED", "web")


def test_a_watch_ends_when_its_time_is_over(backend: Backend) -> None:
    started = time.monotonic()
    version = backend.cluster.listing(SERVICES, backend.namespace).resource_version
    events = list(backend.cluster.watch(SERVICES, backend.namespace, resource_version=version, timeout=1))
    assert events == []
    assert time.monotonic() - started < 3


EPHEMERAL = {"spec": {"ephemeralContainers": [{"name": "probe-1", "image": "none", "command": ["curl"]}]}}

FORBIDDEN: dict[str, tuple[Callable[[ClusterApi, str], object], str]] = {
    "get": (lambda c, ns: c.get(SERVICES, ns, "web"), 'services "web" is forbidden: User "{user}" cannot get'),
    "list": (lambda c, ns: c.list(PODS, ns), 'pods is forbidden: User "{user}" cannot list resource "pods"'),
    "watch": (lambda c, ns: next(c.watch(PODS, ns, timeout=2)), 'pods is forbidden: User "{user}" cannot watch'),
    "create": (lambda c, ns: c.create(PODS, ns, pod("web")), 'pods is forbidden: User "{user}" cannot create'),
    "delete": (lambda c, ns: c.delete(PODS, ns, "web"), 'pods "web" is forbidden: User "{user}" cannot delete'),
    "log": (
        lambda c, ns: c.log(ns, "web", "main"),
        'pods "web" is forbidden: User "{user}" cannot get resource "pods/log"',
    ),
    "port-forward": (
        lambda c, ns: c.port_forward(ns, "web", [80], timeout=5, quiet=0.1),
        'pods "web" is forbidden: User "{user}" cannot get resource "pods/portforward"',
    ),
    "exec": (
        lambda c, ns: c.execute(ns, "web", "", ["curl"], timeout=5, limit_bytes=10),
        'pods "web" is forbidden: User "{user}" cannot get resource "pods/exec"',
    ),
    "ephemeral container": (
        lambda c, ns: c.patch(PODS, ns, "web", EPHEMERAL, subresource="ephemeralcontainers"),
        'pods "web" is forbidden: User "{user}" cannot patch resource "pods/ephemeralcontainers"',
    ),
    "list of another group": (
        lambda c, ns: c.list(ENDPOINT_SLICES, ns),
        'endpointslices.discovery.k8s.io is forbidden: User "{user}" cannot list resource "endpointslices" '
        'in API group "discovery.k8s.io" in the namespace "{namespace}"',
    ),
    "list of all": (
        lambda c, ns: c.list(PODS),
        'pods is forbidden: User "{user}" cannot list resource "pods" in API group "" at the cluster scope',
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_without_permission_everything_is_forbidden(backend: Backend, what: str) -> None:
    action, template = FORBIDDEN[what]
    with pytest.raises(Forbidden) as error:
        action(backend.stranger, backend.namespace)
    user = error.value.message.split('User "')[1].split('"')[0]
    expected = template.format(user=user, namespace=backend.namespace)
    assert str(error.value).startswith("Error from server (Forbidden): " + expected)
    assert (error.value.status, error.value.reason) == (403, "Forbidden")


def test_the_log_of_no_pod_is_not_found(backend: Backend) -> None:
    with pytest.raises(NotFound, match='pods "web" not found'):
        backend.cluster.log(backend.namespace, "web", "main")


def test_the_log_of_no_container_is_refused(backend: Backend) -> None:
    backend.cluster.create(PODS, backend.namespace, pod("web"))
    with pytest.raises(ApiError, match="container nope is not valid for pod web") as error:
        backend.cluster.log(backend.namespace, "web", "nope")
    assert error.value.status == 400


def test_no_port_is_forwarded_to_no_pod_or_to_one_without_a_node(backend: Backend) -> None:
    """To one that runs: tests/e2e, since no kubelet is part of this."""
    with pytest.raises(NotFound, match='pods "web" not found'):
        backend.cluster.port_forward(backend.namespace, "web", [80], timeout=5, quiet=0.1)
    backend.cluster.create(PODS, backend.namespace, pod("web"))
    with pytest.raises(ApiError, match="pod web does not have a host assigned") as error:
        backend.cluster.port_forward(backend.namespace, "web", [80], timeout=5, quiet=0.1)
    assert error.value.status == 400


def test_no_command_runs_in_no_pod_or_in_one_without_a_node(backend: Backend) -> None:
    """In one that runs: tests/e2e."""
    with pytest.raises(NotFound, match='pods "web" not found'):
        backend.cluster.execute(backend.namespace, "web", "", ["curl"], timeout=5, limit_bytes=10)
    backend.cluster.create(PODS, backend.namespace, pod("web"))
    with pytest.raises(ApiError, match="pod web does not have a host assigned"):
        backend.cluster.execute(backend.namespace, "web", "main", ["curl"], timeout=5, limit_bytes=10)


def test_an_ephemeral_container_is_added_to_those_that_are_there(backend: Backend) -> None:
    backend.cluster.create(PODS, backend.namespace, pod("web"))
    backend.cluster.patch(PODS, backend.namespace, "web", EPHEMERAL, subresource="ephemeralcontainers")
    more = {"spec": {"ephemeralContainers": [{"name": "probe-2", "image": "none", "command": ["curl"]}]}}
    after = backend.cluster.patch(PODS, backend.namespace, "web", more, subresource="ephemeralcontainers")
    assert sorted(one["name"] for one in after["spec"]["ephemeralContainers"]) == ["probe-1", "probe-2"]
    assert [one["name"] for one in after["spec"]["containers"]] == ["main"]


def by_proxy(cluster: ClusterApi, namespace: str) -> tuple[int, str, str]:
    """Status, reason and message of what the API server says for itself."""
    answer = cluster.service_proxy(namespace, "web", "http", 80, "/healthz", timeout=5, limit_bytes=4096)
    assert "json" in answer.headers["content-type"]
    said = json.loads(answer.body)
    return answer.status, said["reason"], said["message"]


def test_the_service_proxy_says_for_itself_what_it_could_not_do(backend: Backend) -> None:
    """To an application, and of a Service without endpoints: tests/e2e, since no controller is part of this."""
    assert by_proxy(backend.cluster, backend.namespace) == (404, "NotFound", 'services "web" not found')
    backend.cluster.create(SERVICES, backend.namespace, service("web"))
    status, reason, message = by_proxy(backend.stranger, backend.namespace)
    assert (status, reason) == (403, "Forbidden")
    assert 'cannot get resource "services/proxy"' in message


def test_any_path_can_be_read(backend: Backend) -> None:
    assert backend.cluster.raw_get("/version")["gitVersion"].startswith("v1.")
    with pytest.raises(NotFound):
        backend.cluster.raw_get("/no/such/path")


def test_threads_may_read_in_parallel(backend: Backend) -> None:
    for number in range(8):
        backend.cluster.create(SERVICES, backend.namespace, service(f"web-{number}"))
    with ThreadPoolExecutor(16) as pool:
        found = list(
            pool.map(lambda number: backend.cluster.get(SERVICES, backend.namespace, f"web-{number % 8}"), range(64))
        )
    assert names(found) == [f"web-{number % 8}" for number in range(64)]
