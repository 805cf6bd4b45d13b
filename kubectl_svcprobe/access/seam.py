"""What the rest of the program may ask of a cluster: the seam at which tests put one in memory."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple, Protocol

from kubectl_svcprobe.access.resources import Resource
from kubectl_svcprobe.access.wire import Object

Objects = list[Object]


class Listing(NamedTuple):
    """The objects of a collection, and the version from which a watch goes on."""

    items: Objects
    resource_version: str


class Proxied(NamedTuple):
    """An answer through the service proxy: status, headers by lower-case name, and the beginning of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Forwarded(NamedTuple):
    """What came back through a forwarded port, and what was complained of. `is_ended`: the pod's end closed it."""

    answer: bytes
    complaint: str = ""
    is_ended: bool = False


class Executed(NamedTuple):
    """What a command wrote, and how it ended: `exit_code` is None where it did not, and `problem` then says why."""

    stdout: bytes
    stderr: str = ""
    exit_code: int | None = None
    problem: str = ""


class ClusterApi(Protocol):
    """The methods of `kube.Cluster`, which documents them; every one may raise `AccessError` and `ApiError`."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the server warned of so far."""

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object."""

    def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Objects:
        """All objects of a collection."""

    def listing(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
    ) -> Listing:
        """All objects of a collection, and its resource version."""

    def create(self, resource: Resource, namespace: str | None, body: Object, *, dry_run: bool = False) -> Object:
        """The created object."""

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        grace_period: int | None = None,
        uid: str | None = None,
    ) -> None:
        """Delete one object."""

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
        """Events as they happen."""

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

    def port_forward(
        self, namespace: str, pod: str, ports: Sequence[int], *, timeout: float, quiet: float
    ) -> dict[int, str]:
        """What each of these ports complains of when a connection is made to it inside the pod."""

    def forward_request(
        self, namespace: str, pod: str, port: int, content: bytes, *, timeout: float, limit_bytes: int
    ) -> Forwarded:
        """Send a few bytes to one port inside a pod, and what comes back."""

    def service_proxy(
        self, namespace: str, service: str, scheme: str, port: int, path: str, *, timeout: float, limit_bytes: int
    ) -> Proxied:
        """What the API server got from one endpoint of a Service for a GET."""

    def execute(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, timeout: float, limit_bytes: int
    ) -> Executed:
        """Run a command in a container of a pod."""

    def patch(self, resource: Resource, namespace: str, name: str, body: Object, *, subresource: str = "") -> Object:
        """The object after a strategic merge patch."""

    def raw_get(self, path: str) -> Object:
        """The JSON object at any path of the server."""
