"""Whose an address is: a Service's own, a node's, a pod's, an endpoint's, or nobody's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.errors import NoService, UsageError
from kubectl_svcprobe.facts.endpoint import EndpointSlice
from kubectl_svcprobe.facts.found import Found, Search, nearest_selector, ports_of, ports_to, selecting, word_of
from kubectl_svcprobe.facts.json_fields import mapping, texts
from kubectl_svcprobe.facts.model import Meta, Service
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.target import Target
from kubectl_svcprobe.words import listed


def resolve(search: Search, target: Target, ip: str, front: str = "") -> tuple[Found, ...]:
    """The Services that an address leads to; `front` begins the line that says how.

    Raises UsageError where its owner has no such port, and NoService where it leads to none.
    """
    nodes_read = search.wherever(r.NODES, Node.from_json)
    # The server knows pods by their first address only.
    pods_read = search.wherever(r.PODS, Pod.from_json, fields=f"status.podIP={ip}")
    services = search.everywhere
    port = int(target.port or 0)
    owners = [(service, what) for service in services for what in _owned(service, ip)]
    fitting = [pair for pair in owners if not port or any(p.port == port for p in pair[0].ports)]
    if fitting:
        return tuple(_found(s, target.port, f"{front}{target.word} is {what} of", "") for s, what in fitting)
    # Those that have ended gave their address back, and still bear it.
    pods = tuple(pod for pod in pods_read.result() if not pod.is_finished)
    node = _node(ip, nodes_read.result(), pods)
    if node and (found := _at_node(search, target, front, node, port, pods)):
        return found
    may_be_node = search.reader.refused(r.NODES.kind) and not pods
    if may_be_node and (found := _by_node_port(search, target, front, port, PERHAPS)):
        return found
    if owners:
        raise UsageError(f"error: {_no_such_port(ip, port, owners)}")
    if node:
        raise NoService(f"error: {front}{_nothing_at_node(search, node, ip, port)}")
    if pods:
        return _of_pods(search, target, front, pods, port)
    if found := _of_slices(search, target, front, ip, port):
        return found
    raise NoService(f"error: {front}{_nobody(search, ip, nodes_read.result())}")


def same(one: str, other: str) -> bool:
    """Whether two texts are the same address."""
    try:
        return ipaddress.ip_address(one) == ipaddress.ip_address(other)
    except ValueError:
        return False


def _owned(service: Service, ip: str) -> Iterator[str]:
    """What of a Service the address is."""
    if any(same(own, ip) for own in service.cluster_ips):
        yield "the cluster IP"
    if any(same(own, ip) for own in service.external_ips):
        yield "an external IP"
    if any(same(own.ip, ip) for own in service.load_balancer_ingress):
        yield "the load balancer's address"


def _found(service: Service, port: str, front: str, end: str) -> Found:
    return Found(service.namespace, service.name, port, f"{front} service {service.namespace}/{service.name}{end}")


def _no_such_port(ip: str, port: int, owners: list[tuple[Service, str]]) -> str:
    has = listed(f"service {s.namespace}/{s.name} ({ports_of(s)})" for s, _ in owners)
    return f"{ip} has no port {port}; it is {owners[0][1]} of {has}"


def _at_node(
    search: Search, target: Target, front: str, node: Node, port: int, pods: tuple[Pod, ...]
) -> tuple[Found, ...]:
    """By a node port, by a health check's, or by a port of a pod that shares the node's network."""
    on = f", on {node.meta.name}"
    found = _by_node_port(search, target, front, port, on)
    checks = [
        _found(s, "", f"{front}{target.word} is the health check node port of", on)
        for s in search.everywhere
        if port and s.health_check_node_port == port
    ]
    hosted = [pod for pod in pods if any(c.number == port for x in pod.containers for c in x.ports)] if port else []
    if found or checks or not hosted:
        return tuple(dict.fromkeys((*found, *checks)))
    return _of_pods(search, target, front, tuple(hosted), port)


#: The end of the line where nobody may say whether an address is a node's.
PERHAPS = ", if that is a node's address: nodes may not be read"


def _by_node_port(search: Search, target: Target, front: str, port: int, end: str) -> tuple[Found, ...]:
    return tuple(
        _found(service, word_of(service, p), f"{front}{target.word} is a node port of", end)
        for service in search.everywhere
        for p in service.ports
        if port and p.node_port == port
    )


def _node(ip: str, nodes: Iterable[Node], pods: Iterable[Pod]) -> Node | None:
    """The node that has the address; where nodes may not be read, a pod on the node's own network names it."""
    named = [Node(Meta("", pod.node)) for pod in pods if pod.is_host_network and pod.node]
    return next((n for n in nodes if any(same(a.address, ip) for a in n.addresses)), named[0] if named else None)


