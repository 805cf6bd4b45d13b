"""What one transfer came back with, and what that means: the decode table of curl's exit codes.

`num_connects` and `http_code` tell apart what one exit code mixes: 28 is a dropped SYN, an unanswered name, a hung
handshake or an application that accepts and then is silent. The table was measured against the curl versions that
docs/limits.md names; a code that it does not know is `not run`, never a failure of the Service.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from kubectl_svcprobe.probe.certificate import chain_of
from kubectl_svcprobe.probe.headers import grpc_detail, printable
from kubectl_svcprobe.probe.request import Request


class Outcome(str, Enum):
    """What became of a request. `silent` is about UDP, where no answer is neither good nor bad."""

    ANSWERED = "answered"
    HTTP_ERROR = "http-error"
    CONNECTED = "connected"
    RESOLVED = "resolved"
    NO_ANSWER = "no-answer"
    RESET = "reset"
    TLS_FAILED = "tls-failed"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TIMED_OUT = "timed-out"
    DNS_FAILED = "dns-failed"
    SILENT = "silent"
    NOT_RUN = "not-run"
    INTERMITTENT = "intermittent"

    @property
    def is_good(self) -> bool:
        """The way is open and somebody answers; what an application says (even 500) is its own affair."""
        return self in (Outcome.ANSWERED, Outcome.HTTP_ERROR, Outcome.CONNECTED, Outcome.RESOLVED)

    @property
    def is_bad(self) -> bool:
        """Looked, and it failed, at least once."""
        return not self.is_good and self not in (Outcome.NOT_RUN, Outcome.SILENT)

    @property
    def reached(self) -> bool:
        """A TCP connection stood, whatever came of it."""
        connected = self in (Outcome.ANSWERED, Outcome.HTTP_ERROR, Outcome.CONNECTED)
        return connected or self in (Outcome.NO_ANSWER, Outcome.RESET, Outcome.TLS_FAILED)


@dataclass(frozen=True)
class Observation:
    """One transfer. Times are seconds; `connect_seconds` is 0 where no connection stood. `is_retry`: from a settled pod.

    `server` is what the answer says that it was made by, `proxy_error` what Linkerd's proxy says went wrong, and
    `is_passed_on` is set where Envoy says that it has the answer from the application.
    `is_tls_hint` marks an answer in plain text that Go's TLS servers give, `is_silent` a connection that stood until its
    time was over. `tls_seconds` and `first_byte_seconds` (from the request to its answer) are spans; `connect_seconds` has
    the lookup in it. `chain` is the DER of the certificates that were shown, the server's own first; `is_trusted` whether an
    authority known there vouches for it, None where that could not be told. `grpc_status` is what a gRPC server says,
    `telling` the values of `TELLING_HEADERS`, in samples only.
    """

    probe_id: int
    attempt: int
    outcome: Outcome
    http_status: int = 0
    seconds: float = 0.0
    connect_seconds: float = 0.0
    lookup_seconds: float = 0.0
    remote_ip: str = ""
    detail: str = ""
    is_retry: bool = False
    server: str = ""
    proxy_error: str = ""
    is_passed_on: bool = False
    is_tls_hint: bool = False
    is_silent: bool = False
    tls_seconds: float = 0.0
    first_byte_seconds: float = 0.0
    chain: tuple[bytes, ...] = ()
    is_trusted: bool | None = None
    grpc_status: str = ""
    telling: tuple[str, ...] = ()


#: Before each transfer's JSON in the log, with the probe's number and the attempt's.
MARK = re.compile(rb"svcprobe:(\d+):(\d+) (\{.*\})\s*")

#: After it: the headers that proxies and servers of gRPC give themselves away by, where this curl can write them.
SERVER_MARK = re.compile(rb"server:(\d+):(\d+) (.*)")


def read_log(log: bytes, requests: Mapping[int, Request], is_retry: bool = False) -> tuple[list[Observation], str]:
    """The observations in a probe container's log, and all other text in it (resolv.conf, curl's complaints)."""
    observations: list[Observation] = []
    other: list[str] = []
    headers: dict[tuple[int, int], list[str]] = {}
    # Not `splitlines`: a header may hold a carriage return, and so begin a line of its own there.
    for line in log.removesuffix(b"\n").split(b"\n"):
        if (found := MARK.fullmatch(line)) and (transfer := _load(found.group(3))) is not None:
            number, attempt = int(found.group(1)), int(found.group(2))
            if number in requests:
                observations.append(decode(number, attempt, transfer, requests[number], is_retry))
        elif found := SERVER_MARK.match(line):
            values = found.group(3).decode("ascii", "replace").split("\t")
            headers[int(found.group(1)), int(found.group(2))] = [printable(value) for value in values]
        else:
            other.append(line.decode("utf-8", "replace"))
    for index, seen in enumerate(observations):
        values = headers.get((seen.probe_id, seen.attempt), [])
        observations[index] = with_headers(seen, requests[seen.probe_id], values)
    return observations, "\n".join(other)


def with_headers(seen: Observation, request: Request, values: list[str]) -> Observation:
    """An observation with what the answer's headers say: of proxies, of gRPC, of the pod that answered."""
    server, error, took, status, *telling = [*values, "", "", "", ""][: max(len(values), 4)]
    seen = replace(seen, server=server, proxy_error=error, is_passed_on=took.isdigit(), telling=tuple(telling))
    if request.scheme != "grpc" or not seen.http_status:
        return seen
    if said := grpc_detail(status):
        return replace(seen, grpc_status=status, detail=said)
    return seen if seen.detail else replace(seen, detail="without a grpc-status")


