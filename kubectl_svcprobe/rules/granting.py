"""Who is to be asked for which right, as commands for someone who may grant it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from kubectl_svcprobe.access import resources
from kubectl_svcprobe.access.permissions import INSIDE, PROBE, Permission
from kubectl_svcprobe.access.resources import Resource
from kubectl_svcprobe.facts.snapshot import Unread

RESOURCE_OF = {item.kind: item for item in vars(resources).values() if isinstance(item, Resource)}

ASK = "someone who may grant it can paste this, and so allow it:"

_USER = re.compile(r'User "([^"]+)" cannot')


def user_of(message: str) -> str:
    """Whom the API server refused, by its own words; empty where they do not say."""
    found = _USER.search(message)
    return found.group(1) if found else ""


def to_read(namespace: str, unread: Iterable[Unread]) -> Iterator[str]:
    """The commands that allow what was refused to be listed: those of a namespace there, all else everywhere."""
    refused = [u for u in unread if u.why == "forbidden" and u.kind in RESOURCE_OF]
    user = next((user_of(u.message) for u in refused), "")
    here = [RESOURCE_OF[u.kind] for u in refused if RESOURCE_OF[u.kind].namespaced and " in all" not in u.what]
    wide = [RESOURCE_OF[u.kind] for u in refused if not RESOURCE_OF[u.kind].namespaced]
    if not user or not (here or wide):
        return
    yield ASK
    if here:
        yield from _granted("", namespace, "svcprobe-read", ("get", "list"), [_word(r) for r in here], user)
    if wide:
        yield from _granted("cluster", "", "svcprobe-read", ("get", "list"), [_word(r) for r in wide], user)


def to_probe(namespace: str, message: str) -> Iterator[str]:
    """The commands that allow a probe pod to be made, read and removed; nothing where no right was refused."""
    yield from _on_pods(namespace, message, "svcprobe-probe", PROBE)


def to_ask_inside(namespace: str, message: str) -> Iterator[str]:
    """The commands that allow a pod of that namespace to be asked from; nothing where no right was refused."""
    yield from _on_pods(namespace, message, "svcprobe-inside", INSIDE)


def _on_pods(namespace: str, message: str, role: str, permissions: Iterable[Permission]) -> Iterator[str]:
    if user := user_of(message):
        yield ASK
        rows = [row for row in permissions if row.resource is resources.PODS]
        verbs = tuple(dict.fromkeys(verb for row in rows for verb in row.verbs))
        yield from _granted("", namespace, role, verbs, [row.plural for row in rows], user)


def _granted(
    scope: str, namespace: str, role: str, verbs: tuple[str, ...], plurals: Iterable[str], user: str
) -> Iterator[str]:
    """Without this run's own flags: it is another one who runs them."""
    where = ["-n", namespace] if namespace else []
    words = [f"--verb={','.join(verbs)}", f"--resource={','.join(dict.fromkeys(plurals))}"]
    yield shlex.join(["kubectl", *where, "create", f"{scope}role", role, *words])
    binding = f"{role}-{re.sub(r'[^a-z0-9.-]+', '-', user.lower()).strip('-.')}"
    yield shlex.join(["kubectl", *where, "create", f"{scope}rolebinding", binding, f"--{scope}role={role}", _who(user)])


def _who(user: str) -> str:
    prefix = "system:serviceaccount:"
    return f"--serviceaccount={user.removeprefix(prefix)}" if user.startswith(prefix) else f"--user={user}"


def _word(resource: Resource) -> str:
    return f"{resource.plural}.{resource.group}" if resource.group else resource.plural
