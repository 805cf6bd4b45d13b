"""JSON of the API, whole, partial and wrong, and what is read from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe.facts.endpoint import Endpoint, EndpointPort, EndpointSlice
from kubectl_svcprobe.facts.model import LoadBalancerIngress, Meta, ObjectRef, Service, ServicePort
from kubectl_svcprobe.facts.node import Event, Node
from kubectl_svcprobe.facts.policy import NetworkPolicy
from kubectl_svcprobe.facts.workload import Container, ContainerStatus, HttpGet, Pod, Workload

READERS: list[Callable[[dict[str, Any]], object]] = [
    Service.from_json,
    EndpointSlice.from_json,
    Endpoint.from_json,
    Pod.from_json,
    Node.from_json,
    Event.from_json,
    NetworkPolicy.from_json,
    Container.from_json,
    ContainerStatus.from_json,
    HttpGet.from_json,
    Meta.from_json,
    LoadBalancerIngress.from_json,
    ServicePort.from_json,
    lambda obj: Workload.from_json("Deployment", obj),
    lambda obj: Workload.from_json("DaemonSet", obj),
]

#: Keys that mean something somewhere, so that hypothesis' documents are read and not passed over.
KEYS = re.findall(
    r"\w+",
    """
metadata spec status name namespace labels annotations finalizers ownerReferences uid type selector ports port
targetPort protocol nodePort clusterIP clusterIPs ipFamilies externalIPs loadBalancer ingress ip hostname
conditions addresses endpoints targetRef containers initContainers containerStatuses state waiting terminated
lastState podIPs readinessProbe httpGet httpHeaders replicas template podSelector matchLabels values
matchExpressions policyTypes egress images names involvedObject series count ready serving terminating
controller loadBalancerSourceRanges sessionAffinityConfig clientIP from to ipBlock cidr except namespaceSelector endPort
""",
)
SCALARS = st.none() | st.booleans() | st.integers(-1, 70000) | st.floats(allow_nan=False) | st.text(max_size=4)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)
OBJECTS = st.dictionaries(st.sampled_from(KEYS), JSON, max_size=8)


@pytest.mark.parametrize("read", READERS)
def test_an_empty_object_can_be_read(read: Any) -> None:
    read({})


@given(OBJECTS)
def test_no_object_is_too_odd_to_be_read(obj: dict[str, Any]) -> None:
    for read in READERS:
        read(obj)


SPECS = [
    ("nothing at all", {}, {"type": "ClusterIP", "cluster_ips": (), "is_headless": False, "session_affinity": "None"}),
    ("one address", {"clusterIP": "10.0.0.1"}, {"cluster_ips": ("10.0.0.1",)}),
    ("two families", {"clusterIPs": ["10.0.0.1", "fd00::1"]}, {"cluster_ips": ("10.0.0.1", "fd00::1")}),
    ("the list beats the field", {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]}, {"cluster_ips": ("10.0.0.2",)}),
    ("headless", {"clusterIP": "None", "clusterIPs": ["None"]}, {"cluster_ips": (), "is_headless": True}),
    ("headless by the old field", {"clusterIP": "None"}, {"cluster_ips": (), "is_headless": True}),
    ("an alias", {"type": "ExternalName", "externalName": "a.b"}, {"is_external_name": True, "external_name": "a.b"}),
    ("no selector", {"selector": None}, {"selector": {}}),
    ("ports are null", {"ports": None}, {"ports": ()}),
    ("targetPort by default", {"ports": [{"port": 80}]}, {"ports": (ServicePort(80, 80),)}),
    ("targetPort 0 is none", {"ports": [{"port": 80, "targetPort": 0}]}, {"ports": (ServicePort(80, 80),)}),
    ("targetPort by name", {"ports": [{"port": 80, "targetPort": "http"}]}, {"ports": (ServicePort(80, "http"),)}),
    (
        "a whole port",
        {
            "ports": [
                {"port": 1, "targetPort": 1},
                {
                    "name": "dns",
                    "port": 53,
                    "targetPort": 5353,
                    "protocol": "UDP",
                    "nodePort": 30053,
                    "appProtocol": "dns",
                },
            ]
        },
        {"ports": (ServicePort(1, 1), ServicePort(53, 5353, "dns", "UDP", 30053, "dns", 1))},
    ),
    ("node ports are given by default", {}, {"allocate_node_ports": True}),
    ("no node ports", {"allocateLoadBalancerNodePorts": False}, {"allocate_node_ports": False}),
    ("published", {"publishNotReadyAddresses": True}, {"publish_not_ready_addresses": True}),
    ("published only if literally true", {"publishNotReadyAddresses": "true"}, {"publish_not_ready_addresses": False}),
    (
        "affinity",
        {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}}},
        {"session_affinity": "ClientIP", "session_affinity_seconds": 600},
    ),
    (
        "policies and addresses",
        {
            "externalTrafficPolicy": "Local",
            "internalTrafficPolicy": "Cluster",
            "trafficDistribution": "PreferClose",
            "externalIPs": ["1.2.3.4"],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "healthCheckNodePort": 31000,
            "loadBalancerClass": "x/y",
            "loadBalancerIP": "9.9.9.9",
            "loadBalancerSourceRanges": ["10.0.0.0/8"],
        },
        {
            "external_traffic_policy": "Local",
            "internal_traffic_policy": "Cluster",
            "traffic_distribution": "PreferClose",
            "external_ips": ("1.2.3.4",),
            "ip_families": ("IPv4",),
            "ip_family_policy": "SingleStack",
            "health_check_node_port": 31000,
            "load_balancer_class": "x/y",
            "load_balancer_ip": "9.9.9.9",
            "load_balancer_source_ranges": ("10.0.0.0/8",),
        },
    ),
]


@pytest.mark.parametrize(("spec", "fields"), [case[1:] for case in SPECS], ids=[case[0] for case in SPECS])
def test_a_service_is_read_from_its_spec(spec: dict[str, Any], fields: dict[str, Any]) -> None:
    read = Service.from_json({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})
    assert {name: getattr(read, name) for name in fields} == fields
    assert str(read.ref) == "service/web"


@pytest.mark.parametrize(
    ("status", "addresses", "is_pending"),
    [
        ({}, [], True),
        ({"loadBalancer": {}}, [], True),
        ({"loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ipMode": "VIP"}]}}, ["1.2.3.4"], False),
        ({"loadBalancer": {"ingress": [{"hostname": "a.b"}, {"ip": "1.2.3.4"}]}}, ["a.b", "1.2.3.4"], False),
    ],
)
def test_a_load_balancer_is_pending_until_it_has_an_address(
    status: dict[str, Any], addresses: list[str], is_pending: bool
) -> None:
    read = Service.from_json({"spec": {"type": "LoadBalancer"}, "status": status})
    assert [ingress.address for ingress in read.load_balancer_ingress] == addresses
    assert read.is_pending is is_pending
    assert not Service.from_json({"spec": {"type": "NodePort"}, "status": status}).is_pending


def test_a_load_balancer_s_port_errors_are_kept() -> None:
    ports = [{"port": 80, "protocol": "TCP", "error": "x.y/Quota"}, {"port": 81, "protocol": "TCP"}]
    read = LoadBalancerIngress.from_json({"ip": "1.2.3.4", "ipMode": "Proxy", "ports": ports})
    assert read == LoadBalancerIngress("1.2.3.4", "", "Proxy", ("80/TCP: x.y/Quota",))


def test_only_the_owner_that_controls_counts() -> None:
    owners = [{"kind": "Job", "name": "a"}, {"kind": "ReplicaSet", "name": "b", "controller": True}]
    meta = Meta.from_json({"metadata": {"namespace": "shop", "ownerReferences": owners}})
    assert meta.controller == ObjectRef("ReplicaSet", "shop", "b")
    assert Meta.from_json({"metadata": {"ownerReferences": owners[:1]}}).controller is None


def test_everything_of_an_object_s_metadata_is_kept() -> None:
    read = Meta.from_json(
        {
            "metadata": {
                "name": "web",
                "namespace": "shop",
                "uid": "u",
                "labels": {"a": "b"},
                "annotations": {"c": 1},
                "creationTimestamp": "T1",
                "deletionTimestamp": "T2",
                "finalizers": ["f"],
            }
        }
    )
    assert read == Meta("shop", "web", "u", {"a": "b"}, {"c": "1"}, "T1", "T2", ("f",))


ENDPOINTS = [
    ("no conditions mean ready and serving", {}, (True, True, False)),
    ("null is not said", {"ready": None, "serving": None, "terminating": None}, (True, True, False)),
    ("serving follows ready", {"ready": False}, (False, False, False)),
    ("serving is its own", {"ready": False, "serving": True, "terminating": True}, (False, True, True)),
    ("ready but not serving", {"ready": True, "serving": False}, (True, False, False)),
]


@pytest.mark.parametrize(
    ("conditions", "expected"), [case[1:] for case in ENDPOINTS], ids=[case[0] for case in ENDPOINTS]
)
def test_conditions_default_as_the_api_documents(conditions: dict[str, Any], expected: tuple[bool, bool, bool]) -> None:
    read = Endpoint.from_json({"addresses": ["10.0.0.1", "10.0.0.2"], "conditions": conditions})
    assert (read.ready, read.serving, read.terminating) == expected
    assert read.address == "10.0.0.1"


def test_a_slice_without_pods_has_null_for_lists() -> None:
    assert EndpointSlice.from_json({"addressType": "IPv4", "endpoints": None, "ports": None}).endpoints == ()


def test_a_whole_slice() -> None:
    labels = {"kubernetes.io/service-name": "web", "endpointslice.kubernetes.io/managed-by": "me"}
    target = {"kind": "Pod", "namespace": "shop", "name": "web-1"}
    read = EndpointSlice.from_json(
        {
            "metadata": {"name": "web-a", "labels": labels},
            "addressType": "IPv6",
            "ports": [{"name": "http", "port": 8080}, {"name": "dns", "protocol": "UDP"}],
            "endpoints": [{"addresses": ["fd00::1"], "nodeName": "n", "zone": "z", "targetRef": target}],
        }
    )
    assert (read.service_name, read.managed_by, read.address_type) == ("web", "me", "IPv6")
    assert read.ports == (EndpointPort("http", 8080), EndpointPort("dns", 0, "UDP"))
    assert read.endpoints == (Endpoint("fd00::1", node="n", zone="z", target=ObjectRef("Pod", "shop", "web-1")),)


def test_ready_is_what_the_condition_says_and_an_unread_node_is_not_held_against() -> None:
    def with_ready(status: str) -> dict[str, Any]:
        return {"status": {"conditions": [{"type": "Ready", "status": status}]}}

    assert [Node.from_json(with_ready(s)).is_ready for s in ("True", "False", "Unknown")] == [True, False, False]
    assert [Pod.from_json(with_ready(s)).is_ready for s in ("True", "False", "Unknown")] == [True, False, False]
    assert Node.from_json({}).is_ready
    assert not Pod.from_json({}).is_ready


def test_a_node_s_addresses_and_images() -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "n"}],
        "images": [{"names": ["a:1", "a@sha256:0"]}, {"names": None}],
    }
    read = Node.from_json({"status": status})
    assert (read.ips("InternalIP"), read.ips("ExternalIP")) == (("10.0.0.1",), ())
    assert read.images == {"a:1", "a@sha256:0"}


EVENTS = [
    ("old style", {"lastTimestamp": "T2", "count": 3, "eventTime": "T3"}, ("T2", 3)),
    ("new style", {"lastTimestamp": None, "eventTime": "T3"}, ("T3", 1)),
    ("a series", {"series": {"lastObservedTime": "T4", "count": 9}, "lastTimestamp": "T2", "count": 3}, ("T4", 9)),
    ("neither", {}, ("T1", 1)),
]


@pytest.mark.parametrize(("fields", "expected"), [case[1:] for case in EVENTS], ids=[case[0] for case in EVENTS])
def test_an_event_s_time_and_count(fields: dict[str, Any], expected: tuple[str, int]) -> None:
    about = {"kind": "Pod", "namespace": "shop", "name": "web-1"}
    read = Event.from_json({"metadata": {"creationTimestamp": "T1"}, "involvedObject": about, **fields})
    assert (read.last, read.count) == expected
    assert read.about == ObjectRef("Pod", "shop", "web-1")


OWNERS = [
    ("none", {}, {}, "pod/web-7d4b-x2k9p"),
    (
        "a ReplicaSet of a Deployment",
        {"kind": "ReplicaSet", "name": "web-7d4b"},
        {"pod-template-hash": "7d4b"},
        "deployment/web",
    ),
    ("a bare ReplicaSet", {"kind": "ReplicaSet", "name": "web"}, {}, "replicaset/web"),
    ("another hash", {"kind": "ReplicaSet", "name": "web-1"}, {"pod-template-hash": "7d4b"}, "replicaset/web-1"),
    ("a StatefulSet", {"kind": "StatefulSet", "name": "db"}, {"pod-template-hash": "db"}, "statefulset/db"),
    ("a Job of a CronJob", {"kind": "Job", "name": "tidy-28391820"}, {}, "cronjob/tidy"),
    ("a Job of its own", {"kind": "Job", "name": "tidy-1"}, {}, "job/tidy-1"),
    ("a Job with a long number", {"kind": "Job", "name": "tidy-28391820123"}, {}, "job/tidy-28391820123"),
]


@pytest.mark.parametrize(("owner", "labels", "expected"), [c[1:] for c in OWNERS], ids=[c[0] for c in OWNERS])
def test_a_pod_s_workload_is_what_a_person_would_name(
    owner: dict[str, str], labels: dict[str, str], expected: str
) -> None:
    owners = [{**owner, "controller": True}] if owner else []
    metadata = {"namespace": "shop", "name": "web-7d4b-x2k9p", "labels": labels, "ownerReferences": owners}
    assert str(Pod.from_json({"metadata": metadata}).workload) == expected


def test_a_pod_s_addresses_sidecars_and_states() -> None:
    container = {
        "name": "web",
        "ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": 53, "protocol": "UDP"}],
    }
    sidecar = {"name": "proxy", "restartPolicy": "Always", "ports": [{"containerPort": 15001, "name": "http"}]}
    read = Pod.from_json(
        {
            "metadata": {"deletionTimestamp": "T"},
            "spec": {
                "nodeName": "node-1",
                "hostNetwork": True,
                "containers": [container],
                "initContainers": [sidecar, {"name": "init"}],
                "readinessGates": [{"conditionType": "x/y"}],
            },
            "status": {
                "phase": "Failed",
                "reason": "Evicted",
                "message": "low on memory",
                "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                "hostIP": "192.168.7.11",
                "initContainerStatuses": [{"name": "init"}],
                "containerStatuses": [{"name": "web"}],
            },
        }
    )
    assert (read.ips, read.host_ips) == (("10.0.0.1", "fd00::1"), ("192.168.7.11",))
    assert (read.is_terminating, read.is_finished, read.is_host_network) == (True, True, True)
    assert [c.name for c in read.sidecars] == ["proxy"]
    assert [(s.name, s.is_init) for s in read.statuses] == [("init", True), ("web", False)]
    assert read.port_numbers("http", "TCP") == (8080, 15001)
    assert read.port_numbers("", "UDP") == (53,)
    assert read.readiness_gates == ("x/y",)
    assert (read.phase, read.reason, read.message, read.node) == ("Failed", "Evicted", "low on memory", "node-1")


def test_a_pod_of_one_address_and_none() -> None:
    assert Pod.from_json({"status": {"podIP": "10.0.0.1", "podIPs": None}}).ips == ("10.0.0.1",)
    assert Pod.from_json({"status": {"podIP": ""}}).ips == ()


STATES = [
    ("unknown yet", {}, ("", "", "", 0)),
    ("waiting", {"waiting": {"reason": "R", "message": "M"}}, ("waiting", "R", "M", 0)),
    ("running", {"running": {"startedAt": "T"}}, ("running", "", "", 0)),
    ("ended", {"terminated": {"reason": "Error", "exitCode": 137}}, ("terminated", "Error", "", 137)),
]


@pytest.mark.parametrize(("state", "expected"), [case[1:] for case in STATES], ids=[case[0] for case in STATES])
def test_a_container_s_state(state: dict[str, Any], expected: tuple[str, str, str, int]) -> None:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
    read = ContainerStatus.from_json(
        {"name": "web", "ready": True, "state": state, "restartCount": 4, "lastState": last}
    )
    assert (read.state, read.reason, read.message, read.exit_code) == expected
    assert (read.ready, read.restarts, read.last_reason, read.last_exit_code) == (True, 4, "OOMKilled", 137)


PROBES = [
    ("another kind", {"tcpSocket": {"port": 80}}, None),
    ("no port", {"httpGet": {"path": "/"}}, None),
    ("defaults", {"httpGet": {"port": "http"}}, HttpGet("http")),
    (
        "a whole one, of its headers only the host",
        {
            "httpGet": {
                "port": 8443,
                "path": "/ready",
                "scheme": "https",
                "httpHeaders": [{"name": "Authorization", "value": "s"}, {"name": "host", "value": "a.b"}],
            }
        },
        HttpGet(8443, "/ready", "HTTPS", "a.b"),
    ),
]


@pytest.mark.parametrize(("obj", "expected"), [case[1:] for case in PROBES], ids=[case[0] for case in PROBES])
def test_a_probe_by_http(obj: dict[str, Any], expected: HttpGet | None) -> None:
    assert HttpGet.from_json(obj) == expected


def test_the_readiness_probe_is_the_first_of_a_container_s_probes() -> None:
    def at(name: str) -> dict[str, Any]:
        return {"httpGet": {"port": 80, "path": f"/{name}"}}

    read = Container.from_json(
        {"livenessProbe": at("live"), "readinessProbe": at("ready"), "startupProbe": at("start")}
    )
    assert [probe.path for probe in read.http_probes] == ["/ready", "/live", "/start"]
    assert read.has_readiness_probe
    assert not Container.from_json({"livenessProbe": at("live")}).has_readiness_probe


WORKLOADS = [
    ("replicas by default", "Deployment", {}, {}, (1, 0)),
    ("none wanted", "Deployment", {"replicas": 0}, {"readyReplicas": 0}, (0, 0)),
    ("some ready", "StatefulSet", {"replicas": 3}, {"readyReplicas": 2}, (3, 2)),
    ("a DaemonSet counts nodes", "DaemonSet", {"replicas": 7}, {"desiredNumberScheduled": 4, "numberReady": 3}, (4, 3)),
    ("a DaemonSet not yet seen", "DaemonSet", {}, {}, (0, 0)),
    ("nonsense", "Deployment", {"replicas": "many"}, {}, (1, 0)),
]


@pytest.mark.parametrize(
    ("kind", "spec", "status", "expected"), [c[1:] for c in WORKLOADS], ids=[c[0] for c in WORKLOADS]
)
def test_how_many_pods_a_workload_wants_and_has(
    kind: str, spec: dict[str, Any], status: dict[str, Any], expected: tuple[int, int]
) -> None:
    template = {"metadata": {"labels": {"app": "web"}}}
    obj = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": template, **spec}, "status": status}
    read = Workload.from_json(kind, obj)
    assert (read.replicas, read.ready_replicas) == expected
    assert read.pod_labels == {"app": "web"}
    assert read.ref == ObjectRef(kind, "shop", "web")


def test_a_workload_wants_one_pod_unless_it_says_otherwise() -> None:
    assert Workload(ObjectRef("Deployment", "shop", "web"), Meta("shop", "web")).replicas == 1


WEB = {"app": "web", "tier": "front"}
SELECTORS = [
    ("an empty one selects all", {}, True),
    ("labels", {"matchLabels": {"app": "web"}}, True),
    ("other labels", {"matchLabels": {"app": "web", "tier": "back"}}, False),
    ("In", {"matchExpressions": [{"key": "app", "operator": "In", "values": ["api", "web"]}]}, True),
    ("In, without the key", {"matchExpressions": [{"key": "x", "operator": "In", "values": ["web"]}]}, False),
    ("NotIn", {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
    ("NotIn, without the key", {"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["y"]}]}, True),
    ("Exists", {"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
    ("Exists, without the key", {"matchExpressions": [{"key": "x", "operator": "Exists"}]}, False),
    ("DoesNotExist", {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ("DoesNotExist, without the key", {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}, True),
    (
        "all must hold",
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "x", "operator": "Exists"}]},
        False,
    ),
]


@pytest.mark.parametrize(("selector", "expected"), [c[1:] for c in SELECTORS], ids=[c[0] for c in SELECTORS])
def test_which_pods_a_policy_selects(selector: dict[str, Any], expected: bool) -> None:
    policy = NetworkPolicy.from_json({"spec": {"podSelector": selector}})
    assert policy.isolates(WEB, "Ingress") is expected
    assert not policy.isolates(WEB, "Egress")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, {"Ingress"}),
        ({"egress": [{}]}, {"Ingress", "Egress"}),
        ({"egress": []}, {"Ingress"}),
        ({"policyTypes": ["Egress"]}, {"Egress"}),
        ({"policyTypes": ["Egress"], "egress": [{}]}, {"Egress"}),
    ],
)
def test_in_which_direction_a_policy_isolates(spec: dict[str, Any], expected: set[str]) -> None:
    assert NetworkPolicy.from_json({"spec": spec}).types == expected
