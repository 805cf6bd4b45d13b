"""Asking the API server from within the lab: what bringing it up and breaking it needs, and to wait by watching."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from .layout import API_ADDRESS, LabError

Object = dict[str, Any]


class Api:
    def __init__(self, pki: Path) -> None:
        self.tls = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        self.tls.load_cert_chain(str(pki / "admin.crt"), str(pki / "admin.key"))

    def connect(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(API_ADDRESS, 6443, context=self.tls, timeout=timeout)

    def open(self, path: str, timeout: float) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        connection = self.connect(timeout)
        try:
            connection.request("GET", path, headers={"User-Agent": "lab", "Accept": "application/json"})
            return connection, connection.getresponse()
        except BaseException:
            connection.close()
            raise

    def ready(self) -> bool:
        try:
            connection, response = self.open("/readyz", 5)
        except OSError:
            return False
        with closing(connection):
            return response.status == 200

    def get(self, path: str) -> Object:
        connection, response = self.open(path, 10)
        with closing(connection):
            body = response.read()
            if response.status != 200:
                raise LabError(f"GET {path}: {response.status} {body[:200]!r}")
            found: Object = json.loads(body)
            return found

    def events(self, path: str, version: str, timeout: float) -> Iterator[Object]:
        """What a watch reports, until it has been silent for the time given (then TimeoutError)."""
        separator = "&" if "?" in path else "?"
        connection, response = self.open(f"{path}{separator}watch=1&resourceVersion={version}", timeout)
        with closing(connection):
            while line := response.readline():
                yield json.loads(line)

    def states(self, path: str, silence: float = 600) -> Iterator[dict[str, Object]]:
        """All objects at a collection's path by their UIDs, now and after every change, without end."""
        while True:
            listed = self.get(path)
            objects = {item["metadata"]["uid"]: item for item in listed["items"]}
            yield objects
            for event in self.events(path, listed["metadata"]["resourceVersion"], silence):
                if event["type"] == "ERROR":
                    break  # the watch has expired: list again
                note(event, objects)
                yield objects

    def until(self, path: str, met: Callable[[list[Object]], bool], what: str, seconds: float = 60) -> list[Object]:
        """Wait until the objects at a collection's path are as they should be."""
        deadline = time.monotonic() + seconds
        while True:
            listed = self.get(path)
            objects = {item["metadata"]["uid"]: item for item in listed["items"]}
            if met([*objects.values()]):
                return [*objects.values()]
            try:
                remaining = max(0.1, deadline - time.monotonic())
                for event in self.events(path, listed["metadata"]["resourceVersion"], remaining):
                    if event["type"] == "ERROR":
                        break  # the watch has expired: list again
                    note(event, objects)
                    if met([*objects.values()]):
                        return [*objects.values()]
                    if time.monotonic() > deadline:
                        break
            except TimeoutError:
                pass
            if time.monotonic() > deadline:
                raise LabError(f"{what}: not so after {seconds:g} s")


def note(event: Object, objects: dict[str, Object]) -> None:
    item = event["object"]
    if event["type"] == "DELETED":
        objects.pop(item["metadata"]["uid"], None)
    else:
        objects[item["metadata"]["uid"]] = item


def condition(item: Object, kind: str) -> bool:
    conditions = item.get("status", {}).get("conditions", [])
    return any(entry["type"] == kind and entry["status"] == "True" for entry in conditions)


def settled(workload: Object) -> bool:
    """All pods of its present template are up, and none of an older one is left."""
    status = workload.get("status", {})
    if status.get("observedGeneration") != workload["metadata"]["generation"]:
        return False
    if "replicas" in workload["spec"]:
        wanted: int = workload["spec"]["replicas"]
        present = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas"))
        return all(count == wanted for count in present)
    wanted = status.get("desiredNumberScheduled", 0)
    return wanted > 0 and all(status.get(name) == wanted for name in ("updatedNumberScheduled", "numberAvailable"))
