"""A Service cut down to the ports that the user asked for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot


def with_ports(snapshot: Snapshot, words: Sequence[str], scheme: str = "") -> Snapshot:
    """The snapshot of a Service as if it had these ports only, and those that a scheme can be spoken at.

    A word is a number, a name, or either with a protocol (`53/udp`). Raises UsageError where a word is no port of it, or
    none of them is of the scheme's protocol.
    """
    service = snapshot.service
    if service is None or service.is_external_name:
        return snapshot
    chosen = _of_scheme(service, _named(service, [_own_word(snapshot, service, word) for word in words]), scheme)
    if chosen == service.ports:
        return snapshot
    # A route that leads to another port of it would seem to lead nowhere.
    return replace(
        snapshot,
        service=replace(service, ports=chosen, left_out=tuple(p for p in service.ports if p not in chosen)),
        routes=(),
    )


def _own_word(snapshot: Snapshot, service: Service, word: str) -> str:
    """The word; of a headless Service, whose clients meet the pods' own ports, the port that leads to such a one."""
    if not service.is_headless or any(_is_meant(port, word) for port in service.ports):
        return word
    met = (port for port in service.ports if word in [str(e.port) for e in snapshot.endpoints_of(port)])
    return next((str(port.port) for port in met), word)


def _named(service: Service, words: Sequence[str]) -> tuple[ServicePort, ...]:
    """The ports that the words mean; all of them for no words."""
    for word in words:
        if not any(_is_meant(port, word) for port in service.ports):
            has = _listed(service.ports)
            raise UsageError(f"error: service/{service.name} has no port {word}; it has {has}{_behind(service, word)}")
    return tuple(p for p in service.ports if not words or any(_is_meant(p, word) for word in words))


def _is_meant(port: ServicePort, word: str) -> bool:
    name, _, protocol = word.partition("/")
    return name in (str(port.port), port.name) and protocol.upper() in ("", port.protocol)


def _of_scheme(service: Service, ports: tuple[ServicePort, ...], scheme: str) -> tuple[ServicePort, ...]:
    """Those whose protocol can carry the scheme."""
    protocol = "UDP" if scheme == "udp" else "TCP"
    if not scheme or not ports:
        return ports
    chosen = tuple(p for p in ports if p.protocol == protocol)
    if not chosen:
        among = " among those asked for" if ports != service.ports else ""
        raise UsageError(
            f"error: --scheme {scheme}: service/{service.name} has no {protocol} port{among}; it has {_listed(service.ports)}"
        )
    return chosen


def _listed(ports: Iterable[ServicePort]) -> str:
    """`http (80), dns (53/UDP)`."""
    numbers = [(p.name, f"{p.port}" if p.protocol == "TCP" else f"{p.port}/{p.protocol}") for p in ports]
    return ", ".join(f"{name} ({number})" if name else number for name, number in numbers) or "none"


def _behind(service: Service, word: str) -> str:
    """What a word is that is no port of the Service, and which port leads there: the usual mistakes."""
    for port in service.ports:
        if word == str(port.target_port):
            return f" ({word} is the port of its pods, which {port.port} leads to)"
        if word == str(port.node_port):
            return f" ({word} is a node port, which clients of the nodes use; in the cluster it is {port.port})"
    return ""
