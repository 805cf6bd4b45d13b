"""What the rest of the program may ask of a cluster: the seam at which tests put one in memory."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import NamedTuple, Protocol

from kubectl_svcprobe.access.resources import Resource
from kubectl_svcprobe.access.wire import Object

Objects = list[Object]


class Listing(NamedTuple):
    """The objects of a collection, and the version from which a watch goes on."""

    items: Objects
    resource_version: str


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

    def raw_get(self, path: str) -> Object:
        """The JSON object at any path of the server."""
