"""Reading the cluster: which objects are asked for, in which rounds, and what a refusal becomes.

Each round's requests go out together. The first needs nothing but the Service's name; the second needs the Service's
selector; the third is only for a Service that already looks broken. A refusal or failure becomes an `Unread`, never an
exception, except for the one object without which there is nothing to say: the Service itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.facts.alias import service_meant
from kubectl_svcprobe.facts.around import look_around
from kubectl_svcprobe.facts.client import Client
from kubectl_svcprobe.facts.closer import look_closer
from kubectl_svcprobe.facts.endpoint import EndpointSlice
from kubectl_svcprobe.facts.gateway import look_at_edge
from kubectl_svcprobe.facts.mesh import look_at_mesh
from kubectl_svcprobe.facts.model import Service
from kubectl_svcprobe.facts.node import Event, Node
from kubectl_svcprobe.facts.policy import NetworkPolicy
from kubectl_svcprobe.facts.reader import Reader, label_selector, pool
from kubectl_svcprobe.facts.route import Route
from kubectl_svcprobe.facts.snapshot import Snapshot, matching
from kubectl_svcprobe.facts.workload import Pod


def collect(cluster: ClusterApi, namespace: str, name: str, taken: str, client: Client | None = None) -> Snapshot:
    """Read everything that one Service's report needs.

    `taken` is the present time (RFC 3339), `client` whoever will ask from inside the cluster: a plain pod, if not given.
    Raises AccessError where the Service itself cannot be read.
    """
    with pool() as threads:
        reader = Reader(cluster, threads)
        service = reader.service(namespace, name)
        slices = reader.read_all(
            r.ENDPOINT_SLICES, namespace, EndpointSlice.from_json, labels=f"kubernetes.io/service-name={name}"
        )
        events = reader.read_all(
            r.EVENTS, namespace, Event.from_json, fields=f"involvedObject.kind=Service,involvedObject.name={name}"
        )
        spaces = dict.fromkeys((namespace, client.namespace)) if client and client.namespace else (namespace,)
        policies = [reader.read_all(r.NETWORK_POLICIES, space, NetworkPolicy.from_json) for space in spaces]
        nodes = reader.read_all(r.NODES, None, Node.from_json)
        ingresses = reader.read_all(r.INGRESSES, namespace, Route.from_ingress)
        other_routes = routes(reader, namespace)
        kubernetes = reader.kubernetes()
        groups = reader.api_groups()
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
            policies=tuple(policy for found in policies for policy in found.result()),
            nodes=nodes.result(),
            routes=(*ingresses.result(), *(route for found in other_routes for route in found.result() or ())),
            client=client or Client(namespace),
            kubernetes=kubernetes.result(),
            api_groups=groups.result(),
            pods=pods,
        )
        snapshot = look_around(reader, look_closer(reader, snapshot))
        snapshot = look_at_edge(reader, look_at_mesh(reader, snapshot))
        return replace(snapshot, unread=reader.account())


def routes(reader: Reader, namespace: str) -> list[Future[tuple[Route, ...] | None]]:
    """Start reading the routes that few clusters serve, which one without the permission cannot even tell."""
    return [
        reader.read_optional(r.HTTP_ROUTES, namespace, Route.from_http_route),
        reader.read_optional(r.GRPC_ROUTES, namespace, Route.from_grpc_route),
        reader.read_optional(r.OPENSHIFT_ROUTES, namespace, Route.from_openshift_route),
    ]


def collect_namespace(cluster: ClusterApi, namespace: str, taken: str) -> list[Snapshot]:
    """Read a whole namespace at once: one Snapshot a Service, sorted by name.

    Raises AccessError where the Services cannot be listed.
    """
    with pool() as threads:
        reader = Reader(cluster, threads)
        slices = reader.read_all(r.ENDPOINT_SLICES, namespace, EndpointSlice.from_json)
        pods = reader.read_all(r.PODS, namespace, Pod.from_json)
        events = reader.read_all(r.EVENTS, namespace, Event.from_json, fields="involvedObject.kind=Service")
        pod_events = reader.read_all(
            r.EVENTS, namespace, Event.from_json, fields="involvedObject.kind=Pod,type=Warning"
        )
        policies = reader.read_all(r.NETWORK_POLICIES, namespace, NetworkPolicy.from_json)
        groups = reader.api_groups()
        nodes = reader.read_all(r.NODES, None, Node.from_json)
        ingresses = reader.read_all(r.INGRESSES, namespace, Route.from_ingress)
        other_routes = routes(reader, namespace)
        workloads = reader.workloads(namespace)
        services = [Service.from_json(obj) for obj in cluster.list(r.SERVICES, namespace)]
        everything = Snapshot(
            namespace,
            "",
            taken,
            slices=slices.result(),
            nodes=nodes.result(),
            policies=policies.result(),
            api_groups=groups.result(),
            routes=(*ingresses.result(), *(route for found in other_routes for route in found.result() or ())),
            events=events.result(),
            namespace_pods=pods.result(),
            workloads=tuple(w for found in workloads for w in found.result()),
            pod_events=pod_events.result(),
        )
        everything = replace(look_at_edge(reader, everything), unread=reader.account())
    return [_part(everything, service, services) for service in sorted(services, key=lambda s: s.meta.name)]


def _part(everything: Snapshot, service: Service, services: Sequence[Service]) -> Snapshot:
    """The share of a namespace's facts that belongs to one Service."""
    pods = matching(dict(service.selector), everything.namespace_pods or ()) if service.selector else ()
    names = {pod.meta.name for pod in pods}
    meant = service_meant(service.external_name)
    is_here = meant is not None and meant[0] == service.namespace
    return replace(
        everything,
        alias_of=tuple(s for s in services if meant and s.name == meant[1]) if is_here else None,
        name=service.meta.name,
        service=service,
        slices=tuple(s for s in everything.slices if s.service_name == service.meta.name),
        pods=pods,
        events=tuple(e for e in everything.events if e.about.name == service.meta.name),
        pod_events=tuple(e for e in everything.pod_events if e.about.name in names),
    )
