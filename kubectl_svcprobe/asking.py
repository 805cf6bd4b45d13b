"""The pods of one Service's run: the first, the one that repeats what failed, and the one on another node."""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, replace
from typing import Any

from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.system import look_at_dns, look_at_proxies
from kubectl_svcprobe.probe import podrun
from kubectl_svcprobe.probe.closer import Closer, other_probes, questions
from kubectl_svcprobe.probe.dialects import dialect_probes
from kubectl_svcprobe.probe.elsewhere import concerns_dns, concerns_proxies, second_look
from kubectl_svcprobe.probe.expect import why_expected
from kubectl_svcprobe.probe.expectation import has_local_policy
from kubectl_svcprobe.probe.exposure import Vantage
from kubectl_svcprobe.probe.forward import ForwardRun
from kubectl_svcprobe.probe.observe import Observation, cluster_domain, curl_version, read_log
from kubectl_svcprobe.probe.plan import Probe, ProbePlan
from kubectl_svcprobe.probe.podlife import PodRun
from kubectl_svcprobe.probe.podspec import NAME_PREFIX, SETTLE_SECONDS, PodOptions, manifest
from kubectl_svcprobe.probe.results import PathResult, asked_from, join, to_confirm, with_true_names, within_families
from kubectl_svcprobe.report import ProbeFacts
from kubectl_svcprobe.run import Run

#: Why there is no result, where there was no pod.
DID_NOT_RUN = "the probe pod did not run"


