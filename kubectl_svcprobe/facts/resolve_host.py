"""From a DNS name to the Services that it means: by the cluster's own rules, or because some object bears it as a host."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.facts.found import Found, Search
from kubectl_svcprobe.facts.json_fields import items, mapping, text, texts
from kubectl_svcprobe.facts.model import Json, Meta, Service
from kubectl_svcprobe.facts.node import Node
from kubectl_svcprobe.target import HostName, Target, dashed_ip

#: Hosts that external-dns is to publish for a Service.
EXTERNAL_DNS = "external-dns.alpha.kubernetes.io/hostname"


def by_dns_rules(search: Search, target: Target, named: HostName) -> Found | None:
    """`SERVICE.NAMESPACE`, `POD.SERVICE` and `POD.SERVICE.NAMESPACE`: the first whose Service exists.

    https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/ has the full names.
    """
    first, second, *rest = named.labels
    if not rest and search.service(second, first):
        return Found(second, first, target.port)
    namespace = rest[0] if rest else search.namespace
    if len(rest) > 1:
        return None
    service = search.service(namespace, second)
    if service is None:
        return None
    what = f"the pod {dashed_ip(first)}" if dashed_ip(first) else f"the pod {first}"
    end = (
        "the whole Service is looked at"
        if service.is_headless
        else "it is not headless, so its pods have no such names"
    )
    return Found(namespace, second, target.port, f"{target.word} is {what} behind service {namespace}/{second}; {end}")


def by_its_names(search: Search, target: Target, host: str) -> tuple[Found, ...]:
    """The Services of which the host is a load balancer's, an alias's or a route's; of routes, those for the URL's path."""
    reads: list[Future[tuple[Iterator[Rule], ...]]] = [
        search.wherever(r.INGRESSES, _of_ingress),
        search.wherever(r.HTTP_ROUTES, partial(_of_gateway_route, "httproute")),
        search.wherever(r.GRPC_ROUTES, partial(_of_gateway_route, "grpcroute")),
        search.wherever(r.OPENSHIFT_ROUTES, _of_openshift_route),
    ]
    own = [
        Found(s.namespace, s.name, target.port, f"{target.word} is {what} of service {s.namespace}/{s.name}")
        for s in search.everywhere
        for what in _own_names(s, host)
    ]
    nodes = search.wherever(r.NODES, Node.from_json)
    if own:
        return tuple(own)
    if by_node := _by_node(search, target, host, nodes.result()):
        return by_node
    rules = [rule for read in reads for of_one in read.result() for rule in of_one]
    found: dict[tuple[str, str], Found] = {}
    for rule in _best(rules, host, target.path):
        how = f"{target.word} is led to service {rule.namespace}/{rule.service} by {rule.by}"
        found.setdefault((rule.namespace, rule.service), Found(rule.namespace, rule.service, "", how, True))
    return tuple(found.values())


def _own_names(service: Service, host: str) -> Iterator[str]:
    if any(ingress.hostname.lower().rstrip(".") == host for ingress in service.load_balancer_ingress):
        yield "the load balancer's name"
    elif service.external_name.lower().rstrip(".") == host:
        yield "the target"
    elif host in [name.strip() for name in service.meta.annotations.get(EXTERNAL_DNS, "").lower().split(",")]:
        yield "the external DNS name"


def _by_node(search: Search, target: Target, host: str, nodes: tuple[Node, ...]) -> tuple[Found, ...]:
    node = next((n for n in nodes if any(a.address.lower() == host for a in n.addresses)), None)
    if node is None or not target.port.isdigit():
        return ()
    return tuple(
        Found(
            s.namespace,
            s.name,
            str(p.port),
            f"{target.word} is a node port of service {s.namespace}/{s.name}, on {node.meta.name}",
        )
        for s in search.everywhere
        for p in s.ports
        if p.node_port == int(target.port)
    )


@dataclass(frozen=True)
class Rule:
    """Requests for a host (`*.` in front: for any below it) and a path go to a Service, as `by` (`ingress/shop`) says."""

    host: str
    path: str
    is_exact: bool
    namespace: str
    service: str
    by: str

    def fits(self, host: str) -> bool:
        """Whether it is about that host."""
        own = self.host.lower()
        return own == host or (own.startswith("*.") and host.endswith(own[1:]))

    def leads(self, path: str) -> bool:
        """Whether a request for that path (without a query) is meant."""
        prefix = self.path.rstrip("/")
        return path == self.path or (not self.is_exact and (path == prefix or path.startswith(f"{prefix}/")))


def _best(rules: list[Rule], host: str, path: str | None) -> list[Rule]:
    """The rules for a host, an exact one before one with a wildcard; with a path, those of the longest that fits."""
    fitting = [rule for rule in rules if rule.fits(host)]
    exact = [rule for rule in fitting if not rule.host.startswith("*.")]
    chosen = exact or fitting
    if path is None:
        return chosen
    leading = [rule for rule in chosen if rule.leads(path.partition("?")[0])]
    longest = max((len(rule.path) for rule in leading), default=0)
    return [rule for rule in leading if len(rule.path) == longest]


def _of_ingress(obj: Json) -> Iterator[Rule]:
    meta, spec = Meta.from_json(obj), mapping(obj, "spec")
    for rule in items(spec, "rules"):
        for path in items(mapping(rule, "http"), "paths"):
            if name := text(mapping(mapping(path, "backend"), "service"), "name"):
                is_exact = text(path, "pathType") == "Exact"
                yield Rule(
                    text(rule, "host"), text(path, "path") or "/", is_exact, meta.namespace, name, _by("ingress", meta)
                )


def _of_gateway_route(kind: str, obj: Json) -> Iterator[Rule]:
    meta, spec = Meta.from_json(obj), mapping(obj, "spec")
    for host in texts(spec, "hostnames"):
        for rule in items(spec, "rules"):
            paths = [mapping(match, "path") for match in items(rule, "matches")] or [{}]
            for ref in items(rule, "backendRefs"):
                if (text(ref, "kind") or "Service") == "Service":
                    namespace = text(ref, "namespace") or meta.namespace
                    for path in paths:
                        is_exact = text(path, "type") == "Exact"
                        value = text(path, "value") or "/"
                        yield Rule(host, value, is_exact, namespace, text(ref, "name"), _by(kind, meta))


def _of_openshift_route(obj: Json) -> Iterator[Rule]:
    meta, spec = Meta.from_json(obj), mapping(obj, "spec")
    for ref in (mapping(spec, "to"), *items(spec, "alternateBackends")):
        if name := text(ref, "name"):
            yield Rule(text(spec, "host"), text(spec, "path") or "/", False, meta.namespace, name, _by("route", meta))


def _by(kind: str, meta: Meta) -> str:
    return f"{kind}/{meta.name}"


def nothing_is_called(search: Search, named: HostName) -> str:
    """What is said where no object bears the name."""
    first, second, *rest = named.labels
    hint = f"; a Service's full name is {first}.{second}.svc.{'.'.join(rest)}" if rest[:1] == ["cluster"] else ""
    if unlooked := search.unlooked():
        return f"error: what {named.host} is cannot be told{hint}{unlooked}"
    place = f"no Service {first} in a namespace {second}, " if not rest else ""
    return (
        f"error: nothing in the cluster is called {named.host}: {place}no load balancer, ExternalName, node, Ingress or route "
        f"of that name{hint}"
    )
