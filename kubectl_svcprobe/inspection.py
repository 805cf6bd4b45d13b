"""One Service from name to report: read, plan, try from a pod and from here, try again what failed, judge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone

from kubectl_svcprobe import describe, diagnose
from kubectl_svcprobe.asking import PodAsker, to_ask_again
from kubectl_svcprobe.asking_each import EachNodeAsker
from kubectl_svcprobe.asking_inside import InsideAsker, inside_client
from kubectl_svcprobe.describe_policies import expectations
from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.client import Client
from kubectl_svcprobe.facts.clients import find_client
from kubectl_svcprobe.facts.collect import collect
from kubectl_svcprobe.facts.one_port import with_ports
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.lookup import all_addresses
from kubectl_svcprobe.probe.apirun import ApiServerRun
from kubectl_svcprobe.probe.apiserver import is_needed
from kubectl_svcprobe.probe.apiserver import plan as plan_api_server
from kubectl_svcprobe.probe.exposure import Vantage
from kubectl_svcprobe.probe.localrun import LocalRun
from kubectl_svcprobe.probe.observe import Observation
from kubectl_svcprobe.probe.plan import MAX_SAMPLES_IN_ALL, ProbePlan, Wishes, make_plan
from kubectl_svcprobe.probe.results import PathResult, join
from kubectl_svcprobe.probe.trace import trace
from kubectl_svcprobe.probe.ways import find_paths
from kubectl_svcprobe.report import Report, Skipped
from kubectl_svcprobe.rules import RULES
from kubectl_svcprobe.run import Options, Run
from kubectl_svcprobe.sampled import sample_facts
from kubectl_svcprobe.words import listed


@dataclass(frozen=True)
class Inspector:
    """Inspects Services one after the other, with the same connection and wishes."""

    run: Run

    def inspect(self, namespace: str, name: str, port: str = "") -> Report:
        """The report on one Service; `port` (a number or a name) cuts it down to that one.

        Raises AccessError where the Service cannot be read, and UsageError where it has no such port.
        """
        self.run.say(f"reading service/{name} in {namespace}")
        snapshot = self.read(namespace, name, port)
        snapshot = with_lookups(snapshot) if self.run.options.from_here else snapshot
        plan = self.plan(snapshot)
        if snapshot.service is None:
            return report(Evidence(snapshot, plan, kubectl=self.run.kubectl), self.run.options)
        local = LocalRun(plan.from_vantage(Vantage.HERE), self.run.options.timing)
        try:
            evidence = self._through_api_server(self.asker().ask(snapshot, plan))
            self.run.say("waiting for answers to this machine")
            from_here = self._confirm_here(snapshot, plan, local.observations())
        finally:
            local.close()
        evidence = replace(evidence, results=(*evidence.results, *from_here))
        if self.run.options.trace:
            self._trace(evidence)
        return report(evidence, self.run.options)

    def _trace(self, evidence: Evidence) -> None:
        """Show on stderr what was asked, and what came back, in the order in which it is judged."""
        asked = (*evidence.results, *evidence.samples, *evidence.closer.others, *evidence.closer.dialects)
        namespace, timing = evidence.snapshot.namespace, self.run.options.timing
        for line in trace(asked, timing, namespace, self.run.kubectl):
            self.run.note(line)

    def read(self, namespace: str, name: str, port: str = "") -> Snapshot:
        """What is read about a Service, cut down to the ports that are meant. Raises as `inspect` does."""
        options = self.run.options
        snapshot = collect(self.run.cluster, namespace, name, now(), self.client(namespace))
        return with_ports(snapshot, (port,) if port else options.ports, options.scheme)

    def _through_api_server(self, evidence: Evidence) -> Evidence:
        """The evidence with what the API server's own ways came to, where no pod told anything, or where that was wished."""
        options, snapshot = self.run.options, evidence.snapshot
        if not (options.through_api_server or is_needed(evidence.results, evidence.vantage_is_sound)):
            return evidence
        first_id = 1 + max((p.id for p in (*evidence.plan.probes, *(r.probe for r in evidence.results))), default=0)
        asked = plan_api_server(snapshot, first_id, options.path, options.scheme)
        if asked.probes:
            self.run.say("asking through the API server")
        run = ApiServerRun(self.run.cluster, snapshot.namespace, snapshot.name, asked.probes, options.timing.transfer)
        try:
            results = join(asked.probes, run.observations())
        finally:
            run.close()
        plan = replace(evidence.plan, unprobed=(*evidence.plan.unprobed, *asked.unprobed))
        return replace(evidence, plan=plan, results=(*evidence.results, *results))

    def asker(self) -> PodAsker | EachNodeAsker | InsideAsker:
        """Who asks from inside the cluster."""
        if self.run.options.inside:
            return InsideAsker(self.run)
        pods = PodAsker(self.run)
        return EachNodeAsker(pods) if self.run.options.all_nodes else pods

    def _confirm_here(self, snapshot: Snapshot, plan: ProbePlan, first: list[Observation]) -> tuple[PathResult, ...]:
        """What this machine met; what failed is asked once more, since a Service proxy may have been a moment behind."""
        probes = plan.from_vantage(Vantage.HERE)
        again = to_ask_again(snapshot, join(probes, first))
        if not again:
            return join(probes, first)
        self.run.say("asking again what did not answer this machine")
        second = LocalRun(again, self.run.options.timing)
        try:
            return join(probes, [*first, *(replace(o, is_retry=True) for o in second.observations())])
        finally:
            second.close()

    def client(self, namespace: str) -> Client:
        """Who will ask from inside the cluster about a Service of this namespace. Raises as `find_client` does."""
        options = self.run.options
        if options.inside:
            return inside_client(self.run.cluster, options.inside, options.client.namespace or namespace)
        return find_client(self.run.cluster, self.run.options.client, namespace)

    def plan(self, snapshot: Snapshot) -> ProbePlan:
        """What would be tried. Raises UsageError where the pod is to run on a node that does not exist."""
        names = sorted(node.meta.name for node in snapshot.nodes)
        if self.run.options.node and names and self.run.options.node not in names:
            raise UsageError(f"error: there is no node {self.run.options.node}; there is {listed(names, 8)}")
        wishes = Wishes(
            from_pod=self.run.options.probe,
            from_here=self.run.options.from_here,
            scheme=self.run.options.scheme,
            path=self.run.options.path,
            samples=self.run.options.samples,
            no_pod_reason="--no-probe",
        )
        plan = make_plan(snapshot, find_paths(snapshot), wishes)
        self._note_samples(plan, snapshot)
        # What no second pod repeats has to be believed of the first.
        return replace(plan, settle=plan.settle or self.run.options.one_pod)

    def _note_samples(self, plan: ProbePlan, snapshot: Snapshot) -> None:
        """Say where fewer samples are taken than was asked for."""
        wanted, taken = self.run.options.samples, [probe.attempts for probe in plan.samples]
        if wanted and snapshot.service and not taken:
            where = "at the ClusterIP of TCP ports, or at the name of a headless Service"
            self.run.note(f"--samples asks {where}: there is nothing of it to ask at {snapshot.service.name}")
        elif taken and taken[0] < wanted:
            self.run.note(
                f"--samples: {taken[0]} at each of {len(taken)} ports, {MAX_SAMPLES_IN_ALL} at most in one run"
            )


