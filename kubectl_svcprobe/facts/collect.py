"""Reading the cluster: which objects are asked for, in which rounds, and what a refusal becomes.

Each round's requests go out together. The first needs nothing but the Service's name; the second needs the Service's
selector; the third is only for a Service that already looks broken. A refusal or failure becomes an `Unread`, never an
exception, except for the one object without which there is nothing to say: the Service itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError, Forbidden, NotFound, Unauthorized
from kubectl_svcprobe.facts.endpoint import EndpointSlice
from kubectl_svcprobe.facts.model import Service
from kubectl_svcprobe.facts.node import Event, Node
from kubectl_svcprobe.facts.policy import NetworkPolicy
from kubectl_svcprobe.facts.snapshot import Snapshot, Unread, matching
from kubectl_svcprobe.facts.workload import Pod, Workload

T = TypeVar("T")

WORKERS = 12

#: What `cleanup` and the next run look for.
MANAGED_BY = "app.kubernetes.io/managed-by=kubectl-svcprobe"

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

        def read() -> tuple[T, ...]:
            try:
                found = self.cluster.list(resource, namespace, label_selector=labels, field_selector=fields)
            except Unauthorized:
                raise
            except AccessError as error:
                self.unread.append(unread(resource, namespace, error))
                return ()
            return tuple(parse(obj) for obj in found)

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

        def parser(kind: str) -> Callable[[dict[str, Any]], Workload]:
            return lambda obj: Workload.from_json(kind, obj)

        return [self.read_all(resource, namespace, parser(resource.kind)) for resource in WORKLOADS]


def unread(resource: r.Resource, namespace: str | None, error: AccessError) -> Unread:
    """What a failed read means, in words."""
    where = f" in {namespace}" if namespace else "" if not resource.namespaced else " in all namespaces"
    why = "forbidden" if isinstance(error, Forbidden) else "not-served" if isinstance(error, NotFound) else "failed"
    return Unread(resource.kind, f"{resource.plural}{where}", why, str(error))


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that nobody waits for once the reading is over, or interrupted."""
    pool = ThreadPoolExecutor(WORKERS)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def collect(cluster: ClusterApi, namespace: str, name: str, taken: str) -> Snapshot:
    """Read everything that one Service's report needs.

    `taken` is the present time (RFC 3339). Raises AccessError where the Service itself cannot be read.
    """
    with _pool() as pool:
        reader = Reader(cluster, pool)
        service = reader.service(namespace, name)
        slices = reader.read_all(
            r.ENDPOINT_SLICES, namespace, EndpointSlice.from_json, labels=f"kubernetes.io/service-name={name}"
        )
        events = reader.read_all(
            r.EVENTS, namespace, Event.from_json, fields=f"involvedObject.kind=Service,involvedObject.name={name}"
        )
        policies = reader.read_all(r.NETWORK_POLICIES, namespace, NetworkPolicy.from_json)
        nodes = reader.read_all(r.NODES, None, Node.from_json)
        kubernetes = reader.kubernetes()
        snapshot = Snapshot(namespace, name, taken, service=service.result())
        if snapshot.service and snapshot.service.selector:
            selector = label_selector(snapshot.service.selector)
            pods = reader.read_all(r.PODS, namespace, Pod.from_json, labels=selector).result()
        else:
            pods = ()
        snapshot = replace(
            snapshot,
            slices=slices.result(),
            events=events.result(),
            policies=policies.result(),
            nodes=nodes.result(),
            kubernetes=kubernetes.result(),
            pods=pods,
        )
        snapshot = _look_closer(reader, snapshot)
        return replace(snapshot, unread=reader.account())


def _look_closer(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """The third round: what explains a Service that is missing, that selects nothing, or whose pods are not ready."""
    if snapshot.service is None:
        return _look_for_name(reader, snapshot)
    if snapshot.service.selector and not snapshot.pods and not reader.refused("Pod"):
        return _look_for_labels(reader, snapshot)
    if any(not pod.is_ready and not pod.is_finished for pod in snapshot.pods):
        events = reader.read_all(
            r.EVENTS, snapshot.namespace, Event.from_json, fields="involvedObject.kind=Pod,type=Warning"
        )
        names = {pod.meta.name for pod in snapshot.pods}
        return replace(snapshot, pod_events=tuple(e for e in events.result() if e.about.name in names))
    return snapshot


def _look_for_name(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """What else bears, or nearly bears, the name of a Service that does not exist."""
    namespace = reader.namespace_exists(snapshot.namespace)
    services = reader.read_all(r.SERVICES, snapshot.namespace, Service.from_json)
    elsewhere = reader.read_all(r.SERVICES, None, Service.from_json, fields=f"metadata.name={snapshot.name}")
    pods = reader.read_all(r.PODS, snapshot.namespace, Pod.from_json)
    workloads = reader.workloads(snapshot.namespace)
    return replace(
        snapshot,
        namespace_exists=namespace.result(),
        other_services=services.result(),
        elsewhere=elsewhere.result(),
        namespace_pods=pods.result(),
        workloads=tuple(w for found in workloads for w in found.result()),
    )


def _look_for_labels(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """What the selector may have been meant to match."""
    pods = reader.read_all(r.PODS, snapshot.namespace, Pod.from_json)
    workloads = reader.workloads(snapshot.namespace)
    return replace(
        snapshot,
        namespace_pods=pods.result(),
        workloads=tuple(w for found in workloads for w in found.result()),
    )


def collect_namespace(cluster: ClusterApi, namespace: str, taken: str) -> list[Snapshot]:
    """Read a whole namespace at once: one Snapshot a Service, sorted by name.

    Raises AccessError where the Services cannot be listed.
    """
    with _pool() as pool:
        reader = Reader(cluster, pool)
        slices = reader.read_all(r.ENDPOINT_SLICES, namespace, EndpointSlice.from_json)
        pods = reader.read_all(r.PODS, namespace, Pod.from_json)
        events = reader.read_all(r.EVENTS, namespace, Event.from_json, fields="involvedObject.kind=Service")
        pod_events = reader.read_all(
            r.EVENTS, namespace, Event.from_json, fields="involvedObject.kind=Pod,type=Warning"
        )
        nodes = reader.read_all(r.NODES, None, Node.from_json)
        workloads = reader.workloads(namespace)
        services = [Service.from_json(obj) for obj in cluster.list(r.SERVICES, namespace)]
        everything = Snapshot(
            namespace,
            "",
            taken,
            slices=slices.result(),
            nodes=nodes.result(),
            events=events.result(),
            namespace_pods=pods.result(),
            workloads=tuple(w for found in workloads for w in found.result()),
            pod_events=pod_events.result(),
        )
        everything = replace(everything, unread=reader.account())
    return [_part(everything, service) for service in sorted(services, key=lambda s: s.meta.name)]


def _part(everything: Snapshot, service: Service) -> Snapshot:
    """The share of a namespace's facts that belongs to one Service."""
    pods = matching(dict(service.selector), everything.namespace_pods or ()) if service.selector else ()
    names = {pod.meta.name for pod in pods}
    return replace(
        everything,
        name=service.meta.name,
        service=service,
        slices=tuple(s for s in everything.slices if s.service_name == service.meta.name),
        pods=pods,
        events=tuple(e for e in everything.events if e.about.name == service.meta.name),
        pod_events=tuple(e for e in everything.pod_events if e.about.name in names),
    )
