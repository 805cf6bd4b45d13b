"""A local HTTP or HTTPS server that answers as a test says and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, cast

from tests.sockets.certificates import Pair, certificates

VERSION = {"major": "1", "minor": "35", "gitVersion": "v1.35.4"}


@dataclass(frozen=True)
class Received:
    """One request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]  #: by lower-case name
    body: bytes
    user: str  #: the client certificate's name, empty without one
    server_name: str  #: the name the client asked for in the TLS handshake


class Reply(BaseHTTPRequestHandler):
    """One request being answered."""

    protocol_version = "HTTP/1.1"

    def json(self, body: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.text(json.dumps(body).encode(), status, (("Content-Type", "application/json"), *headers))

    def text(self, body: bytes, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.start(status, (("Content-Length", str(len(body))), *headers))
        self.wfile.write(body)

    def status_object(self, status: int, reason: str, message: str) -> None:
        self.json({"kind": "Status", "reason": reason, "message": message, "code": status}, status)

    def start(self, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, content: bytes) -> None:
        """One piece of a stream; an empty one ends it."""
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.flush()

    def drop(self) -> None:
        """End the connection after this request."""
        self.close_connection = True

    def do_GET(self) -> None:
        server = cast(_Server, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        user, server_name = _identity(self.connection)
        server.received.append(Received(self.command, self.path, headers, body, user, server_name))
        server.answer(self)

    do_POST = do_DELETE = do_CONNECT = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


Answer = Callable[[Reply], None]


def version(reply: Reply) -> None:
    reply.json(VERSION)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Answer, context: ssl.SSLContext | None) -> None:
        self.answer = answer
        self.context = context
        self.received: list[Received] = []
        super().__init__(("127.0.0.1", 0), Reply)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, the TLS handshake included."""
        if self.context:
            request = self.context.wrap_socket(request, server_side=True)
        try:
            super().finish_request(request, client_address)
        finally:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


class ApiStub:
    """`with ApiStub(answer) as stub`: listens on a port of its own until the end of the block."""

    def __init__(self, answer: Answer = version, *, pair: Pair | None = None, tls: bool = True) -> None:
        self._server = _Server(answer, _context(pair or certificates().server) if tls else None)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"{'https' if tls else 'http'}://{self.address}"

    @property
    def received(self) -> list[Received]:
        return self._server.received

    def __enter__(self) -> ApiStub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(certificates().authority.certificate)
    context.sni_callback = _remember_name
    return context


def _remember_name(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
    connection.asked_for = name or ""  # type: ignore[union-attr]


def _identity(connection: Any) -> tuple[str, str]:
    if not isinstance(connection, ssl.SSLSocket):
        return "", ""
    certificate = connection.getpeercert() or {}
    subject = dict(pair for part in certificate.get("subject", ()) for pair in cast(Any, part))
    return subject.get("commonName", ""), getattr(connection, "asked_for", "")
