"""What names outside the cluster resolve to on this machine."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

from kubectl_svcprobe.facts.snapshot import Snapshot

#: Seconds after which a name counts as not found: then it is tried as it is, and says so itself.
LOOKUP_SECONDS = 2.0


def look_up_names(snapshot: Snapshot) -> Snapshot:
    """Add the addresses of the load balancer's names; nothing is asked where it has none."""
    ingresses = snapshot.service.load_balancer_ingress if snapshot.service else ()
    names = tuple(dict.fromkeys(i.hostname for i in ingresses if i.hostname))
    return replace(snapshot, lookups=addresses(names)) if names else snapshot


def addresses(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The addresses of each name, in the resolver's order; a name that is not found in time is left out."""
    pool = ThreadPoolExecutor(max_workers=8)
    try:
        futures = {name: pool.submit(_addresses, name) for name in names}
        done, _ = wait(futures.values(), timeout=LOOKUP_SECONDS)
        return {name: found for name, future in futures.items() if future in done and (found := future.result())}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _addresses(name: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[4][0]) for address in found))
