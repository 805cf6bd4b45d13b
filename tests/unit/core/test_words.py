"""Words, times, commands and names: what the user reads, pastes and types."""

from __future__ import annotations

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.times import in_words, seconds_between
from kubectl_svcprobe.words import close, count, distance, gist, labels, listed, mapping, nearest


@pytest.mark.parametrize(
    ("number", "noun", "expected"),
    [
        (0, "pod", "0 pods"),
        (1, "pod", "1 pod"),
        (2, "pod", "2 pods"),
        (1234, "pod", "1,234 pods"),
        (2, "policy", "2 policies"),
        (1, "policy", "1 policy"),
        (2, "address", "2 addresses"),
    ],
)
def test_so_many(number: int, noun: str, expected: str) -> None:
    assert count(number, noun) == expected


@pytest.mark.parametrize(
    ("names", "most", "expected"),
    [
        ([], 3, ""),
        (["a"], 3, "a"),
        (["a", "b"], 3, "a and b"),
        (["a", "b", "c"], 3, "a, b and c"),
        (["a", "b", "c", "d"], 3, "a, b, c and d"),
        (["a", "b", "c", "d", "e"], 3, "a, b, c and 2 more"),
        (list("abcde"), 8, "a, b, c, d and e"),
        ([str(n) for n in range(1204)], 3, "0, 1, 2 and 1,201 more"),
    ],
)
def test_names_in_a_row(names: list[str], most: int, expected: str) -> None:
    assert listed(names, most) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("short: and simple", "short: and simple"),
        ("a" * 60 + ": " + "b" * 60, "a" * 60),
        ("a" * 30 + ": " + "b" * 30 + ": " + "c" * 30, "a" * 30 + ": " + "b" * 30),
        ("a" * 90, "a" * 90),
        ("x" * 70, "x" * 70),
        ("x" * 66 + ": yz", "x" * 66 + ": yz"),
        ("x" * 66 + ": xyz", "x" * 66),
    ],
)
def test_the_gist_of_a_message(text: str, expected: str) -> None:
    assert gist(text) == expected


def test_three_names_are_told_of_many() -> None:
    assert listed("abcde") == "a, b, c and 2 more"


def test_labels_as_kubectl_writes_selectors() -> None:
    assert labels({"tier": "web", "app": "devops"}) == "app=devops,tier=web"
    assert labels({}) == "<none>"


def test_a_port_s_mapping() -> None:
    assert mapping(ServicePort(80, 8080)) == "80 → 8080/TCP"
    assert mapping(ServicePort(53, "dns", "dns-udp", "UDP")) == "dns-udp 53 → dns/UDP"


@pytest.mark.parametrize(
    ("one", "other", "edits"),
    [
        ("", "", 0),
        ("", "abc", 3),
        ("web", "web", 0),
        ("web", "webs", 1),
        ("web", "eb", 1),
        ("web", "wab", 1),
        ("web", "wbe", 1),
        ("web", "ewb", 1),
        ("devops", "devpos", 1),
        ("kitten", "sitting", 3),
        ("ca", "abc", 3),
        ("shop", "help", 3),
    ],
)
def test_edits_between_two_words(one: str, other: str, edits: int) -> None:
    assert distance(one, other) == edits


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_a_distance_is_one(one: str, other: str) -> None:
    assert distance(one, other) == distance(other, one)
    assert (distance(one, other) == 0) == (one == other)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))


@pytest.mark.parametrize(
    ("one", "other", "most", "expected"),
    [
        ("web", "wab", 1, True),
        ("web", "web", 1, False),
        ("web", "wxyz", 2, False),
        ("devops", "devp", 2, True),
        ("devops", "dev", 2, False),
        ("v1", "v2", 1, True),
        ("v1", "v2", 2, False),
        ("a", "b", 1, False),
    ],
)
def test_words_that_are_close(one: str, other: str, most: int, expected: bool) -> None:
    assert close(one, other, most) is expected


