"""Faults on the lab: each is made in namespaces of its own, looked at, repaired where its file says so, and taken away."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.e2e.cluster import as_list, ready_addresses
from tests.e2e.command import Answer, svcprobe
from tests.lab import Lab
from tests.sockets.certificates import certificates

from .fault import LABEL, Expectation, Fault, Object
from .judge import Judgement, differences, judge
from .watching import Watcher

#: How many faults stand in the cluster at a time, and how many of them are looked at.
PRESENT, LOOKED_AT = 28, 4

#: What changes something, and so may be a repair.
CHANGING = {
    "annotate",
    "apply",
    "cordon",
    "create",
    "delete",
    "expose",
    "label",
    "patch",
    "replace",
    "rollout",
    "scale",
}
CHANGING |= {"set", "taint", "uncordon"}

#: What pods come from, and what else takes up the nodes.
RUNNING = "deployments,statefulsets,daemonsets,jobs,pods,services"

OWN_PODS = {"app.kubernetes.io/managed-by": "kubectl-svcprobe"}


#: Called for a fault while it is there.
Show = Callable[[Lab, Fault], None]


@dataclass
class Trial:
    """What became of one fault."""

    fault: Fault
    answer: Answer
    repaired: Answer | None = None
    commands: list[str] = field(default_factory=list)
    repair_said: str = ""
    left: list[str] = field(default_factory=list)
    seconds: float = 0

    @property
    def judgement(self) -> Judgement:
        if self.told:
            first = judge(self.answer, self.fault.expect)
            return first if first is not Judgement.RIGHT else Judgement.WRONG
        return Judgement.RIGHT

    @property
    def told(self) -> list[str]:
        """What is not as it has to be."""
        told = differences(self.answer, self.fault.expect)
        if self.left:
            told.append(f"pods left: {', '.join(self.left)}")
        if self.fault.repair:
            told += self._repair_told(self.fault.repair.expect)
        return told

    def _repair_told(self, expect: Expectation) -> list[str]:
        if not self.commands:
            return ["no command is printed as its fix"]
        if self.repair_said or not self.repaired:
            return [f"after {'; '.join(self.commands)}: {self.repair_said}"]
        return [f"after {'; '.join(self.commands)}: {text}" for text in differences(self.repaired, expect)]


class Stage:
    """Where faults are tried; several may use one cluster, as long as they try different ones."""

    def __init__(self, lab: Lab, keep: bool = False, show: Show | None = None) -> None:
        self.lab, self.keep, self.show = lab, keep, show
        self.watcher = Watcher(lab)
        self.present, self.looking = threading.Semaphore(PRESENT), threading.Semaphore(LOOKED_AT)

    def prepare(self, faults: Sequence[Fault]) -> None:
        """Namespaces for all of them, without what an earlier run left there."""
        wanted = {namespace for fault in faults for namespace in fault.namespaces}
        left = self.lab.kubectl("get", "namespaces", "-l", LABEL, "-o", "name").split()
        if old := [name for name in left if name.removeprefix("namespace/") in wanted]:
            self.lab.kubectl("delete", *old, "--ignore-not-found", timeout=180)
        self.apply([item for fault in faults for item in self.surroundings(fault)])

    def surroundings(self, fault: Fault) -> list[Object]:
        return [*fault.surroundings, *([secret(fault.namespace)] if fault.needs_certificate else ())]

    def apply(self, objects: Sequence[Object]) -> None:
        if objects:
            self.lab.kubectl("apply", "-f", "-", input=json.dumps(as_list(tuple(objects))), timeout=180)

    def attempt(self, fault: Fault) -> Trial:
        """One fault from its beginning to its end, with the namespaces made already."""
        with self.present, self.made(fault):
            began = time.monotonic()
            self.come_about(fault)
            with self.broken(fault):
                with self.looking:
                    trial = Trial(fault, svcprobe(self.lab, *fault.command))
                    if self.show:
                        self.show(self.lab, fault)
                if fault.repair:
                    self.repair(trial)
            trial.left = self.left_in(fault)
            trial.seconds = time.monotonic() - began
        return trial

    @contextlib.contextmanager
    def made(self, fault: Fault) -> Iterator[None]:
        """Afterwards its pods go at once; its namespaces, which is far more work for a cluster, with all others."""
        try:
            yield
        finally:
            if not self.keep:
                for namespace in fault.namespaces:
                    self.lab.kubectl("-n", namespace, "delete", RUNNING, "--all", "--wait=false", check=False)

    def clear(self, faults: Sequence[Fault]) -> None:
        """Nobody waits for the end of it."""
        options = ["--wait=false", "--ignore-not-found"]
        if faults and not self.keep:
            namespaces = [namespace for fault in faults for namespace in fault.namespaces]
            self.lab.kubectl("delete", "namespaces", *namespaces, *options, timeout=180)
            if cluster_wide := [item for fault in faults for item in fault.cluster_wide]:
                self.lab.kubectl("delete", *cluster_wide, *options)

    def come_about(self, fault: Fault) -> None:
        """Wait until a fault shows as it will to its user."""
        for namespace in fault.namespaces:
            self.watcher.until("serviceaccounts", namespace, partial(_contain, any, '"default"'))
        self.apply(fault.rest)
        self.await_(fault.namespace, fault.awaited)

    def await_(self, namespace: str, awaited: Mapping[str, Any]) -> None:
        for what, wanted in awaited.items():
            if what == "endpoints":
                self.watcher.until("endpointslices", namespace, partial(_are_ready, wanted))
            else:
                enough = any if what == "events" else all
                self.watcher.until(what, namespace, partial(_contain, enough, str(wanted)))

    @contextlib.contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """What is done to the cluster, or in the namespace, once the objects have come about; and undone."""
        with contextlib.ExitStack() as stack:
            for broken in fault.breaks:
                stack.enter_context(self.lab.broken(**broken))
            for command in fault.after:
                stack.callback(self.shell, fault, command)
            for command in fault.before:
                self.shell(fault, command)
            self.await_(fault.namespace, fault.then_awaited)
            yield

    def shell(self, fault: Fault, command: str) -> None:
        self.lab.run(["sh", "-c", command], env={"NAMESPACE": fault.namespace}, timeout=120)

    def repair(self, trial: Trial) -> None:
        """Run what is printed as the first finding's fix, as printed, and look again once it has worked."""
        fault = trial.fault
        assert fault.repair
        trial.commands = changing(trial.answer)[: fault.repair.commands]
        for command in trial.commands:
            done = self.lab.run(["sh", "-c", command], check=False, timeout=120)
            if done.returncode:
                trial.repair_said = done.stderr.strip() or f"exit code {done.returncode}"
                return
        if not trial.commands:
            return
        try:
            self.settle(fault)
            self.await_(fault.namespace, fault.repair.awaited)
        except AssertionError as error:
            trial.repair_said = str(error)
            return
        with self.looking:
            trial.repaired = svcprobe(self.lab, *fault.command)

    def settle(self, fault: Fault) -> None:
        """Until each Deployment has rolled out, and all behind `web` are ready, unless the file says how many will be."""
        self.watcher.until("deployments", fault.namespace, lambda found: all(map(_is_rolled_out, found)))
        if fault.repair and "endpoints" not in fault.repair.awaited:
            self.watcher.until("endpointslices", fault.namespace, _all_ready)

    def left_in(self, fault: Fault) -> list[str]:
        """Probe pods that do not go by themselves, where the command made them."""
        with contextlib.suppress(AssertionError):
            self.watcher.until("pods", fault.namespace, lambda pods: not _own(pods), seconds=20)
            return []
        return [pod["metadata"]["name"] for pod in self.watcher.kinds["pods"].of(fault.namespace) if _own([pod])]


