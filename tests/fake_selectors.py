"""Label and field selectors as the API server understands them, for `FakeCluster`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubectl_svcprobe.access.resources import Resource
from kubectl_svcprobe.errors import api_error

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUALITY = re.compile(r"^(?P<key>[^=!\s]+)\s*(?P<operator>==?|!=)\s*(?P<value>\S*)$")

#: fields the API server can select by, beside metadata.name and metadata.namespace (pkg/apis/*/v1/conversion.go)
_FIELDS = {
    "pods": {
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    },
    "services": {"spec.clusterIP", "spec.type"},
    "nodes": {"spec.unschedulable"},
    "namespaces": {"status.phase"},
    "replicasets": {"status.replicas"},
    "events": {
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    },
}


def labels_match(selector: str, labels: Mapping[str, str]) -> bool:
    """`a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, and all of them together with commas."""
    return all(_label_matches(part.strip(), labels) for part in _split(selector))


def fields_match(selector: str, item: Mapping[str, Any], resource: Resource) -> bool:
    """`path=value` and `path!=value`; a path the API server cannot select by is a bad request."""
    for part in _split(selector):
        match = _EQUALITY.match(part.strip())
        if not match:
            raise api_error(400, "BadRequest", f"invalid selector: {part!r}")
        path = match["key"]
        if path not in {"metadata.name", "metadata.namespace"} | _FIELDS.get(resource.plural, set()):
            raise api_error(400, "BadRequest", f"field label not supported: {path}")
        if (_field(item, path) == match["value"]) is (match["operator"] == "!="):
            return False
    return True


def _split(selector: str) -> list[str]:
    return [part for part in re.split(r",(?![^(]*\))", selector) if part.strip()]


def _label_matches(part: str, labels: Mapping[str, str]) -> bool:
    if match := _SET.match(part):
        values = {value.strip() for value in match["values"].split(",")}
        return (labels.get(match["key"]) in values) is (match["operator"] == "in")
    if match := _EQUALITY.match(part):
        return (labels.get(match["key"]) == match["value"]) is (match["operator"] != "!=")
    return part[1:].strip() not in labels if part.startswith("!") else part in labels


def _field(item: Any, path: str) -> str:
    for key in path.split("."):
        item = item.get(key) if isinstance(item, dict) else None
    return "" if item is None else str(item)
