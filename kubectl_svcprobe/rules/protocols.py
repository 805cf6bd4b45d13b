"""7xx, continued: what a port speaks, and what it was asked in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.probe.observe import WANTS_CERTIFICATE, Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import SERVICE_DOC, Match, rule
from kubectl_svcprobe.words import listed, mapping

APP_PROTOCOL_DOC = f"{SERVICE_DOC}#application-protocol"

#: What OpenSSL, GnuTLS and the like say of an answer that is no TLS.
NO_TLS = re.compile(
    r"wrong version|packet length|record layer|http request|unknown protocol|unexpected TLS packet", re.I
)

#: Web servers that say 400 to plain HTTP at a TLS port, and for other reasons too.
SAYS_400_TO_PLAIN = re.compile(r"nginx|openresty|apache|tengine", re.I)

#: Ports of TLS by custom.
TLS_PORTS = frozenset({443, 4443, 5443, 6443, 8443, 9443, 10250})

#: Annotations by which load balancers are told to write a line of the PROXY protocol.
PROXY_PROTOCOL = re.compile(r"proxy-protocol", re.I)


def say_app_protocol(ev: Evidence, port: ServicePort, value: str) -> Iterator[str]:
    """The command that says on the Service what a port speaks, and what it changes."""
    meta = ev.service.meta
    body = {"op": "add", "path": f"/spec/ports/{port.index}/appProtocol", "value": value}
    yield ev.kubectl.json_patches(meta.namespace, "service", meta.name, body)
    yield f"says that port {port.port} of {meta.name} speaks {value}, to this tool and to gateways and meshes; moves no packet"


def understood(ev: Evidence, port: ServicePort, scheme: str, is_proxied: bool = False) -> bool:
    """Whether an endpoint that gave no answer gave one when it was asked so."""
    return any(
        r.probe.request.scheme == scheme and r.probe.request.is_proxied == is_proxied
        for r in ev.closer.understands(port)
    )


def _asked(results: Sequence[PathResult]) -> str:
    return f"asked by {results[0].probe.request} {results[0].probe.request.reason}"


@rule("SVC705", "tls-handshake-fails", Severity.WARNING, reads={"Service"}, source=APP_PROTOCOL_DOC)
def tls_handshake_fails(ev: Evidence) -> Iterator[Match]:
    """**What.** A connection stands, but the TLS handshake fails.

    **Why it matters.** The way is open. The port speaks plain text although `appProtocol`, its name or its number says TLS;
    clients and gateways that go by those fail too. Where the server does speak TLS, the two do not agree on a version or
    cipher, or it wants a client certificate and says so only in general, or by ending the connection.

    **Known exceptions.** Certificates are not verified, so an expired one, or one of another name, is no reason (SVC712 to
    SVC715 are about those). A server that says that it wants a client certificate is another finding (SVC708).

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `curl -v http://127.0.0.1:…/` and
    `openssl s_client -connect 127.0.0.1:…` at the port that it prints.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = [r for r in ev.offered_endpoints(port) if r.outcome is Outcome.TLS_FAILED]
        results = [r for r in results if WANTS_CERTIFICATE not in r.detail]
        if not results:
            continue
        is_plain = bool(NO_TLS.search(results[0].detail))
        number = results[0].probe.path.port
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} speaks plain text on port {number}, and is declared as TLS."
            if is_plain
            else f"{ev.part(port)} accepts connections, but fails the TLS handshake on port {number}.",
            message=f"{_every(results)} on port {number}: {results[0].detail}.",
            evidence=(
                f"TLS was tried {results[0].probe.request.reason}",
                *(() if is_plain else ("it may want a client certificate, or another version of TLS",)),
            ),
            fix=tuple(_plain_fixes(ev, port, is_plain)),
            confidence=Confidence.CERTAIN if is_plain else Confidence.LIKELY,
        )


def _every(results: Sequence[PathResult]) -> str:
    return "The only endpoint" if len(results) == 1 else f"All {len(results)} endpoints"


