"""A cell of the matrix: a type of Service by a protocol (or by families), its objects, and what is expected. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.lab.families import IPV4, IPV6
from tests.lab.layout import SERVERS_IMAGE

Object = dict[str, Any]

FOLDER = Path(__file__).parent
NAMESPACE = "matrix"
#: As the documents of the command name them, by the words of the files here.
VANTAGES = {"pod": "probe pod", "here": "this machine"}
FAMILIES = {family.name: family for family in (IPV4, IPV6)}
#: What has no address of its own, or one that is not the Service's to choose.
BY_NAME = {"DNS", "ExternalName", "PodName"}


def load(name: str) -> dict[str, Any]:
    """A file of this folder."""
    said = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(said, dict)
    return said


@dataclass(frozen=True)
class Expected:
    """`paths` are the outcomes of each kind from each vantage; `families` those that addresses are to be of, if that matters."""

    paths: Mapping[tuple[str, str], tuple[str, ...]]
    verdict: str = "ok"
    exit: int = 0
    codes: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    families: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Cell:
    """One Service."""

    type: str
    column: str  #: the protocol, or what of the families is asked for
    protocol: str
    objects: tuple[Object, ...]
    expected: Expected
    await_balancer: int = field(default=0)  #: how many addresses it has to have

    @property
    def name(self) -> str:
        """Of its Service."""
        return f"{self.type}-{self.column}".lower()


def matrix() -> list[Cell]:
    """Every type by every protocol."""
    return [
        _cell(kind, said, protocol, protocol, told, {}, ["IPv4"])
        for kind, said in load("types").items()
        for protocol, told in load("protocols").items()
    ]


def dual_stack() -> list[Cell]:
    """Every type by what it asks for of the families, by HTTP. An ExternalName has none to ask for."""
    told = load("protocols")["http"]
    cells = []
    for kind, said in load("types").items():
        for column, asked in load("families").items():
            if said["spec"].get("type") != "ExternalName":
                cells.append(_cell(kind, said, column, "http", told, asked["spec"], asked["families"]))
        if said["spec"].get("type") == "ExternalName":
            cells.append(_cell(kind, said, "both-families", "http", told, {}, []))
    return cells


def _cell(
    kind: str,
    said: Mapping[str, Any],
    column: str,
    protocol: str,
    told: Mapping[str, Any],
    asked: Object,
    families: list[str],
) -> Cell:
    name = f"{kind}-{column}".lower()
    spec = {**said["spec"], **asked, "ports": [_port(said, protocol, told)]}
    if "externalIPs" in spec and families != ["IPv4"]:
        spec["externalIPs"] = [FAMILIES[family].node("node-1") for family in families]
    if said.get("selects", True):
        spec["selector"] = {"app": protocol}
    objects = [_named("v1", "Service", name, spec=spec)]
    if said.get("outside"):
        objects += [_slice(name, protocol, told, family) for family in families]
    but = said.get("but", {}).get(column, {})
    paths = {
        (path, VANTAGES[word]): (told[word],) for word in VANTAGES for path in said.get(word, ())
    }  # fmt: skip
    paths |= {
        (path, VANTAGES[word]): tuple(seen) for word, by in but.get("paths", {}).items() for path, seen in by.items()
    }
    expected = Expected(
        {key: seen for key, seen in paths.items() if seen},
        but.get("verdict", "ok"),
        but.get("exit", 0),
        tuple(but.get("codes", ())),
        tuple(map(str, but.get("says", ()))),
        frozenset(families if asked else ()),
    )
    balancer = len(families) if spec.get("type") == "LoadBalancer" else 0
    return Cell(kind, column, protocol, tuple(objects), expected, balancer)


def _named(version: str, kind: str, name: str, labels: Mapping[str, str] | None = None, **rest: Any) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE, **({"labels": labels} if labels else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _port(said: Mapping[str, Any], protocol: str, told: Mapping[str, Any]) -> Object:
    port = {"name": protocol, **told["port"]}
    if said.get("outside"):
        port["targetPort"] = told["outside"]
    elif said.get("own_port"):
        port["port"] = port["targetPort"]
    return port


def _slice(name: str, protocol: str, told: Mapping[str, Any], family: str) -> Object:
    """Of the server that is not in the cluster."""
    port = {"name": protocol, "port": told["outside"], "protocol": told["port"].get("protocol", "TCP")}
    if "appProtocol" in told["port"]:
        port["appProtocol"] = told["port"]["appProtocol"]
    return _named(
        "discovery.k8s.io/v1", "EndpointSlice", f"{name}-{family.lower()}", {"kubernetes.io/service-name": name},
        addressType=family, ports=[port], endpoints=[{"addresses": [FAMILIES[family].outside]}],
    )  # fmt: skip


def servers(cells: Sequence[Cell]) -> Iterator[Object]:
    """Two pods for each protocol in use, with certificates for every Service that leads to them."""
    for protocol in dict.fromkeys(cell.protocol for cell in cells):
        told = load("protocols")[protocol]
        names = [cell.name for cell in cells if cell.protocol == protocol]
        suffixes = ("", f".{NAMESPACE}", f".{NAMESPACE}.svc", f".{NAMESPACE}.svc.cluster.local")
        port = {
            "name": protocol,
            "containerPort": told["port"]["targetPort"],
            "protocol": told["port"].get("protocol", "TCP"),
        }
        container: Object = {
            "name": "server",
            "image": SERVERS_IMAGE,
            "args": [*told["server"], "--names=" + ",".join(name + suffix for name in names for suffix in suffixes)],
            "ports": [port],
        }
        if "ready" in told:
            container["readinessProbe"] = {**told["ready"], "periodSeconds": 1}
        labels = {"app": protocol}
        pod = {"terminationGracePeriodSeconds": 1, "containers": [container]}
        template = {"metadata": {"labels": labels}, "spec": pod}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        yield _named("apps/v1", "Deployment", protocol, spec=spec)