def _load(text: bytes) -> dict[str, Any] | None:
    try:
        # A content type that is no UTF-8 reaches the JSON as it is.
        value = json.loads(text.decode("utf-8", "replace"))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def decode(
    number: int, attempt: int, transfer: Mapping[str, Any], request: Request, is_retry: bool = False
) -> Observation:
    """One transfer's JSON (`curl -w '%{json}'`) as an Observation."""
    outcome, detail = _outcome(transfer, request)
    connect, tls = _float(transfer, "time_connect"), _float(transfer, "time_appconnect")
    first_byte = _float(transfer, "time_starttransfer")
    chain = chain_of(str(transfer.get("certs") or "")) if request.scheme == "https" else ()
    return Observation(
        probe_id=number,
        attempt=attempt,
        outcome=outcome,
        http_status=_int(transfer, "http_code") if request.is_http else 0,
        # A silent connect lasts until its limit: what counts is when the connection stood.
        seconds=_float(transfer, "time_total" if request.is_http else "time_connect"),
        connect_seconds=connect,
        lookup_seconds=_float(transfer, "time_namelookup"),
        remote_ip=str(transfer.get("remote_ip") or ""),
        detail=detail,
        is_tls_hint=_is_tls_hint(transfer, request),
        is_silent=outcome is Outcome.NO_ANSWER and _int(transfer, "exitcode") == _TIME_OVER,
        is_retry=is_retry,
        tls_seconds=max(tls - connect, 0.0) if connect else 0.0,
        first_byte_seconds=max(first_byte - max(connect, tls), 0.0) if request.is_http else 0.0,
        chain=chain,
        is_trusted=TRUSTED.get(_int(transfer, "ssl_verify_result")) if chain else None,
    )


#: The results of OpenSSL's verification that tell something of the issuer: X509_V_OK, and _SELF_SIGNED_CERT_IN_CHAIN,
#: _DEPTH_ZERO_SELF_SIGNED_CERT, _UNABLE_TO_GET_ISSUER_CERT(_LOCALLY), _UNABLE_TO_VERIFY_LEAF_SIGNATURE. Others find an end
#: before the issuer. With `-k` curl reports the result, and goes on.
TRUSTED = {0: True, 2: False, 18: False, 19: False, 20: False, 21: False}

#: Exit codes that mean trouble before any TCP connection stood.
_BEFORE_CONNECT = {
    6: Outcome.DNS_FAILED,
    7: Outcome.REFUSED,
    28: Outcome.TIMED_OUT,
    55: Outcome.RESET,
    56: Outcome.RESET,
}

#: Exit codes after a connection, without an HTTP status: outcome and what to say.
_AFTER_CONNECT = {
    1: (Outcome.CONNECTED, "it speaks, but not HTTP"),
    7: (Outcome.RESET, "reset once connected"),
    8: (Outcome.CONNECTED, "it speaks, but not HTTP"),
    16: (Outcome.CONNECTED, "it speaks, but not HTTP/2"),
    28: (Outcome.NO_ANSWER, "silent once connected"),
    35: (Outcome.TLS_FAILED, "the TLS handshake failed"),
    52: (Outcome.NO_ANSWER, "closed unanswered"),
    55: (Outcome.RESET, "reset once connected"),
    56: (Outcome.RESET, "reset once connected"),
    60: (Outcome.TLS_FAILED, "the certificate was not accepted"),
    92: (Outcome.CONNECTED, "it speaks, but not HTTP/2"),
}

#: How a mere lookup ends where the name was found: no connection (or no socket) from the loopback address.
_AFTER_LOOKUP = (7, 28, 45)