def _plain_fixes(ev: Evidence, port: ServicePort, is_plain: bool) -> Iterator[str]:
    if not is_plain:
        yield f"if {mapping(port)} speaks plain HTTP:"
    yield from say_app_protocol(ev, port, "http")
    if is_plain:
        yield "or let the application speak TLS there, if clients expect it"


@rule("SVC706", "tls-port-asked-in-plain", Severity.WARNING, reads={"Service"}, source=APP_PROTOCOL_DOC)
def tls_port_asked_in_plain(ev: Evidence) -> Iterator[Match]:
    """**What.** The port speaks TLS, and is declared as plain HTTP by `appProtocol`, its name or its number.

    **Why it matters.** Clients that speak TLS are served. Gateways, meshes and this tool go by the declaration, and are
    answered with 400 or with a closed connection.

    **How it is known.** Where the connection was closed without an answer, the same endpoint was asked by TLS, and answered:
    a warning. Where plain HTTP was answered with 400, TLS was not tried: Go's TLS servers give a bare HTTP/1.0 answer that
    is unlike any other; nginx and Apache answer 400 for other reasons too. Then it is information.

    **Known exceptions.** An application that answers 400 to a request for `/` in its own right.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `curl -k https://127.0.0.1:…/` at the port that it prints.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        if not results or results[0].probe.request.scheme != "http":
            continue
        number = results[0].probe.path.port
        if is_proven := understood(ev, port, "https"):
            confidence, how = Confidence.CERTAIN, "it gave no answer in plain text, and one by TLS"
        elif not all(r.http_status == 400 for r in results):
            continue
        elif all(o.is_tls_hint for r in results for o in r.good):
            confidence, how = Confidence.LIKELY, "it answered with the bare 400 of a TLS server written in Go"
        elif number in TLS_PORTS or any(SAYS_400_TO_PLAIN.search(o.server) for r in results for o in r.good):
            confidence, how = Confidence.POSSIBLE, "it answered 400, as TLS servers do, and others that miss something"
        else:
            continue
        verb = {Confidence.CERTAIN: "speaks", Confidence.LIKELY: "probably speaks"}.get(confidence, "may speak")
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} {verb} TLS on port {number}, and is declared as plain HTTP.",
            message=f"{mapping(port)}: {how}.",
            evidence=(_asked(results),),
            fix=tuple(say_app_protocol(ev, port, "https")),
            severity=None if is_proven else Severity.INFO,
            confidence=confidence,
        )


@rule("SVC707", "not-http-1", Severity.INFO, reads={"Service"}, source=APP_PROTOCOL_DOC)
def not_http_1(ev: Evidence) -> Iterator[Match]:
    """**What.** The port was asked by HTTP/1.1, and answers in something else: HTTP/2 from the first byte, as gRPC servers
    do, or no HTTP at all.

    **Why it matters.** The way is open, and the application speaks. But gateways and meshes go by `appProtocol` and the
    port's name, and would speak HTTP/1.1 to it. Where the connection was closed instead, and an HTTP/2 request was
    answered, it is a warning, since the port is declared as what it is not.

    **Known exceptions.** `--path` makes this tool ask any port by HTTP.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `curl -v --http2-prior-knowledge http://127.0.0.1:…/` at
    the port that it prints: a gRPC server answers 415 or 404. A server that is none greets in its own words.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        if not results or not results[0].probe.request.is_http or results[0].probe.request.is_http2:
            continue
        is_proven = understood(ev, port, "h2c")
        if not is_proven and not all(r.outcome is Outcome.CONNECTED and r.detail for r in results):
            continue
        number = results[0].probe.path.port
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} speaks only HTTP/2 on port {number}, as gRPC does."
            if is_proven
            else f"{ev.part(port)} answers on port {number}, but not by HTTP/1.1.",
            message=f"{mapping(port)}: it gave an answer by HTTP/2 from the first byte, and none by HTTP/1.1."
            if is_proven
            else f"{mapping(port)}: {results[0].detail}. It may be HTTP/2 without TLS, as gRPC is, or another protocol.",
            evidence=(_asked(results),),
            fix=tuple(_dialect_fixes(ev, port, is_proven)),
            severity=Severity.WARNING if is_proven else None,
            confidence=Confidence.CERTAIN if is_proven else Confidence.LIKELY,
        )


