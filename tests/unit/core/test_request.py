"""What is said to a port: the signs of its protocol, the most telling first, and nothing that a hostile object smuggles in."""

from __future__ import annotations

import string
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.workload import Container, ContainerPort, HttpGet
from kubectl_svcprobe.probe.request import Request, choose, clean_host, clean_path
from tests.unit.core.build import endpoint, piece, pod, service, snapshot


def chosen(
    port: ServicePort, *probes: HttpGet, number: int = 0, path: str | None = None, declares: str = ""
) -> Request:
    """The request for a port whose endpoint listens at `number` (as targetPort says) and whose pod has these probes."""
    target = port.target_port if isinstance(port.target_port, int) else number
    of = pod("web-1", *probes, ports=[ContainerPort(target, declares)])
    return choose(
        snapshot(service(port), piece(endpoint("10.0.0.1", "web-1"), port=target, name=port.name), pods=(of,)),
        port,
        path,
    )


SIGNS = [
    ("nothing", ServicePort(1234, 4321), "TCP connect", "nothing says that it speaks HTTP"),
    ("appProtocol", ServicePort(1234, 4321, app_protocol="http"), "GET /", "appProtocol http"),
    (
        "appProtocol of Kubernetes",
        ServicePort(1, 2, app_protocol="kubernetes.io/h2c"),
        "H2C GET /",
        "appProtocol kubernetes.io/h2c",
    ),
    ("WebSocket", ServicePort(1, 2, app_protocol="kubernetes.io/ws"), "GET /", "appProtocol kubernetes.io/ws"),
    (
        "secure WebSocket",
        ServicePort(1, 2, app_protocol="kubernetes.io/wss"),
        "HTTPS GET /",
        "appProtocol kubernetes.io/wss",
    ),
    ("appProtocol in capitals", ServicePort(1, 2, app_protocol="HTTPS"), "HTTPS GET /", "appProtocol HTTPS"),
    (
        "an unknown appProtocol gets no HTTP",
        ServicePort(80, 80, app_protocol="example.com/x"),
        "TCP connect",
        "appProtocol example.com/x",
    ),
    (
        "gRPC",
        ServicePort(80, 80, app_protocol="grpc"),
        "gRPC POST /grpc.health.v1.Health/Check",
        "appProtocol grpc",
    ),
    ("a name", ServicePort(1234, 4321, "http"), "GET /", "the port's name http"),
    ("a name with a digit in its word", ServicePort(1, 2, name="h2c-api"), "H2C GET /", "the port's name h2c-api"),
    ("a name's first word", ServicePort(1234, 4321, "https-admin"), "HTTPS GET /", "the port's name https-admin"),
    ("a name with a number", ServicePort(1234, 4321, "web2"), "GET /", "the port's name web2"),
    ("a name with more numbers", ServicePort(1234, 4321, "http-8080"), "GET /", "the port's name http-8080"),
    ("a name whose number is part of the word", ServicePort(1234, 4321, "h2c"), "H2C GET /", "the port's name h2c"),
    ("the same as a first word", ServicePort(1234, 4321, "h2c-api"), "H2C GET /", "the port's name h2c-api"),
    ("HTTP of a version", ServicePort(1234, 4321, "http2"), "GET /", "the port's name http2"),
    ("a name that says no HTTP", ServicePort(80, 80, "tcp-http"), "TCP connect", "the port's name tcp-http"),
    ("a target's name", ServicePort(1234, "http"), "GET /", "the port's name http"),
    ("a name that says nothing", ServicePort(1234, 4321, "main"), "TCP connect", "nothing says that it speaks HTTP"),
    ("the port's name beats the target's", ServicePort(1, "http", "redis"), "TCP connect", "the port's name redis"),
    ("a web port", ServicePort(1234, 8080), "GET /", "port 8080"),
    ("a web port in front", ServicePort(80, 4321), "GET /", "port 80"),
    ("the one behind is nearer", ServicePort(80, 8443), "HTTPS GET /", "port 8443"),
    ("a database behind a web port", ServicePort(80, 5432), "TCP connect", "port 5432 is a database's or broker's"),
    (
        "a database, whatever its name says",
        ServicePort(80, 6379, "http"),
        "TCP connect",
        "port 6379 is a database's or broker's",
    ),
    ("appProtocol beats a database's number", ServicePort(80, 9093, app_protocol="http"), "GET /", "appProtocol http"),
]


@pytest.mark.parametrize(("port", "said", "why"), [case[1:] for case in SIGNS], ids=[case[0] for case in SIGNS])
def test_a_port_is_spoken_to_by_its_sign(port: ServicePort, said: str, why: str) -> None:
    request = chosen(port, number=7777)
    assert (str(request), request.why) == (said, why)


OWN = "the pod's own HTTP probe"
PROBES = [
    ("by number", ServicePort(80, 9), HttpGet(9, "/ready"), "", "GET /ready", OWN),
    ("by the container port's name", ServicePort(80, 9), HttpGet("api", "/ready"), "api", "GET /ready", OWN),
    ("by another name", ServicePort(80, 9), HttpGet("admin", "/ready"), "api", "TCP connect", None),
    ("by the target's name", ServicePort(80, "api"), HttpGet("api", "/ready"), "api", "GET /ready", OWN),
    ("of another port", ServicePort(1, 9), HttpGet(10, "/ready"), "", "TCP connect", None),
    ("by HTTPS", ServicePort(80, 9), HttpGet(9, "/", "HTTPS"), "", "HTTPS GET /", OWN),
    ("beats a database's number", ServicePort(80, 9093), HttpGet(9093, "/-/ready"), "", "GET /-/ready", OWN),
    ("beats the port's name", ServicePort(80, 9, "https"), HttpGet(9, "/up"), "", "GET /up", OWN),
    (
        "gives appProtocol a path",
        ServicePort(80, 9, app_protocol="http"),
        HttpGet(9, "/up"),
        "",
        "GET /up",
        "appProtocol http",
    ),
    (
        "has another scheme than appProtocol",
        ServicePort(80, 9, app_protocol="https"),
        HttpGet(9, "/up"),
        "",
        "HTTPS GET /",
        "appProtocol https",
    ),
]