def report(evidence: Evidence, options: Options) -> Report:
    """Judge the evidence, and put it all together."""
    findings, skipped = diagnose.run(RULES, evidence, options.choice)
    snapshot = evidence.snapshot
    return Report(
        service=describe.service_facts(snapshot, options.path, options.scheme),
        verdict=diagnose.verdict_of(findings),
        summary=diagnose.summary_of(findings, evidence, skipped),
        taken=snapshot.taken,
        pods=describe.pod_facts(snapshot),
        endpoints=describe.endpoint_facts(snapshot),
        nodes=describe.node_facts(snapshot),
        paths=describe.path_facts(snapshot, evidence.results, evidence.plan, evidence.probe),
        findings=findings,
        skipped=(*(Skipped(u.what, f"{u.why}: {u.message}") for u in snapshot.unread), *skipped),
        probe=evidence.probe,
        expectations=expectations(snapshot, evidence.results),
        samples=sample_facts(snapshot, evidence.samples),
    )


def with_lookups(snapshot: Snapshot) -> Snapshot:
    """Add the addresses of the load balancer's names; nothing is asked where it has none."""
    ingresses = snapshot.service.load_balancer_ingress if snapshot.service else ()
    names = [ingress.hostname for ingress in ingresses if ingress.hostname]
    return replace(snapshot, lookups=all_addresses(names)) if names else snapshot


def now() -> str:
    """The present, as the API writes times."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
