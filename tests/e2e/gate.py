"""A gate before the API server: requests pass through it, and wait where a test says so."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from tests.contract.real_api import entered
from tests.lab import Lab

#: Seconds for which a request waits at most: a test that fails must not hang.
PATIENCE = 30.0

PODS = r"/api/v1/namespaces/[^/]+/pods"

CREATE = ("POST", rf"{PODS}\?")
WATCH = ("GET", rf"{PODS}\?watch=true")
LOG = ("GET", rf"{PODS}/[^/]+/log\?")
DELETE = ("DELETE", rf"{PODS}/svcprobe-")


class Moment(Enum):
    """How far a request has come."""

    ARRIVED = auto()  #: the API server does not know of it
    ANSWERED = auto()  #: the API server has answered, and whoever asked does not know
    STREAMING = auto()  #: the answer has begun, and nothing more of it is passed back


@dataclass
class Hold:
    """The first request of this kind waits; `pods` of them must have been asked for by then.

    With `is_cut` it is not let go on in the end: its connection breaks.
    """

    method: str
    path: str
    moment: Moment = Moment.ARRIVED
    pods: int = 0
    is_cut: bool = False
    _reached: threading.Event = field(default_factory=threading.Event)
    _may_go_on: threading.Event = field(default_factory=threading.Event)

    def meet(self, method: str, path: str, moment: Moment, pods: int) -> None:
        """Wait, if this is the request and the moment."""
        is_it = method == self.method and moment == self.moment and pods >= self.pods and re.search(self.path, path)
        if not is_it or self._reached.is_set():
            return
        self._reached.set()
        self._may_go_on.wait(PATIENCE)
        if self.is_cut:
            raise ConnectionAbortedError

    def await_it(self) -> None:
        """Until the request is there."""
        assert self._reached.wait(PATIENCE), f"no {self.method} {self.path} came"

    def let_go(self) -> None:
        self._may_go_on.set()


@dataclass
class Gate:
    """What waits, the kubeconfig that leads here, and the names of the pods that were asked for."""

    holds: tuple[Hold, ...]
    kubeconfig: Path
    pods: list[str] = field(default_factory=list)

    def meet(self, method: str, path: str, moment: Moment) -> None:
        for hold in self.holds:
            hold.meet(method, path, moment, len(self.pods))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, gate: Gate, lab: Lab, user: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.gate = gate
        config = yaml.safe_load(user.read_text())
        cluster, credentials = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.upstream = urlsplit(cluster["server"])
        self.trust = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self.trust.load_cert_chain(credentials["client-certificate"], credentials["client-key"])
        # The API server's own certificate, which is good for the loopback address too.
        identity = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        identity.load_cert_chain(lab.layout.pki / "apiserver.crt", lab.layout.pki / "apiserver.key")
        # Shaking hands is left to each connection's own thread.
        self.socket = identity.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked may leave in the middle: that is what these tests are about."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Request(BaseHTTPRequestHandler):
    """One request, passed on as the gate's user; the answer is passed back as it comes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        server = cast(_Server, self.server)
        gate = server.gate
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "POST":
            gate.pods.append(json.loads(body)["metadata"]["name"])
        gate.meet(self.command, self.path, Moment.ARRIVED)
        upstream = http.client.HTTPSConnection(
            server.upstream.hostname or "", server.upstream.port, context=server.trust
        )
        try:
            headers = {
                name: self.headers[name] for name in ("Accept", "Content-Type", "User-Agent") if self.headers[name]
            }
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            gate.meet(self.command, self.path, Moment.ANSWERED)
            self._pass_back(answer)
        finally:
            upstream.close()

    do_POST = do_DELETE = do_GET  # noqa: N815

    def _pass_back(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.flush()
        cast(_Server, self.server).gate.meet(self.command, self.path, Moment.STREAMING)
        while piece := answer.read1(65536):
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@contextmanager
def gate(lab: Lab, folder: Path, *holds: Hold, user: Path | None = None) -> Iterator[Gate]:
    """A gate on the workstation; what passes it is the user's, by default the administrator's.

    What still waits at the end goes on, so that nothing is left hanging.
    """
    user = user or lab.kubeconfig
    opened = Gate(holds, folder / "gate.kubeconfig")
    # Threads that are started in here, and the sockets that they open, are on the workstation's network.
    with entered(lab.network):
        server = _Server(opened, lab, user)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    config = yaml.safe_load(user.read_text())
    config["clusters"][0]["cluster"]["server"] = server.url
    opened.kubeconfig.write_text(json.dumps(config))
    try:
        yield opened
    finally:
        for hold in holds:
            hold.let_go()
        server.shutdown()
        server.server_close()
