"""Who keeps an object, and would undo an edit by hand. Pure.

Helm, Argo CD and Flux mark what they apply by labels or annotations; a controller by an owner reference.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping

from kubectl_svcprobe.facts.model import Meta, ObjectRef

#: The verbs of kubectl that change an object that is there.
CHANGING = frozenset({"patch", "scale", "set", "edit", "label", "annotate", "rollout"})
#: Their second words: `kubectl set image deployment/web`, `kubectl rollout undo deployment/web`.
WITH_A_SECOND_WORD = frozenset({"set", "rollout"})


def kept_by(meta: Meta) -> str:
    """Who would revert an edit by hand: Helm, Argo CD, Flux, or an owner; empty if nobody is known to."""
    labels, annotations = meta.labels, meta.annotations
    if release := annotations.get("meta.helm.sh/release-name"):
        return f"Helm release {release}"
    if tracking := annotations.get("argocd.argoproj.io/tracking-id"):
        return f"Argo CD application {tracking.split(':')[0]}"
    if name := labels.get("argocd.argoproj.io/instance"):
        return f"Argo CD application {name}"
    if name := labels.get("kustomize.toolkit.fluxcd.io/name"):
        return f"Flux Kustomization {name}"
    if name := labels.get("helm.toolkit.fluxcd.io/name"):
        return f"Flux HelmRelease {name}"
    return str(meta.controller) if meta.controller else ""


def owner_note(ref: ObjectRef, meta: Meta) -> str:
    """What to know before an object is edited by hand; empty where nobody keeps it."""
    keeper = kept_by(meta)
    return f"{ref} is kept by {keeper}, which may undo this: change it there too" if keeper else ""


def with_owner_notes(fix: Iterable[str], known: Mapping[ObjectRef, Meta]) -> Iterator[str]:
    """The lines of a fix, and below them what the keepers of the objects that it changes may do to that."""
    by_name = {(ref.kind.lower(), ref.name): (ref, meta) for ref, meta in known.items()}
    notes: dict[str, None] = {}
    for line in fix:
        yield line
        ref, meta = by_name.get(changed_by(line), (None, None))
        if ref and meta and (note := owner_note(ref, meta)):
            notes[note] = None
    yield from notes


def changed_by(command: str) -> tuple[str, str]:
    """Kind and name of the object that a command of kubectl changes; empty words where it changes none."""
    if not command.startswith("kubectl "):
        return "", ""
    words = list(_without_flags(shlex.split(command)[1:]))
    if not words or words[0] not in CHANGING:
        return "", ""
    words = words[2:] if words[0] in WITH_A_SECOND_WORD else words[1:]
    if words and "/" in words[0]:
        kind, _, name = words[0].partition("/")
        return kind, name
    return (words[0], words[1]) if len(words) > 1 else ("", "")


def _without_flags(words: Iterable[str]) -> Iterator[str]:
    """The words of a command that are no flags and no flag's value, as this program writes them."""
    is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word.startswith("-"):
            is_value = "=" not in word
        else:
            yield word
