"""A real API server for the contract tests, and the way into its network."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True)
class RealApi:
    """Where to find the API server: an administrator's kubeconfig, and the network namespace it answers in."""

    kubeconfig: Path
    network: Path | None


def find_api() -> RealApi | None:
    """The API server that the environment names, if any."""
    kubeconfig, network = os.environ.get("LAB_KUBECONFIG"), os.environ.get("LAB_NETWORK")
    if not kubeconfig:
        return None
    return RealApi(Path(kubeconfig), Path(network) if network else None)


@contextlib.contextmanager
def entered(network: Path | None) -> Iterator[None]:
    """Let this thread, and those it starts, open their sockets in a network namespace; needs root on Linux.

    A socket stays in the namespace it was opened in, and other threads of the process are not touched.
    """
    if network is None:
        yield
        return
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
