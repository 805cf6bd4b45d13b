"""What a user of the cluster may do, granted by RBAC."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from kubectl_svcprobe.access.permissions import Permission
from tests.e2e.cluster import Namespace, Object

_numbers = itertools.count()


def rules(permissions: Iterable[Permission]) -> list[Object]:
    return [
        {
            "apiGroups": [p.resource.group],
            "resources": [p.plural],
            "verbs": list(p.verbs),
            "resourceNames": list(p.names),
        }
        for p in permissions
    ]


def make_user(namespace: Namespace, permissions: Iterable[Permission], everywhere: bool = True) -> Path:
    """The kubeconfig of a new user who may do just this: what is not in a namespace, and the rest in this one.

    With `everywhere`, reading is allowed in all namespaces.
    """
    permissions = list(permissions)
    name = f"{namespace.name}-{next(_numbers)}"
    is_wide = [not p.resource.namespaced or (everywhere and "create" not in p.verbs) for p in permissions]
    wide = [p for p, is_so in zip(permissions, is_wide, strict=True) if is_so]
    narrow = [p for p, is_so in zip(permissions, is_wide, strict=True) if not is_so]
    namespace.apply(*_granted("ClusterRole", name, wide), *_granted("Role", name, narrow))
    return namespace.lab.user(name, namespace=namespace.name)


def _granted(kind: str, name: str, permissions: list[Permission]) -> list[Object]:
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": name}, "rules": rules(permissions)}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": kind, "name": name},
        "subjects": [{"apiGroup": group, "kind": "User", "name": name}],
    }
    return [role, binding]


def forget_users(namespace: Namespace) -> None:
    """Remove what outlives the namespace."""
    names = [f"clusterrole{suffix}/{namespace.name}-{n}" for n in range(next(_numbers)) for suffix in ("", "binding")]
    if names:
        namespace.kubectl("delete", *names, "--ignore-not-found")
