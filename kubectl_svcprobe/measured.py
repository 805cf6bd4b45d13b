"""What is measured beside the outcome, as the JSON document has it: times, certificates, samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Timings:
    """Where the time went, in milliseconds: each the median over the attempts that succeeded, 0 where there was none of it.

    `lookup` is the name's, `connect` the TCP handshake, `tls` that of TLS; `first_byte` is the wait from the request to
    the first byte of its answer.
    """

    lookup: float = 0.0
    connect: float = 0.0
    tls: float = 0.0
    first_byte: float = 0.0


@dataclass(frozen=True)
class CertificateFacts:
    """The certificate that a server showed. Of its contents these fields are all that is kept.

    `state` is `right`, `wrong name`, `expired`, `not yet valid`, `self-signed` or `unknown issuer`: the first of the
    troubles that a client would meet. `issuer` is the issuer's common name (or organization), `names` what it is made
    out to, `fits` those of the Service's own names and addresses that it covers. Times are RFC 3339. `issuers` is the
    rest of the chain as it was sent, nearest first; empty where it could not be seen.
    """

    state: str
    names: tuple[str, ...]
    fits: tuple[str, ...]
    issuer: str
    not_before: str
    not_after: str
    issuers: tuple[str, ...] = ()


@dataclass(frozen=True)
class SampleFacts:
    """What `--samples` met at one address of one port.

    `outcomes` counts what became of the requests, by word (an HTTP status, or as `PathFacts.outcome`). Times are
    milliseconds of those that were answered. `endpoints` counts the answers of each endpoint as far as they tell, `told_by`
    what they tell it by: a header's name, `address` (the name led to the endpoint itself), or empty where nothing does.
    """

    kind: str
    target: str
    port_name: str
    request: str
    asked: int
    succeeded: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    p50: float = 0.0
    p95: float = 0.0
    longest: float = 0.0
    endpoints: Mapping[str, int] = field(default_factory=dict)
    told_by: str = ""
