"""Asking the API server in parallel, and keeping account of what could not be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError, Forbidden, NotFound, Unauthorized
from kubectl_svcprobe.facts.json_fields import items, text
from kubectl_svcprobe.facts.model import Meta, Service
from kubectl_svcprobe.facts.scaling import LastWords
from kubectl_svcprobe.facts.snapshot import Unread
from kubectl_svcprobe.facts.workload import Workload

T = TypeVar("T")

WORKERS = 12

#: How much of a log is asked for, to show its last line.
LOG_LINES, LOG_BYTES, LINE_LENGTH = 5, 4096, 200
#: What the kubelet puts in place of a log that is gone.
KUBELETS_OWN = ("unable to retrieve container logs", "failed to try resolving symlinks")

WORKLOADS = (r.DEPLOYMENTS, r.STATEFUL_SETS, r.DAEMON_SETS)


def label_selector(labels: Any) -> str:
    """The query form of a selector: `app=devops,tier=web`."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


@dataclass
class Reader:
    """Reads objects in parallel and keeps account of what could not be read."""

    cluster: ClusterApi
    pool: ThreadPoolExecutor
    unread: list[Unread] = field(default_factory=list)

    def read_all(
        self,
        resource: r.Resource,
        namespace: str | None,
        parse: Callable[[dict[str, Any]], T],
        *,
        labels: str = "",
        fields: str = "",
    ) -> Future[tuple[T, ...]]:
        """Start one list; its result is empty where it failed."""
        return self.pool.submit(self.read_now, resource, namespace, parse, labels=labels, fields=fields)

    def read_now(
        self,
        resource: r.Resource,
        namespace: str | None,
        parse: Callable[[dict[str, Any]], T],
        *,
        labels: str = "",
        fields: str = "",
    ) -> tuple[T, ...]:
        """The same, waited for."""
        try:
            return self._list(resource, namespace, parse, labels, fields)
        except Unauthorized:
            raise
        except AccessError as error:
            self.unread.append(unread(resource, namespace, error))
            return ()

    def read_optional(
        self,
        resource: r.Resource,
        namespace: str | None,
        parse: Callable[[dict[str, Any]], T],
        *,
        labels: str = "",
        fields: str = "",
    ) -> Future[tuple[T, ...] | None]:
        """Start one list that only adds to what is known: refused, it is None, and no rule is skipped for it."""

        def read() -> tuple[T, ...] | None:
            try:
                return self._list(resource, namespace, parse, labels, fields)
            except AccessError:
                return None

        return self.pool.submit(read)

    def _list(
        self,
        resource: r.Resource,
        namespace: str | None,
        parse: Callable[[dict[str, Any]], T],
        labels: str,
        fields: str,
    ) -> tuple[T, ...]:
        found = self.cluster.list(resource, namespace, label_selector=labels, field_selector=fields)
        return tuple(parse(obj) for obj in found)

    def last_words(self, namespace: str, pod: str, container: str, previous: bool) -> Future[LastWords | None]:
        """Start reading what a container wrote last before it ended; None where that cannot be read, or is nothing."""

        def read() -> LastWords | None:
            try:
                log = self.cluster.log(
                    namespace, pod, container, tail_lines=LOG_LINES, limit_bytes=LOG_BYTES, previous=previous
                )
            except AccessError:
                return None
            lines = [line.strip() for line in log.decode(errors="replace").splitlines()]
            said = [line for line in lines if line and not line.startswith(KUBELETS_OWN)]
            return LastWords(pod, container, said[-1][:LINE_LENGTH]) if said else None

        return self.pool.submit(read)

    def refused(self, kind: str) -> bool:
        """Whether a list of this kind failed."""
        return any(unread.kind == kind for unread in self.unread)

    def account(self) -> tuple[Unread, ...]:
        """What could not be read, each once, by name."""
        return tuple({unread.what: unread for unread in sorted(self.unread, key=lambda u: u.what)}.values())

    def service(self, namespace: str, name: str) -> Future[Service | None]:
        """Start reading one Service; None where it does not exist."""

        def read() -> Service | None:
            try:
                return Service.from_json(self.cluster.get(r.SERVICES, namespace, name))
            except NotFound:
                return None

        return self.pool.submit(read)

    def namespace_exists(self, name: str) -> Future[bool]:
        """Start asking whether a namespace exists; what may not be asked is taken to."""

        def read() -> bool:
            try:
                self.cluster.get(r.NAMESPACES, None, name)
            except NotFound:
                return False
            except AccessError:
                return True
            return True

        return self.pool.submit(read)

    def namespace_labels(self, name: str) -> Future[Mapping[str, str] | None]:
        """Start reading the labels of one namespace; None where they cannot be read."""

        def read() -> Mapping[str, str] | None:
            try:
                return Meta.from_json(self.cluster.get(r.NAMESPACES, None, name)).labels
            except AccessError:
                return None

        return self.pool.submit(read)

    def api_groups(self) -> Future[frozenset[str]]:
        """Start asking which API groups the server knows; empty where it does not say."""

        def read() -> frozenset[str]:
            try:
                return frozenset(text(group, "name") for group in items(self.cluster.raw_get("/apis"), "groups"))
            except AccessError:
                return frozenset()

        return self.pool.submit(read)

    def kubernetes(self) -> Future[Service | None]:
        """Start reading the `kubernetes` Service, the control that every probe pod also tries; optional."""

        def read() -> Service | None:
            try:
                return Service.from_json(self.cluster.get(r.SERVICES, "default", "kubernetes"))
            except AccessError:
                return None

        return self.pool.submit(read)

    def workloads(self, namespace: str) -> list[Future[tuple[Workload, ...]]]:
        """Start reading all Deployments, StatefulSets and DaemonSets."""

        return [self.read_all(resource, namespace, workload_parser(resource.kind)) for resource in WORKLOADS]


def workload_parser(kind: str) -> Callable[[dict[str, Any]], Workload]:
    """What reads objects of this kind of workload."""
    return lambda obj: Workload.from_json(kind, obj)


def unread(resource: r.Resource, namespace: str | None, error: AccessError) -> Unread:
    """What a failed read means, in words."""
    where = f" in {namespace}" if namespace else "" if not resource.namespaced else " in all namespaces"
    why = "forbidden" if isinstance(error, Forbidden) else "not-served" if isinstance(error, NotFound) else "failed"
    return Unread(resource.kind, f"{resource.plural}{where}", why, str(error))


@contextmanager
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that nobody waits for once the reading is over, or interrupted."""
    threads = ThreadPoolExecutor(WORKERS)
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
