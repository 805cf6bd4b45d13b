"""Commands for the user to paste: this run's own cluster and identity, every word quoted for a shell."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kubectl:
    """Writes `kubectl` commands that reach the same cluster as this run, with the flags that the user gave.

    `vantage` are those by which the probe pod is whom the user wants it to be: another run is to ask as the same.
    """

    context: str = ""
    kubeconfig: str = ""
    vantage: tuple[tuple[str, str], ...] = ()

    def __call__(self, namespace: str, *words: str) -> str:
        """A command line; an empty namespace leaves `-n` away."""
        return shlex.join(["kubectl", *self._flags(), *(["-n", namespace] if namespace else []), *words])

    def svcprobe(self, namespace: str, *words: str) -> str:
        """A command line for this tool itself: kubectl takes no flags before a plugin's name."""
        is_own = bool({"--from", "--no-probe"} & set(words))
        vantage = [word for pair in self.vantage if not is_own and pair[0] not in words for word in pair]
        where = ["-n", namespace] if namespace else []
        return shlex.join(["kubectl", "svcprobe", *words, *vantage, *where, *self._flags()])

    def patch(self, namespace: str, kind: str, name: str, body: dict[str, Any]) -> str:
        """A merge patch: maps are merged, so only what changes is named."""
        return self(namespace, "patch", kind, name, "--type", "merge", "-p", json.dumps(body, separators=(",", ":")))

    def strategic_patch(self, namespace: str, kind: str, name: str, body: dict[str, Any]) -> str:
        """A patch that merges lists of containers by name."""
        return self(namespace, "patch", kind, name, "-p", json.dumps(body, separators=(",", ":")))

    def json_patch(self, namespace: str, kind: str, name: str, path: str, value: Any) -> str:
        """A JSON patch that replaces one field."""
        return self.json_patches(namespace, kind, name, {"op": "replace", "path": path, "value": value})

    def json_patches(self, namespace: str, kind: str, name: str, *operations: dict[str, Any]) -> str:
        """A JSON patch (RFC 6902) of several operations."""
        body = json.dumps(operations, separators=(",", ":"))
        return self(namespace, "patch", kind, name, "--type", "json", "-p", body)

    def _flags(self) -> list[str]:
        given = [("--kubeconfig", self.kubeconfig), ("--context", self.context)]
        return [word for flag, value in given if value for word in (flag, value)]
