"""Probe pods in the hands of a program that may be interrupted: one, or one on each of several nodes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.errors import AccessError, ProbePodError
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.probe.podlife import PodLife, PodRun

#: How many pods are there at a time: each is watched, and a namespace may have a quota.
AT_ONCE = 8

INTERRUPTED = "interrupted"

#: Told a pod's name, and why it may still be there.
OnLeftover = Callable[[str, str], None]


def run(
    cluster: ClusterApi,
    manifest: dict[str, Any],
    interrupts: Interrupts,
    say: Callable[[str], None],
    keep: bool = False,
    on_leftover: Callable[[str], None] = lambda reason: None,
) -> PodRun:
    """Run the pod and bring home its log.

    Whatever prevents that is in `problem`. Raises Interrupted after the pod was removed; why one may still be there is
    told to `on_leftover` in any case.
    """
    pod = PodLife(cluster, manifest, say, keep, on_leftover)
    problem = ""
    with interrupts.held():
        try:
            pod.create()
            with interrupts.allowed():
                pod.await_log()
        except (ProbePodError, AccessError) as error:
            problem = str(error)
        except BaseException:
            problem = INTERRUPTED
            raise
        finally:
            pod.close(problem)
    return pod.result


def run_each(
    cluster: ClusterApi,
    manifests: Sequence[dict[str, Any]],
    interrupts: Interrupts,
    say: Callable[[str], None],
    keep: bool = False,
    on_leftover: OnLeftover = lambda name, reason: None,
) -> list[PodRun]:
    """Run several pods, `AT_ONCE` at a time, and bring home their logs, in the order of the manifests.

    As `run`, for all of them: a problem of one is no problem of another, and Interrupted is raised after each pod that was
    asked for has been removed. Signals come to the main thread only, which does nothing but wait here; each pod has a
    thread that makes, watches and removes it.
    """
    crew = _Crew(cluster, manifests, say, keep, on_leftover)
    with interrupts.held():
        try:
            crew.begin()
            with interrupts.allowed():
                crew.wait()
        except BaseException:
            crew.stop()
            raise
        finally:
            crew.finish()
    return crew.results()


class _Crew:
    """Threads with a pod at a time each. Once stopped, no further pod is made, and those that are there are removed."""

    def __init__(
        self,
        cluster: ClusterApi,
        manifests: Sequence[dict[str, Any]],
        say: Callable[[str], None],
        keep: bool,
        on_leftover: OnLeftover,
    ) -> None:
        self._say = say
        self._pods = [
            PodLife(cluster, body, self._tell, keep, partial(on_leftover, body["metadata"]["name"]))
            for body in manifests
        ]
        self._todo = list(reversed(self._pods))
        self._asked_for: list[PodLife] = []
        self._watched: list[PodLife] = []
        self._lock = threading.Lock()
        self._is_stopped = False
        self._bugs: list[Exception] = []

    def begin(self) -> None:
        """Let the threads begin."""
        self._tell("making them")
        for _ in self._pods[:AT_ONCE]:
            threading.Thread(target=self._work, daemon=True).start()

    def wait(self) -> None:
        """Until all pods are gone again. A signal may break in."""
        for pod in self._pods:
            pod.gone.wait()

    def stop(self) -> None:
        """Make no further pod, and remove those that are only watched. One whose create is on its way, its thread removes."""
        with self._lock:
            self._is_stopped = True
            self._todo.clear()
            watched = list(self._watched)
        for pod in watched:
            threading.Thread(target=pod.close, args=(INTERRUPTED,), daemon=True).start()

    def finish(self) -> None:
        """Until every pod that was asked for is gone: each removal is bounded. Who still watches one is not waited for."""
        for pod in list(self._asked_for):
            pod.gone.wait()

    def results(self) -> list[PodRun]:
        """What came of each. Raises what no thread was to raise: a bug."""
        if self._bugs:
            raise self._bugs[0]
        return [pod.result for pod in self._pods]

    def _work(self) -> None:
        while pod := self._next():
            problem = ""
            try:
                pod.create()
                if self._may_watch(pod):
                    pod.await_log()
                else:
                    problem = INTERRUPTED
            except (ProbePodError, AccessError) as error:
                problem = str(error)
            except Exception as error:
                problem = INTERRUPTED
                self._bugs.append(error)
            finally:
                pod.close(problem)

    def _next(self) -> PodLife | None:
        with self._lock:
            if not self._todo:
                return None
            self._asked_for.append(self._todo.pop())
            return self._asked_for[-1]

    def _may_watch(self, pod: PodLife) -> bool:
        """Whether to wait for it; then it is one that `stop` removes."""
        with self._lock:
            if not self._is_stopped:
                self._watched.append(pod)
            return not self._is_stopped

    def _tell(self, text: str) -> None:
        """The latest of any pod, behind how far all of them are; nothing more once the end has come."""
        if not self._is_stopped:
            done = sum(pod.gone.is_set() for pod in self._pods)
            self._say(f"{done} of {len(self._pods)} probe pods are done; {text}")
