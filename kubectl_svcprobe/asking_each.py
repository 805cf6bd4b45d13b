"""The pods of a run with `--all-nodes`: one on each node, side by side, and once more where something failed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kubectl_svcprobe.asking import DID_NOT_RUN, PodAsker, came_of, new_pod_name, probe_facts, read, to_ask_again
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.probe import podrun
from kubectl_svcprobe.probe.closer import Closer, other_probes, questions
from kubectl_svcprobe.probe.dialects import dialect_probes
from kubectl_svcprobe.probe.exposure import Vantage
from kubectl_svcprobe.probe.forward import ForwardRun
from kubectl_svcprobe.probe.matrix import (
    AskingNodes,
    as_matrix,
    asking_nodes,
    concern_proxies,
    health_probes,
    main_node,
)
from kubectl_svcprobe.probe.observe import Observation, cluster_domain
from kubectl_svcprobe.probe.plan import Probe, ProbePlan
from kubectl_svcprobe.probe.podlife import PodRun
from kubectl_svcprobe.probe.podspec import PodOptions, manifest
from kubectl_svcprobe.probe.results import PathResult, asked_from, join, with_true_names
from kubectl_svcprobe.report import NodeProbe, ProbeFacts
from kubectl_svcprobe.words import count, listed

#: What the API server says where a quota does not allow another pod.
QUOTA = "exceeded quota"

#: How often a pod is asked for that a quota refuses though no other of ours is left, and the seconds in between.
QUOTA_TRIES = 4
QUOTA_PAUSE = 1.0


@dataclass
class Asked:
    """One node's first pod, and all that its pods have observed."""

    run: PodRun
    observations: list[Observation]
    resolv_conf: str
    results: tuple[PathResult, ...]
    is_settled: bool