def _nothing_at_node(search: Search, node: Node, ip: str, port: int) -> str:
    known = [(p.node_port, s) for s in search.everywhere for p in s.ports if p.node_port]
    some = listed(f"{number} (service {s.namespace}/{s.name})" for number, s in sorted(known, key=lambda k: k[0]))
    there = f"; node ports are {some}" if some else "; no Service has a node port"
    who = f"{ip} is the node {node.meta.name}"
    if not port:
        example = f"{ip}:{min(known, key=lambda k: k[0])[0] if known else 30080}"
        return f"{who}, and leads to a Service by a node port only, as in {example}{there}{search.unlooked()}"
    if not search.saw_all_services:
        return f"{who}; whose node port {port} is cannot be told{search.unlooked()}"
    return f"{who}, and no Service has the node port {port}{there}{search.unlooked()}"


def _of_pods(search: Search, target: Target, front: str, pods: tuple[Pod, ...], port: int) -> tuple[Found, ...]:
    """The Services that select a pod, at the ports that lead to its port."""
    services = search.everywhere
    chosen: list[Found] = []
    for pod in pods:
        who = f"{front}{target.word} is pod {pod.meta.name}"
        own = selecting((s for s in services if s.namespace == pod.meta.namespace), [dict(pod.meta.labels)])
        leading = [(s, p) for s in own for p in (ports_to(s, port, [pod]) if port else [""])]
        none = f"; no port of it leads to {port}" if port and not leading else ""
        pairs = leading or [(s, "") for s in own]
        chosen += [_found(s, p, f"{who}, which is behind", none) for s, p in pairs]
    if chosen:
        first: dict[tuple[str, str, str], Found] = {}
        for found in chosen:
            first.setdefault((found.namespace, found.name, found.port), found)
        return tuple(first.values())
    pod = pods[0]
    who = f"{front}{target.word} is pod {pod.meta.name} in {pod.meta.namespace}"
    if not search.saw_services_of(pod.meta.namespace):
        raise NoService(f"error: {who}; which Services select it cannot be told{search.unlooked()}")
    near = nearest_selector((s for s in services if s.namespace == pod.meta.namespace), dict(pod.meta.labels))
    raise NoService(f"error: {who}, which no Service selects{near}")


def _of_slices(search: Search, target: Target, front: str, ip: str, port: int) -> tuple[Found, ...]:
    """By the EndpointSlices: addresses that are no pod's, and a pod's second address, by which pods cannot be asked for."""
    slices = search.wherever(r.ENDPOINT_SLICES, EndpointSlice.from_json).result()
    chosen: dict[tuple[str, str, str], Found] = {}
    for piece in slices:
        if piece.service_name and any(same(e.address, ip) for e in piece.endpoints):
            names = [p.name for p in piece.ports if port and p.port == port]
            for name in names or [""]:
                key = piece.meta.namespace, piece.service_name, name
                chosen[key] = Found(*key, f"{front}{target.word} is an endpoint of service {key[0]}/{key[1]}")
    return tuple(found for _, found in sorted(chosen.items()))


def _nobody(search: Search, ip: str, nodes: Iterable[Node]) -> str:
    """What is said of an address that nobody has: what it was, as far as its range tells."""
    ranges = [text for cidr in _service_ranges(search) for text in [cidr] if _is_in(ip, cidr)]
    node = next((n for n in nodes if n.gives(ip)), None)
    what = ""
    if ranges:
        what = f"; it is in the range of cluster IPs ({ranges[0]}), so the Service that had it may be gone"
    elif node:
        what = f"; it is in the range of the pods of {node.meta.name}, so the pod that had it may be gone"
    if unlooked := search.unlooked():
        return f"whose address {ip} is cannot be told{what}{unlooked}"
    return f"nobody in the cluster has the address {ip}: no Service, node, pod or endpoint{what}"


def _service_ranges(search: Search) -> tuple[str, ...]:
    def read(obj: dict[str, Any]) -> tuple[str, ...]:
        return texts(mapping(obj, "spec"), "cidrs")

    found = search.reader.read_optional(r.SERVICE_CIDRS, None, read).result() or ()
    return tuple(cidr for cidrs in found for cidr in cidrs)


def _is_in(ip: str, cidr: str) -> bool:
    try:
        return ipaddress.ip_address(ip) in ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        return False
