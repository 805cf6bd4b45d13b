"""What a word led to, and the reads that several kinds of word share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.errors import AccessError, Forbidden, Unauthorized
from kubectl_svcprobe.facts.model import Service, ServicePort
from kubectl_svcprobe.facts.policy import selects
from kubectl_svcprobe.facts.reader import Reader, unread
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.words import labels, listed, nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """A Service that is meant, one of its ports if one is (a number or a name), and in a line how the word led to it.

    `is_behind_route`: what a client says to the route, by TLS above all, need not be what the Service is told.
    """

    namespace: str
    name: str
    port: str = ""
    how: str = ""
    is_behind_route: bool = False


@dataclass
class Search:
    """The reads for one word. `namespace` is where to look if not everywhere; `narrowed` what was read of it alone."""

    reader: Reader
    namespace: str
    narrowed: list[str] = field(default_factory=list)

    def wherever(
        self, resource: r.Resource, parse: Callable[[dict[str, Any]], T], fields: str = ""
    ) -> Future[tuple[T, ...]]:
        """Start reading all objects of a kind; where that is forbidden, those of this namespace."""
        reader = self.reader

        def read() -> tuple[T, ...]:
            try:
                return tuple(parse(obj) for obj in reader.cluster.list(resource, None, field_selector=fields))
            except Forbidden as error:
                if not resource.namespaced:
                    reader.unread.append(unread(resource, None, error))
                    return ()
            except Unauthorized:
                raise
            except AccessError as error:
                reader.unread.append(unread(resource, None, error))
                return ()
            found = reader.read_now(resource, self.namespace, parse, fields=fields)
            self.narrowed.append(resource.plural)
            return found

        return reader.pool.submit(read)

    @cached_property
    def everywhere(self) -> tuple[Service, ...]:
        """All Services that may be listed, by namespace and name."""
        found = self.wherever(r.SERVICES, Service.from_json).result()
        return tuple(sorted(found, key=lambda s: (s.namespace, s.name)))

    @cached_property
    def here(self) -> tuple[Service, ...]:
        """The Services of this namespace, by name. Raises AccessError where they may not be listed."""
        found = [Service.from_json(obj) for obj in self.reader.cluster.list(r.SERVICES, self.namespace)]
        return tuple(sorted(found, key=lambda s: s.name))

    def service(self, namespace: str, name: str) -> Service | None:
        """One Service by name; None where it does not exist, or may not be asked for, which is noted."""
        try:
            return self.reader.service(namespace, name).result()
        except Forbidden as error:
            self.reader.unread.append(unread(r.SERVICES, namespace, error))
            return None

    @property
    def saw_all_services(self) -> bool:
        """Whether no Service can have been missed."""
        return not self.reader.refused(r.SERVICES.kind) and r.SERVICES.plural not in self.narrowed

    def saw_services_of(self, namespace: str) -> bool:
        """Whether no Service of one namespace can have been missed."""
        is_own = namespace == self.namespace and not self.reader.refused(r.SERVICES.kind)
        return is_own or self.saw_all_services

    def unlooked(self) -> str:
        """What could not be read, as the end of a sentence: `; could not look: services of other namespaces (forbidden)`."""
        missing = [f"{unread.what} ({unread.why})" for unread in self.reader.account() if unread.why != "not-served"]
        refused = [unread.what.split()[0] for unread in self.reader.account()]
        missing += [f"{plural} of other namespaces (forbidden)" for plural in self.narrowed if plural not in refused]
        return f"; could not look: {', '.join(missing)}" if missing else ""


def selecting(services: Iterable[Service], pods_labels: Iterable[dict[str, str]]) -> tuple[Service, ...]:
    """The Services that select any of these sets of labels."""
    every = list(pods_labels)
    return tuple(s for s in services if s.selector and any(selects(dict(s.selector), each) for each in every))


def nearest_selector(services: Iterable[Service], own: dict[str, str]) -> str:
    """The Service whose selector nearly selects these labels, as the end of a sentence; nothing where none comes near."""
    scored: list[tuple[int, str, Service]] = []
    for service in services:
        wrong = {key: value for key, value in service.selector.items() if own.get(key) != value}
        is_near = len(wrong) < len(service.selector) or all(nearest(own.get(key, ""), [v]) for key, v in wrong.items())
        if service.selector and is_near:
            scored.append((len(wrong), service.name, service))
    if not scored:
        return ""
    _, name, best = min(scored, key=lambda score: score[:2])
    return f"; the nearest is service/{name}, which selects {labels(best.selector)}"


def ports_to(service: Service, number: int, pods: Iterable[Pod]) -> list[str]:
    """The ports of a Service that lead to this port of its pods, as words."""
    every = list(pods)
    found = [
        port
        for port in service.ports
        if port.target_port == number
        or any(number in pod.port_numbers(str(port.target_port), port.protocol) for pod in every)
    ]
    return list(dict.fromkeys(word_of(service, port) for port in found))


def word_of(service: Service, port: ServicePort) -> str:
    """What means this port and no other: its number, with the protocol where the number is used twice."""
    is_twice = sum(p.port == port.port for p in service.ports) > 1
    return f"{port.port}/{port.protocol.lower()}" if is_twice else str(port.port)


def has_port(service: Service, port: str) -> bool:
    """Whether a Service has a port of that number or name."""
    return any(port in (str(p.port), p.name) for p in service.ports)


def ports_of(service: Service) -> str:
    """`80 and 443`."""
    return listed(dict.fromkeys(str(port.port) for port in service.ports)) or "none"
