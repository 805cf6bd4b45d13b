"""All that happens to objects while something runs: watches, from the state before it to a mark that is made after it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.e2e.cluster import ROOTS, Namespace, Object

MARK = "svcprobe-tests/mark"


@dataclass
class Recording:
    """States of objects, in their order, by the resource's word in URLs; complete once the recording has ended."""

    states: dict[str, list[Object]] = field(default_factory=dict)

    def of(self, what: str, name: str = "") -> list[Object]:
        """Every state of the objects of a kind, those before it began included."""
        return [obj for obj in self.states[what] if obj["metadata"]["name"].startswith(name)]


@contextmanager
def recording(namespace: Namespace, *kinds: str) -> Iterator[Recording]:
    """Record while the block runs. Each kind needs an object, which is marked in the end to know that no change is missing."""
    record = Recording()
    with ExitStack() as stack:
        streams = {kind: stack.enter_context(_watch(namespace, kind, record)) for kind in kinds}
        yield record
        for kind, stream in streams.items():
            last = next(o for o in reversed(record.states[kind]) if o["metadata"]["name"] in namespace.names(kind))
            name = last["metadata"]["name"]
            version = namespace.get(kind, name)["metadata"]["resourceVersion"]
            namespace.kubectl("annotate", "--overwrite", kind, name, f"{MARK}={version}")
            assert stream.stdout is not None
            for event in map(json.loads, stream.stdout):
                if (event["object"]["metadata"].get("annotations") or {}).get(MARK) == version:
                    break
                record.states[kind].append(event["object"])


@contextmanager
def _watch(namespace: Namespace, kind: str, record: Recording) -> Iterator[subprocess.Popen[str]]:
    path = f"{ROOTS[kind]}/namespaces/{namespace.name}/{kind}"
    state = json.loads(namespace.lab.kubectl("get", "--raw", path))
    record.states[kind] = list(state["items"])
    version = state["metadata"]["resourceVersion"]
    command = ["kubectl", "get", "--raw", f"{path}?watch=1&resourceVersion={version}&timeoutSeconds=90"]
    with namespace.lab.popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
