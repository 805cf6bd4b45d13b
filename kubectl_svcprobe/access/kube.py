"""The connection to the API server: the only module that imports `kubernetes`, and only when it connects.

Objects are raw JSON. The typed models of the client take 0.6 s to import and fail on objects that servers really send;
`ApiClient.call_api` serves as well, but leaves the check of the status to the caller.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from kubectl_svcprobe.access import forwarding, streams, tls, wire
from kubectl_svcprobe.access.kubeconfig import Access
from kubectl_svcprobe.access.proxy import environment_proxy
from kubectl_svcprobe.access.resources import PODS, SERVICES, Resource
from kubectl_svcprobe.access.seam import Executed, Forwarded, Listing, Objects, Proxied
from kubectl_svcprobe.access.transport import OnRequest, Query, Transport, query
from kubectl_svcprobe.access.wire import Object
from kubectl_svcprobe.errors import Gone, UsageError

#: connections kept open: more than the threads that read in parallel
_POOL_SIZE = 32


class Cluster:
    """One API server as one user sees it; it may be used from several threads.

    Every method raises `AccessError` when the server does not answer, and its subclass `ApiError` when it refuses.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @classmethod
    def connect(
        cls,
        access: Access,
        *,
        user_agent: str,
        request_timeout: float = 0,
        on_request: OnRequest | None = None,
    ) -> Cluster:
        """A client for `access`; nothing is sent yet.

        `request_timeout` is in seconds, 0 for none. `on_request` is told method, path with query, HTTP status and bytes
        of each answer (of a watch as it starts, with 0 bytes), from whichever thread asked.
        """
        from kubernetes.client.exceptions import ApiException

        client = _make_client(access, user_agent)
        return cls(Transport(client, ApiException, access, request_timeout, on_request))

    def close(self) -> None:
        """Close the kept connections."""
        self._transport.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server warned of so far, each text once, in the order it came."""
        return tuple(self._transport.warnings)

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object."""
        return self.raw_get(_path(resource, namespace, name))

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Objects:
        """All objects of a collection, asked for in pages of `limit`; `namespace=None` means all namespaces."""
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
        """`list` with the resource version; starts again once if the list expires between two pages."""
        path = _path(resource, namespace)
        parameters = query(labelSelector=label_selector, fieldSelector=field_selector, limit=limit)
        try:
            return self._pages(path, parameters)
        except Gone:
            return self._pages(path, parameters)

    def create(self, resource: Resource, namespace: str | None, body: Object, *, dry_run: bool = False) -> Object:
        """The created object as the server stored it (or, with `dry_run`, would store it)."""
        path = _path(resource, namespace)
        parameters = query(dryRun="All" if dry_run else "", fieldManager="kubectl-svcprobe")
        return wire.decode(self._transport.content("POST", path, parameters, body), path)

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        grace_period: int | None = None,
        uid: str | None = None,
    ) -> None:
        """Delete one object (only if it still has `uid`, else Conflict); `grace_period` is in seconds."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        self._transport.content("DELETE", _path(resource, namespace, name), None, options)

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
        """ADDED, MODIFIED and DELETED events as they happen, for `timeout` seconds or until the server ends it.

        Raises `Gone` when `resource_version` is too old. Closing the generator closes the connection.
        """
        parameters = query(
            watch="true",
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            timeoutSeconds=max(1, math.ceil(timeout)),
        )
        pieces = self._transport.stream(_path(resource, namespace), parameters, timeout)
        try:
            yield from wire.events(wire.lines(pieces))
        finally:
            pieces.close()

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
        """What a container has written so far."""
        parameters = query(
            container=container, tailLines=tail_lines, limitBytes=limit_bytes, previous="true" if previous else ""
        )
        return self._transport.content("GET", _path(PODS, namespace, pod, "log"), parameters)

    def port_forward(
        self, namespace: str, pod: str, ports: Sequence[int], *, timeout: float, quiet: float
    ) -> dict[int, str]:
        """What each of these ports complains of when a connection is made to it inside the pod; nothing is sent.

        Ends after `timeout` seconds, or when no complaint has come for `quiet` seconds after one. A port that stands open
        is not in the result; nor is one whose complaint took longer.
        """
        parameters = [("ports", str(port)) for port in ports]
        connection = self._transport.web_socket(_path(PODS, namespace, pod, "portforward"), parameters, timeout)
        try:
            return forwarding.complaints(connection, ports, timeout, quiet)
        finally:
            connection.shutdown()

    def forward_request(
        self, namespace: str, pod: str, port: int, content: bytes, *, timeout: float, limit_bytes: int
    ) -> Forwarded:
        """Send a few bytes to one port inside a pod, and what comes back within `timeout` seconds."""
        path = _path(PODS, namespace, pod, "portforward")
        connection = self._transport.web_socket(path, [("ports", str(port))], timeout)
        try:
            return streams.exchange(connection, content, timeout, limit_bytes)
        finally:
            connection.shutdown()

    def service_proxy(
        self, namespace: str, service: str, scheme: str, port: int, path: str, *, timeout: float, limit_bytes: int
    ) -> Proxied:
        """What the API server got from one endpoint of a Service for a GET, whatever its status; redirects are answers.

        `scheme` is http or https, `path` starts with a slash and is quoted already. Errors of the API server itself, a
        refusal of its own included, come as answers too (see `probe.apiserver`).
        """
        secure = "https:" if scheme == "https" else ""
        root = _path(SERVICES, namespace, service).removesuffix(quote(service))
        return Proxied(*self._transport.peek(f"{root}{secure}{service}:{port}/proxy{path}", timeout, limit_bytes))

    def execute(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, timeout: float, limit_bytes: int
    ) -> Executed:
        """Run a command in a container of a pod, without input or terminal, and all that it writes until it ends.

        An empty `container` leaves the choice to the server. A command that does not end in time goes on without us.
        """
        words = query(container=container, stdout="true", stderr="true")
        words += [("command", word) for word in command]
        connection = self._transport.web_socket(_path(PODS, namespace, pod, "exec"), words, timeout)
        try:
            return streams.output(connection, timeout, limit_bytes)
        finally:
            connection.shutdown()

    def patch(self, resource: Resource, namespace: str, name: str, body: Object, *, subresource: str = "") -> Object:
        """The object after a strategic merge patch of it, or of its subresource."""
        path = _path(resource, namespace, name, subresource or None)
        parameters = query(fieldManager="kubectl-svcprobe")
        kind = "strategic-merge-patch"
        return wire.decode(self._transport.content("PATCH", path, parameters, body, patch=kind), path)

    def raw_get(self, path: str) -> Object:
        """The JSON object at any path of the server, such as `/version`."""
        return wire.decode(self._transport.content("GET", path), path)

    def _pages(self, path: str, parameters: Query) -> Listing:
        items: Objects = []
        following: Query = []
        while True:
            page = wire.decode(self._transport.content("GET", path, parameters + following), path)
            metadata = page.get("metadata") or {}
            items.extend(page.get("items") or [])
            if not metadata.get("continue"):
                return Listing(items, str(metadata.get("resourceVersion") or ""))
            following = [("continue", metadata["continue"])]


def _path(
    resource: Resource, namespace: str | None = None, name: str | None = None, subresource: str | None = None
) -> str:
    """The URL path; UsageError for a name that would lead to another one (the rule is apimachinery's)."""
    for what, word in (("namespace", namespace), ("name", name)):
        if word is None:
            continue
        if word in (".", "..") or "/" in word or "%" in word or (what == "name" and not word):
            raise UsageError(f"error: invalid {what} {word!r} of {resource.plural}: it cannot be part of a URL path")
    return quote(resource.path(namespace, name, subresource))


def _make_client(access: Access, user_agent: str) -> Any:
    """An `ApiClient` for this server that neither retries nor writes to stderr."""
    from kubernetes.client import ApiClient, Configuration

    proxy = environment_proxy(access.server, os.environ)
    configuration = Configuration(host=access.server, retries=False, connection_pool_maxsize=_POOL_SIZE)
    configuration.verify_ssl = not access.insecure
    configuration.tls_server_name = access.tls_server_name or None
    configuration.proxy, configuration.no_proxy = proxy or None, None
    configuration.proxy_headers = _proxy_headers(proxy)
    client = ApiClient(configuration)
    client.user_agent = user_agent
    if access.server.startswith("https://"):
        _use_context(client, access)
    return client


def _use_context(client: Any, access: Access) -> None:
    """Hand our SSL context to the client, which has no setting for one."""
    if access.insecure:
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    client.rest_client.pool_manager.connection_pool_kw["ssl_context"] = tls.make_context(access)


def _proxy_headers(proxy: str) -> dict[str, str] | None:
    """The proxy's own password, from the URL in the environment."""
    url = urlsplit(proxy)
    if not url.username:
        return None
    from urllib3.util import make_headers

    return dict(make_headers(proxy_basic_auth=f"{unquote(url.username)}:{unquote(url.password or '')}"))
