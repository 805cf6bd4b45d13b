"""7xx, continued: two families of addresses, and one that is not served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.probe.results import PathResult
from kubectl_svcprobe.report import Severity
from kubectl_svcprobe.rules.rule import Match, rule
from kubectl_svcprobe.words import listed, mapping

DUAL_STACK_DOC = "https://kubernetes.io/docs/concepts/services-networking/dual-stack/"


@rule(
    "SVC711",
    "one-address-family-refuses",
    Severity.ERROR,
    reads={"Service", "EndpointSlice"},
    explains=("SVC731", "SVC701", "SVC732"),
    source=DUAL_STACK_DOC,
)
def one_address_family_refuses(ev: Evidence) -> Iterator[Match]:
    """**What.** The Service has addresses of both families. By one of them every endpoint answers, by the other every one
    refuses.

    **Why it matters.** The application listens on `0.0.0.0`, which is IPv4 only, or on an IPv6 address only. Clients that try
    both families get through, and notice nothing but a delay; those that use the other family alone do not.

    **How it is known.** Each pod was asked at its address of each family.

    **Known exceptions.** None known: a probe pod without an address of the family meets "no route", which is not this.

    **How to confirm.** `kubectl exec POD -- cat /proc/net/tcp /proc/net/tcp6`: an application that serves both has a line
    in `tcp6` that begins with 32 zeros.
    """
    for port in ev.snapshot.service.ports if ev.snapshot.service else ():
        results = ev.offered_endpoints(port)
        by_family = {family: [r for r in results if _family(r) == family] for family in ("IPv4", "IPv6")}
        for family, other in (("IPv6", "IPv4"), ("IPv4", "IPv6")):
            refused, good = by_family[family], by_family[other]
            if not refused or not good or not all(r.outcome is Outcome.REFUSED for r in refused):
                continue
            if all(r.outcome.is_good for r in good):
                yield _match(ev, port, refused, good, family)


def _family(result: PathResult) -> str:
    return "IPv6" if ":" in result.probe.path.host else "IPv4"


def _match(
    ev: Evidence, port: ServicePort, refused: Sequence[PathResult], good: Sequence[PathResult], family: str
) -> Match:
    number = refused[0].probe.path.port
    return Match(
        subject=ev.service.ref,
        port=port.port,
        headline=f"{ev.part(port)} refuses by {family} and answers by {_family(good[0])}: "
        f"its application listens for one family only.",
        message=f"{mapping(port)}: {listed(r.probe.path.target for r in refused)} refused, "
        f"{listed(r.probe.path.target for r in good)} answered.",
        evidence=(f"ipFamilyPolicy is {ev.service.ip_family_policy}, ipFamilies are {listed(ev.service.ip_families)}",),
        fix=tuple(_fixes(ev, family, number)),
    )


def _fixes(ev: Evidence, family: str, number: int) -> Iterator[str]:
    """The first family of a Service cannot be taken away, only its second."""
    yield f"make the application listen on [::]:{number}, which serves both families unless it is told otherwise"
    if ev.service.ip_families[:1] != (family,):
        yield f"or take {family} away from {ev.service.name}:"
        body = {"spec": {"ipFamilyPolicy": "SingleStack"}}
        yield ev.kubectl.patch(ev.service.namespace, "service", ev.service.name, body)
        yield f"its {family} address is then gone"
