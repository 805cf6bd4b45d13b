"""What the user may call a Service: every form, right and wrong, as data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe import kinds
from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.target import Address, HostName, ObjectName, ServiceName, Target, parse, parse_all

NAMES = [
    ("devops", ServiceName("devops"), ""),
    ("svc/devops", ServiceName("devops"), ""),
    ("services/devops", ServiceName("devops"), ""),
    ("Service/devops", ServiceName("devops"), ""),
    ("service.v1./devops", ServiceName("devops"), ""),
    ("svc/explain", ServiceName("explain"), ""),
    ("devops:80", ServiceName("devops"), "80"),
    ("svc/devops:http", ServiceName("devops"), "http"),
    ("1st", ServiceName("1st"), ""),
    ("a" * 63, ServiceName("a" * 63), ""),
    ("web:" + "p" * 63, ServiceName("web"), "p" * 63),
    ("devops:80/TCP", ServiceName("devops"), "80"),
    ("svc/devops.shop", ServiceName("devops", "shop"), ""),
    ("devops.shop.svc", ServiceName("devops", "shop"), ""),
    ("devops.shop.svc:http", ServiceName("devops", "shop"), "http"),
    ("devops.shop.svc.cluster.local", ServiceName("devops", "shop"), ""),
    ("devops.shop.svc.corp.example.", ServiceName("devops", "shop"), ""),
    ("DevOps.Shop.SVC.cluster.local", ServiceName("devops", "shop"), ""),
    ("_http._tcp.devops.shop.svc.cluster.local", ServiceName("devops", "shop"), "http"),
    ("web-0.web.shop.svc.cluster.local:80", ServiceName("web", "shop", "web-0"), "80"),
    ("10-244-1-5.devops.shop.svc", ServiceName("devops", "shop", "10-244-1-5"), ""),
    ("devops.shop", HostName("devops.shop"), ""),
    ("devops.shop:80", HostName("devops.shop"), "80"),
    ("lb-1.eu.cloud.example", HostName("lb-1.eu.cloud.example"), ""),
    ("deploy/web", ObjectName(kinds.WORKLOADS[0], "web"), ""),
    ("deployment.apps/web", ObjectName(kinds.WORKLOADS[0], "web"), ""),
    ("deployments.v1.apps/web:80", ObjectName(kinds.WORKLOADS[0], "web"), "80"),
    ("sts/web", ObjectName(kinds.WORKLOADS[1], "web"), ""),
    ("ds/web", ObjectName(kinds.WORKLOADS[2], "web"), ""),
    ("rs/web-5d9f", ObjectName(kinds.WORKLOADS[3], "web-5d9f"), ""),
    ("job/web", ObjectName(kinds.WORKLOADS[4], "web"), ""),
    ("pod/web-1.a", ObjectName(kinds.POD, "web-1.a"), ""),
    ("ing/shop", ObjectName(kinds.ROUTES[0], "shop"), ""),
    ("httproute.gateway.networking.k8s.io/shop", ObjectName(kinds.ROUTES[1], "shop"), ""),
    ("grpcroutes/shop", ObjectName(kinds.ROUTES[2], "shop"), ""),
    ("route/shop", ObjectName(kinds.ROUTES[3], "shop"), ""),
    ("10.96.0.7", Address("10.96.0.7"), ""),
    ("10.96.0.7:80", Address("10.96.0.7"), "80"),
    ("fd00:0::1", Address("fd00::1"), ""),
    ("[fd00::1]", Address("fd00::1"), ""),
    ("[FD00::1]:80", Address("fd00::1"), "80"),
    ("::ffff:10.96.0.7", Address("10.96.0.7"), ""),
    ("10-244-1-5.shop.pod.cluster.local", Address("10.244.1.5"), ""),
    ("fd00--1.shop.pod", Address("fd00::1"), ""),
]


@pytest.mark.parametrize(("word", "named", "port"), NAMES)
def test_a_name_says_what_it_is(word: str, named: object, port: str) -> None:
    target = parse(word)
    assert (target.named, target.port, target.scheme, target.path) == (named, port, "", None)


#: A URL; what it names; port, scheme, path; what is shown of it.
URLS = [
    ("http://devops", ServiceName("devops"), "80", "http", None, "http://devops"),
    ("http://devops/", ServiceName("devops"), "80", "http", "/", "http://devops/"),
    ("HTTP://devops:81/a?b=c#d", ServiceName("devops"), "81", "http", "/a?b=c", "HTTP://devops:81/a?b=c"),
    ("https://devops.shop/x", HostName("devops.shop"), "443", "https", "/x", "https://devops.shop/x"),
    ("https://devops?x=1", ServiceName("devops"), "443", "https", "/?x=1", "https://devops?x=1"),
    ("ws://devops/chat", ServiceName("devops"), "80", "http", "/chat", "ws://devops/chat"),
    ("wss://devops", ServiceName("devops"), "443", "https", None, "wss://devops"),
    ("h2c://devops:8080/", ServiceName("devops"), "8080", "h2c", "/", "h2c://devops:8080/"),
    ("grpc://devops:50051", ServiceName("devops"), "50051", "grpc", None, "grpc://devops:50051"),
    ("dns:///devops:50051", ServiceName("devops"), "50051", "grpc", None, "dns:///devops:50051"),
    ("tcp://devops:5000/x", ServiceName("devops"), "5000", "tcp", None, "tcp://devops:5000/x"),
    ("udp://devops:53", ServiceName("devops"), "53", "udp", None, "udp://devops:53"),
    ("http://[fd00::1]:80/x", Address("fd00::1"), "80", "http", "/x", "http://[fd00::1]:80/x"),
    ("redis://db", ServiceName("db"), "6379", "tcp", None, "redis://db"),
    ("postgresql+psycopg2://me:s3cret@db/x", ServiceName("db"), "5432", "tcp", None, "postgresql+psycopg2://db/x"),
    ("jdbc:mysql://db:3307/x", ServiceName("db"), "3307", "tcp", None, "jdbc:mysql://db:3307/x"),
    ("http://me:s3cret@devops/", ServiceName("devops"), "80", "http", "/", "http://devops/"),
    ("http://devops/users/@me", ServiceName("devops"), "80", "http", "/users/@me", "http://devops/users/@me"),
    ("devops.shop:8080/healthz", HostName("devops.shop"), "8080", "", "/healthz", "devops.shop:8080/healthz"),
    ("devops:8080/", ServiceName("devops"), "8080", "", "/", "devops:8080/"),
    ("10.96.0.7/healthz", Address("10.96.0.7"), "", "", "/healthz", "10.96.0.7/healthz"),
]


@pytest.mark.parametrize(("word", "named", "port", "scheme", "path", "shown"), URLS)
def test_a_url_says_how_to_ask(word: str, named: object, port: str, scheme: str, path: str | None, shown: str) -> None:
    target = parse(word)
    assert (target.named, target.port, target.scheme, target.path, target.word) == (named, port, scheme, path, shown)
    assert target.has_userinfo == ("s3cret" in word)


WRONG = [
    ("", "error: an empty word names no Service; give a name, as in devops or svc/devops"),
    (" ", "error: an empty word names no Service"),
    ("svc/", "error: 'svc/' cannot be the name of a Service: lower case letters, digits and '-' only"),
    ("DevOps", "error: 'DevOps' cannot be the name of a Service"),
    ("-web", "error: '-web' cannot be the name of a Service"),
    ("web-", "error: 'web-' cannot be the name of a Service"),
    ("a" * 64, "error: '" + "a" * 64 + "' cannot be the name of a Service"),
    ("web\n", "error: 'web\\n' cannot be the name of a Service"),
    ("http://sh\nop", "error: 'sh\\nop' cannot be the name of a Service"),
    ("a..b", "error: 'a..b' cannot be a DNS name"),
    ("my_db.shop", "error: 'my_db.shop' cannot be a DNS name: letters, digits and '-' only between the dots"),
    ("localhost:80", "error: localhost is whichever machine asks, and no Service's"),
    ("127.0.0.1:8080", "error: 127.0.0.1 is whichever machine asks, and no Service's"),
    ("[::1]:80", "error: ::1 is whichever machine asks, and no Service's"),
    ("0.0.0.0", "error: 0.0.0.0 is no machine's address"),
    ("devops.svc.cluster.local", "error: devops.svc.cluster.local lacks the namespace: write devops.NAMESPACE.svc.clu"),
    ("web:", "error: '' cannot be a port of web: give its number or its name, as in web:80 or web:http"),
    ("web:HTTP", "error: 'HTTP' cannot be a port of web"),
    ("web:80:81", "error: '80:81' cannot be a port of web"),
    ("web:0", "error: 0 cannot be a port of web: ports go from 1 to 65535"),
    ("web:65536", "error: 65536 cannot be a port of web: ports go from 1 to 65535"),
    ("web:" + "p" * 64, "error: '" + "p" * 64 + "' cannot be a port of web"),
    ("10.96.0.7:http", "error: 'http' cannot be a port of 10.96.0.7: of an address, give its number"),
    ("10.96.0.07", "error: 10.96.0.07 is not an address: four numbers from 0 to 255, none with a leading 0"),
    ("10.96.300.7:80", "error: 10.96.300.7 is not an address"),
    ("10.96.0.0/16", "error: 10.96.0.0/16 is a range of addresses; give one of them, as in 10.96.0.0"),
    ("[fd00::1", "error: [fd00::1 is not an address with a port: write [fd00::1]:80"),
    ("svc/10.96.0.7", "error: 10.96.0.7 is an address and not a name; give it without the kind"),
    ("configmap/x", "error: configmap/x is not a Service, nor of a kind that leads to one: svc/, deploy/,"),
    ("node/n1", "error: node/n1 is not a Service"),
    ("deploy/", "error: 'deploy/' cannot be the name of a deployment: it is empty"),
    ("deploy/Web", "error: 'Web' cannot be the name of a deployment"),
    ("deploy/web:", "error: '' cannot be a port of web"),
    ("ftp://devops", "error: ftp:// cannot be probed; a URL's scheme is one of http, https,"),
    ("http://", "error: http:// has no host; give one, as in http://devops.shop/"),
    ("http:///x", "error: http:///x has no host"),
    ("://devops", "error: '://devops' is not a URL that can be understood"),
    ("me:s3cret@devops", "error: devops is not a Service; a URL begins with its scheme"),
    ("pg://me:s3cret@db", "error: pg:// cannot be probed"),
    ("postgres://me:s3c/ret@db/x", "error: cannot tell where the password in the URL ends"),
    ("postgres://me:s3c@ret/1@db/x", "error: cannot tell where the password in the URL ends"),
    ("http://me:s3cret@:80/", "error: http://:80/ has no host"),
]


@pytest.mark.parametrize(("word", "expected"), WRONG)
def test_a_wrong_word_is_told_what_is_right(word: str, expected: str) -> None:
    with pytest.raises(UsageError) as refusal:
        parse(word)
    assert str(refusal.value).startswith(expected)


def test_a_namespace_in_front_is_told_how_to_be_written() -> None:
    with pytest.raises(UsageError, match=r"a Service devops in the namespace shop is devops\.shop"):
        parse("shop/devops")


@given(st.text(alphabet=st.sampled_from("az09.-:/@[]%_#? \n\0éhttp"), max_size=30) | st.text(max_size=20))
def test_any_word_is_understood_or_refused_in_one_line(word: str) -> None:
    said = ""
    try:
        parse(word)
    except UsageError as refusal:
        said = str(refusal)
    assert said.startswith("error: ") or not said


PASSWORDS = st.text(alphabet=st.sampled_from("Qxz7:/?#@%& "), min_size=4, max_size=12)


@given(PASSWORDS, st.sampled_from(["http", "postgres", "jdbc:mysql", "pg", "redis+x"]), st.sampled_from(["", ":5432"]))
def test_a_password_is_never_shown(password: str, scheme: str, port: str) -> None:
    secret = f"Q{password}Q"
    try:
        said = repr(parse(f"{scheme}://app:{secret}@db.shop{port}/x"))
    except UsageError as refusal:
        said = str(refusal)
    pieces = [piece for piece in secret.replace("/", "@").split("@") if "Q" in piece]
    assert not any(piece in said for piece in pieces), said


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), []),
        (("web",), ["web"]),
        (("web", "db"), ["web", "db"]),
        (("svc", "web", "db"), ["web", "db"]),
        (("SVC", "web"), ["web"]),
        (("svc",), ["svc"]),
        (("web", "svc"), ["web", "svc"]),
        (("web", "svc/web", "db", "web"), ["web", "db"]),
        (("web:80", "web:81"), ["web:80", "web:81"]),
        (("deploy", "web", "db"), ["deployment/web", "deployment/db"]),
    ],
)
def test_several_words(words: tuple[str, ...], names: list[str]) -> None:
    assert [_name(target) for target in parse_all(words)] == names


def _name(target: Target) -> str:
    name = target.named.name if isinstance(target.named, ServiceName) else str(target.named)
    return f"{name}:{target.port}" if target.port else name


def test_kind_and_names_are_not_mixed() -> None:
    with pytest.raises(UsageError, match=r"no need to specify a resource type .*kubectl svcprobe svc/db"):
        parse_all(("svc", "web", "svc/db"))