@pytest.mark.parametrize(
    ("port", "probe", "declares", "said", "why"), [case[1:] for case in PROBES], ids=[case[0] for case in PROBES]
)
def test_a_pod_s_own_probe(port: ServicePort, probe: HttpGet, declares: str, said: str, why: str | None) -> None:
    port = port if why else ServicePort(1234, port.target_port)
    request = chosen(port, probe, number=9, declares=declares)
    assert (str(request), request.why) == (said, why or "nothing says that it speaks HTTP")


def test_the_host_header_of_a_pod_s_own_probe_is_kept() -> None:
    assert chosen(ServicePort(80, 9), HttpGet(9, "/", host="shop.example.com")).host == "shop.example.com"


def test_a_sidecar_s_probe_counts() -> None:
    of = pod("web-1", sidecars=(Container("proxy", http_probes=(HttpGet(15021, "/healthz/ready"),)),))
    port = ServicePort(15021, 15021)
    assert str(choose(snapshot(service(port), pods=(of,)), port)) == "GET /healthz/ready"


def test_pods_that_no_endpoint_leads_to_do_not_count_where_others_are() -> None:
    port = ServicePort(1, 9)
    pods = (pod("stray", HttpGet(9, "/stray")), pod("web-1", HttpGet(9, "/mine")))
    of = snapshot(service(port), piece(endpoint("10.0.0.1", "web-1"), port=9), pods=pods)
    assert choose(of, port).path == "/mine"


PATHS = [
    ("its own request, with another path", ServicePort(80, 8080), "GET /x", "port 8080"),
    ("HTTPS stays HTTPS", ServicePort(443, 8443), "HTTPS GET /x", "port 8443"),
    ("what speaks no HTTP is asked by HTTP all the same", ServicePort(80, 5432), "GET /x", "as asked for"),
    ("nothing known", ServicePort(1234, 4321), "GET /x", "as asked for"),
]


@pytest.mark.parametrize(("port", "said", "why"), [case[1:] for case in PATHS], ids=[case[0] for case in PATHS])
@pytest.mark.parametrize("path", ["/x", "x"])
def test_the_user_s_path(port: ServicePort, path: str, said: str, why: str) -> None:
    request = chosen(port, path=path)
    assert (str(request), request.why) == (said, why)


def test_the_user_s_path_is_not_the_empty_one() -> None:
    assert str(chosen(ServicePort(1234, 4321), path="")) == "GET /"


def test_the_user_s_path_keeps_the_probe_s_host() -> None:
    request = chosen(ServicePort(80, 9), HttpGet(9, "/ready", host="a.b"), path="/x")
    assert (request.path, request.host) == ("/x", "a.b")


URLS = [
    (Request("http", "/a?b=c"), "10.0.0.1", "http://10.0.0.1:80/a?b=c"),
    (Request("https", "/"), "fd00::1", "https://[fd00::1]:80/"),
    (Request("h2c", "/"), "web.shop.svc", "http://web.shop.svc:80/"),
    (Request("tcp", "/ignored"), "fd00::1", "ftp://[fd00::1]:80/"),
]


@pytest.mark.parametrize(("request_", "host", "url"), URLS)
def test_a_url(request_: Request, host: str, url: str) -> None:
    assert request_.url(host, 80) == url


HOSTILE = [
    ("/", "/"),
    ("", "/"),
    ("healthz", "/healthz"),
    ("/a b", "/a%20b"),
    ("/a\r\nHost: evil", "/a%0D%0AHost:%20evil"),
    ("/#x", "/%23x"),
    ("/a\\b", "/a%5Cb"),
    ("/ü", "/%C3%BC"),
    ("/%41?q=1&r={x}[1-3]", "/%41?q=1&r=%7Bx%7D%5B1-3%5D"),
    ("//evil.example.com/", "//evil.example.com/"),
    ("-o/etc/passwd", "/-o/etc/passwd"),
    ("@file", "/@file"),
]


@pytest.mark.parametrize(("path", "expected"), HOSTILE)
def test_a_path_is_nothing_but_a_path(path: str, expected: str) -> None:
    assert clean_path(path) == expected


@given(st.text(max_size=20) | st.just("\udcff"))
def test_no_path_leads_elsewhere(path: str) -> None:
    cleaned = clean_path(path)
    url = urlsplit(Request("http", cleaned).url("10.0.0.1", 80))
    assert (url.scheme, url.netloc, url.fragment) == ("http", "10.0.0.1:80", "")
    assert all(letter in string.ascii_letters + string.digits + "/?&=%:@!'()*+,;~-._" for letter in cleaned)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("shop.example.com", "shop.example.com"),
        ("shop_1.example.com:8080", "shop_1.example.com:8080"),
        ("[fd00::1]:80", "[fd00::1]:80"),
        ("", ""),
        ("a b", ""),
        ("a\r\nX-Evil: 1", ""),
        ("a\n", ""),
        ("@file", ""),
        ("x" * 253, "x" * 253),
        ("x" * 254, ""),
    ],
)
def test_a_host_header_is_a_host_or_nothing(host: str, expected: str) -> None:
    assert clean_host(host) == expected
