"""One HTTP request of this machine, with the times of its parts and the certificate that it was shown."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

from kubectl_svcprobe.probe.headers import PROXY_HEADERS, printable
from kubectl_svcprobe.probe.observe import Observation, Outcome
from kubectl_svcprobe.probe.plan import Probe
from kubectl_svcprobe.probe.podspec import Timing


@dataclass
class Stopwatch:
    """What is learnt while a connection is made: seconds, and the server's certificate in DER."""

    connect: float = 0.0
    tls: float = 0.0
    peer: str = ""
    certificates: list[bytes] = field(default_factory=list)


def get(probe: Probe, attempt: int, timing: Timing) -> Observation:
    """Ask once. Raises what `requests`, urllib3 and the socket raise."""
    import requests
    import urllib3

    request, watch = probe.request, Stopwatch()
    headers = {
        "User-Agent": "kubectl-svcprobe",
        "Connection": "close",
        **({"Host": _host(probe)} if probe.path.authority or request.host else {}),
    }
    lookup = _lookup_seconds(probe.path.host)
    with requests.Session() as session:
        # Neither proxies nor .netrc of the environment: the question is what this machine itself can reach.
        session.trust_env = False
        # As long as the prefixes that a session comes with, or those would be taken.
        for prefix in ("http://", "https://"):
            session.mount(prefix, _adapter(watch, probe.path.authority))
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        started = time.monotonic()
        with session.get(
            request.url(probe.path.host, probe.path.port),
            headers=headers,
            timeout=(timing.connect, timing.transfer),
            allow_redirects=False,
            stream=True,
            verify=False,
        ) as response:
            waited = time.monotonic() - started - watch.connect - watch.tls
            status = response.status_code
            server, error, took = (printable(response.headers.get(name) or "") for name in PROXY_HEADERS)
    return Observation(
        probe.id,
        attempt,
        Outcome.HTTP_ERROR if status >= 500 else Outcome.ANSWERED,
        http_status=status,
        connect_seconds=lookup + watch.connect,
        lookup_seconds=lookup,
        tls_seconds=watch.tls,
        first_byte_seconds=max(waited, 0.0),
        remote_ip=watch.peer,
        server=server,
        proxy_error=error,
        is_passed_on=took.isdigit(),
        chain=tuple(watch.certificates),
        is_trusted=_is_trusted(probe, timing) if watch.certificates and attempt == 0 else None,
    )


def _host(probe: Probe) -> str:
    """The Host header, as clients write it: the port only where it is not the scheme's own."""
    path, request = probe.path, probe.request
    is_usual = path.port == (443 if request.scheme == "https" else 80)
    return request.host if not path.authority else path.authority if is_usual else f"{path.authority}:{path.port}"


def _lookup_seconds(host: str) -> float:
    """How long a name takes; nothing for an address."""
    try:
        ipaddress.ip_address(host)
        return 0.0
    except ValueError:
        started = time.monotonic()
        socket.getaddrinfo(host, None)
        return time.monotonic() - started


def _adapter(watch: Stopwatch, server_name: str) -> Any:
    """An adapter for `requests` whose connections tell the watch about themselves, by urllib3's own way to have others.

    It speaks TLS by the server's name (empty: by the URL's host), which servers choose a certificate and a site by.
    """
    from requests.adapters import HTTPAdapter
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class Plain(HTTPConnection):
        def connect(self) -> None:
            started = time.monotonic()
            super().connect()
            watch.connect = time.monotonic() - started
            watch.peer = _peer(self.sock)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            started = time.monotonic()
            made = super()._new_conn()
            watch.connect = time.monotonic() - started
            watch.peer = _peer(made)
            return made

        def connect(self) -> None:
            started = time.monotonic()
            super().connect()
            watch.tls = time.monotonic() - started - watch.connect
            if isinstance(self.sock, ssl.SSLSocket) and (shown := self.sock.getpeercert(binary_form=True)):
                watch.certificates.append(shown)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    adapter = HTTPAdapter()
    if server_name:
        adapter.init_poolmanager(1, 1, server_hostname=server_name, assert_hostname=False)
    adapter.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return adapter


def _peer(connected: Any) -> str:
    """The address at the other end; empty where it has gone meanwhile."""
    try:
        return str(connected.getpeername()[0])
    except OSError:
        return ""


def _is_trusted(probe: Probe, timing: Timing) -> bool | None:
    """Whether this machine's authorities vouch for the server, by a handshake of its own; None where it cannot be told."""
    context = ssl.create_default_context()
    context.check_hostname = False
    host = probe.path.host
    try:
        with socket.create_connection((host, probe.path.port), timeout=timing.connect) as connection:
            connection.settimeout(timing.connect)
            with context.wrap_socket(connection, server_hostname=probe.path.authority or host):
                return True
    except ssl.SSLCertVerificationError as error:
        # X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED are about the time, and found before or after the issuer.
        return None if error.verify_code in (9, 10) else False
    except OSError:
        return None