@pytest.mark.parametrize(
    ("word", "candidates", "expected"),
    [
        ("devops", ["devosp", "web", "devops-api"], ["devosp", "devops-api"]),
        ("DevOps", ["devops"], ["devops"]),
        ("web", ["wab", "wxy"], ["wab"]),
        ("ab", ["abc", "a", "xyz"], ["a", "abc"]),
        (
            "checkout",
            ["chekcout", "checkuot2", "chedkoutx", "xxeckout", "chxxxout"],
            ["chekcout", "checkuot2", "chedkoutx"],
        ),
        ("web", ["shop-web", "web-shop", "my-web-app", "cobweb"], ["shop-web", "web-shop", "my-web-app"]),
        ("shop-web-admin", ["web"], ["web"]),
        ("db", ["db-main"], []),
        ("web", [], []),
    ],
)
def test_names_that_resemble_one(word: str, candidates: list[str], expected: list[str]) -> None:
    assert nearest(word, candidates) == expected


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ("2026-01-10T11:59:00Z", "2026-01-10T12:00:00Z", 60.0),
        ("2026-01-10T12:00:00Z", "2026-01-10T11:59:00Z", 0.0),
        ("2026-01-10T11:59:59.123456789Z", "2026-01-10T12:00:00Z", 1.0),
        ("2025-12-31T23:59:59Z", "2026-01-01T00:00:00Z", 1.0),
        ("", "2026-01-10T12:00:00Z", 0.0),
        ("2026-01-10T12:00:00Z", "yesterday", 0.0),
    ],
)
def test_seconds_between_two_times_of_the_api(earlier: str, later: str, expected: float) -> None:
    assert seconds_between(earlier, later) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (119, "119s"),
        (120, "2m"),
        (3599, "59m"),
        (3600, "1h"),
        (172799, "47h"),
        (172800, "2d"),
        (8640000, "100d"),
    ],
)
def test_an_age_as_kubectl_prints_it(seconds: float, expected: str) -> None:
    assert in_words(seconds) == expected


# commands


def test_a_command_reaches_the_same_cluster() -> None:
    kubectl = Kubectl(context="prod", kubeconfig="/home/me/kube config")
    assert kubectl("shop", "get", "pods") == (
        "kubectl --kubeconfig '/home/me/kube config' --context prod -n shop get pods"
    )
    assert kubectl("", "get", "nodes") == "kubectl --kubeconfig '/home/me/kube config' --context prod get nodes"
    assert Kubectl()("shop", "get", "pods") == "kubectl -n shop get pods"


def test_a_plugin_s_name_comes_before_all_flags() -> None:
    kubectl = Kubectl(context="it's prod")
    words = shlex.split(kubectl.svcprobe("shop", "web", "--no-probe"))
    assert words == ["kubectl", "svcprobe", "web", "--no-probe", "-n", "shop", "--context", "it's prod"]
    assert Kubectl().svcprobe("", "web") == "kubectl svcprobe web"


@pytest.mark.parametrize(
    "context", ["a b", 'say "hi"', "$(rm -rf /)", "`id`", "a;b", "a'b", "arn:aws:eks:eu:1:cluster/x"]
)
def test_no_shell_reads_anything_into_a_word(context: str) -> None:
    command = Kubectl(context)("n", "patch", "service", context)
    assert shlex.split(command) == ["kubectl", "--context", context, "-n", "n", "patch", "service", context]


def test_a_merge_patch_names_only_what_changes() -> None:
    words = shlex.split(Kubectl().patch("shop", "service", "web", {"spec": {"selector": {"app": "it's"}}}))
    assert words[:6] == ["kubectl", "-n", "shop", "patch", "service", "web"]
    assert words[6:9] == ["--type", "merge", "-p"]
    assert words[9] == '{"spec":{"selector":{"app":"it\'s"}}}'


def test_a_json_patch_replaces_one_field() -> None:
    words = shlex.split(Kubectl().json_patch("shop", "service", "web", "/spec/ports/1/targetPort", "http"))
    assert words[6:9] == ["--type", "json", "-p"]
    assert json.loads(words[9]) == [{"op": "replace", "path": "/spec/ports/1/targetPort", "value": "http"}]
