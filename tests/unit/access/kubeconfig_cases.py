"""Kubeconfigs, and what they mean: rows that the unit tests check, and that the contract tests show to kubectl."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubectl_svcprobe.access.kubeconfig import IN_CLUSTER, Access, load
from tests.unit.access.kubeconfigs import SERVER, contexts, kubeconfig

NO_FILE = "no such file or directory"


@dataclass(frozen=True)
class Case:
    """Files below the directory `DIR`, flags and environment, and what must come of them."""

    name: str
    files: dict[str, str]
    expected: dict[str, Any] | str  #: fields of Access, or the whole error line
    kubeconfig: str | None = "DIR/config"
    context: str | None = None
    environ: dict[str, str] = field(default_factory=dict)

    def load(self, directory: Path) -> Access:
        for name, content in self.files.items():
            path = directory / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        environ = {name: placed(value, directory) for name, value in self.environ.items()}
        flag = placed(self.kubeconfig, directory) if self.kubeconfig else self.kubeconfig
        return load(flag, self.context, environ, service_account=directory / "serviceaccount")


def placed(text: str, directory: Path) -> str:
    return text.replace("DIR", str(directory))


def one(name: str, expected: dict[str, Any] | str, **fields: Any) -> Case:
    """A case of a single file."""
    return Case(name, {"config": kubeconfig(**fields)}, expected)


WHICH_FILE = [
    Case("the flag", {"config": kubeconfig()}, {"server": SERVER, "context": "x", "source": "DIR/config"}),
    Case("a missing file in the flag", {}, f"error: stat DIR/config: {NO_FILE}"),
    Case("an empty flag is none", {"k": kubeconfig()}, {"server": SERVER}, "", environ={"KUBECONFIG": "DIR/k"}),
    Case(
        "the flag beats KUBECONFIG",
        {"config": kubeconfig(), "k": kubeconfig({"server": "https://other"})},
        {"server": SERVER},
        environ={"KUBECONFIG": "DIR/k"},
    ),
    Case("KUBECONFIG", {"k": kubeconfig()}, {"server": SERVER}, None, environ={"KUBECONFIG": "DIR/k"}),
    Case(
        "the home directory",
        {"home/.kube/config": kubeconfig()},
        {"source": "DIR/home/.kube/config"},
        None,
        environ={"HOME": "DIR/home"},
    ),
    Case(
        "an empty KUBECONFIG means the home directory",
        {"home/.kube/config": kubeconfig()},
        {"server": SERVER},
        None,
        environ={"HOME": "DIR/home", "KUBECONFIG": ""},
    ),
    Case("nothing at all", {}, {"server": "http://localhost:8080", "context": "", "source": ""}, None),
    Case(
        "another default server",
        {},
        {"server": "http://10.0.0.9:80"},
        None,
        environ={"KUBERNETES_MASTER": "http://10.0.0.9:80"},
    ),
    Case("an empty file", {"config": ""}, {"server": "http://localhost:8080"}),
    Case("a file of comments", {"config": "# later\n"}, {"server": "http://localhost:8080"}),
]

MERGING = [
    Case(
        "missing and empty files of a list are ignored",
        {"a": "", "b": kubeconfig()},
        {"server": SERVER},
        None,
        environ={"KUBECONFIG": os.pathsep.join(["DIR/none", "", "DIR/a", "DIR/b"])},
    ),
    Case(
        "the first current-context wins",
        {"a": contexts(one="https://one"), "b": kubeconfig(), "c": kubeconfig(current_context="one")},
        {"context": "x"},
        None,
        environ={"KUBECONFIG": os.pathsep.join(["DIR/a", "DIR/b", "DIR/c"])},
    ),
    Case(
        "the first of two clusters with one name wins, as a whole",
        {"a": contexts(x="https://first"), "b": contexts(x="https://second", y="https://third")},
        {"server": "https://first"},
        None,
        "x",
        {"KUBECONFIG": os.pathsep.join(["DIR/a", "DIR/b"])},
    ),
    Case(
        "context, cluster and user may come from three files",
        {
            "a": kubeconfig(clusters=[], users=[]),
            "b": kubeconfig(users=[], contexts=[]),
            "c": kubeconfig(user={"token": "t"}, clusters=[], contexts=[]),
        },
        {"server": SERVER, "token": "t", "source": "DIR/b"},
        None,
        environ={"KUBECONFIG": os.pathsep.join(["DIR/a", "DIR/b", "DIR/c"])},
    ),
    Case(
        "a broken file anywhere in the list is an error",
        {"a": kubeconfig(), "b": "a: ["},
        'error: error loading config file "DIR/b": yaml: line 2: did not find expected node content',
        None,
        environ={"KUBECONFIG": os.pathsep.join(["DIR/a", "DIR/b"])},
    ),
]

CONTEXTS = [
    one("the default namespace", {"namespace": "default"}),
    one("the context's namespace", {"namespace": "shop"}, context={"namespace": "shop"}),
    Case("--context", {"config": contexts(a="https://a", b="https://b")}, {"server": "https://b"}, context="b"),
    Case("no current context", {"config": contexts(a="https://a")}, {"server": "http://localhost:8080", "context": ""}),
    Case(
        "an unknown --context",
        {"config": kubeconfig()},
        "Error in configuration: context was not found for specified context: nope",
        context="nope",
    ),
    one(
        "an unknown current-context",
        "Error in configuration: context was not found for specified context: nope",
        current_context="nope",
    ),
    one("a context without its cluster falls to the default", {"server": "http://localhost:8080"}, clusters=[]),
    one("a context without its user", 'error: user "u" of context "x" in DIR/config does not exist', users=[]),
    one("a context with no user at all", {"token": "", "username": ""}, context={"user": None}, users=None),
]

_FILE = 'error: error loading config file "DIR/config": '
MALFORMED = [
    Case("not YAML", {"config": "a: [b"}, _FILE + "yaml: line 2: did not find expected ',' or ']'"),
    Case("a list", {"config": "[1]"}, _FILE + "it is not a mapping with clusters, contexts and users"),
    Case(
        "another kind", {"config": "kind: Pod\napiVersion: v1"}, _FILE + 'no kind "Pod" is registered for version "v1"'
    ),
    Case("tabs", {"config": "a:\n\t- b"}, _FILE + "yaml: line 2: found character that cannot start any token"),
    one("clusters that are no list", _FILE + "clusters must be a list", clusters={"c": {}}),
    one("a cluster that is no mapping", _FILE + "each of clusters must have a name and a cluster", clusters=["c"]),
    one("a name that is no string", _FILE + "each of users must have a name and a user", users=[{"name": 1}]),
    one("a token that is no string", _FILE + 'token of user "u" must be a string', user={"token": 12345}),
    one(
        "a flag that is no boolean",
        _FILE + 'insecure-skip-tls-verify of cluster "c" must be true or false',
        cluster={"insecure-skip-tls-verify": "true"},
    ),
    one("current-context that is no string", _FILE + "current-context must be a string", current_context=1),
    one(
        "a name twice",
        _FILE + 'duplicate name "c" in clusters',
        clusters=[{"name": "c", "cluster": {}}, {"name": "c", "cluster": {}}],
    ),
    Case("only the first document counts", {"config": kubeconfig() + "\n---\n: ["}, {"server": SERVER}),
    Case(
        "a date is a string",
        {"config": kubeconfig(user={"token": "DATE"}).replace('"DATE"', "2024-01-01")},
        {"token": "2024-01-01"},
    ),
]


IN_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
ACCOUNT = {
    "serviceaccount/token": "t\n",
    "serviceaccount/ca.crt": "ca",
    "serviceaccount/namespace": "prod\n",
}
IN_A_POD = [
    Case(
        "no kubeconfig",
        ACCOUNT,
        {
            "server": "https://10.96.0.1:443",
            "namespace": "prod",
            "token_file": "DIR/serviceaccount/token",
            "source": IN_CLUSTER,
        },
        None,
        environ=IN_POD,
    ),
    Case(
        "IPv6",
        ACCOUNT,
        {"server": "https://[fd00::1]:443"},
        None,
        environ={**IN_POD, "KUBERNETES_SERVICE_HOST": "fd00::1"},
    ),
    Case("POD_NAMESPACE", ACCOUNT, {"namespace": "other"}, None, environ={**IN_POD, "POD_NAMESPACE": "other"}),
    Case(
        "no namespace file", {"serviceaccount/token": "t"}, {"namespace": "default", "ca": None}, None, environ=IN_POD
    ),
    Case("no token", {}, {"server": "http://localhost:8080"}, None, environ=IN_POD),
    Case("no variables", ACCOUNT, {"server": "http://localhost:8080"}, None),
    Case(
        "a kubeconfig wins, but its missing namespace is the pod's",
        {**ACCOUNT, "config": kubeconfig()},
        {"server": SERVER, "namespace": "prod"},
        environ=IN_POD,
    ),
    Case(
        "a kubeconfig with a namespace",
        {**ACCOUNT, "config": kubeconfig(context={"namespace": "shop"})},
        {"server": SERVER, "namespace": "shop"},
        environ=IN_POD,
    ),
    Case(
        "a kubeconfig without a current context",
        {**ACCOUNT, "config": contexts(a="https://a")},
        {"server": "https://10.96.0.1:443"},
        environ=IN_POD,
    ),
]