#: curl knows "refused" and "no route to host" by one code; a refusal comes back at once, a missing neighbour after ARP's 3 s.
_REFUSAL_IS_FASTER_THAN = 0.9


_TIME_OVER = 28

#: What TLS servers complain of when a client shows no certificate (RFC 8446, section 6.2): by 1.3 after the handshake.
WANTS_CERTIFICATE = "it wants a client certificate"
_ALERT = re.compile(r"alert.*certificate|certificate required", re.IGNORECASE)


def _is_tls_hint(transfer: Mapping[str, Any], request: Request) -> bool:
    """Whether this is the bare 400 of HTTP/1.0 that Go's TLS servers answer plain HTTP with (net/http, server.go)."""
    is_bare = str(transfer.get("http_version")) in ("1", "1.0") and transfer.get("num_headers") == 0
    return request.scheme == "http" and _int(transfer, "http_code") == 400 and is_bare


def _outcome(transfer: Mapping[str, Any], request: Request) -> tuple[Outcome, str]:
    code, status = _int(transfer, "exitcode"), _int(transfer, "http_code")
    connected = _int(transfer, "num_connects") > 0
    message = str(transfer.get("errormsg") or "")
    if request.scheme == "lookup" and code in _AFTER_LOOKUP and "resolv" not in message.lower():
        return Outcome.RESOLVED, ""
    if not request.is_http and connected:
        return Outcome.CONNECTED, ""
    if request.is_http and status:
        return (Outcome.HTTP_ERROR if status >= 500 else Outcome.ANSWERED), ""
    if connected and request.scheme == "https" and code in (35, 55, 56) and _ALERT.search(message):
        return Outcome.TLS_FAILED, f"{WANTS_CERTIFICATE} ({message})"
    if connected and request.scheme == "https" and code in (55, 56) and _float(transfer, "time_appconnect") > 0:
        # The same alert, where the server's end of the connection was faster than it.
        return Outcome.TLS_FAILED, "reset right after the TLS handshake"
    if connected and code in _AFTER_CONNECT:
        outcome, detail = _AFTER_CONNECT[code]
        return outcome, f"{detail} ({message})" if outcome is Outcome.TLS_FAILED and message else detail
    if not connected and code in _BEFORE_CONNECT:
        return _before_connect(code, message, _float(transfer, "time_total"))
    if connected and code == 0:
        return Outcome.CONNECTED, ""
    return Outcome.NOT_RUN, f"curl ended with {code}" + (f": {message}" if message else "")


def _before_connect(code: int, message: str, seconds: float) -> tuple[Outcome, str]:
    if code == 28 and "resolv" in message.lower():
        return Outcome.DNS_FAILED, "the name server did not answer"
    if code == 6:
        return Outcome.DNS_FAILED, "does not resolve"
    if code == 7 and seconds > _REFUSAL_IS_FASTER_THAN:
        return Outcome.UNREACHABLE, "no route"
    return _BEFORE_CONNECT[code], ""


def _int(transfer: Mapping[str, Any], key: str) -> int:
    value = transfer.get(key)
    return value if isinstance(value, int) else 0


def _float(transfer: Mapping[str, Any], key: str) -> float:
    value = transfer.get(key)
    return float(value) if isinstance(value, (int, float)) else 0.0


def curl_version(log: bytes) -> str:
    """The version of curl that wrote the log: `libcurl/8.17.0 …` becomes `8.17.0`."""
    found = re.search(rb'"curl_version":\s*"libcurl/([\w.+-]+)', log)
    return found.group(1).decode() if found else ""


def search_domains(resolv_conf: str) -> tuple[str, ...]:
    """The search list of a resolv.conf; the last `search` line counts."""
    domains: tuple[str, ...] = ()
    for words in _resolv_lines(resolv_conf):
        if words[0] == "search":
            domains = tuple(words[1:])
    return domains


def name_servers(resolv_conf: str) -> tuple[str, ...]:
    """The name servers of a resolv.conf."""
    return tuple(words[1] for words in _resolv_lines(resolv_conf) if words[0] == "nameserver" and len(words) > 1)


def _resolv_lines(resolv_conf: str) -> Iterator[list[str]]:
    for line in resolv_conf.splitlines():
        words = line.split("#")[0].split()
        if words:
            yield words


def cluster_domain(resolv_conf: str) -> str:
    """The cluster's domain as the kubelet wrote it into a pod: the search entry `svc.DOMAIN`. Empty if it is not there."""
    found = (domain[4:] for domain in search_domains(resolv_conf) if domain.startswith("svc."))
    return next(found, "").rstrip(".")
