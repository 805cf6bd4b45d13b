"""The probe pod: harmless, bounded, and made of arguments that nothing from the cluster can turn into options."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.workload import HttpGet
from kubectl_svcprobe.probe.exposure import ExposurePath, PathKind, Vantage
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.podspec import (
    KEEP_ANNOTATION,
    MAX_PARALLEL,
    MAX_PREFERRED,
    SETTLE_SECONDS,
    START_SECONDS,
    PodOptions,
    Timing,
    curl_arguments,
    deadline,
    is_ours,
    manifest,
    settle_arguments,
)
from kubectl_svcprobe.probe.request import TCP, Request, choose
from tests.unit.core.build import path, pod, probe, service, snapshot

OPTIONS = PodOptions("svcprobe-x7k2qf", "shop")
PROBES = (probe(0), probe(1, request=TCP))


def made(**options: Any) -> dict[str, Any]:
    return manifest(PROBES, replace(OPTIONS, **options))


def containers(of: dict[str, Any]) -> list[dict[str, Any]]:
    return [*of["spec"].get("initContainers", []), *of["spec"]["containers"]]


def test_the_pod_says_whose_it_is_and_nothing_else() -> None:
    metadata = made()["metadata"]
    assert (metadata["name"], metadata["namespace"]) == ("svcprobe-x7k2qf", "shop")
    assert metadata["labels"] == {"app.kubernetes.io/managed-by": "kubectl-svcprobe"}
    assert metadata["annotations"] == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
    assert made(keep=True)["metadata"]["annotations"][KEEP_ANNOTATION] == "true"


@pytest.mark.parametrize("settle", [False, True])
def test_it_passes_the_restricted_level_of_pod_security(settle: bool) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted."""
    of = made(settle=settle)
    spec = of["spec"]
    assert spec["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes", "serviceAccountName"} & spec.keys()
    for container in containers(of):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"ports", "volumeMounts", "env", "envFrom"} & container.keys()


def test_a_platform_that_gives_users_itself_can_leave_the_number_out() -> None:
    assert made(user_id=None)["spec"]["securityContext"].keys() == {"runAsNonRoot", "seccompProfile"}


@pytest.mark.parametrize("settle", [False, True])
def test_every_quantity_that_a_quota_may_ask_for_is_named(settle: bool) -> None:
    for container in containers(made(settle=settle)):
        resources = container["resources"]
        assert resources["requests"] == resources["limits"]
        assert resources["limits"].keys() == {"cpu", "memory", "ephemeral-storage"}


def test_it_has_no_rights_and_ends_by_itself() -> None:
    spec = made()["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["restartPolicy"] == "Never"
    assert spec["terminationGracePeriodSeconds"] == 1
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_it_runs_one_curl_without_a_shell() -> None:
    (container,) = containers(made(image="registry.example.com/curl:8"))
    assert container["command"][:2] == ["curl", "-q"]
    assert container["image"] == "registry.example.com/curl:8"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert "args" not in container


def test_a_settled_pod_waits_in_an_init_container_of_the_same_image() -> None:
    first, second = containers(made(settle=True))
    assert (first["name"], second["name"]) == ("settle", "probe")
    assert first["image"] == second["image"]
    assert first["command"] == ["curl", *settle_arguments()]
    assert first["command"][:2] == ["curl", "-q"]
    assert str(SETTLE_SECONDS) == first["command"][first["command"].index("--retry-delay") + 1]


# where it runs


def affinity(**options: Any) -> Any:
    return made(**options)["spec"].get("affinity", {}).get("nodeAffinity", {})


def term(operator: str, name: str) -> dict[str, Any]:
    return {"matchFields": [{"key": "metadata.name", "operator": operator, "values": [name]}]}


def test_anywhere() -> None:
    assert affinity() == {}
    assert "tolerations" not in made()["spec"]


def test_on_the_node_that_was_asked_for_taints_or_not() -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term("In", "node-1")]}}
    assert affinity(node="node-1", preferred_nodes=("node-2",), avoided_node="node-3") == required
    assert made(node="node-1")["spec"]["tolerations"] == [{"operator": "Exists"}]
    assert "nodeName" not in made(node="node-1")["spec"]


def test_not_on_the_node_that_took_no_notice() -> None:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term("NotIn", "node-3")]}}
    assert affinity(avoided_node="node-3", preferred_nodes=("node-2",)) == required


