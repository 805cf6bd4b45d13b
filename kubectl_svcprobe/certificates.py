"""What to think of the certificates that were shown: times, names, issuer, by the names that clients may use. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.measured import CertificateFacts
from kubectl_svcprobe.probe.certificate import Certificate, read
from kubectl_svcprobe.probe.exposure import DEFAULT_DOMAIN, PathKind
from kubectl_svcprobe.probe.observe import Observation
from kubectl_svcprobe.probe.results import PathResult

RIGHT, WRONG_NAME, SELF_SIGNED, UNKNOWN_ISSUER = "right", "wrong name", "self-signed", "unknown issuer"
EXPIRED, NOT_YET_VALID = "expired", "not yet valid"

#: By whose names clients do not call a server.
NAMELESS = (PathKind.ENDPOINT, PathKind.NODE_PORT, PathKind.CONTROL, PathKind.PROXY_HEALTH)

#: Where external-dns is told the names of a Service (https://kubernetes-sigs.github.io/external-dns/).
EXTERNAL_DNS = "external-dns.alpha.kubernetes.io/hostname"


def own_names(snapshot: Snapshot, results: Iterable[PathResult]) -> tuple[str, ...]:
    """The names and addresses that clients may know a Service by, as far as its objects tell."""
    service = snapshot.service
    if service is None:
        return ()
    full = f"{service.name}.{service.namespace}"
    names = [service.name, full, f"{full}.svc", f"{full}.svc.{DEFAULT_DOMAIN}"]
    paths = [result.probe.path for result in results]
    names += [name for p in paths if p.kind not in NAMELESS for name in (p.authority, p.host) if name]
    names += [path.authority for path in paths if path.authority]
    names += [word.strip() for word in service.meta.annotations.get(EXTERNAL_DNS, "").split(",") if word.strip()]
    return tuple(dict.fromkeys(names))


def certificate_of(snapshot: Snapshot, result: PathResult, names: Sequence[str]) -> CertificateFacts | None:
    """The certificate that was shown on a path, judged; None where none was seen, or where it could not be read."""
    seen = next((o for o in _showing(result) if o.is_trusted is not None), next(_showing(result), None))
    certificate = read(seen.chain[0]) if seen else None
    if seen is None or certificate is None:
        return None
    fits = tuple(_fitting(snapshot, certificate, names))
    return CertificateFacts(
        state=_state(certificate, fits, seen, snapshot.taken),
        names=certificate.names,
        fits=fits,
        issuer=certificate.issuer,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        issuers=tuple(c.subject for c in map(read, seen.chain[1:]) if c),
    )


def _showing(result: PathResult) -> Iterator[Observation]:
    return (o for o in result.observations if o.chain)


def _fitting(snapshot: Snapshot, certificate: Certificate, names: Sequence[str]) -> Iterator[str]:
    """The names of the Service that it covers, and those of its single pods."""
    yield from (name for name in names if certificate.covers(name))
    if service := snapshot.service:
        parents = tuple(f".{service.name}.{service.namespace}{rest}" for rest in ("", ".svc", f".svc.{DEFAULT_DOMAIN}"))
        yield from (name for name in certificate.names if name.endswith(parents))


def _state(certificate: Certificate, fits: Sequence[str], seen: Observation, now: str) -> str:
    """The first trouble that every client meets; of a private authority's, the name counts more than the authority."""
    if certificate.not_after < now:
        return EXPIRED
    if certificate.not_before > now:
        return NOT_YET_VALID
    if certificate.is_self_issued and not seen.is_trusted:
        return SELF_SIGNED
    if not fits:
        return WRONG_NAME
    return UNKNOWN_ISSUER if seen.is_trusted is False else RIGHT
