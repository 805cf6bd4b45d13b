"""What this machine says by a bare socket: nothing over TCP, the preface of HTTP/2, one datagram over UDP."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.podspec import Timing

#: What a client of HTTP/2 says first (RFC 9113, section 3.4), with an empty SETTINGS frame.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0"

#: Length, type, flags and stream of a frame.
FRAME_HEAD, SETTINGS = 9, 4

#: `localhost. A?` without recursion: a name that no server has to ask another one for (RFC 6761, section 6.3).
DNS_QUERY = b"\x5c\x9b\0\0\0\x01\0\0\0\0\0\0\x09localhost\0\0\x01\0\x01"


@dataclass(frozen=True)
class Said:
    """What became of it, and how long the connection took, in seconds."""

    outcome: Outcome
    detail: str = ""
    connect_seconds: float = 0.0


def has_route(address: str) -> bool:
    """Whether this machine knows a way to an address of IPv6: a socket of UDP that is connected sends nothing yet."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asked:
            asked.connect((address, 9))
    except OSError:
        return False
    return True


def connect(probe: Probe, timing: Timing) -> Said:
    """A TCP connection in silence. Raises OSError."""
    started = time.monotonic()
    with socket.create_connection((probe.path.host, probe.path.port), timeout=timing.connect):
        return Said(Outcome.CONNECTED, "", time.monotonic() - started)


def greet_by_http2(probe: Probe, timing: Timing) -> Said:
    """Whether the server is one of HTTP/2: it has to begin with a SETTINGS frame. No request is made. Raises OSError."""
    started = time.monotonic()
    with socket.create_connection((probe.path.host, probe.path.port), timeout=timing.connect) as connection:
        took = time.monotonic() - started
        connection.settimeout(timing.transfer)
        try:
            connection.sendall(PREFACE)
            head = _first_bytes(connection)
        except TimeoutError:
            return Said(Outcome.NO_ANSWER, "silent once connected", took)
        except ConnectionError:
            return Said(Outcome.RESET, "reset once connected", took)
    if not head:
        return Said(Outcome.NO_ANSWER, "closed unanswered", took)
    is_http2 = len(head) == FRAME_HEAD and head[3] == SETTINGS and not any(head[5:])
    return Said(Outcome.CONNECTED, "it speaks HTTP/2" if is_http2 else "it speaks, but not HTTP/2", took)


def _first_bytes(connection: socket.socket) -> bytes:
    head = b""
    while len(head) < FRAME_HEAD and (more := connection.recv(FRAME_HEAD - len(head))):
        head += more
    return head


def send_datagram(probe: Probe, timing: Timing) -> Said:
    """One datagram from a connected socket, which hears of an ICMP refusal too. Raises OSError."""
    host, port = probe.path.host, probe.path.port
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, protocol) as sender:
        sender.settimeout(timing.silent)
        sender.connect(address)
        sender.send(DNS_QUERY if probe.request.is_dns else b"")
        try:
            sender.recv(1)
        except TimeoutError:
            return Said(Outcome.SILENT, "silent: cannot tell")
    return Said(Outcome.ANSWERED)
