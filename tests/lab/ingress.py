"""What a proxy at the edge of the cluster does with Ingresses, HTTPRoutes and Gateways: which request goes where.

It serves those of the IngressClass and of the GatewayClass `lab`, at an address of its own on the nodes' link. As real
ones it sends requests to the pods themselves, answers 404 where no rule is for a request and 503 where nothing is behind
the one that is, and writes into the objects' status where it is to be found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import build, network, pki
from .component import Component
from .families import IPV4
from .layout import CHECKOUT, PACKAGE, Layout, Settings
from .progress import Progress

EDGE, EDGE_ADDRESS = "edge", IPV4.host(60)
CLASS, CONTROLLER = "lab", "lab.test/edge"
CERTIFICATE = "edge"
GATEWAY_API = "sigs.k8s.io/gateway-api"
PORTS = {80: "HTTP", 443: "HTTPS"}

#: In place of the path that a request has: what `nginx.ingress.kubernetes.io/rewrite-target` is elsewhere.
REWRITE = "lab.test/rewrite-target"

Object = dict[str, Any]

CLASSES = [
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": CLASS},
        "spec": {"controller": CONTROLLER},
    },
    {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": CLASS},
        "spec": {"controllerName": CONTROLLER},
    },
]


def definitions(layout: Layout) -> Path:
    """Where the Gateway API's resource definitions are, once `fetch` has put them there."""
    return layout.home / "gateway-api"


def fetch(layout: Layout, progress: Progress) -> None:
    """Take the Gateway API's resource definitions from its Go module, whose checksum is in gateway/go.sum."""
    progress.step("Gateway API")
    module = json.loads(build.go(PACKAGE / "gateway", "mod", "download", "-json", GATEWAY_API))
    target = definitions(layout)
    target.mkdir()
    for file in sorted(Path(module["Dir"], "config", "crd", "standard").glob("*.yaml")):
        (target / file.name).write_bytes(file.read_bytes())


def start(layout: Layout, settings: Settings) -> Component:
    """On a link of its own, with a way to the pods; nobody waits for it."""
    families = settings.link_families
    own = [f"{family.host(60)}/{family.link_length}" for family in families]
    routes = [f"{family.pods} via {family.api}" for family in settings.families]
    network.connect(EDGE, own, [*routes, *(network.NOWHERE[family.match] for family in families)], families)
    pki.openssl(
        layout.pki, "req", "-x509", "-config", "openssl.cnf", *pki.EC_KEY, "-keyout", f"{CERTIFICATE}.key",
        "-out", f"{CERTIFICATE}.crt", "-subj", "/CN=Fake Certificate of the Edge", "-days", "3650",
    )  # fmt: skip
    kubectl = Path(settings.programs) / "cli" / "kubectl"
    program: list[str | Path] = ["env", f"PYTHONPATH={CHECKOUT}", sys.executable, "-m", "tests.lab.ingress_proxy"]
    arguments = [layout.pki, kubectl, layout.kubeconfig("admin"), definitions(layout)]
    return Component("edge", network.within(EDGE, [str(part) for part in (*program, *arguments)]), layout.logs)


@dataclass(frozen=True)
class Rule:
    """Requests for a host (empty: any; `*.` in front: any below it) and a path go to a port of a Service."""

    namespace: str
    host: str
    path: str
    service: str
    port: int | str
    is_exact: bool = False
    rewrite: str = ""

    def fits(self, host: str, path: str) -> bool:
        is_host = self.host in ("", host) or (self.host.startswith("*.") and host.endswith(self.host[1:]))
        prefix = self.path.rstrip("/")
        is_path = path == self.path or (not self.is_exact and (path == prefix or path.startswith(f"{prefix}/")))
        return is_host and is_path

    @property
    def weight(self) -> tuple[bool, bool, bool, int]:
        """An exact host before a wildcard before none, then an exact path, then the longest."""
        return self.host != "", not self.host.startswith("*"), self.is_exact, len(self.path)


@dataclass(frozen=True)
class Table:
    """The rules, and what is ready behind each port of each Service."""

    rules: tuple[Rule, ...] = ()
    behind: Mapping[tuple[str, str, int | str], tuple[tuple[str, int], ...]] = field(default_factory=dict)

    def rule(self, host: str, path: str) -> Rule | None:
        return max((r for r in self.rules if r.fits(host, path)), key=lambda r: r.weight, default=None)

    def addresses(self, rule: Rule) -> tuple[tuple[str, int], ...]:
        return self.behind.get((rule.namespace, rule.service, rule.port), ())


def table(known: Mapping[str, list[Object]]) -> Table:
    """From the objects of each kind, by its plural."""
    rules = [rule for found in known.get("ingresses", ()) if serves(found) for rule in of_ingress(found)]
    ours = {key(g) for g in known.get("gateways", ()) if g["spec"].get("gatewayClassName") == CLASS}
    for route in known.get("httproutes", ()):
        if ours & set(parents(route)):
            rules += of_http_route(route)
    return Table(tuple(rules), dict(behind(known.get("services", []), known.get("endpointslices", []))))


def serves(ingress: Object) -> bool:
    return bool(ingress["spec"].get("ingressClassName") == CLASS)


def key(item: Object) -> tuple[str, str]:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def parents(route: Object) -> list[tuple[str, str]]:
    """The Gateways that a route names."""
    own = route["metadata"]["namespace"]
    return [(ref.get("namespace", own), ref["name"]) for ref in route["spec"].get("parentRefs", [])]


def of_ingress(ingress: Object) -> Iterator[Rule]:
    namespace, spec = ingress["metadata"]["namespace"], ingress["spec"]
    rewrite = ingress["metadata"].get("annotations", {}).get(REWRITE, "")
    default = [{"http": {"paths": [{"backend": spec["defaultBackend"]}]}}] if "defaultBackend" in spec else []
    for rule in [*spec.get("rules", []), *default]:
        for path in rule.get("http", {}).get("paths", []):
            if service := path["backend"].get("service"):
                port, is_exact = service["port"], path.get("pathType") == "Exact"
                yield Rule(
                    namespace, rule.get("host", ""), path.get("path", "/"), service["name"],
                    port.get("number") or port["name"], is_exact, rewrite,
                )  # fmt: skip


def of_http_route(route: Object) -> Iterator[Rule]:
    namespace, spec = route["metadata"]["namespace"], route["spec"]
    for host in spec.get("hostnames") or [""]:
        for rule in spec.get("rules", []):
            for match in rule.get("matches") or [{}]:
                path = match.get("path", {})
                for ref in rule.get("backendRefs", [])[:1]:
                    is_exact = path.get("type") == "Exact"
                    yield Rule(namespace, host, path.get("value", "/"), ref["name"], ref.get("port", 0), is_exact)


def behind(
    services: list[Object], slices: list[Object]
) -> Iterator[tuple[tuple[str, str, int | str], tuple[tuple[str, int], ...]]]:
    """By number and by name of each port."""
    label = "kubernetes.io/service-name"
    for service in services:
        namespace, name = key(service)
        mine = [
            s
            for s in slices
            if s["metadata"]["namespace"] == namespace and s["metadata"].get("labels", {}).get(label) == name
        ]
        for port in service["spec"].get("ports", []):
            found = tuple(
                (endpoint["addresses"][0], number["port"])
                for piece in mine
                for number in piece.get("ports") or []
                if number.get("name", "") == port.get("name", "") and "port" in number
                for endpoint in piece.get("endpoints") or []
                if endpoint.get("conditions", {}).get("ready") is not False
            )
            yield (namespace, name, port["port"]), found
            if port.get("name"):
                yield (namespace, name, port["name"]), found
