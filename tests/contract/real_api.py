"""The way into the network where a lab's API server answers."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def entered(network: Path) -> Iterator[None]:
    """Let this thread, and those it starts, open their sockets in a network namespace; needs root on Linux.

    A socket stays in the namespace it was opened in, and other threads of the process are not touched.
    """
    with Path("/proc/thread-self/ns/net").open("rb") as home, network.open("rb") as there:
        _set_namespace(there.fileno())
        try:
            yield
        finally:
            _set_namespace(home.fileno())


def _set_namespace(descriptor: int) -> None:
    """`os.setns` is new in Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
