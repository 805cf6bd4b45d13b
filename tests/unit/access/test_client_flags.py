"""Words of `--from` and its companions: what they mean, and one clear line for what they cannot."""

from __future__ import annotations

import pytest

from kubectl_svcprobe.client_flags import ClientName, Labels, NamespaceName, refuse_without_a_service
from kubectl_svcprobe.errors import UsageError

RIGHT = [
    ("pod/web-1", ("Pod", "web-1")),
    ("po/web-1", ("Pod", "web-1")),
    ("deploy/web", ("Deployment", "web")),
    ("Deployment/web", ("Deployment", "web")),
    ("deployment.apps/web", ("Deployment", "web")),
    ("sts/web", ("StatefulSet", "web")),
    ("ds/web", ("DaemonSet", "web")),
    ("rs/web-5c9d7", ("ReplicaSet", "web-5c9d7")),
    ("rc/web", ("ReplicationController", "web")),
    ("job/once", ("Job", "once")),
    ("cj/nightly", ("CronJob", "nightly")),
]


@pytest.mark.parametrize(("word", "meaning"), RIGHT)
def test_a_client(word: str, meaning: tuple[str, str]) -> None:
    assert ClientName().convert(word, None, None) == meaning


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("web", "say what it is, as in --from deploy/web or --from pod/web"),
        ("svc/web", "not a client; give pod/NAME"),
        ("shop/deploy/web", "not a client"),
        ("deploy/", "there is no name in it"),
        ("deploy/../../secrets", "not a client"),
        ("deploy/..", ".. cannot be the name of a deployment"),
        ("pod/--insecure", "--insecure cannot be the name of a pod"),
        ("pod/WEB", "WEB cannot be the name of a pod"),
    ],
)
def test_what_is_no_client(word: str, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        ClientName().convert(word, None, None)
    assert said in str(refusal.value)


def test_labels() -> None:
    found = Labels().convert("role=front, example.com/tier=two,empty=", None, None)
    assert found == {"role": "front", "example.com/tier": "two", "empty": ""}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("role", "role is no label"),
        ("role=a b", "role=a b is no label"),
        ("=a", "=a is no label"),
        ("-role=a", "-role=a is no label"),
        ("pod-template-hash=1", "pod-template-hash is how a controller or mesh knows its own pods"),
        ("security.istio.io/tlsMode=istio", "is how a controller or mesh knows"),
        (",", "there is no label in it"),
    ],
)
def test_what_is_no_label(word: str, said: str) -> None:
    with pytest.raises(UsageError) as refusal:
        Labels().convert(word, None, None)
    assert said in str(refusal.value)


def test_a_namespace() -> None:
    assert NamespaceName().convert("shop", None, None) == "shop"
    for word in ("..", "a/b", "-n", "", "Shop"):
        with pytest.raises(UsageError, match="cannot be the name of a namespace"):
            NamespaceName().convert(word, None, None)


def test_a_list_has_nobody_to_ask_as() -> None:
    refuse_without_a_service({"from_": None, "from_labels": None, "from_namespace": None})
    for flag, said in (
        ("from_", "--from needs"),
        ("from_labels", "--from-labels needs"),
        ("from_namespace", "namespace needs"),
    ):
        with pytest.raises(UsageError, match=f"{said} a SERVICE"):
            refuse_without_a_service({flag: "x"})