def test_best_where_the_image_is_but_the_scheduler_is_not_told_a_thousand_names() -> None:
    names = tuple(f"node-{n:02}" for n in range(30))
    preferred = affinity(preferred_nodes=names)["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred == [{"weight": 100, "preference": term("In", name)} for name in names[:MAX_PREFERRED]]


# how long it may take

DEADLINES = [
    ("no transfer", 0, Timing(), False, START_SECONDS + 5),
    ("one round", MAX_PARALLEL, Timing(), False, START_SECONDS + 5),
    ("two rounds", MAX_PARALLEL + 1, Timing(), False, START_SECONDS + 10),
    ("a pod that waits", 1, Timing(), True, START_SECONDS + 5 + SETTLE_SECONDS),
    ("a part of a second", 1, Timing(transfer=0.2, silent=0.1), False, START_SECONDS + 1),
    ("silence takes longer", 1, Timing(transfer=1.0, silent=3.0), False, START_SECONDS + 3),
]


@pytest.mark.parametrize(
    ("attempts", "timing", "settle", "seconds"), [c[1:] for c in DEADLINES], ids=[c[0] for c in DEADLINES]
)
def test_the_kubelet_ends_it_after(attempts: int, timing: Timing, settle: bool, seconds: int) -> None:
    options = replace(OPTIONS, timing=timing, settle=settle)
    assert deadline((probe(attempts=attempts),), options) == seconds
    assert manifest((probe(attempts=attempts),), options)["spec"]["activeDeadlineSeconds"] == seconds


# curl's arguments


def transfers(*requests: Request, attempts: int = 1, host: str = "10.0.0.1") -> list[list[str]]:
    """The arguments of each transfer."""
    probes = tuple(
        probe(n, path(host=host, port=8080), request=request, attempts=attempts) for n, request in enumerate(requests)
    )
    words = curl_arguments(probes, Timing(connect=2.5, transfer=5, silent=1))
    parts: list[list[str]] = [[]]
    for word in words:
        if word == "--next":
            parts.append([])
        else:
            parts[-1].append(word)
    return parts[1:]


def value(transfer: list[str], option: str) -> str:
    return transfer[transfer.index(option) + 1]


def test_curl_reads_no_curlrc_and_runs_everything_at_once() -> None:
    words = curl_arguments((probe(attempts=3), probe(1, attempts=2)), Timing())
    assert words[:2] == ["-q", "-s"]
    assert {"-Z", "--parallel-immediate", "--no-progress-meter"} <= set(words)
    assert value(words, "--parallel-max") == "5"
    assert words[words.index("5") + 1] == "file:///etc/resolv.conf"


@pytest.mark.parametrize(("attempts", "parallel"), [(0, "1"), (1, "1"), (300, "300"), (301, "300")])
def test_so_many_transfers_at_a_time(attempts: int, parallel: str) -> None:
    assert value(curl_arguments((probe(attempts=attempts),), Timing()), "--parallel-max") == parallel


def test_every_attempt_is_a_transfer_of_its_own_and_says_which() -> None:
    first, second, third, fourth = transfers(Request("http"), TCP, attempts=2)
    marks = [value(t, "-w") for t in (first, second, third, fourth)]
    headers = r"%header{server}\t%header{l5d-proxy-error}\t%header{x-envoy-upstream-service-time}"
    assert marks == [rf"\nsvcprobe:{n} %{{json}}\nserver:{n} {headers}\n" for n in ("0:0", "0:1", "1:0", "1:1")]


def test_a_request_by_http() -> None:
    (words,) = transfers(Request("http", "/ready"))
    assert value(words, "--url") == "http://10.0.0.1:8080/ready"
    assert words[-2:] == ["--url", "http://10.0.0.1:8080/ready"]
    assert (value(words, "--connect-timeout"), value(words, "-m")) == ("2.5", "5")
    assert value(words, "--noproxy") == "*"
    assert value(words, "--proto") == "=http,https"
    assert value(words, "-A") == "kubectl-svcprobe"
    assert value(words, "--max-filesize") == "1048576"
    assert value(words, "-o") == "/dev/null"
    assert value(words, "-H") == "Connection: close"
    assert "-g" in words
    assert not {"-k", "--http2-prior-knowledge", "-L"} & set(words)


def test_a_silent_connect() -> None:
    (words,) = transfers(TCP)
    assert value(words, "--url") == "ftp://10.0.0.1:8080/"
    assert value(words, "-m") == "1"
    assert not {"-H", "-A", "-k", "--proto", "--max-filesize"} & set(words)


@pytest.mark.parametrize(
    ("scheme", "option", "has_it"),
    [
        ("https", "-k", True),
        ("http", "-k", False),
        ("h2c", "--http2-prior-knowledge", True),
        ("http", "--http2-prior-knowledge", False),
        ("https", "--http2-prior-knowledge", False),
    ],
)
def test_what_a_scheme_adds(scheme: str, option: str, has_it: bool) -> None:
    assert (option in transfers(Request(scheme))[0]) is has_it


def test_the_probe_s_own_host_is_a_header() -> None:
    (words,) = transfers(Request("http", "/", "shop.example.com"))
    headers = [words[n + 1] for n, word in enumerate(words) if word == "-H"]
    assert headers == ["Connection: close", "Host: shop.example.com"]


#: Every option of curl that is used, and whether the next word is its value.
KNOWN = {
    "-q",
    "-s",
    "--no-progress-meter",
    "-Z",
    "--parallel-immediate",
    "-g",
    "-k",
    "--http2-prior-knowledge",
    "--next",
}
WITH_VALUE = {"--parallel-max", "--noproxy", "-o", "-w", "--connect-timeout", "-m", "--proto", "-A", "--max-filesize"}
WITH_VALUE |= {"-H", "--url"}


@given(
    st.text(max_size=30) | st.sampled_from(["-o/etc/passwd", "@/etc/passwd", "/\n--output\nx", "/ --next"]),
    st.text(max_size=30) | st.sampled_from(["-K/etc/x", "@file", "a\r\nX: y", "--next"]),
)
def test_a_hostile_pod_adds_no_option(wanted_path: str, host: str) -> None:
    """Its HTTP probe holds any path and any host: each stays in the one word that it belongs to."""
    port = ServicePort(80, 8080)
    of = pod("web-1", HttpGet(8080, wanted_path, "HTTP", host))
    request = choose(snapshot(service(port), pods=(of,)), port)
    words = curl_arguments((probe(request=request),), Timing())
    position = 0
    while position < len(words):
        word = words[position]
        assert word in KNOWN | WITH_VALUE | {"file:///etc/resolv.conf"}
        if word in WITH_VALUE:
            position += 1
            if word != "-w":
                assert not any(letter.isspace() for letter in words[position].removeprefix("Host: ").replace(": ", ":"))
        position += 1
    assert value(words, "--url").startswith("http://10.96.0.7:80/")
    assert all(word.startswith(("Connection: close", "Host: ")) for n, word in enumerate(words) if words[n - 1] == "-H")


# whose it is


def changed(**changes: Any) -> dict[str, Any]:
    of = made()
    for where, what in changes.items():
        target = of
        *parents, last = where.split("__")
        for parent in parents:
            target = target[parent]
        target[last] = what
    return of


LOOK_ALIKES = [
    ("another name", {"metadata__name": "web-1"}),
    ("another label's value", {"metadata__labels": {"app.kubernetes.io/managed-by": "Helm"}}),
    ("no label", {"metadata__labels": None}),
    ("another program", {"spec__containers": [{"name": "probe", "command": ["sh", "-q"]}]}),
    ("another curl", {"spec__containers": [{"name": "probe", "command": ["curl", "-s"]}]}),
    ("another container", {"spec__containers": [{"name": "web", "command": ["curl", "-q"]}]}),
    ("no command", {"spec__containers": [{"name": "probe", "command": None}]}),
    ("no container", {"spec__containers": None}),
    ("one that is started again", {"spec__restartPolicy": "Always"}),
    ("nothing", {"metadata": None, "spec": None}),
]


@pytest.mark.parametrize("changes", [c[1] for c in LOOK_ALIKES], ids=[c[0] for c in LOOK_ALIKES])
def test_a_look_alike_is_not_ours(changes: dict[str, Any]) -> None:
    assert not is_ours(changed(**changes))


@pytest.mark.parametrize("options", [{}, {"settle": True}, {"keep": True}, {"node": "node-1"}])
def test_what_is_made_is_ours_with_whatever_admission_adds(options: dict[str, Any]) -> None:
    of = made(**options)
    of["metadata"]["labels"]["added-by"] = "a-webhook"
    of["spec"]["containers"].insert(0, {"name": "istio-proxy", "command": None})
    assert is_ours(of)


def test_a_proxy_s_name_is_looked_up_nowhere() -> None:
    path = ExposurePath(PathKind.INGRESS, "fd00::60", 443, authority="shop.example.com")
    words = curl_arguments(
        (Probe(0, path, Vantage.POD, Request("https", "/cart", host="other.example.com")),), Timing()
    )
    transfer = words[words.index("--next") :]
    assert value(transfer, "--connect-to") == "shop.example.com:443:[fd00::60]:443"
    assert value(transfer, "--url") == "https://shop.example.com:443/cart"
    assert "Host: other.example.com" not in transfer
