"""One Service from name to report: read, plan, try from a pod and from here, try again what failed, judge."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from kubectl_svcprobe import describe, diagnose
from kubectl_svcprobe.access.seam import ClusterApi
from kubectl_svcprobe.commands import Kubectl
from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.collect import collect
from kubectl_svcprobe.facts.one_port import with_port
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.system import look_at_dns, look_at_proxies
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.probe import podrun
from kubectl_svcprobe.probe.closer import Closer, other_probes, questions
from kubectl_svcprobe.probe.dialects import dialect_probes
from kubectl_svcprobe.probe.elsewhere import concerns_dns, concerns_proxies, second_look
from kubectl_svcprobe.probe.expect import why_expected
from kubectl_svcprobe.probe.exposure import Vantage, find_paths
from kubectl_svcprobe.probe.forward import ForwardRun
from kubectl_svcprobe.probe.localrun import LocalRun
from kubectl_svcprobe.probe.observe import Observation, cluster_domain, curl_version, read_log
from kubectl_svcprobe.probe.plan import Probe, ProbePlan, Wishes, make_plan
from kubectl_svcprobe.probe.podspec import (
    DEFAULT_IMAGE,
    LABELS,
    NAME_PREFIX,
    SETTLE_SECONDS,
    PodOptions,
    Timing,
    manifest,
)
from kubectl_svcprobe.probe.results import PathResult, join, to_confirm, with_true_names, within_families
from kubectl_svcprobe.report import ProbeFacts, Report, Skipped
from kubectl_svcprobe.rules import RULES
from kubectl_svcprobe.words import listed

#: Why there is no result, where there was no pod.
DID_NOT_RUN = "the probe pod did not run"


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    probe: bool = True
    from_here: bool = True
    image: str = DEFAULT_IMAGE
    node: str = ""
    path: str | None = None
    keep_pod: bool = False
    one_pod: bool = False
    timing: Timing = field(default_factory=Timing)
    choice: diagnose.Choice = field(default_factory=diagnose.Choice)


@dataclass
class Inspector:
    """Inspects Services one after the other, with the same connection and wishes.

    `say` is told what is being waited for; `note` gets what the user must know beside the report.
    """

    cluster: ClusterApi
    options: Options
    kubectl: Kubectl
    interrupts: Interrupts
    say: Callable[[str], None]
    note: Callable[[str], None]

    def inspect(self, namespace: str, name: str, port: str = "") -> Report:
        """The report on one Service; `port` (a number or a name) cuts it down to that one.

        Raises AccessError where the Service cannot be read, and UsageError where it has no such port.
        """
        self.say(f"reading service/{name} in {namespace}")
        snapshot = with_port(collect(self.cluster, namespace, name, now(), LABELS), port)
        plan = self.plan(snapshot)
        if snapshot.service is None:
            return report(Evidence(snapshot, plan, kubectl=self.kubectl), self.options)
        local = LocalRun(plan.from_vantage(Vantage.HERE), self.options.timing)
        try:
            evidence = self._ask_pod(snapshot, plan)
            self.say("waiting for answers to this machine")
            from_here = self._confirm_here(snapshot, plan, local.observations())
        finally:
            local.close()
        return report(replace(evidence, results=(*evidence.results, *from_here)), self.options)

    def _confirm_here(self, snapshot: Snapshot, plan: ProbePlan, first: list[Observation]) -> tuple[PathResult, ...]:
        """What this machine met; what failed is asked once more, since a Service proxy may have been a moment behind."""
        probes = plan.from_vantage(Vantage.HERE)
        again = _to_ask_again(snapshot, join(probes, first))
        if not again:
            return join(probes, first)
        self.say("asking again what did not answer this machine")
        second = LocalRun(again, self.options.timing)
        try:
            return join(probes, [*first, *(replace(o, is_retry=True) for o in second.observations())])
        finally:
            second.close()

    def plan(self, snapshot: Snapshot) -> ProbePlan:
        """What would be tried. Raises UsageError where the pod is to run on a node that does not exist."""
        names = sorted(node.meta.name for node in snapshot.nodes)
        if self.options.node and names and self.options.node not in names:
            raise UsageError(f"error: there is no node {self.options.node}; there is {listed(names, 8)}")
        wishes = Wishes(
            from_pod=self.options.probe,
            from_here=self.options.from_here,
            path=self.options.path,
            no_pod_reason="--no-probe",
            probe_labels=LABELS,
        )
        plan = make_plan(snapshot, find_paths(snapshot), wishes)
        # What no second pod repeats has to be believed of the first.
        return replace(plan, settle=plan.settle or self.options.one_pod)

    def pod_options(self, snapshot: Snapshot, plan: ProbePlan) -> PodOptions:
        """How the pod is to be made: on a node that has the image already, if any has."""
        having = [n.meta.name for n in snapshot.nodes if n.is_ready and self.options.image in n.images]
        return PodOptions(
            name=new_pod_name(),
            namespace=snapshot.namespace,
            image=self.options.image,
            node=self.options.node,
            preferred_nodes=tuple(sorted(having)),
            settle=plan.settle,
            keep=self.options.keep_pod,
            timing=self.options.timing,
        )

    def _ask_pod(self, snapshot: Snapshot, plan: ProbePlan) -> Evidence:
        """What the probe pod saw; where something failed, what a second one saw that waited first."""
        probes = plan.from_vantage(Vantage.POD)
        if not probes:
            return Evidence(snapshot, plan, kubectl=self.kubectl)
        options = self.pod_options(snapshot, plan)
        run = self._run_where_taken_up(probes, options)
        observations, resolv_conf = _read(run, probes)
        results = within_families(join(probes, observations, DID_NOT_RUN if run.problem else ""), run.ips)
        again = () if run.problem or plan.settle else _to_ask_again(snapshot, results)
        inside = ForwardRun(self.cluster, snapshot.namespace, questions(snapshot, results))
        try:
            others = other_probes(snapshot, results, len(plan.probes)) if again else ()
            dialects = dialect_probes(results, len(plan.probes) + len(others))
            if second := (*again, *others, *dialects):
                observations += self._ask_again(second, replace(options, settle=options.settle or bool(again)), run)
                results = within_families(join(probes, observations), run.ips)
            closer = Closer(inside.found(), join(others, observations), join(dialects, observations))
        finally:
            inside.close()
        elsewhere, other_node = self._look_elsewhere(snapshot, results, options, run)
        facts = _probe_facts(run, options, settled=plan.settle or bool(again))
        return Evidence(
            self._look_at_system(snapshot, results),
            plan,
            (*with_true_names(results, cluster_domain(resolv_conf)), *elsewhere),
            replace(facts, other_node=other_node),
            resolv_conf,
            self.kubectl,
            closer,
        )

    def _look_elsewhere(
        self, snapshot: Snapshot, results: tuple[PathResult, ...], options: PodOptions, first: podrun.PodRun
    ) -> tuple[tuple[PathResult, ...], str]:
        """What a pod on another node met of that which a node may be the reason of, and the node."""
        look = None if self.options.one_pod or first.problem else second_look(snapshot, results, first.node)
        if look is None:
            return (), ""
        self.say(f"asking what failed from {look.node} too")
        there = replace(options, name=new_pod_name(), node=look.node, preferred_nodes=())
        run = self._run_pod(look.probes, there)
        first.leftover = first.leftover or run.leftover
        first.seconds += run.seconds
        if run.problem:
            self.note(f"what failed could not be asked from {look.node}: {run.problem}")
            return (), ""
        return join(look.probes, _read(run, look.probes)[0]), look.node

    def _look_at_system(self, snapshot: Snapshot, results: tuple[PathResult, ...]) -> Snapshot:
        """What the cluster's own parts say, where what failed may be theirs."""
        if concerns_proxies(results):
            snapshot = look_at_proxies(self.cluster, snapshot)
        return look_at_dns(self.cluster, snapshot) if concerns_dns(results) else snapshot

    def _run_where_taken_up(self, probes: tuple[Probe, ...], options: PodOptions) -> podrun.PodRun:
        """Run the pod; once more elsewhere if the first node takes no notice of it, as one that has just died does."""
        run = self._run_pod(probes, options)
        if not run.is_ignored or options.node:
            return run
        self.say(f"{run.node} does not take up the probe pod: trying another node")
        return self._run_pod(probes, replace(options, name=new_pod_name(), avoided_node=run.node))

    def _ask_again(self, probes: tuple[Probe, ...], options: PodOptions, first: podrun.PodRun) -> list[Observation]:
        """What another pod sees, on the same node if it can be."""
        waiting = f", which waits {SETTLE_SECONDS} s first" if options.settle else ""
        self.say(f"asking again what failed, from a second pod{waiting}")
        again = replace(options, name=new_pod_name(), avoided_node="", preferred_nodes=(first.node,))
        second = self._run_pod(probes, again)
        if second.problem:
            self.note(f"what failed could not be asked again: {second.problem}")
        first.leftover = first.leftover or second.leftover
        first.seconds += second.seconds
        return _read(second, probes, is_retry=True)[0]

    def _run_pod(self, probes: tuple[Probe, ...], options: PodOptions) -> podrun.PodRun:
        pod = f"probe pod {options.namespace}/{options.name}"

        def on_leftover(reason: str) -> None:
            command = self.kubectl(options.namespace, "delete", "pod", options.name)
            self.note(f"{pod} may still be there: {reason}\n  {command}")

        body = manifest(probes, options)
        run = podrun.run(self.cluster, body, self.interrupts, self.say, options.keep, on_leftover)
        if options.keep and not run.problem:
            self.note(f"{pod} is kept; kubectl svcprobe cleanup removes it")
        return run


