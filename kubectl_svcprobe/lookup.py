"""What this machine's own DNS says of a name."""

from __future__ import annotations

import socket
from queue import Empty, Queue
from threading import Thread

#: Seconds that are waited for a resolver that does not answer.
PATIENCE = 3.0


def addresses_of(host: str) -> tuple[str, ...]:
    """The addresses of a host, each once, in the resolver's order; none where it does not know, or takes too long."""
    answer: Queue[tuple[str, ...]] = Queue()
    # getaddrinfo knows no timeout, and a thread that is nobody's must not keep the program alive.
    Thread(target=lambda: answer.put(_resolve(host)), daemon=True).start()
    try:
        return answer.get(timeout=PATIENCE)
    except Empty:
        return ()


def _resolve(host: str) -> tuple[str, ...]:
    try:
        # The final dot keeps the search list of this machine away.
        found = socket.getaddrinfo(f"{host}.", None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(address[0]) for *_, address in found))
