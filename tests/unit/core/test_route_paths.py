"""Which way in an Ingress, a route of the Gateway API or a Route of OpenShift is: where it is asked, by which name, for what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubectl_svcprobe.facts.gateway import Edge, Gateway, Listener
from kubectl_svcprobe.facts.model import Service
from kubectl_svcprobe.facts.route import Route
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe.request import Request
from kubectl_svcprobe.probe.route_paths import MOST_ROUTES, route_paths, said_at, untried_routes

META = {"name": "edge", "namespace": "shop"}
ADDRESS = {"loadBalancer": {"ingress": [{"ip": "203.0.113.80"}]}}


def service() -> Service:
    return Service.from_json({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"ports": [{"port": 80}]}})


def of(*routes: Route, **facts: Any) -> Snapshot:
    return replace(Snapshot("shop", "web", "", service=service(), routes=routes), **facts)


def ingress(host: str = "shop.example.com", status: Any = None, path: str = "/", **spec: Any) -> Route:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
    return Route.from_ingress({"metadata": META, "spec": {"rules": [rule], **spec}, "status": status or ADDRESS})


def http_route(*hosts: str, **rule: Any) -> Route:
    spec = {"parentRefs": [{"name": "front"}], "hostnames": [*hosts]}
    rules = [{"backendRefs": [{"name": "web", "port": 80, **rule.pop("ref", {})}], **rule}]
    return Route.from_http_route({"metadata": META, "spec": {**spec, "rules": rules}})


def at_gateway(*listeners: Listener, route: Route | None = None) -> Snapshot:
    gateway = Gateway(service().meta, listeners=listeners, addresses=("203.0.113.90",))
    return of(route or http_route("shop.example.com"), edge=Edge({("shop", "front"): gateway}, frozenset({"shop"})))


@pytest.mark.parametrize(
    ("route", "url", "name"),
    [
        (ingress(), "http://203.0.113.80:80/", "shop.example.com"),
        (ingress("*.example.com"), "http://203.0.113.80:80/", "svcprobe.example.com"),
        (ingress(""), "http://203.0.113.80:80/", ""),
        (ingress(path="/api"), "http://203.0.113.80:80/api", "shop.example.com"),
        (ingress(path="/api(/|$)(.*)"), "http://203.0.113.80:80/api", "shop.example.com"),
        (ingress(tls=[{"hosts": ["shop.example.com"]}]), "https://203.0.113.80:443/", "shop.example.com"),
        (ingress(tls=[{"hosts": ["*.example.com"]}]), "https://203.0.113.80:443/", "shop.example.com"),
        (ingress(tls=[{"hosts": ["other.example.com"]}]), "http://203.0.113.80:80/", "shop.example.com"),
        (ingress(tls=[{}]), "https://203.0.113.80:443/", "shop.example.com"),
    ],
)
def test_an_ingress_is_asked_at_its_address_by_its_host(route: Route, url: str, name: str) -> None:
    (path,) = route_paths(of(route))
    assert path.request is not None
    assert (path.request.url(path.host, path.port), path.authority) == (url, name)


def test_an_openshift_route_is_asked_by_the_name_that_leads_there() -> None:
    spec = {"host": "shop.apps.example.com", "to": {"kind": "Service", "name": "web"}, "tls": {"termination": "edge"}}
    (path,) = route_paths(of(Route.from_openshift_route({"metadata": META, "spec": spec})))
    assert (path.host, path.port, path.authority) == ("shop.apps.example.com", 443, "")


@pytest.mark.parametrize(
    ("listeners", "target"),
    [
        ([Listener("web", 80, "HTTP")], "shop.example.com at 203.0.113.90:80"),
        ([Listener("tcp", 9, "TCP"), Listener("web", 8443, "HTTPS")], "shop.example.com at 203.0.113.90:8443"),
        (
            [Listener("a", 80, "HTTP", "a.test"), Listener("b", 81, "HTTP", "*.example.com")],
            "shop.example.com at 203.0.113.90:81",
        ),
    ],
)
def test_a_gateway_is_asked_at_the_listener_for_the_host(listeners: list[Listener], target: str) -> None:
    assert [path.target for path in route_paths(at_gateway(*listeners))] == [target]


WEB = Listener("web", 80, "HTTP")


@pytest.mark.parametrize(
    ("snapshot", "reason"),
    [
        (of(ingress(status={"loadBalancer": {}})), "it has no address"),
        (of(ingress(status={"loadBalancer": {"ingress": [{"hostname": "-x y"}]}})), "it has no address"),
        (of(ingress("a b")), "its host is no name"),
        (of(http_route()), "gateway/front could not be read"),
        (at_gateway(Listener("a", 80, "HTTP", "a.test")), "gateway/front has no HTTP listener for it"),
        (at_gateway(WEB, route=http_route(ref={"weight": 0})), "its weight is 0"),
        (
            at_gateway(WEB, route=http_route(matches=[{"headers": [{"name": "x", "value": "y"}]}])),
            "its rule is for certain headers, methods or queries",
        ),
    ],
)
def test_what_cannot_be_asked_says_why(snapshot: Snapshot, reason: str) -> None:
    assert [path.target for path in route_paths(snapshot)] == []
    assert [untried.reason for untried in untried_routes(snapshot)] == [reason]


def test_a_wrong_port_is_a_finding_and_no_way_in() -> None:
    other = replace(service(), ports=(replace(service().ports[0], port=81),))
    snapshot = of(ingress(), service=other)
    assert [*route_paths(snapshot), *untried_routes(snapshot)] == []


def test_so_many_routes_are_tried() -> None:
    snapshot = of(*[ingress(f"h{n}.example.com") for n in range(MOST_ROUTES + 2)])
    assert len([*route_paths(snapshot)]) == MOST_ROUTES
    assert [untried.target for untried in untried_routes(snapshot)] == ["2 more"]


@pytest.mark.parametrize(
    ("rule", "direct", "asked"),
    [
        ("/", "/healthz", "/healthz"),
        ("/api", "/healthz", "/api"),
        ("/api", "/api/v1", "/api/v1"),
        ("/api", "/apis", "/api"),
    ],
)
def test_the_same_is_asked_where_the_rule_leads_there(rule: str, direct: str, asked: str) -> None:
    (path,) = route_paths(of(ingress(path=rule)))
    assert said_at(path, Request("http", direct)).path == asked