def secret(namespace: str) -> Object:
    """The Secret `tls`."""
    pair = certificates().server
    files = {"tls.crt": pair.certificate, "tls.key": pair.key}
    data = {name: base64.b64encode(file.read_bytes()).decode() for name, file in files.items()}
    metadata = {"name": "tls", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}


def changing(answer: Answer) -> list[str]:
    """The commands of the first finding's fix that change something."""
    findings = answer.report.json["findings"]
    lines = findings[0]["fix"] if findings else []
    return [line for line in lines if line.startswith("kubectl ") and CHANGING & set(line.split()[1:5])]


def _own(pods: list[Object]) -> list[Object]:
    return [pod for pod in pods if OWN_PODS.items() <= pod["metadata"].get("labels", {}).items()]


def _are_ready(count: int, slices: list[Object]) -> bool:
    return len(set(ready_addresses(_of_web(slices)))) == count


def _all_ready(slices: list[Object]) -> bool:
    endpoints = [endpoint for found in _of_web(slices) for endpoint in found.get("endpoints") or ()]
    return bool(endpoints) and all(endpoint["conditions"].get("ready") is not False for endpoint in endpoints)


def _of_web(slices: list[Object]) -> list[Object]:
    return [found for found in slices if found["metadata"].get("labels", {}).get("kubernetes.io/service-name") == "web"]


def _is_rolled_out(deployment: Object) -> bool:
    spec, status = deployment["spec"], deployment.get("status", {})
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == status.get("replicas", 0) == spec["replicas"]
    )


def _contain(enough: Any, text: str, found: list[Object]) -> bool:
    """Whether all of them (or any) contain a text, and there are some."""
    return bool(found) and bool(enough(text in json.dumps(item, ensure_ascii=False) for item in found))


@contextlib.contextmanager
def trials(
    lab: Lab, faults: Sequence[Fault], keep: bool = False, show: Show | None = None
) -> Iterator[dict[str, Future[Trial]]]:
    """All of them, several at a time; those that break the cluster after the others, and one by one."""
    stage = Stage(lab, keep, show)
    with contextlib.closing(stage.watcher):
        stage.prepare(faults)
        try:
            with _begun(stage, faults) as futures:
                yield futures
        finally:
            stage.clear(faults)


@contextlib.contextmanager
def _begun(stage: Stage, faults: Sequence[Fault]) -> Iterator[dict[str, Future[Trial]]]:
    aside = [fault for fault in faults if fault.group == "cluster"]
    together = [fault for fault in faults if fault.group != "cluster"]
    with ThreadPoolExecutor(len(together) + 1) as pool:
        futures = {fault.name: pool.submit(stage.attempt, fault) for fault in together}
        lone: dict[str, Future[Trial]] = {fault.name: Future() for fault in aside}
        pool.submit(_one_by_one, stage, aside, lone, [*futures.values()])
        try:
            yield {**futures, **lone}
        finally:
            for future in futures.values():
                future.cancel()


def _one_by_one(
    stage: Stage, faults: Iterable[Fault], futures: Mapping[str, Future[Trial]], before: Sequence[Future[Trial]]
) -> None:
    for future in before:
        with contextlib.suppress(BaseException):
            future.result()
    for fault in faults:
        try:
            futures[fault.name].set_result(stage.attempt(fault))
        except BaseException as error:
            futures[fault.name].set_exception(error)