def _dialect_fixes(ev: Evidence, port: ServicePort, is_proven: bool) -> Iterator[str]:
    if not is_proven:
        yield "if it is gRPC, or another HTTP/2 without TLS:"
    yield from say_app_protocol(ev, port, "kubernetes.io/h2c")
    if not is_proven:
        yield "if it is no HTTP at all:"
        yield from say_app_protocol(ev, port, "tcp")


@rule("SVC708", "client-certificate-wanted", Severity.INFO, reads={"Service"}, source=APP_PROTOCOL_DOC)
def client_certificate_wanted(ev: Evidence) -> Iterator[Match]:
    """**What.** The server ends the TLS handshake since the client shows no certificate.

    **Why it matters.** The way is open, and the server speaks TLS. What it would answer to somebody with a certificate is
    not known: this tool shows none.

    **Known exceptions.** None known: the server's own alert says so.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then
    `curl -k --cert CLIENT.crt --key CLIENT.key https://127.0.0.1:…/` at the port that it prints.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = [r for r in ev.offered_endpoints(port) if WANTS_CERTIFICATE in r.detail]
        if results:
            yield Match(
                subject=ev.service.ref,
                port=port.port,
                headline=f"{ev.part(port)} can be reached, and wants a client certificate.",
                message=f"{_every(results)} on port {results[0].probe.path.port}: {results[0].detail}.",
                fix=("show a client certificate; what a client without one cannot see is not tried here",),
            )


@rule(
    "SVC709",
    "proxy-protocol-wanted",
    Severity.WARNING,
    reads={"Service"},
    explains=("SVC511", "SVC512", "SVC521", "SVC530"),
    source=APP_PROTOCOL_DOC,
)
def proxy_protocol_wanted(ev: Evidence) -> Iterator[Match]:
    """**What.** The application answers only where a line of the PROXY protocol comes first.

    **Why it matters.** A load balancer writes that line; clients inside the cluster do not, nor do those that come by node
    port. They are closed out.

    **How it is known.** The same endpoint closed the connection when it was asked without the line, and answered with it.

    **Known exceptions.** Where all clients come through such a load balancer, it is meant so. The cluster's own clients then
    need the load balancer's name, or its address with `ipMode: Proxy`.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `curl --haproxy-protocol http://127.0.0.1:…/` and the
    same without that option, at the port that it prints.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        if not results or not any(r.probe.request.is_proxied for r in ev.closer.understands(port)):
            continue
        notes = sorted(key for key in ev.service.meta.annotations if PROXY_PROTOCOL.search(key))
        yield Match(
            subject=ev.service.ref,
            port=port.port,
            headline=f"{ev.part(port)} answers only to the PROXY protocol, which clients inside the cluster do not speak.",
            message=f"{mapping(port)}: it gave no answer without a line of the PROXY protocol in front, and one with it.",
            evidence=(_asked(results), *((f"annotated with {listed(notes)}",) if notes else ())),
            fix=("let the application take requests without that line, if clients inside the cluster are to reach it",),
        )


@rule("SVC710", "host-wanted", Severity.INFO, reads={"Service"}, source=SERVICE_DOC)
def host_wanted(ev: Evidence) -> Iterator[Match]:
    """**What.** The application answers 421 (Misdirected Request): it serves certain host names, and was asked by address.

    **Why it matters.** The way is open. What it answers to the right name is not known.

    **Known exceptions.** Many virtual hosts answer 404 or 403 instead, as applications do for many reasons; that is an
    answer like any other here.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `curl -H 'Host: NAME' http://127.0.0.1:…/` at the port
    that it prints. A `Host` header in the pod's own HTTP probe is sent by this tool too.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        if results and all(r.http_status == 421 for r in results):
            yield Match(
                subject=ev.service.ref,
                port=port.port,
                headline=f"{ev.part(port)} can be reached, and answers only to its own host names (421).",
                message=f"{results[0].probe.request} on port {results[0].probe.path.port} was answered with 421.",
                evidence=(_asked(results),),
                fix=("give the pod's HTTP readiness probe a Host header: this tool then sends it too",),
            )