def _to_ask_again(snapshot: Snapshot, results: tuple[PathResult, ...]) -> tuple[Probe, ...]:
    return to_confirm(results, lambda result: bool(why_expected(snapshot, result, results)))


def _probe_facts(run: podrun.PodRun, options: PodOptions, settled: bool) -> ProbeFacts:
    return ProbeFacts(
        namespace=options.namespace,
        pod=run.name,
        node=run.node,
        ips=run.ips,
        mesh=run.mesh,
        image=run.image,
        curl_version=curl_version(run.log),
        settled=settled,
        seconds=round(run.seconds, 2),
        problem=run.problem,
        leftover=run.leftover,
    )


def _read(run: podrun.PodRun, probes: tuple[Probe, ...], is_retry: bool = False) -> tuple[list[Observation], str]:
    return read_log(run.log, {probe.id: probe.request for probe in probes}, is_retry)


def report(evidence: Evidence, options: Options) -> Report:
    """Judge the evidence, and put it all together."""
    findings, skipped = diagnose.run(RULES, evidence, options.choice)
    snapshot = evidence.snapshot
    return Report(
        service=describe.service_facts(snapshot, options.path),
        verdict=diagnose.verdict_of(findings),
        summary=diagnose.summary_of(findings, evidence, skipped),
        taken=snapshot.taken,
        pods=describe.pod_facts(snapshot),
        endpoints=describe.endpoint_facts(snapshot),
        nodes=describe.node_facts(snapshot),
        paths=describe.path_facts(snapshot, evidence.results, evidence.plan),
        findings=findings,
        skipped=(*(Skipped(u.what, f"{u.why}: {u.message}") for u in snapshot.unread), *skipped),
        probe=evidence.probe,
    )


def new_pod_name() -> str:
    """A name that is ours before the API server has answered, so that an unanswered create can still be undone."""
    return NAME_PREFIX + "".join(random.choices(string.ascii_lowercase + string.digits, k=6))


def now() -> str:
    """The present, as the API writes times."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
