"""A gate before the API server: requests pass through it, and wait where a test says so."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from tests.contract.real_api import entered
from tests.lab import Lab

#: Seconds for which a request waits at most: a test that fails must not hang.
PATIENCE = 30.0

POD = r"/api/v1/namespaces/[^/]+/pods"


@dataclass
class Hold:
    """Requests that wait: `method` and a pattern of the path, before they are passed on or before the answer is."""

    method: str
    path: str
    before_the_answer: bool = False
    reached: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def stop(self, method: str, path: str, is_answered: bool) -> None:
        """Wait, if this is the request and the moment."""
        if method == self.method and re.search(self.path, path) and is_answered == self.before_the_answer:
            self.reached.set()
            self.may_go_on.wait(PATIENCE)

    def await_it(self) -> None:
        """Until the request is there."""
        assert self.reached.wait(PATIENCE), f"no {self.method} {self.path} came"


@dataclass
class Gate:
    """What passes, and the kubeconfig that leads through it. `pods` are the names of the pods whose creation was asked for."""

    holds: list[Hold]
    kubeconfig: Path
    pods: list[str] = field(default_factory=list)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, gate: Gate, lab: Lab) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.gate = gate
        config = yaml.safe_load(lab.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.upstream = urlsplit(cluster["server"])
        self.tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self.tls.load_cert_chain(user["client-certificate"], user["client-key"])


class _Request(BaseHTTPRequestHandler):
    """One request, passed on with the administrator's certificate; the answer is passed back as it comes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = cast(_Server, self.server)
        gate = server.gate
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "POST":
            gate.pods.append(json.loads(body)["metadata"]["name"])
        for hold in gate.holds:
            hold.stop(self.command, self.path, is_answered=False)
        upstream = http.client.HTTPSConnection(server.upstream.hostname or "", server.upstream.port, context=server.tls)
        headers = {name: self.headers[name] for name in ("Accept", "Content-Type", "User-Agent") if self.headers[name]}
        upstream.request(self.command, self.path, body or None, headers)
        answer = upstream.getresponse()
        for hold in gate.holds:
            hold.stop(self.command, self.path, is_answered=True)
        self.close_connection = True
        try:
            self._pass_back(answer)
        except OSError:
            # Whoever asked has left.
            pass
        finally:
            upstream.close()

    do_POST = do_DELETE = do_GET  # noqa: N815

    def _pass_back(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Connection", "close")
        self.end_headers()
        while piece := answer.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def gate(lab: Lab, folder: Path, *holds: Hold) -> Iterator[Gate]:
    """A gate on the workstation. What still waits at the end goes on, so that nothing is left hanging."""
    opened = Gate(list(holds), folder / "gate.kubeconfig")
    # Threads that are started in here, and the sockets that they open, are on the workstation's network.
    with entered(lab.network):
        server = _Server(opened, lab)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    contexts = [{"name": "gate", "context": {"cluster": "gate", "user": ""}}]
    clusters = [{"name": "gate", "cluster": {"server": address}}]
    config = {
        "current-context": "gate",
        "contexts": contexts,
        "clusters": clusters,
        "apiVersion": "v1",
        "kind": "Config",
    }
    opened.kubeconfig.write_text(json.dumps(config))
    try:
        yield opened
    finally:
        for hold in holds:
            hold.may_go_on.set()
        server.shutdown()
        server.server_close()
