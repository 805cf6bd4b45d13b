"""7xx, continued: the certificates that servers show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kubectl_svcprobe.certificates import (
    EXPIRED,
    NOT_YET_VALID,
    SELF_SIGNED,
    UNKNOWN_ISSUER,
    WRONG_NAME,
    certificate_of,
    own_names,
)
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.measured import CertificateFacts
from kubectl_svcprobe.probe.exposure import AT_THE_EDGE, PathKind
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Confidence, Severity
from kubectl_svcprobe.rules.rule import Match, rule
from kubectl_svcprobe.words import listed

#: What clients check is in RFC 5280, section 6 (times and issuer), and RFC 9525 (names).
TLS_DOC = "https://kubernetes.io/docs/tasks/tls/managing-tls-in-a-cluster/"


@dataclass(frozen=True)
class Shown:
    """A certificate, and on which paths it was shown."""

    facts: CertificateFacts
    results: tuple[PathResult, ...]

    @property
    def where(self) -> str:
        """By which pods, where they are known."""
        pods = list(dict.fromkeys(r.probe.path.subject for r in self.results if r.probe.path.kind is PathKind.ENDPOINT))
        return listed(pods, 3) or self.results[0].probe.path.target

    @property
    def said(self) -> str:
        """For whom, by whom and for how long, in a line."""
        made_out = listed(self.facts.fits or self.facts.names, 4) or "no name at all"
        issuer, facts = self.facts.issuer or "an issuer without a name", self.facts
        return f"made out to {made_out}, by {issuer}, from {facts.not_before} until {facts.not_after}"


def shown(ev: Evidence, port: ServicePort, state: str) -> Iterator[Shown]:
    """The certificates in this state that clients of a port meet, as one: pods may have one each.

    A server may choose its certificate by the name that it is asked for. So that of an endpoint, which is asked by address,
    counts only where nothing was asked by name, or where it is made out to the Service too.
    """
    names = own_names(ev.snapshot, ev.results)
    of_port = [r for r in ev.results if r.probe.path.service_port == port and r.probe.path.is_offered]
    # A proxy at the edge has certificates of its own, which are its own affair (SVC547).
    of_port = [r for r in of_port if r.probe.path.kind not in AT_THE_EDGE]
    found = [(r, facts) for r in of_port if (facts := certificate_of(ev.snapshot, r, names))]
    is_named = any(_by_name(r) for r, _ in found)
    counted = [(r, facts) for r, facts in found if not is_named or _by_name(r) or facts.fits]
    in_state = [(r, facts) for r, facts in counted if facts.state == state]
    if in_state:
        yield Shown(in_state[0][1], tuple(r for r, _ in in_state))


def _by_name(result: PathResult) -> bool:
    path = result.probe.path
    return bool(path.authority) or path.kind in (PathKind.DNS, PathKind.POD_NAME)


def _ports(ev: Evidence) -> Sequence[ServicePort]:
    return ev.snapshot.service.ports if ev.snapshot.service else ()


@rule("SVC712", "certificate-expired", Severity.WARNING, reads={"Service"}, source=TLS_DOC)
def certificate_expired(ev: Evidence) -> Iterator[Match]:
    """**What.** The server shows a certificate whose time is over.

    **Why it matters.** The way is open, and TLS is spoken. But clients that verify certificates, as most do unless told
    otherwise, refuse the connection. Where only some pods show it, they were probably not restarted since its renewal.

    **Known exceptions.** Ingress controllers and meshes often do not verify what is behind them. The time is that of the
    machine which runs this tool.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `openssl s_client -connect 127.0.0.1:… </dev/null |
    openssl x509 -noout -dates` at the port that it prints.
    """
    for port in _ports(ev):
        for found in shown(ev, port, EXPIRED):
            yield Match(
                subject=ev.service.ref,
                port=port.port,
                headline=f"{ev.part(port)} answers by TLS, with a certificate that expired on {found.facts.not_after[:10]}.",
                message=f"Clients that verify it refuse to go on. It is shown by {found.where}.",
                evidence=(found.said,),
                fix=tuple(_renew(ev, found)),
            )


def _renew(ev: Evidence, found: Shown) -> Iterator[str]:
    namespace = ev.service.meta.namespace
    yield "renew the certificate; a server that reads it only at its start has to be restarted after that"
    yield ev.kubectl(namespace, "get", "secrets", "--field-selector", "type=kubernetes.io/tls")


@rule("SVC713", "certificate-not-yet-valid", Severity.WARNING, reads={"Service"}, source=TLS_DOC)
def certificate_not_yet_valid(ev: Evidence) -> Iterator[Match]:
    """**What.** The server shows a certificate whose time has not begun.

    **Why it matters.** Clients that verify certificates refuse the connection until then. Most often the clock of whoever
    issued it, or that of this machine, is wrong.

    **Known exceptions.** The time is that of the machine which runs this tool.

    **How to confirm.** `date -u` here and on a node, and `openssl s_client -connect 127.0.0.1:… </dev/null | openssl x509
    -noout -dates` through `kubectl port-forward pod/POD :PORT`.
    """
    for port in _ports(ev):
        for found in shown(ev, port, NOT_YET_VALID):
            yield Match(
                subject=ev.service.ref,
                port=port.port,
                headline=f"{ev.part(port)} answers by TLS, with a certificate that is valid from {found.facts.not_before} only.",
                message=f"Clients that verify it refuse to go on. It is shown by {found.where}; here it is {ev.snapshot.taken}.",
                evidence=(found.said,),
                fix=("compare the clocks of this machine, of the nodes and of the issuer; else issue it anew",),
            )


@rule("SVC714", "certificate-for-another-name", Severity.WARNING, reads={"Service"}, source=TLS_DOC)
def certificate_for_another_name(ev: Evidence) -> Iterator[Match]:
    """**What.** The certificate is made out to none of the names or addresses that the Service has in the cluster, nor to a
    host of a route that leads to it.

    **Why it matters.** Clients inside the cluster call the Service by such a name, and those that verify certificates refuse
    the connection.

    **Known exceptions.** A Service that is reachable from outside, or whose certificate comes from a public authority, is
    probably called by a name that no object here tells: then it is information. Clients may be told to expect another
    name (`--resolve`, `serverName`). Of certificates with a common name and no alternative names, current clients accept none.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `openssl s_client -connect 127.0.0.1:… -servername NAME
    </dev/null | openssl x509 -noout -ext subjectAltName` at the port that it prints.
    """
    for port in _ports(ev):
        for found in shown(ev, port, WRONG_NAME):
            yield _wrong_name(ev, port, found)


def _wrong_name(ev: Evidence, port: ServicePort, found: Shown) -> Match:
    service = ev.service
    full = f"{service.name}.{service.namespace}.svc"
    is_public = any(o.is_trusted for r in found.results for o in r.observations)
    is_elsewhere = is_public or service.type != "ClusterIP" or bool(service.external_ips) or bool(ev.snapshot.routes)
    names = listed(found.facts.names, 2) or "no name"
    return Match(
        subject=service.ref,
        port=port.port,
        headline=f"{ev.part(port)} answers by TLS, with a certificate for {names} and not for {full}.",
        message="Clients that call it by a name of the cluster, and verify what they are shown, refuse to go on."
        + (" Those that call it by another name may be well served." if is_elsewhere else ""),
        evidence=(found.said, f"shown by {found.where}"),
        fix=(f"have the certificate made out to {full} too, if clients inside the cluster are to verify it",),
        severity=Severity.INFO if is_elsewhere else None,
    )


@rule("SVC715", "certificate-of-no-known-authority", Severity.INFO, reads={"Service"}, source=TLS_DOC)
def certificate_of_no_known_authority(ev: Evidence) -> Iterator[Match]:
    """**What.** The certificate is signed by itself, or by an authority that the probe pod (or this machine) does not know.

    **Why it matters.** Clients have to be given that authority, or that certificate, or they refuse the connection. In a
    cluster that is the rule and no fault.

    **Known exceptions.** The probe pod knows the public authorities that its image brings, and no others: not the
    cluster's own, and none that the nodes trust.

    **How to confirm.** `kubectl port-forward pod/POD :PORT`, then `openssl s_client -connect 127.0.0.1:… -CAfile CA.crt
    </dev/null` at the port that it prints: it ends with the verification's result.
    """
    for port in _ports(ev):
        for state in (SELF_SIGNED, UNKNOWN_ISSUER):
            for found in shown(ev, port, state):
                yield _unknown(ev, port, found)


def _unknown(ev: Evidence, port: ServicePort, found: Shown) -> Match:
    is_self_signed = found.facts.state == SELF_SIGNED
    what = (
        "a self-signed certificate"
        if is_self_signed
        else f"a certificate of {found.facts.issuer or 'an authority'}, which is no public authority"
    )
    other = "" if found.facts.fits else f" It is made out to none of {ev.service.name}'s names either."
    return Match(
        subject=ev.service.ref,
        port=port.port,
        headline=f"{ev.part(port)} answers by TLS, with {what}.",
        message=f"Clients need to be told to trust {'it' if is_self_signed else 'that authority'}.{other}",
        evidence=(found.said, f"shown by {found.where}"),
        confidence=Confidence.CERTAIN,
    )
