"""Kubeconfig files for tests, written in a few words."""

from __future__ import annotations

import json
from typing import Any

SERVER = "https://10.0.0.1:6443"


def kubeconfig(
    cluster: dict[str, Any] | None = None,
    user: dict[str, Any] | None = None,
    context: dict[str, Any] | None = None,
    current_context: Any = "x",
    **top: Any,
) -> str:
    """One cluster "c", one user "u" and one context "x"; `top` replaces top-level fields."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": current_context,
        "clusters": [{"name": "c", "cluster": {"server": SERVER, **(cluster or {})}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", **(context or {})}}],
        **top,
    }
    return json.dumps(document)


def contexts(**servers: str) -> str:
    """A file with one context and cluster for each name, and no current context."""
    return kubeconfig(
        clusters=[{"name": name, "cluster": {"server": server}} for name, server in servers.items()],
        contexts=[{"name": name, "context": {"cluster": name}} for name in servers],
        users=[],
        current_context="",
    )
