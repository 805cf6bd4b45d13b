"""The two clusters that the contract suite runs against."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kubectl_svcprobe.access.kube import Cluster
from kubectl_svcprobe.access.kubeconfig import Access, load
from kubectl_svcprobe.access.resources import NAMESPACES, Resource
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import NotFound
from tests.contract.real_api import entered
from tests.fake_cluster import KNOWN, FakeCluster
from tests.lab import Lab

SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


@dataclass(frozen=True)
class Backend:
    """One cluster, a namespace of it that is empty and ours, and the same cluster as seen by a user without rights."""

    cluster: ClusterApi
    namespace: str
    stranger: ClusterApi


@contextlib.contextmanager
def fake_backend() -> Iterator[Backend]:
    stranger = FakeCluster()
    for resource in KNOWN.values():
        stranger.forbid(resource)
    for subresource in ("log", "portforward", "exec"):
        stranger.forbid(KNOWN["Pod"], "get", subresource=subresource)
    stranger.forbid(KNOWN["Pod"], "patch", subresource="ephemeralcontainers")
    stranger.forbid(KNOWN["Service"], "get", subresource="proxy")
    yield Backend(FakeCluster(), "contract", stranger)


@contextlib.contextmanager
def real_backend(lab: Lab) -> Iterator[Backend]:
    administrator = load(str(lab.kubeconfig), None, {})
    namespace = f"contract-{secrets.token_hex(4)}"
    with entered(lab.network), _connected(administrator) as cluster:
        cluster.create(NAMESPACES, None, {"metadata": {"name": namespace}})
        try:
            token = _token(cluster, namespace)
            stranger = replace(administrator, client_certificate=None, client_key=None, token=token)
            with _connected(stranger) as powerless:
                yield Backend(cluster, namespace, powerless)
        finally:
            cluster.delete(NAMESPACES, None, namespace)


@contextlib.contextmanager
def _connected(access: Access) -> Iterator[Cluster]:
    cluster = Cluster.connect(access, user_agent="svcprobe-contract", request_timeout=10)
    with contextlib.closing(cluster):
        yield cluster


def _token(cluster: Cluster, namespace: str) -> str:
    """A token of the namespace's default service account, which nobody has given any right."""
    account = _await_service_account(cluster, namespace)
    request = Resource("", "v1", f"serviceaccounts/{account}/token", "TokenRequest")
    answer = cluster.create(request, namespace, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
    return str(answer["status"]["token"])


def _await_service_account(cluster: Cluster, namespace: str) -> str:
    """Pods cannot be created before it exists; a controller makes it some milliseconds after the namespace."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return str(cluster.get(SERVICE_ACCOUNTS, namespace, "default")["metadata"]["name"])
        except NotFound:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
