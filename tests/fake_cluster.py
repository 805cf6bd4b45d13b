"""A cluster in memory, at the seam `access.seam.ClusterApi`: the only fake of the tests.

It passes the same contract suite as a real API server (`tests/contract/test_cluster_contract.py`).
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import NamedTuple

from kubectl_svcprobe.access import resources
from kubectl_svcprobe.access.resources import ENDPOINT_SLICES, PODS, SERVICES, Resource
from kubectl_svcprobe.access.seam import Executed, Forwarded, Listing, Objects, Proxied
from kubectl_svcprobe.access.wire import Object
from kubectl_svcprobe.errors import ApiError, api_error
from tests.fake_selectors import fields_match, labels_match

KNOWN = {item.kind: item for item in vars(resources).values() if isinstance(item, Resource)}
USER = "fake"


class Request(NamedTuple):
    """One request that was made; `verb` and `resource` are the words of RBAC rules."""

    verb: str
    resource: str
    namespace: str | None
    name: str | None


class _Change(NamedTuple):
    version: int
    kind: str
    resource: Resource
    item: Object


class FakeCluster:
    """Objects by resource, namespace and name; every change is kept, so that watches can replay it."""

    def __init__(self, *items: Object) -> None:
        self.requests: list[Request] = []
        self.logs: dict[tuple[str, str, str], bytes] = {}  #: by namespace, pod, container
        self.listening: dict[tuple[str, str], set[int]] = {}  #: ports that are open inside a pod, by namespace and pod
        self.spoken: dict[
            tuple[str, str, int], Forwarded
        ] = {}  #: what comes back there, if not 200, by namespace, pod, port
        self.proxied: dict[
            tuple[str, str, int], Proxied
        ] = {}  #: likewise through the service proxy, by Service and port
        self.run: Callable[[str, str, Sequence[str]], Executed] | None = None  #: a command, by pod and container
        self.on_patch: Callable[[Object], None] | None = None  #: called after each patch, e.g. to `update` its status
        self.raw: dict[str, Object] = {"/version": {"major": "1", "minor": "35", "gitVersion": "v1.35.4"}}
        self.on_create: Callable[[Object], None] | None = None  #: called after each create, e.g. to `update` its status
        self._served = set(KNOWN.values())
        self._items: dict[tuple[Resource, str, str], Object] = {}
        self._changes: list[_Change] = []
        self._versions = itertools.count(1)
        self._version = 0
        self._oldest = 0
        self._refusals: dict[tuple[str, str], Exception] = {}
        self._only_in: dict[str, str] = {}
        self._warnings: list[str] = []
        self.add(*items)

    # what a test arranges

    def add(self, *items: Object, resource: Resource | None = None) -> None:
        """Put objects in; a kind outside `access.resources` needs its `resource`."""
        for item in items:
            served = resource or KNOWN[item["kind"]]
            self._served.add(served)
            self._store("ADDED", served, self._completed(served, item))

    def update(self, item: Object, resource: Resource | None = None) -> None:
        """Replace an object, as a controller or kubelet would."""
        self._store("MODIFIED", resource or KNOWN[item["kind"]], copy.deepcopy(item))

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object behind the user's back."""
        item = self._items.pop((resource, namespace, name))
        self._record("DELETED", resource, item)

    def forbid(self, resource: Resource, *verbs: str, subresource: str = "") -> None:
        """Take permissions away: get, list, watch, create, delete, patch (all of them if none is named)."""
        for verb in verbs or ("get", "list", "watch", "create", "delete", "patch"):
            self._refusals[_rbac(resource, subresource), verb] = PermissionError(verb)

    def forbid_elsewhere(self, resource: Resource, namespace: str) -> None:
        """Take away the right to read a kind but in this namespace, as a RoleBinding leaves it."""
        self._only_in[_rbac(resource)] = namespace

    def fail(self, resource: Resource, verb: str, error: Exception) -> None:
        """Let every such request end in `error`."""
        self._refusals[_rbac(resource), verb] = error

    def expire(self) -> None:
        """Forget the changes so far: a watch from before now is Gone."""
        self._oldest = self._version

    def warn(self, text: str) -> None:
        """Let the server warn of something."""
        self._warnings.append(text)

    # what the program asks

    @property
    def warnings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._warnings))

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        self._ask("get", resource, namespace, name)
        return self._typed(resource, self._find(resource, namespace, name))

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Objects:
        return self.listing(
            resource, namespace, label_selector=label_selector, field_selector=field_selector, limit=limit
        ).items

    def listing(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Listing:
        self._ask("list", resource, namespace)
        found = self._select(resource, self._items_of(resource), namespace, label_selector, field_selector)
        return Listing([_untyped(item) for item in found], str(self._version))

    def create(self, resource: Resource, namespace: str | None, body: Object, *, dry_run: bool = False) -> Object:
        item = self._completed(resource, body, namespace)
        name = item["metadata"]["name"]
        self._ask("create", resource, namespace, name)
        if self._key(resource, namespace, name) in self._items:
            raise api_error(409, "AlreadyExists", f'{resource.plural} "{name}" already exists')
        if not dry_run:
            self._store("ADDED", resource, item)
            if self.on_create:
                self.on_create(copy.deepcopy(item))
        return self._typed(resource, item)

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        grace_period: int | None = None,
        uid: str | None = None,
    ) -> None:
        self._ask("delete", resource, namespace, name)
        found = self._find(resource, namespace, name)["metadata"]["uid"]
        if uid is not None and uid != found:
            why = f"the UID in the precondition ({uid}) does not match the UID in record ({found})"
            raise api_error(409, "Conflict", f'Operation cannot be fulfilled on {resource.plural} "{name}": {why}')
        self.remove(resource, namespace or "", name)

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        resource_version: str = "",
        timeout: float,
    ) -> Generator[tuple[str, Object], None, None]:
        """Replays what changed since `resource_version` and then ends, as a server may at any time."""
        self._ask("watch", resource, namespace)
        if resource_version and int(resource_version) < self._oldest:
            raise api_error(410, "Expired", f"too old resource version: {resource_version} ({self._version})")
        seen = int(resource_version or self._version)
        if not resource_version:
            for item in self._select(resource, self._items_of(resource), namespace, label_selector, field_selector):
                yield "ADDED", self._typed(resource, item)
        for change in self._since(resource, seen):
            if self._select(resource, [change.item], namespace, label_selector, field_selector):
                yield change.kind, self._typed(resource, change.item)

    def log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        tail_lines: int | None = None,
        limit_bytes: int | None = None,
        previous: bool = False,
    ) -> bytes:
        self._ask("get", PODS, namespace, pod, "log")
        spec = self._find(PODS, namespace, pod)["spec"]
        containers = [
            *spec.get("initContainers", []),
            *spec.get("containers", []),
            *spec.get("ephemeralContainers", []),
        ]
        if container not in [item["name"] for item in containers]:
            raise api_error(400, "BadRequest", f"container {container} is not valid for pod {pod}")
        text = self.logs.get((namespace, pod, container), b"")
        if tail_lines is not None:
            text = b"".join(text.splitlines(keepends=True)[-tail_lines:] if tail_lines else [])
        return text[:limit_bytes]

    def port_forward(
        self, namespace: str, pod: str, ports: Sequence[int], *, timeout: float, quiet: float
    ) -> dict[int, str]:
        for verb in ("get", "create"):
            self._ask(verb, PODS, namespace, pod, "portforward")
        if not self._find(PODS, namespace, pod)["spec"].get("nodeName"):
            raise api_error(400, "BadRequest", f"pod {pod} does not have a host assigned")
        closed = set(ports) - self.listening.get((namespace, pod), set())
        return {
            port: f"error forwarding port {port}: dial tcp4 127.0.0.1:{port}: connection refused" for port in closed
        }

    def forward_request(
        self, namespace: str, pod: str, port: int, content: bytes, *, timeout: float, limit_bytes: int
    ) -> Forwarded:
        complaint = self.port_forward(namespace, pod, [port], timeout=timeout, quiet=timeout).get(port, "")
        came = self.spoken.get((namespace, pod, port), Forwarded(b"HTTP/1.1 200 OK\r\n"))
        return Forwarded(b"", complaint) if complaint else came._replace(answer=came.answer[:limit_bytes])

    def service_proxy(
        self, namespace: str, service: str, scheme: str, port: int, path: str, *, timeout: float, limit_bytes: int
    ) -> Proxied:
        try:
            self._ask("get", SERVICES, namespace, service, "proxy")
            self._find(SERVICES, namespace, service)
        except ApiError as error:
            return _refusal(error)
        if found := self.proxied.get((namespace, service, port)):
            return found._replace(body=found.body[:limit_bytes])
        selector = f"kubernetes.io/service-name={service}"
        slices = self._select(ENDPOINT_SLICES, self._items_of(ENDPOINT_SLICES), namespace, selector, "")
        if not any(e["conditions"].get("ready", True) for found in slices for e in found["endpoints"]):
            message = f'no endpoints available for service "{service}"'
            return _refusal(api_error(503, "ServiceUnavailable", message))
        return Proxied(200, {"content-type": "text/plain"}, b"")

    def execute(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, timeout: float, limit_bytes: int
    ) -> Executed:
        for verb in ("get", "create"):
            self._ask(verb, PODS, namespace, pod, "exec")
        if not self._find(PODS, namespace, pod)["spec"].get("nodeName"):
            raise api_error(400, "BadRequest", f"pod {pod} does not have a host assigned")
        if self.run is None:
            missing = f'exec: "{command[0]}": executable file not found in $PATH: unknown'
            return Executed(b"", "", None, f"failed to exec in container: {missing}")
        came = self.run(pod, container, command)
        return came._replace(stdout=came.stdout[:limit_bytes])

    def patch(self, resource: Resource, namespace: str, name: str, body: Object, *, subresource: str = "") -> Object:
        """Adds what a list of the spec lacks, by name, as a strategic merge does."""
        self._ask("patch", resource, namespace, name, subresource)
        item = copy.deepcopy(self._find(resource, namespace, name))
        for field, additions in body["spec"].items():
            known = item["spec"].setdefault(field, [])
            known += [copy.deepcopy(one) for one in additions if one["name"] not in [k["name"] for k in known]]
        self._store("MODIFIED", resource, item)
        if self.on_patch:
            self.on_patch(copy.deepcopy(item))
        return self._typed(resource, item)

    def raw_get(self, path: str) -> Object:
        if path not in self.raw:
            raise api_error(404, "NotFound", "the server could not find the requested resource")
        return copy.deepcopy(self.raw[path])

    # how it works inside

    def _ask(
        self, verb: str, resource: Resource, namespace: str | None, name: str | None = None, subresource: str = ""
    ) -> None:
        word = _rbac(resource, subresource)
        self.requests.append(Request(verb, word, namespace, name))
        refusal = self._refusals.get((word, verb))
        is_elsewhere = namespace != self._only_in.get(word, namespace)
        if isinstance(refusal, PermissionError) or is_elsewhere:
            raise api_error(403, "Forbidden", _forbidden(verb, word, resource, namespace, name))
        if refusal:
            raise refusal
        if resource not in self._served:
            raise api_error(404, "NotFound", "the server could not find the requested resource")

    def _completed(self, resource: Resource, body: Object, namespace: str | None = None) -> Object:
        """A copy with what the server fills in."""
        item = copy.deepcopy(body)
        metadata = item.setdefault("metadata", {})
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{next(self._versions):05d}"
        if resource.namespaced:
            metadata.setdefault("namespace", namespace or "default")
        metadata.setdefault("uid", f"uid-{resource.plural}-{next(self._versions)}")
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        return item

    def _store(self, kind: str, resource: Resource, item: Object) -> None:
        metadata = item["metadata"]
        self._items[self._key(resource, metadata.get("namespace"), metadata["name"])] = item
        self._record(kind, resource, item)

    def _record(self, kind: str, resource: Resource, item: Object) -> None:
        self._version = next(self._versions)
        item["metadata"]["resourceVersion"] = str(self._version)
        self._changes.append(_Change(self._version, kind, resource, copy.deepcopy(item)))

    def _since(self, resource: Resource, version: int) -> Generator[_Change, None, None]:
        """Changes after `version`, also those made while the watch is being read."""
        position = 0
        while position < len(self._changes):
            change = self._changes[position]
            position += 1
            if change.version > version and change.resource == resource:
                yield change

    def _key(self, resource: Resource, namespace: str | None, name: str) -> tuple[Resource, str, str]:
        return resource, (namespace or "") if resource.namespaced else "", name

    def _find(self, resource: Resource, namespace: str | None, name: str) -> Object:
        try:
            return self._items[self._key(resource, namespace, name)]
        except KeyError:
            word = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
            raise api_error(404, "NotFound", f'{word} "{name}" not found') from None

    def _items_of(self, resource: Resource) -> Objects:
        return [item for key, item in sorted(self._items.items(), key=lambda pair: pair[0][1:]) if key[0] == resource]

    def _select(
        self, resource: Resource, items: Iterable[Object], namespace: str | None, labels: str, fields: str
    ) -> Objects:
        return [
            item
            for item in items
            if not (resource.namespaced and namespace and item["metadata"]["namespace"] != namespace)
            and labels_match(labels, item["metadata"].get("labels") or {})
            and fields_match(fields, item, resource)
        ]

    def _typed(self, resource: Resource, item: Object) -> Object:
        version = f"{resource.group}/{resource.version}" if resource.group else resource.version
        return {**copy.deepcopy(item), "kind": resource.kind, "apiVersion": version}


def _refusal(error: ApiError) -> Proxied:
    """An error of the API server itself, as it goes through the service proxy."""
    status = {"kind": "Status", "code": error.status, "reason": error.reason, "message": error.message}
    return Proxied(error.status, {"content-type": "application/json"}, json.dumps(status).encode())


def _untyped(item: Object) -> Object:
    """List items carry neither kind nor apiVersion: the server writes those on the list only."""
    return {key: value for key, value in copy.deepcopy(item).items() if key not in ("kind", "apiVersion")}


def _rbac(resource: Resource, subresource: str = "") -> str:
    return f"{resource.plural}/{subresource}" if subresource else resource.plural


def _forbidden(verb: str, word: str, resource: Resource, namespace: str | None, name: str | None) -> str:
    plural = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    subject = f'{plural} "{name}"' if name and verb != "create" else plural
    where = f'in the namespace "{namespace}"' if resource.namespaced and namespace else "at the cluster scope"
    return (
        f'{subject} is forbidden: User "{USER}" cannot {verb} resource "{word}" in API group "{resource.group}" {where}'
    )
