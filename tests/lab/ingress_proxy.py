"""The proxy at the edge of the cluster, as a program; what it does is in ingress.py.

python -m tests.lab.ingress_proxy DIRECTORY-OF-CERTIFICATES KUBECTL KUBECONFIG RESOURCE-DEFINITIONS
"""

from __future__ import annotations

import http.client
import itertools
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from .api import Api
from .ingress import CERTIFICATE, CLASS, CLASSES, CONTROLLER, EDGE_ADDRESS, PORTS, Object, Table, parents, serves, table
from .layout import LabError

PAUSE = 0.5  # seconds after a failure
TIMEOUT = 3.0  # seconds for a pod to answer
NETWORKING, GATEWAY = "/apis/networking.k8s.io/v1", "/apis/gateway.networking.k8s.io/v1"
KINDS = {
    "services": "/api/v1/services",
    "endpointslices": "/apis/discovery.k8s.io/v1/endpointslices",
    "ingresses": f"{NETWORKING}/ingresses",
    "gateways": f"{GATEWAY}/gateways",
    "httproutes": f"{GATEWAY}/httproutes",
}


class Edge:
    def __init__(self, api: Api) -> None:
        self.api = api
        self.known: dict[str, list[Object]] = {}
        self.lock = threading.Lock()
        self.table = Table()
        self.turn = itertools.count()

    def watch(self, kind: str) -> None:
        while True:
            try:
                for objects in self.api.states(KINDS[kind]):
                    with self.lock:
                        self.known[kind] = [*objects.values()]
                        self.table = table(self.known)
                        self.tell()
            except (OSError, http.client.HTTPException, ValueError, LabError) as error:
                if not isinstance(error, TimeoutError):  # it has been silent for long
                    print(f"{kind}: {error}", flush=True)
                    time.sleep(PAUSE)

    def tell(self) -> None:
        """Write into each object that is served where, and that, it is; what says so already is left alone."""
        for path, item, status in self.statuses():
            if not includes(item.get("status", {}), status):
                body = json.dumps({"status": status}).encode()
                with closing(self.api.connect(10)) as connection:
                    headers = {"Content-Type": "application/merge-patch+json"}
                    connection.request("PATCH", f"{path}/status", body, headers)
                    response = connection.getresponse()
                    response.read()
                    print(f"{path}: {response.status} {response.reason}", flush=True)

    def statuses(self) -> Iterator[tuple[str, Object, Object]]:
        for ingress in self.known.get("ingresses", []):
            if serves(ingress):
                yield place("ingresses", ingress), ingress, {"loadBalancer": {"ingress": [{"ip": EDGE_ADDRESS}]}}
        ours: dict[tuple[str, str], Object] = {}
        for gateway in self.known.get("gateways", []):
            if gateway["spec"]["gatewayClassName"] == CLASS:
                ours[gateway["metadata"]["namespace"], gateway["metadata"]["name"]] = gateway
                served = all(PORTS.get(one["port"]) == one["protocol"] for one in gateway["spec"]["listeners"])
                conditions = said(
                    gateway, {"Accepted": True, "Programmed": served}, "lab serves HTTP at 80, HTTPS at 443"
                )
                status: Object = {"conditions": conditions}
                if served:
                    status["addresses"] = [{"type": "IPAddress", "value": EDGE_ADDRESS}]
                yield place("gateways", gateway), gateway, status
        names = {
            (s["metadata"]["namespace"], s["metadata"]["name"], p["port"])
            for s in self.known.get("services", [])
            for p in s["spec"].get("ports", [])
        }
        for route in self.known.get("httproutes", []):
            refs = [r for r, k in zip(route["spec"].get("parentRefs", []), parents(route), strict=True) if k in ours]
            backends = [r for rule in route["spec"].get("rules", []) for r in rule.get("backendRefs", [])]
            own = route["metadata"]["namespace"]
            resolved = all((own, r["name"], r.get("port")) in names for r in backends)
            conditions = said(route, {"Accepted": True, "ResolvedRefs": resolved}, "a backend is not there")
            told = [{"parentRef": r, "controllerName": CONTROLLER, "conditions": conditions} for r in refs]
            if told:
                yield place("httproutes", route), route, {"parents": told}


