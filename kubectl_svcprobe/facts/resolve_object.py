"""From a workload, a pod or a route to the Services that select it, or that it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubectl_svcprobe import kinds
from kubectl_svcprobe.access import resources as r
from kubectl_svcprobe.errors import NoService, NotFound
from kubectl_svcprobe.facts.found import Found, Search, has_port, nearest_selector, selecting
from kubectl_svcprobe.facts.json_fields import at, items, mapping, strings, text
from kubectl_svcprobe.facts.model import Json, Meta
from kubectl_svcprobe.facts.reader import label_selector
from kubectl_svcprobe.facts.workload import Pod
from kubectl_svcprobe.target import ObjectName, Target
from kubectl_svcprobe.words import count, labels, listed, nearest


def resolve(search: Search, target: Target, named: ObjectName) -> tuple[Found, ...]:
    """Raises NoService where the object does not exist or leads to none, AccessError where it cannot be read."""
    obj = _read(search, named)
    if named.kind in kinds.ROUTES:
        return _behind_route(search, target, named, obj)
    if named.kind is kinds.POD:
        return _selecting(search, target, named, [dict(Meta.from_json(obj).labels)])
    return _selecting(search, target, named, _labels_of_pods(search, obj))


def _read(search: Search, named: ObjectName) -> dict[str, Any]:
    """The object, found by a list, since that is what the permissions of this tool allow."""
    resource, cluster = named.kind.resource, search.reader.cluster
    try:
        found = cluster.list(resource, search.namespace, field_selector=f"metadata.name={named.name}")
    except NotFound:
        raise NoService(f"error: {named}: this cluster does not have {resource.plural} ({resource.group})") from None
    if found:
        return found[0]
    if not search.reader.namespace_exists(search.namespace).result():
        raise NoService(f"error: there is no namespace {search.namespace}, so no {named} in it")
    others = [Meta.from_json(obj).name for obj in cluster.list(resource, search.namespace)]
    near = nearest(named.name, others)
    hint = (
        f"did you mean {listed(near)}?"
        if near
        else f"there is {listed(sorted(others), 8)}"
        if others
        else "there is none at all"
    )
    raise NoService(f"error: there is no {named.kind.word} {named.name} in {search.namespace}; {hint}")


def _labels_of_pods(search: Search, obj: Json) -> list[dict[str, str]]:
    """The labels in a workload's template, and of the pods that it has: webhooks and controllers add to them."""
    spec = mapping(obj, "spec")
    template = dict(strings(at(spec, "template", "metadata"), "labels"))
    wanted = label_selector(strings(mapping(spec, "selector"), "matchLabels"))
    pods = search.reader.read_all(r.PODS, search.namespace, Pod.from_json, labels=wanted).result() if wanted else ()
    name = Meta.from_json(obj).name
    own = [dict(pod.meta.labels) for pod in pods if pod.workload.name == name or _is_owner(pod, name)]
    return [template, *own]


def _is_owner(pod: Pod, name: str) -> bool:
    return pod.meta.controller is not None and pod.meta.controller.name == name


def _selecting(search: Search, target: Target, named: ObjectName, every: list[dict[str, str]]) -> tuple[Found, ...]:
    services = search.here
    pods = "it" if named.kind is kinds.POD else "its pods"
    found = selecting(services, every)
    if found:
        several = f"one of {count(len(found), 'Service')} that select {pods}"
        one_of = several if len(found) > 1 else f"the Service that selects {pods}"
        # Where none has the port, the first of them will say so.
        found = tuple(s for s in found if not target.port or has_port(s, target.port)) or found[:1]
        return tuple(
            Found(s.namespace, s.name, target.port, f"{named}: service {s.namespace}/{s.name} is {one_of}")
            for s in found
        )
    near = nearest_selector(services, every[0])
    raise NoService(
        f"error: no Service in {search.namespace} selects {named} ({labels(every[0])}){near}{search.unlooked()}"
    )


def _behind_route(search: Search, target: Target, named: ObjectName, obj: Json) -> tuple[Found, ...]:
    refs = list(dict.fromkeys(_backends(named.kind, obj, search.namespace)))
    services = [(namespace, name) for kind, namespace, name in refs if kind == "Service"]
    if services:
        which = (
            f"one of {count(len(services), 'Service')} that it leads to" if len(services) > 1 else "where it leads to"
        )
        return tuple(Found(ns, name, target.port, f"{named}: service {ns}/{name} is {which}") for ns, name in services)
    others = listed(f"{kind} {name}" for kind, _, name in refs)
    raise NoService(f"error: {named} leads to no Service: its backend is {others or 'none'}")


def _backends(kind: kinds.Kind, obj: Json, namespace: str) -> Iterator[tuple[str, str, str]]:
    """Kind, namespace and name of each backend, in the order of the object."""
    spec = mapping(obj, "spec")
    if kind.resource is r.INGRESSES:
        backends = [mapping(spec, "defaultBackend")]
        backends += [
            mapping(path, "backend") for rule in items(spec, "rules") for path in items(mapping(rule, "http"), "paths")
        ]
        for backend in backends:
            if name := text(mapping(backend, "service"), "name"):
                yield "Service", namespace, name
            elif resource := mapping(backend, "resource"):
                yield text(resource, "kind"), namespace, text(resource, "name")
    elif kind.resource is r.OPENSHIFT_ROUTES:
        for ref in (mapping(spec, "to"), *items(spec, "alternateBackends")):
            if name := text(ref, "name"):
                yield text(ref, "kind") or "Service", namespace, name
    else:
        for ref in (ref for rule in items(spec, "rules") for ref in items(rule, "backendRefs")):
            yield text(ref, "kind") or "Service", text(ref, "namespace") or namespace, text(ref, "name")