@dataclass(frozen=True)
class EachNodeAsker:
    """Asks from inside the cluster, from every node that can be asked from."""

    pods: PodAsker

    def plans(self, snapshot: Snapshot, plan: ProbePlan) -> dict[str, PodOptions]:
        """How the pod of each node is to be made."""
        options = self.pods.pod_options(snapshot, plan)
        return {name: _on(options, name) for name in asking_nodes(snapshot).names}

    def manifests(self, snapshot: Snapshot, plan: ProbePlan) -> list[dict[str, Any]]:
        """The pods that would run first, one for each node; none where nothing would be asked from them."""
        probes = plan.from_vantage(Vantage.POD)
        return [manifest(probes, options) for options in self.plans(snapshot, plan).values()] if probes else []

    def ask(self, snapshot: Snapshot, plan: ProbePlan) -> Evidence:
        """What the pods saw, judged by the view of the node that fails least; what failed is asked once more."""
        probes, asking = plan.from_vantage(Vantage.POD), asking_nodes(snapshot)
        options = self.plans(snapshot, plan)
        if probes and not options:
            why = listed(f"{name}: {reason}" for name, reason in (asking.unable or {}).items()) or "none could be read"
            self.pods.run.note(
                f"no node is known that could be asked from ({why}); one pod asks from wherever it is taken"
            )
        if not probes or not options:
            return self.pods.ask(snapshot, plan)
        self.pods.run.say(f"asking from {count(len(options), 'node')}")
        asked = self._first(probes, options, plan.settle)
        able = {name: found for name, found in asked.items() if not found.run.problem}
        if not able:
            return self._nobody(snapshot, plan, asked, options, asking)
        main = main_node(snapshot, {name: found.results for name, found in able.items()})
        closer, health = self._again(snapshot, plan, able, options, main)
        matrix = as_matrix({name: found.results for name, found in able.items()}, main)
        results = with_true_names(matrix, cluster_domain(able[main].resolv_conf))
        return Evidence(
            self.pods.look_at_system(snapshot, results),
            plan,
            (*results, *health),
            _facts(asked, options[main], main, asking),
            able[main].resolv_conf,
            self.pods.run.kubectl,
            closer,
        )

    def _first(self, probes: tuple[Probe, ...], options: Mapping[str, PodOptions], settle: bool) -> dict[str, Asked]:
        """One pod a node. What a quota refuses beside the others is tried again, one after the other, once they are gone."""
        runs = self._run(dict.fromkeys(options, probes), options)
        refused = [name for name, run in runs.items() if QUOTA in run.problem]
        for name in refused if len(refused) < len(runs) else ():
            runs |= self._run_under_quota({name: probes}, options)
        asked = {}
        for name, run in runs.items():
            # A pod that came to no node was still to be asked from this one.
            run.node = run.node or name
            observations, resolv_conf = read(run, probes)
            asked[name] = Asked(run, observations, resolv_conf, came_of(run, probes, observations), settle)
        return asked

    def _run_under_quota(
        self, probes: Mapping[str, tuple[Probe, ...]], options: Mapping[str, PodOptions]
    ) -> dict[str, PodRun]:
        """One pod alone. What went just now counts for a moment still: a controller counts what is left."""
        run = self._run(probes, options)
        for _ in range(QUOTA_TRIES - 1):
            if not any(QUOTA in one.problem for one in run.values()):
                break
            time.sleep(QUOTA_PAUSE)
            run = self._run(probes, options)
        return run

    def _again(
        self,
        snapshot: Snapshot,
        plan: ProbePlan,
        asked: Mapping[str, Asked],
        options: Mapping[str, PodOptions],
        main: str,
    ) -> tuple[Closer, tuple[PathResult, ...]]:
        """Once more from each node that met a failure; from the main one also what tells the causes apart."""
        view, number = asked[main].results, plan.next_id
        again = {n: to_ask_again(snapshot, a.results) for n, a in asked.items() if not a.is_settled}
        inside = ForwardRun(self.pods.run.cluster, snapshot.namespace, questions(snapshot, view))
        try:
            others = other_probes(snapshot, view, number) if again.get(main) else ()
            dialects = dialect_probes(view, number + len(others))
            is_proxy = concern_proxies({name: found.results for name, found in asked.items()})
            health = health_probes(number + len(others) + len(dialects), snapshot, asked) if is_proxy else ()
            aside = (*others, *dialects, *health)
            wanted = {n: (*again.get(n, ()), *(aside if n == main else ())) for n in asked}
            settled = {n: replace(options[n], settle=options[n].settle or bool(again.get(n))) for n in asked}
            seen = self._second({n: probes for n, probes in wanted.items() if probes}, settled, asked, plan)
            closer = Closer(inside.found(), join(others, seen), join(dialects, seen))
        finally:
            inside.close()
        return closer, asked_from(join(health, seen), main) if health else ()

    def _second(
        self,
        wanted: Mapping[str, tuple[Probe, ...]],
        options: Mapping[str, PodOptions],
        asked: Mapping[str, Asked],
        plan: ProbePlan,
    ) -> list[Observation]:
        """Repeat, and take what is seen into the results; all observations of the second pods."""
        if not wanted:
            return []
        self.pods.run.say(f"asking again what failed, from {count(len(wanted), 'node')}")
        seen: list[Observation] = []
        for name, run in self._run(wanted, {n: _on(options[n], n) for n in wanted}).items():
            found = asked[name]
            if run.problem:
                self.pods.run.note(f"what failed could not be asked again from {name}: {run.problem}")
            again, _ = read(run, wanted[name], is_retry=True)
            seen += again
            found.observations += again
            found.results = came_of(found.run, plan.from_vantage(Vantage.POD), found.observations)
            found.is_settled = found.is_settled or options[name].settle
            found.run.leftover = found.run.leftover or run.leftover
            found.run.seconds += run.seconds
        return seen

    def _run(self, probes: Mapping[str, tuple[Probe, ...]], options: Mapping[str, PodOptions]) -> dict[str, PodRun]:
        """One pod for each of these nodes."""
        run, names = self.pods.run, list(probes)
        bodies = [manifest(probes[name], options[name]) for name in names]
        namespace = next(iter(options.values())).namespace

        def on_leftover(pod: str, reason: str) -> None:
            self.pods.tell_leftover(namespace, pod, reason)

        found = podrun.run_each(run.cluster, bodies, run.interrupts, run.say, run.options.keep_pod, on_leftover)
        if run.options.keep_pod and (kept := [r.name for r in found if not r.problem]):
            run.note(f"{count(len(kept), 'probe pod')} in {namespace} kept; kubectl svcprobe cleanup removes them")
        return dict(zip(names, found, strict=True))

    def _nobody(
        self,
        snapshot: Snapshot,
        plan: ProbePlan,
        asked: Mapping[str, Asked],
        options: Mapping[str, PodOptions],
        asking: AskingNodes,
    ) -> Evidence:
        """No pod at all came to an answer."""
        first = next(iter(asked))
        results = join(plan.from_vantage(Vantage.POD), [], DID_NOT_RUN)
        facts = _facts(asked, options[first], first, asking)
        return Evidence(snapshot, plan, results, facts, kubectl=self.pods.run.kubectl)


def _on(options: PodOptions, node: str) -> PodOptions:
    return replace(options, name=new_pod_name(), node=node, preferred_nodes=(), avoided_node="")


def _facts(asked: Mapping[str, Asked], options: PodOptions, main: str, asking: AskingNodes) -> ProbeFacts:
    """The pod of the main node, all nodes behind it; `leftover` and `seconds` are of all of them."""
    each = [NodeProbe(n, a.run.name, a.run.ips, a.is_settled, a.run.problem) for n, a in asked.items()]
    each += [NodeProbe(name, problem=reason) for name, reason in (asking.unable or {}).items()]
    runs = [found.run for found in asked.values()]
    return replace(
        probe_facts(asked[main].run, options, any(found.is_settled for found in asked.values())),
        leftover=next((run.leftover for run in runs if run.leftover), ""),
        seconds=round(max(run.seconds for run in runs), 2),
        each_node=tuple(sorted(each, key=lambda node: node.node)),
        unasked_nodes=asking.beyond,
    )