def place(kind: str, item: Object) -> str:
    namespace, name = item["metadata"]["namespace"], item["metadata"]["name"]
    root, _, plural = KINDS[kind].rpartition("/")
    return f"{root}/namespaces/{namespace}/{plural}/{name}"


def said(item: Object, conditions: dict[str, bool], problem: str) -> list[Object]:
    since = item["metadata"]["creationTimestamp"]
    return [
        {
            "type": kind,
            "status": "True" if is_so else "False",
            "reason": kind if is_so else "BackendNotFound" if kind == "ResolvedRefs" else "Invalid",
            "message": "" if is_so else problem,
            "observedGeneration": item["metadata"].get("generation", 0),
            "lastTransitionTime": since,
        }
        for kind, is_so in conditions.items()
    ]


def includes(whole: Any, part: Any) -> bool:
    """Whether everything in `part` is in `whole` already."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(includes(whole.get(name), value) for name, value in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(includes, whole, part))
    return bool(whole == part)


class Handler(BaseHTTPRequestHandler):
    edge: Edge
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lab-edge", ""

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").rpartition(":")[0] or self.headers.get("Host") or ""
        path = self.path.partition("?")[0]
        rule = self.edge.table.rule(host.lower(), path)
        if rule is None:
            return self.say(404, b"default backend - 404\n")
        addresses = self.edge.table.addresses(rule)
        if not addresses:
            return self.say(503, b"no endpoint\n")
        address, port = addresses[next(self.edge.turn) % len(addresses)]
        headers = {"Host": self.headers.get("Host", ""), "X-Forwarded-For": self.client_address[0]}
        try:
            with closing(http.client.HTTPConnection(address, port, timeout=TIMEOUT)) as connection:
                connection.request(self.command, rule.rewrite or self.path, headers=headers)
                response = connection.getresponse()
                self.say(response.status, response.read(), response.headers.get("Server") or "")
        except (OSError, http.client.HTTPException) as error:
            self.say(502, f"{error}\n".encode())

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 — the names http.server calls

    def say(self, status: int, body: bytes, server: str | None = None) -> None:
        """The proxy's own name stands in its own answers only."""
        self.send_response_only(status)
        for name, value in (
            ("Server", self.server_version if server is None else server),
            ("Content-Length", len(body)),
        ):
            if value != "":
                self.send_header(name, str(value))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def serve(edge: Edge, port: int, context: ssl.SSLContext | None) -> None:
    handler = type("EdgeHandler", (Handler,), {"edge": edge, "timeout": 10})
    server = ThreadingHTTPServer((EDGE_ADDRESS, port), handler)
    server.daemon_threads = True
    if context:  # the handshake is the business of each connection's thread
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(certificates: str, kubectl: str, kubeconfig: str, definitions: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{certificates}/{CERTIFICATE}.crt", f"{certificates}/{CERTIFICATE}.key")
    edge = Edge(Api(Path(certificates)))
    for port, protocol in PORTS.items():
        serve(edge, port, context if protocol == "HTTPS" else None)
    for kind in ("services", "endpointslices", "ingresses"):
        threading.Thread(target=edge.watch, args=(kind,), daemon=True).start()
    apply = [kubectl, "--kubeconfig", kubeconfig, "apply", "--server-side", "-f"]
    items = {"apiVersion": "v1", "kind": "List", "items": CLASSES}
    while subprocess.run([*apply, definitions], stdin=subprocess.DEVNULL, check=False).returncode:
        time.sleep(PAUSE)
    while subprocess.run([*apply, "-"], input=json.dumps(items), text=True, check=False).returncode:
        time.sleep(PAUSE)  # the definitions are not established yet
    for kind in ("gateways", "httproutes"):
        threading.Thread(target=edge.watch, args=(kind,), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
