"""What this machine's own DNS says of names."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from queue import Empty, Queue
from threading import Thread

#: Seconds that are waited for a resolver that does not answer.
PATIENCE = 3.0


def addresses_of(host: str) -> tuple[str, ...]:
    """The addresses of one host; none where it is not known, or takes too long."""
    return all_addresses((host,))[host]


def all_addresses(hosts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The addresses of each host, each once, in the resolver's order; a host that it does not know, or not in time, has none.

    All are asked at once.
    """
    found: dict[str, tuple[str, ...]] = dict.fromkeys(hosts, ())
    answers: Queue[tuple[str, tuple[str, ...]]] = Queue()
    for host in found:
        # getaddrinfo knows no timeout, and a thread that is nobody's must not keep the program alive.
        Thread(target=_resolve, args=(host, answers), daemon=True).start()
    until = time.monotonic() + PATIENCE
    for _ in tuple(found):
        try:
            host, addresses = answers.get(timeout=max(0.0, until - time.monotonic()))
        except Empty:
            break
        found[host] = addresses
    return found


def _resolve(host: str, answers: Queue[tuple[str, tuple[str, ...]]]) -> None:
    try:
        # The final dot keeps the search list of this machine away.
        found = socket.getaddrinfo(f"{host.rstrip('.')}.", None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    answers.put((host, tuple(dict.fromkeys(str(address[0]) for *_, address in found))))
