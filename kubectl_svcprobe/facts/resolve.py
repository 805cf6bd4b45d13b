"""From what the user named to the Services that are meant: what is read for that, and what is said where nothing is found.

A name costs no read. Everything else does: what may not be read is "could not look", never "nobody has it".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import NoService, UsageError
from kubectl_svcprobe.facts import resolve_address, resolve_host, resolve_object
from kubectl_svcprobe.facts.found import Found, Search
from kubectl_svcprobe.facts.reader import Reader, pool
from kubectl_svcprobe.target import Address, HostName, ObjectName, ServiceName, Target

Lookup = Callable[[str], tuple[str, ...]]


def no_lookup(_host: str) -> tuple[str, ...]:
    """A machine that resolves nothing."""
    return ()


@dataclass(frozen=True)
class Resolver:
    """Where words are looked up: `namespace` is the run's, `is_given` whether by `-n`; `lookup` asks this machine's DNS."""

    cluster: ClusterApi
    namespace: str
    is_given: bool = False
    lookup: Lookup = field(default=no_lookup)

    def resolve(self, target: Target) -> tuple[Found, ...]:
        """The Services that a word means, each once.

        Raises UsageError where the word contradicts `-n`, NoService where it leads to none, and AccessError where the
        object that it names cannot be read.
        """
        named = target.named
        if isinstance(named, ServiceName):
            return (self._by_name(target, named),)
        with pool() as threads:
            search = Search(Reader(self.cluster, threads), self.namespace)
            if isinstance(named, ObjectName):
                return resolve_object.resolve(search, target, named)
            if isinstance(named, Address):
                return resolve_address.resolve(search, target, named.ip)
            return self._by_host(search, target, named)

    def _by_name(self, target: Target, named: ServiceName) -> Found:
        self._agree(target, named.namespace)
        namespace = named.namespace or self.namespace
        how = ""
        if named.pod:
            how = f"{target.word} is one pod's name behind service {namespace}/{named.name}; the whole Service is looked at"
        return Found(namespace, named.name, target.port, how)

    def _agree(self, target: Target, namespace: str) -> None:
        """kubectl refuses two namespaces for one object in the same way."""
        if self.is_given and namespace and namespace != self.namespace:
            raise UsageError(
                f"error: {target.word} is in the namespace {namespace}, and -n says {self.namespace}; leave one of the two out"
            )

    def _by_host(self, search: Search, target: Target, named: HostName) -> tuple[Found, ...]:
        if found := resolve_host.by_dns_rules(search, target, named):
            if named.labels[0] == found.name:  # in `web-0.web` the second word may be either
                self._agree(target, found.namespace)
            return (found,)
        if several := resolve_host.by_its_names(search, target, named.host):
            return several
        # Of a Service that may not be asked for nobody knows whether the word means one.
        may_be = len(named.labels) == 2 and not search.reader.refused(r.SERVICES.kind)
        is_service = may_be and search.reader.namespace_exists(named.labels[1]).result()
        for ip in () if is_service else self.lookup(named.host):
            try:
                return resolve_address.resolve(search, target, ip, f"{named.host} is {ip} to this machine's DNS: ")
            except NoService:
                continue
        if is_service:
            self._agree(target, named.labels[1])
            return (Found(named.labels[1], named.labels[0], target.port),)
        raise NoService(resolve_host.nothing_is_called(search, named))
