"""Whatever is at hand, and the Service that it leads to: on a cluster in memory, as data."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.errors import NoService, SvcprobeError, UsageError
from kubectl_svcprobe.facts.resolve import Resolver
from kubectl_svcprobe.meant import Meant, services_meant
from kubectl_svcprobe.run import Options
from kubectl_svcprobe.target import parse, parse_all
from tests.fake_cluster import FakeCluster
from tests.unit.flow import objects as o

Object = o.Object


def _object(kind: str, name: str, spec: Object, namespace: str = "shop", **more: object) -> Object:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, **more}, "spec": spec}


def _workload(kind: str, name: str, labels: dict[str, str]) -> Object:
    return _object(kind, name, {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}})


def _pod(name: str, ip: str, labels: dict[str, str], **status: object) -> Object:
    pod = o.pod(name, labels=labels)
    pod["status"] = {**pod["status"], "podIP": ip, "podIPs": [{"ip": ip}], **status}
    pod["spec"]["hostNetwork"] = ip.startswith("172.30.")
    return pod


def _port(port: int, target: int | str = 8080, **more: object) -> Object:
    return {"port": port, "targetPort": target, "protocol": "TCP", **more}


def _backend(name: str) -> Object:
    return {"service": {"name": name, "port": {"number": 80}}}


BALANCER = {"loadBalancer": {"ingress": [{"ip": "192.0.2.80"}, {"hostname": "LB-1.cloud.example"}]}}
SHARED = {"loadBalancer": {"ingress": [{"ip": "192.0.2.81"}]}}
RULES = [
    {"host": "shop.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": _backend("devops")}]}},
    {"host": "shop.example", "http": {"paths": [{"path": "/pay", "pathType": "Exact", "backend": _backend("public")}]}},
    {"host": "*.shop.example", "http": {"paths": [{"path": "/", "backend": _backend("db")}]}},
]


def cluster() -> FakeCluster:
    """The namespace `shop`, on two nodes."""
    public = o.service("public", clusterIP="", clusterIPs=[], type="LoadBalancer", selector={"app": "none"})
    public["spec"].update(healthCheckNodePort=30589)
    shared = [
        o.service(name, clusterIP="", clusterIPs=[], type="LoadBalancer", selector={"app": "none"}, ports=[_port(port)])
        for name, port in (("shared-a", 81), ("shared-b", 82))
    ]
    dns_ports = [_port(53, nodePort=30753), {**_port(53, nodePort=30754), "protocol": "UDP"}]
    dns = o.service("dns", clusterIP="", clusterIPs=[], selector={}, ports=dns_ports)
    dns["metadata"]["annotations"] = {"external-dns.alpha.kubernetes.io/hostname": "a.example, www.shop.test"}
    node = {"kind": "Node", "metadata": {"name": "node-1"}, "spec": {"podCIDRs": ["10.244.1.0/24"]}}
    node["status"] = {
        "addresses": [{"type": "InternalIP", "address": "172.30.0.11"}, {"type": "Hostname", "address": "n1.lan"}]
    }
    route = {
        "hostnames": ["api.example"],
        "rules": [{"backendRefs": [{"name": "devops"}, {"name": "far", "namespace": "away"}]}],
    }
    # The same selector, in a namespace where it matches nothing.
    elsewhere = o.service("keeper", clusterIP="10.96.0.99", clusterIPs=["10.96.0.99"])
    return FakeCluster(
        {"kind": "Namespace", "metadata": {"name": "shop"}},
        node,
        o.service(
            ports=[_port(80, name="http", nodePort=30588), _port(81, 9090, name="admin")], externalIPs=["192.0.2.9"]
        ),
        o.service("devops-all", clusterIP="fd00::7", clusterIPs=["fd00::7", "10.96.0.8"], ports=[_port(8081, "web")]),
        o.service("db", clusterIP="None", clusterIPs=["None"], selector={"app": "db"}, ports=[_port(5432, name="sql")]),
        {**public, "status": BALANCER},
        *({**service, "status": SHARED} for service in shared),
        dns,
        o.service(
            "partner", clusterIP="", clusterIPs=[], type="ExternalName", selector={}, externalName="api.partner.test"
        ),
        o.service("legacy", clusterIP="10.96.0.9", clusterIPs=["10.96.0.9"], selector={}),
        {**elsewhere, "metadata": {**elsewhere["metadata"], "namespace": "zoo"}},
        _pod("devops-1", "10.244.1.5", {"app": "devops"}),
        _pod("devops-0", "10.244.1.5", {"app": "devops"}, phase="Succeeded"),
        _pod("stray", "10.244.1.6", {"app": "devopz"}),
        _pod("agent", "172.30.0.11", {"app": "db"}),
        _workload("Deployment", "web", {"app": "devops"}),
        _workload("StatefulSet", "db", {"app": "db"}),
        _workload("DaemonSet", "agents", {"app": "agent"}),
        _workload("ReplicaSet", "web-5d", {"app": "devops", "pod-template-hash": "5d"}),
        _object("Job", "load", {"template": {"metadata": {"labels": {"app": "devops"}}}}),
        _object("Ingress", "edge", {"defaultBackend": _backend("public"), "rules": RULES}),
        _object("Ingress", "files", {"defaultBackend": {"resource": {"kind": "Bucket", "name": "files"}}}),
        _object("Ingress", "bare", {}),
        _object("HTTPRoute", "api", route),
        _object("GRPCRoute", "rpc", {"rules": [{"backendRefs": [{"name": "devops"}]}]}),
        _object("Route", "old", {"host": "old.example", "to": {"kind": "Service", "name": "devops"}}),
        {"kind": "ServiceCIDR", "metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16"]}},
        {
            "kind": "EndpointSlice",
            "metadata": {"name": "l1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "legacy"}},
            "addressType": "IPv4",
            "ports": [{"name": "web", "port": 8443, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["198.51.100.7"]}],
        },
    )


DNS = {"www.example": ("192.0.2.80",), "n-1.example": ("203.0.113.1", "172.30.0.11")}

#: A word, and the Services with their ports, as NAME or NAME:PORT; those of another namespace as NAMESPACE/NAME.
LEADS = [
    ("devops", "devops", ""),
    ("devops:http", "devops:http", ""),
    ("nosuch", "nosuch", ""),
    ("devops.shop", "devops", ""),
    ("nosuch.shop", "nosuch", ""),
    ("db-0.db", "db", "db-0.db is the pod db-0 behind service shop/db; the whole Service is looked at"),
    ("devops-1.devops.shop", "devops", "it is not headless, so its pods have no such names"),
    ("10-244-1-5.db.shop", "db", "is the pod 10.244.1.5 behind service shop/db"),
    ("db-0.db.shop.svc", "db", "db-0.db.shop.svc is one pod's name behind service shop/db"),
    ("http://devops/x", "devops:80", "http://devops/x is service shop/devops, port 80"),
    ("http://me:pw@devops/x", "devops:80", "http://devops/x is service shop/devops, port 80 (the user and password"),
    (
        "deploy/web",
        "devops devops-all",
        "deployment/web: service shop/devops is one of 2 Services that select its pods",
    ),
    ("deploy/web:81", "devops:81", "deployment/web: service shop/devops is one of 2 Services that select its pods"),
    ("deploy/web:7", "devops:7", ""),
    ("sts/db", "db", "statefulset/db: service shop/db is the Service that selects its pods"),
    ("rs/web-5d", "devops devops-all", ""),
    ("job/load", "devops devops-all", ""),
    ("pod/devops-1", "devops devops-all", "pod/devops-1: service shop/devops is one of 2 Services that select it"),
    ("ingress/edge", "public devops db", "ingress/edge: service shop/public is one of 3 Services that it leads to"),
    ("httproute/api", "devops away/far", ""),
    ("grpcroute/rpc", "devops", "grpcroute/rpc: service shop/devops is where it leads to"),
    ("route/old", "devops", ""),
    ("10.96.0.7", "devops", "10.96.0.7 is the cluster IP of service shop/devops"),
    ("10.96.0.7:80", "devops:80", ""),
    ("[fd00:0::7]:8081", "devops-all:8081", "[fd00:0::7]:8081 is the cluster IP of service shop/devops-all"),
    ("192.0.2.9", "devops", "192.0.2.9 is an external IP of service shop/devops"),
    ("192.0.2.80", "public", "192.0.2.80 is the load balancer's address of service shop/public"),
    ("192.0.2.81", "shared-a shared-b", ""),
    ("192.0.2.81:82", "shared-b:82", ""),
    ("172.30.0.11:30588", "devops:80", "172.30.0.11:30588 is a node port of service shop/devops, on node-1"),
    ("172.30.0.11:30589", "public", "is the health check node port of service shop/public, on node-1"),
    ("172.30.0.11:30754", "dns:53/udp", "172.30.0.11:30754 is a node port of service shop/dns, on node-1"),
    ("172.30.0.11:8080", "db:5432", "172.30.0.11:8080 is pod agent, which is behind service shop/db"),
    ("10.244.1.5", "devops devops-all", "10.244.1.5 is pod devops-1, which is behind service shop/devops"),
    ("10.244.1.5:9090", "devops:81", ""),
    ("10.244.1.5:7", "devops devops-all", "service shop/devops; no port of it leads to 7"),
    ("198.51.100.7:8443", "legacy:web", "198.51.100.7:8443 is an endpoint of service shop/legacy"),
    ("lb-1.cloud.example:80", "public:80", "lb-1.cloud.example:80 is the load balancer's name of service shop/public"),
    ("api.partner.test", "partner", "api.partner.test is the target of service shop/partner"),
    ("www.shop.test", "dns", "www.shop.test is the external DNS name of service shop/dns"),
    ("n1.lan:30588", "devops:80", "n1.lan:30588 is a node port of service shop/devops, on node-1"),
    ("https://shop.example/cart", "devops", "https://shop.example/cart is led to service shop/devops by ingress/edge"),
    ("https://shop.example/pay", "public", ""),
    ("https://shop.example/pay/now", "devops", ""),
    ("shop.example", "devops public", ""),
    ("eu.shop.example", "db", ""),
    ("api.example", "devops away/far", "by httproute/api"),
    ("old.example", "devops", "by route/old"),
    (
        "www.example:80",
        "public:80",
        "www.example is 192.0.2.80 to this machine's DNS: www.example:80 is the load balancer",
    ),
    (
        "n-1.example:30588",
        "devops:80",
        "n-1.example is 172.30.0.11 to this machine's DNS: n-1.example:30588 is a node port",
    ),
]


def meant(word: str, fake: FakeCluster, is_given: bool = False) -> list[Meant | SvcprobeError]:
    resolver = Resolver(fake, "shop", is_given, lambda host: DNS.get(host, ()))
    return list(services_meant(resolver, parse_all((word,)), Options()))


@pytest.mark.parametrize(("word", "services", "how"), LEADS)
def test_whatever_is_at_hand_leads_to_its_services(word: str, services: str, how: str) -> None:
    found = [m for m in meant(word, cluster()) if isinstance(m, Meant)]
    names = [f"{m.found.namespace}/{m.found.name}".removeprefix("shop/") for m in found]
    ports = [f":{m.found.port}" if m.found.port else "" for m in found]
    assert [name + port for name, port in zip(names, ports, strict=True)] == services.split()
    assert how in found[0].note
    assert bool(found[0].note) == (word not in ("devops", "devops:http", "nosuch", "devops.shop", "nosuch.shop"))


NOWHERE = [
    ("deploy/wbe", "error: there is no deployment wbe in shop; did you mean web?"),
    ("ingress/x", "error: there is no ingress x in shop; there is bare, edge and files"),
    ("ingress/bare", "error: ingress/bare leads to no Service: its backend is none"),
    ("ingress/files", "error: ingress/files leads to no Service: its backend is Bucket files"),
    (
        "ds/agents",
        "error: no Service in shop selects daemonset/agents (app=agent)",
    ),
    (
        "pod/stray",
        "error: no Service in shop selects pod/stray (app=devopz); the nearest is service/devops, which selects app=de",
    ),
    (
        "172.30.0.11",
        "error: 172.30.0.11 is the node node-1, and leads to a Service by a node port only, as in 172.30.0.11:30588",
    ),
    (
        "172.30.0.11:30999",
        "error: 172.30.0.11 is the node node-1, and no Service has the node port 30999; node ports are 30588 (se",
    ),
    (
        "10.244.1.6",
        "error: 10.244.1.6 is pod stray in shop, which no Service selects; the nearest is service/devops, which sel",
    ),
    (
        "10.96.3.4",
        "error: nobody in the cluster has the address 10.96.3.4: no Service, node, pod or endpoint; it is in the range of ",
    ),
    (
        "10.244.1.99",
        "error: nobody in the cluster has the address 10.244.1.99: no Service, node, pod or endpoint; it is in the range o",
    ),
    ("203.0.113.1:80", "error: nobody in the cluster has the address 203.0.113.1: no Service, node, pod or endpoint"),
    (
        "example.com",
        "error: nothing in the cluster is called example.com: no Service example in a namespace com, no load balancer, ",
    ),
    (
        "devops.shop.cluster.local",
        "error: nothing in the cluster is called devops.shop.cluster.local: no load balancer, ExternalName",
    ),
]


@pytest.mark.parametrize(("word", "said"), NOWHERE)
def test_what_leads_nowhere_is_told_what_it_is(word: str, said: str) -> None:
    (refusal,) = meant(word, cluster())
    assert isinstance(refusal, NoService)
    assert str(refusal).startswith(said)


CONTRADICTIONS = [
    ("devops.web", "error: devops.web is in the namespace web, and -n says shop; leave one of the two out"),
    ("devops.web.svc", "error: devops.web.svc is in the namespace web, and -n says shop"),
    ("10.96.0.7:82", "error: 10.96.0.7 has no port 82; it is the cluster IP of service shop/devops (80 and 81)"),
]


@pytest.mark.parametrize(("word", "said"), CONTRADICTIONS)
def test_what_contradicts_itself_is_refused(word: str, said: str) -> None:
    fake = cluster()
    fake.add({"kind": "Namespace", "metadata": {"name": "web"}})
    (refusal,) = meant(word, fake, is_given=True)
    assert isinstance(refusal, UsageError)
    assert str(refusal).startswith(said)
    assert isinstance(meant("devops.shop", fake, is_given=True)[0], Meant)


def test_a_route_that_ends_tls_does_not_say_how_its_service_is_asked() -> None:
    (by_route,) = meant("https://shop.example/cart?a=b", cluster())
    (by_name,) = meant("https://devops.shop/cart?a=b", cluster())
    assert isinstance(by_route, Meant)
    assert isinstance(by_name, Meant)
    assert (by_route.options.scheme, by_route.options.path) == ("", "/cart?a=b")
    assert (by_name.options.scheme, by_name.options.path) == ("https", "/cart?a=b")


def test_a_url_and_a_flag_must_not_contradict_each_other() -> None:
    resolver = Resolver(cluster(), "shop")
    for options, what in ((Options(path="/y"), "--path /y"), (Options(scheme="http"), "--scheme http")):
        (refusal,) = services_meant(resolver, (parse("https://devops/x"),), options)
        assert isinstance(refusal, UsageError)
        assert what in str(refusal)
    (refusal,) = services_meant(resolver, (parse("tcp://devops:80"),), Options(path="/x"))
    assert str(refusal).startswith("error: --path is for HTTP, and tcp://devops:80 asks for no path")
    (agreed,) = services_meant(resolver, (parse("https://devops/x"),), Options(path="/x", scheme="https"))
    assert isinstance(agreed, Meant)


def test_a_service_that_several_words_lead_to_is_reported_once() -> None:
    found = list(services_meant(Resolver(cluster(), "shop"), parse_all(("deploy/web", "devops", "svc/db")), Options()))
    assert [m.found.name for m in found if isinstance(m, Meant)] == ["devops", "devops-all", "db"]


KINDS = (r.SERVICES, r.NODES, r.PODS, r.ENDPOINT_SLICES, r.INGRESSES, r.HTTP_ROUTES, r.GRPC_ROUTES, r.OPENSHIFT_ROUTES)


@pytest.mark.parametrize("word", [word for word, _ in NOWHERE if "/" not in word])
@pytest.mark.parametrize("resource", KINDS, ids=lambda resource: resource.plural)
def test_what_may_not_be_looked_at_is_never_nobody_s(word: str, resource: r.Resource) -> None:
    """Where the kind matters for the word, its refusal is named."""
    fake = cluster()
    fake.forbid(resource, "list")
    (refusal,) = meant(word, fake)
    assert isinstance(refusal, NoService)
    claims = str(refusal).startswith(("error: nobody", "error: nothing", "error: no Service"))
    asked = {request.resource for request in fake.requests}
    assert not (claims and resource.plural in asked)
    if resource.plural in str(refusal):
        assert "could not look" in str(refusal)


def test_a_node_port_is_found_though_nodes_may_not_be_read() -> None:
    fake = cluster()
    fake.forbid(r.NODES, "list")
    notes = [
        m.note for word in ("172.30.0.11:30588", "172.30.0.12:30588") for m in meant(word, fake) if isinstance(m, Meant)
    ]
    assert notes == [
        "172.30.0.11:30588 is a node port of service shop/devops, on node-1",
        "172.30.0.12:30588 is a node port of service shop/devops, if that is a node's address: nodes may not be read",
    ]


def test_an_address_in_the_own_namespace_needs_no_right_in_others() -> None:
    fake = cluster()
    for resource in (r.SERVICES, r.PODS, r.ENDPOINT_SLICES):
        fake.forbid_elsewhere(resource, "shop")
    assert [m.found.name for m in meant("10.96.0.7", fake) if isinstance(m, Meant)] == ["devops"]
    (refusal,) = meant("10.96.3.4", fake)
    assert str(refusal).startswith("error: whose address 10.96.3.4 is cannot be told")
    assert "services of other namespaces (forbidden)" in str(refusal)


def test_a_name_of_a_namespace_without_rights_is_not_taken_for_a_service_of_it() -> None:
    fake = cluster()
    fake.forbid_elsewhere(r.SERVICES, "shop")
    fake.forbid(r.NAMESPACES, "get")
    (refusal,) = meant("http://example.com/x", fake, is_given=True)
    assert isinstance(refusal, NoService)
    assert str(refusal).startswith(
        "error: what example.com is cannot be told; could not look: services in com (forbidden)"
    )
    assert isinstance(meant("db-0.db", fake)[0], Meant), "what may be read is still found"
