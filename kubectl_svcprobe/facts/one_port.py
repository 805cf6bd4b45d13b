"""A Service cut down to the port that the user asked for. Pure."""

from __future__ import annotations

from dataclasses import replace

from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.facts.model import Service
from kubectl_svcprobe.facts.snapshot import Snapshot


def with_port(snapshot: Snapshot, port: str) -> Snapshot:
    """The snapshot of a Service as if it had only this port. Raises UsageError where it has no such one."""
    if not port or snapshot.service is None:
        return snapshot
    service = snapshot.service
    chosen = tuple(p for p in service.ports if port in (str(p.port), p.name))
    if not chosen and service.is_headless:  # its clients meet the pods' own ports
        chosen = tuple(p for p in service.ports if port in [str(e.port) for e in snapshot.endpoints_of(p)])
    if not chosen:
        has = ", ".join(f"{p.name} ({p.port})" if p.name else str(p.port) for p in service.ports) or "none"
        raise UsageError(f"error: service/{service.name} has no port {port}; it has {has}{_behind(service, port)}")
    # A route that leads to another port of it would seem to lead nowhere.
    return replace(snapshot, service=replace(service, ports=chosen), routes=())


def _behind(service: Service, word: str) -> str:
    """What a word is that is no port of the Service, and which port leads there: the usual mistakes."""
    for port in service.ports:
        if word == str(port.target_port):
            return f" ({word} is the port of its pods, which {port.port} leads to)"
        if word == str(port.node_port):
            return f" ({word} is a node port, which clients of the nodes use; in the cluster it is {port.port})"
    return ""
