"""Local TCP servers that behave well, badly or hostile: one listener each, on a port of its own, until the test ends."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.sockets.certificates import Pair

#: Seconds after which a server's thread gives up on a client that says nothing.
PATIENCE = 20.0

#: How a slow server takes its time.
PAUSE = 0.1


@dataclass
class Server:
    """What a test may know of a running server."""

    host: str
    port: int
    received: list[bytes] = field(default_factory=list)  #: what each client said first, by connection
    closing: threading.Event = field(default_factory=threading.Event)


Behaviour = Callable[[Server, socket.socket], None]


@contextlib.contextmanager
def serving(behaviour: Behaviour, host: str = "127.0.0.1", pair: Pair | None = None) -> Iterator[Server]:
    """A server of this behaviour; every connection has a thread of its own, and is closed after it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=128) as listener:
        server = Server(host, listener.getsockname()[1])
        context = _context(pair) if pair else None
        acceptor = threading.Thread(target=_accept, args=(listener, server, behaviour, context), daemon=True)
        acceptor.start()
        try:
            yield server
        finally:
            server.closing.set()
            # Wakes up accept(), which closing the listener alone does not.
            with contextlib.suppress(OSError):
                socket.create_connection((host, server.port), timeout=1).close()
            acceptor.join(PATIENCE)


def _context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    return context


def _accept(listener: socket.socket, server: Server, behaviour: Behaviour, context: ssl.SSLContext | None) -> None:
    threads = []
    while not server.closing.is_set():
        connection, _ = listener.accept()
        if server.closing.is_set():
            connection.close()
            break
        threads.append(threading.Thread(target=_serve, args=(connection, server, behaviour, context), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join(PATIENCE)


def _serve(connection: socket.socket, server: Server, behaviour: Behaviour, context: ssl.SSLContext | None) -> None:
    connection.settimeout(PATIENCE)
    # A client that leaves, or cannot speak TLS, is what some tests are about.
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        stack.callback(connection.close)
        if context:
            connection = context.wrap_socket(connection, server_side=True)
            stack.callback(connection.close)
        behaviour(server, connection)


TLS_HANDSHAKE = b"\x16\x03"


def hear(server: Server, connection: socket.socket) -> bytes:
    """Read a request's head, and remember it; a TLS client's first message counts as one."""
    said = b""
    while b"\r\n\r\n" not in said and not said.startswith(TLS_HANDSHAKE) and (more := connection.recv(65536)):
        said += more
    if said:
        server.received.append(said)
    return said


def http(status: int, *headers: str, body: bytes = b"hello\n") -> Behaviour:
    """Answers any request so."""

    def answer(server: Server, connection: socket.socket) -> None:
        if hear(server, connection):
            head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close", *headers]
            connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)

    return answer


def raw(reply: bytes) -> Behaviour:
    """Answers any request with these bytes and closes."""

    def answer(server: Server, connection: socket.socket) -> None:
        if hear(server, connection):
            connection.sendall(reply)

    return answer


def banner(greeting: bytes) -> Behaviour:
    """Speaks first, as SSH, SMTP and MySQL do, then listens until the client leaves."""

    def greet(server: Server, connection: socket.socket) -> None:
        connection.sendall(greeting)
        server.received.append(connection.recv(65536))

    return greet


def silent(server: Server, connection: socket.socket) -> None:
    """Accepts, reads, and never says a word."""
    while said := connection.recv(65536):
        server.received.append(said)


def closes_after_reading(server: Server, connection: socket.socket) -> None:
    """Ends the connection in an orderly way, without an answer."""
    hear(server, connection)


def resets(server: Server, connection: socket.socket) -> None:
    """Reads the request and answers with an RST."""
    hear(server, connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def closes_at_once(server: Server, connection: socket.socket) -> None:
    """Closes without reading: a FIN or an RST, as the request is earlier or later."""


def slowly(head: bytes, drop: bytes) -> Behaviour:
    """Answers with a head at once and then drop by drop, without end."""

    def answer(server: Server, connection: socket.socket) -> None:
        hear(server, connection)
        connection.sendall(head)
        while not server.closing.wait(PAUSE):
            connection.sendall(drop)

    return answer


def floods(head: bytes) -> Behaviour:
    """Answers with a head and then as many bytes as the client takes; `received` gets their number at the end."""

    def answer(server: Server, connection: socket.socket) -> None:
        hear(server, connection)
        connection.sendall(head)
        sent = 0
        try:
            while not server.closing.is_set():
                sent += connection.send(b"x" * 65536)
        finally:
            server.received.append(str(sent).encode())

    return answer


#: RFC 9113: an empty SETTINGS frame; HEADERS with `:status: 200` (index 8 of HPACK's table) that ends stream 1; GOAWAY.
SETTINGS = bytes.fromhex("000000 04 00 00000000")
STATUS_200 = bytes.fromhex("000001 01 05 00000001 88")
GOAWAY = bytes.fromhex("000008 07 00 00000000 00000000 00000001")


def http2_only(server: Server, connection: socket.socket) -> None:
    """Speaks HTTP/2 from the first byte, as a gRPC server does, and nothing else."""
    said = hear(server, connection)
    if not said.startswith(b"PRI * HTTP/2.0"):
        connection.sendall(SETTINGS + GOAWAY)
        return
    connection.sendall(SETTINGS + STATUS_200)
    while connection.recv(65536):
        pass


@contextlib.contextmanager
def refusing() -> Iterator[Server]:
    """A port that refuses, and that nobody else can take: bound, but not listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Server("127.0.0.1", bound.getsockname()[1])


@contextlib.contextmanager
def black_hole() -> Iterator[Server]:
    """A port that swallows connection attempts: its queue is full and nobody accepts (Linux then drops the SYN)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield Server("127.0.0.1", listener.getsockname()[1])
