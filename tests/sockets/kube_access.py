"""Connections to the local API stub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from kubectl_svcprobe.access.kube import Cluster
from kubectl_svcprobe.access.kubeconfig import Access, Pem
from kubectl_svcprobe.access.transport import OnRequest
from tests.sockets.api_stub import ApiStub
from tests.sockets.certificates import certificates

SECRET = "hunter2hunter2"


def access(server: str, **fields: Any) -> Access:
    """To a server of the test authority, as somebody with a token."""
    authority = Pem(file=str(certificates().authority.certificate))
    return Access(**{"server": server, "ca": authority, "token": SECRET, **fields})


@contextlib.contextmanager
def connected(
    stub: ApiStub | str, *, timeout: float = 5, on_request: OnRequest | None = None, **fields: Any
) -> Iterator[Cluster]:
    """A cluster at the stub, or at a URL; `fields` are those of `Access`."""
    server = stub if isinstance(stub, str) else stub.url
    cluster = Cluster.connect(
        access(server, **fields), user_agent="kubectl-svcprobe/1.2.3", request_timeout=timeout, on_request=on_request
    )
    with contextlib.closing(cluster):
        yield cluster
