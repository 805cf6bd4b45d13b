"""kubectl's words for a server that does not answer.

Only the kind of error is used and never its text: the texts of HTTP libraries may quote what was sent, tokens included.
"""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from kubectl_svcprobe.errors import AccessError

#: OpenSSL's verification results (x509_vfy.h) in the words of Go's crypto/x509
_UNKNOWN_AUTHORITY = "certificate signed by unknown authority"
_VERIFICATION = {
    9: "certificate has expired or is not yet valid",
    10: "certificate has expired or is not yet valid",
    18: _UNKNOWN_AUTHORITY,
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    26: "certificate specifies an incompatible key usage",
}
_NAME_MISMATCH = (62, 64)
#: how http.client begins to say that a proxy refused a CONNECT; status and reason follow
_TUNNEL = "Tunnel connection failed: "
_TLS = {
    "WRONG_VERSION_NUMBER": "http: server gave HTTP response to HTTPS client",
    "HTTP_REQUEST": "http: server gave HTTP response to HTTPS client",
    "RECORD_LAYER_FAILURE": "http: server gave HTTP response to HTTPS client",
    "UNEXPECTED_EOF_WHILE_READING": "EOF",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "remote error: tls: certificate required",
    "SSLV3_ALERT_BAD_CERTIFICATE": "remote error: tls: bad certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "remote error: tls: unknown certificate authority",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "remote error: tls: handshake failure",
    "TLSV1_UNRECOGNIZED_NAME": "remote error: tls: unrecognized name",
}


def explain(error: BaseException, server: str, proxy: str = "") -> AccessError:
    """The line to print for an error of the transport to `server` (a URL), perhaps by way of `proxy` (a URL)."""
    causes = list(_causes(error))
    refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
    if refused and not proxy:
        host = urlsplit(server).netloc
        return AccessError(f"The connection to the server {host} was refused - did you specify the right host or port?")
    where = _host_and_port(proxy or server)
    why = next((text for text in (_words(cause, where) for cause in causes) if text), "")
    prefix = "proxyconnect tcp: " if proxy and why.startswith("dial tcp") else ""
    return AccessError(f"Unable to connect to the server: {prefix}{why or type(error).__name__}")


def _host_and_port(url: str) -> str:
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was made from, innermost first."""
    seen: list[BaseException] = []
    waiting = [error]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.append(current)
        related = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        waiting.extend(item for item in related if isinstance(item, BaseException))
    return reversed(seen)


def _words(cause: BaseException, where: str) -> str:
    """What Go would say of one cause, or nothing if it is only a wrapper around another."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "tls: failed to verify certificate: x509: " + _verification(cause)
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or "handshake failure"
        return _TLS.get(reason) or "tls: " + reason.lower().replace("_", " ")
    if isinstance(cause, socket.gaierror):
        return f"dial tcp: lookup {where.rpartition(':')[0]}: no such host"
    name = type(cause).__name__
    if name == "ConnectTimeoutError":
        return f"dial tcp {where}: i/o timeout"
    if name in ("ReadTimeoutError", "WebSocketTimeoutException"):
        return "context deadline exceeded (no answer within the request timeout)"
    if isinstance(cause, http.client.RemoteDisconnected):
        return "EOF"
    if isinstance(cause, http.client.IncompleteRead) or name in ("IncompleteRead", "InvalidChunkLength"):
        return "unexpected EOF"
    if isinstance(cause, http.client.HTTPException):
        return "net/http: malformed HTTP response"
    return _system(cause, where)


def _verification(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _NAME_MISMATCH:  # "Hostname mismatch, certificate is not valid for 'NAME'."
        return error.verify_message.rpartition(", ")[2].rstrip(".").replace("'", "")
    return _VERIFICATION.get(error.verify_code) or error.verify_message


def _system(cause: BaseException, where: str) -> str:
    if isinstance(cause, OSError) and str(cause).startswith(_TUNNEL):
        return "the proxy answered: " + str(cause).removeprefix(_TUNNEL)
    if not isinstance(cause, OSError) or cause.errno is None or isinstance(cause, TimeoutError):
        return ""
    if cause.errno in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED):
        return f"read tcp {where}: {os.strerror(cause.errno).lower()}"
    return f"dial tcp {where}: connect: {os.strerror(cause.errno).lower()}"