@dataclass(frozen=True)
class PodAsker:
    """Asks from inside the cluster."""

    run: Run

    def pod_options(self, snapshot: Snapshot, plan: ProbePlan) -> PodOptions:
        """How the pod is to be made: on a node where its client runs, or one that has the image already, if any has."""
        having = [n.meta.name for n in snapshot.nodes if n.is_ready and self.run.options.image in n.images]
        return PodOptions(
            name=new_pod_name(),
            namespace=snapshot.client_namespace,
            client=snapshot.client,
            image=self.run.options.image,
            node=self.run.options.node,
            preferred_nodes=snapshot.client.nodes or tuple(sorted(having)),
            settle=plan.settle,
            keep=self.run.options.keep_pod,
            timing=self.run.options.timing,
        )

    def manifests(self, snapshot: Snapshot, plan: ProbePlan) -> list[dict[str, Any]]:
        """The pod that would run first; none where nothing would be asked from one."""
        probes = plan.from_vantage(Vantage.POD)
        return [manifest((*probes, *plan.samples), self.pod_options(snapshot, plan))] if probes else []

    def ask(self, snapshot: Snapshot, plan: ProbePlan) -> Evidence:
        """What the probe pod saw; where something failed, what a second one saw that waited first."""
        probes = plan.from_vantage(Vantage.POD)
        if not probes:
            return Evidence(snapshot, plan, kubectl=self.run.kubectl)
        options = self.pod_options(snapshot, plan)
        asked = (*probes, *plan.samples)
        run = self._run_where_taken_up(asked, options)
        observations, resolv_conf = read(run, asked)
        samples = came_of(run, plan.samples, observations)
        results = came_of(run, probes, observations)
        again = () if run.problem or plan.settle else to_ask_again(snapshot, results)
        inside = ForwardRun(self.run.cluster, snapshot.namespace, questions(snapshot, results))
        try:
            others = other_probes(snapshot, results, plan.next_id) if again else ()
            dialects = dialect_probes(results, plan.next_id + len(others))
            if second := (*again, *others, *dialects):
                observations += self._ask_again(second, replace(options, settle=options.settle or bool(again)), run)
                results = came_of(run, probes, observations)
            closer = Closer(inside.found(), join(others, observations), join(dialects, observations))
        finally:
            inside.close()
        elsewhere, other_node = self._look_elsewhere(snapshot, results, options, run)
        facts = replace(probe_facts(run, options, settled=plan.settle or bool(again)), repeated=bool(again))
        return Evidence(
            self.look_at_system(snapshot, results),
            plan,
            (*with_true_names(results, cluster_domain(resolv_conf)), *elsewhere),
            replace(facts, other_node=other_node),
            resolv_conf,
            self.run.kubectl,
            closer,
            samples,
        )

    def _look_elsewhere(
        self, snapshot: Snapshot, results: tuple[PathResult, ...], options: PodOptions, first: PodRun
    ) -> tuple[tuple[PathResult, ...], str]:
        """What a pod on another node met of that which a node may be the reason of, and the node."""
        look = None if self.run.options.one_pod or first.problem else second_look(snapshot, results, first.node)
        if look is None:
            return (), ""
        self.run.say(f"asking what failed from {look.node} too")
        there = replace(options, name=new_pod_name(), node=look.node, preferred_nodes=())
        run = self._run_pod(look.probes, there)
        first.leftover = first.leftover or run.leftover
        first.seconds += run.seconds
        if run.problem:
            self.run.note(f"what failed could not be asked from {look.node}: {run.problem}")
            return (), ""
        return asked_from(join(look.probes, read(run, look.probes)[0]), look.node), look.node

    def look_at_system(self, snapshot: Snapshot, results: tuple[PathResult, ...]) -> Snapshot:
        """What the cluster's own parts say, where what failed may be theirs."""
        if concerns_proxies(results) or has_local_policy(snapshot.service):
            snapshot = look_at_proxies(self.run.cluster, snapshot)
        return look_at_dns(self.run.cluster, snapshot) if concerns_dns(results) else snapshot

    def _run_where_taken_up(self, probes: tuple[Probe, ...], options: PodOptions) -> PodRun:
        """Run the pod; once more elsewhere if the first node takes no notice of it, as one that has just died does."""
        run = self._run_pod(probes, options)
        if not run.is_ignored or options.node:
            return run
        self.run.say(f"{run.node} does not take up the probe pod: trying another node")
        return self._run_pod(probes, replace(options, name=new_pod_name(), avoided_node=run.node))

    def _ask_again(self, probes: tuple[Probe, ...], options: PodOptions, first: PodRun) -> list[Observation]:
        """What another pod sees, on the same node if it can be."""
        waiting = f", which waits {SETTLE_SECONDS} s first" if options.settle else ""
        self.run.say(f"asking again what failed or was late, from a second pod{waiting}")
        again = replace(options, name=new_pod_name(), avoided_node="", preferred_nodes=(first.node,))
        second = self._run_pod(probes, again)
        if second.problem:
            self.run.note(f"what failed could not be asked again: {second.problem}")
        first.leftover = first.leftover or second.leftover
        first.seconds += second.seconds
        return read(second, probes, is_retry=True)[0]

    def tell_leftover(self, namespace: str, pod: str, reason: str) -> None:
        """Say that a pod may still be there, and how to remove it."""
        command = self.run.kubectl(namespace, "delete", "pod", pod)
        self.run.note(f"probe pod {namespace}/{pod} may still be there: {reason}\n  {command}")

    def _run_pod(self, probes: tuple[Probe, ...], options: PodOptions) -> PodRun:
        pod = f"probe pod {options.namespace}/{options.name}"

        def on_leftover(reason: str) -> None:
            self.tell_leftover(options.namespace, options.name, reason)

        body = manifest(probes, options)
        run = podrun.run(self.run.cluster, body, self.run.interrupts, self.run.say, options.keep, on_leftover)
        if options.keep and not run.problem:
            self.run.note(f"{pod} is kept; kubectl svcprobe cleanup removes it")
        return run


def came_of(run: PodRun, probes: tuple[Probe, ...], observations: list[Observation]) -> tuple[PathResult, ...]:
    """The results of one node's pods."""
    results = join(probes, observations, DID_NOT_RUN if run.problem else "")
    return asked_from(within_families(results, run.ips), run.node)


def new_pod_name() -> str:
    """A name that is ours before the API server has answered, so that an unanswered create can still be undone."""
    return NAME_PREFIX + "".join(random.choices(string.ascii_lowercase + string.digits, k=6))


def to_ask_again(snapshot: Snapshot, results: tuple[PathResult, ...]) -> tuple[Probe, ...]:
    """The probes whose failure is to be repeated before it is believed: none that was to be expected."""
    return to_confirm(results, lambda result: bool(why_expected(snapshot, result, results)))


def probe_facts(run: PodRun, options: PodOptions, settled: bool) -> ProbeFacts:
    """The pod as the report has it."""
    client = options.client
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
        client=client.title,
        labels=client.labels,
        service_account=str(client.spec.get("serviceAccountName", "default")),
        differs=client.differences(run.node, run.mesh),
    )


def read(run: PodRun, probes: tuple[Probe, ...], is_retry: bool = False) -> tuple[list[Observation], str]:
    """The observations in a pod\'s log, and all else in it."""
    return read_log(run.log, {probe.id: probe.request for probe in probes}, is_retry)
