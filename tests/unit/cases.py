"""A rule case: objects as `kubectl get -o yaml` shows them, what came back from the probes, and what must be found.

A folder of `tests/cases` holds

    cluster.yaml        the objects; what every cluster has (tests/cases/common.yaml) is there too, and nodes where none is listed
    observations.yaml   what came back; without it nothing was tried, as with `--no-probe --no-from-here`
    logs.yaml           what containers wrote, by NAMESPACE/POD/CONTAINER
    unread.yaml         kinds that cannot be listed: `forbidden: [Pod]`, `failed: [Node]`
    apis.txt            the API groups that the server knows, if that matters
    target.txt          the Service that is looked at, if it is not shop/web
    client.txt          whom the probe pod stands in for, as flags: `--from deploy/front --from-namespace store`
    expected.txt        the verdict; each finding with its commands and consequences; whether its rule was skipped

With `api-server: true` the API server's own ways are taken too, as they are where no pod tells anything.

In observations.yaml the first of `paths` that fits a path says what came back; a path that none fits answers. An answer is
an HTTP status, a word (the outcomes of `probe.observe`), or the very fields of curl's JSON. `inside` says which ports a
port-forward finds open, by pod, or why none can be made; all others are closed. `lookups` are the addresses that this
machine finds behind names. `asked` restricts a path to ways of speaking (http, https, h2c, tcp, proxied), `from` to a vantage
or to a node that asks; curl's fields may have `server`, `l5d-proxy-error` and `x-envoy-upstream-service-time` too, the headers.
With `each-node: true` every node asks, but those of `not-from`, where it is said why.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from kubectl_svcprobe.access.resources import NODES
from kubectl_svcprobe.client_flags import ClientName, Labels
from kubectl_svcprobe.errors import AccessError
from kubectl_svcprobe.evidence import Evidence
from kubectl_svcprobe.facts.client import Client, ClientWish
from kubectl_svcprobe.facts.clients import find_client
from kubectl_svcprobe.facts.collect import collect
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.facts.system import look_at_dns, look_at_proxies
from kubectl_svcprobe.inspection import report
from kubectl_svcprobe.probe.apiserver import CLOSED_INSIDE, NO_ENDPOINT, OPEN_INSIDE
from kubectl_svcprobe.probe.apiserver import plan as plan_api_server
from kubectl_svcprobe.probe.closer import CLOSED_PORT, Closer, Inside, judged, other_probes, questions
from kubectl_svcprobe.probe.dialects import dialect_probes
from kubectl_svcprobe.probe.elsewhere import concerns_dns, concerns_proxies, second_look
from kubectl_svcprobe.probe.expect import why_expected
from kubectl_svcprobe.probe.expectation import has_local_policy
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.matrix import as_matrix, asking_nodes, concern_proxies, health_probes, main_node
from kubectl_svcprobe.probe.observe import Observation, Outcome, cluster_domain, decode
from kubectl_svcprobe.probe.plan import Probe, ProbePlan, Wishes, make_plan
from kubectl_svcprobe.probe.results import PathResult, asked_from, join, to_confirm, with_true_names, within_families
from kubectl_svcprobe.probe.ways import find_paths
from kubectl_svcprobe.report import Finding, NodeProbe, ProbeFacts, Report
from kubectl_svcprobe.run import Options
from tests.fake_cluster import KNOWN, FakeCluster

FOLDER = Path(__file__).parent.parent / "cases"

#: The moment at which every case is looked at.
TAKEN = "2026-01-10T12:00:00Z"

RESOLV_CONF = "search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\n"

#: What curl reports (measured), by outcome.
CURL: dict[str, dict[str, Any]] = {
    "connected": {"exitcode": 28, "num_connects": 1, "time_total": 2.0},
    "no-answer": {"exitcode": 28, "num_connects": 1, "time_total": 5.0},
    "reset": {"exitcode": 56, "num_connects": 1, "errormsg": "Recv failure: Connection reset by peer"},
    "tls-failed": {"exitcode": 35, "num_connects": 1, "errormsg": "wrong version number"},
    "refused": {"exitcode": 7, "num_connects": 0, "time_total": 0.001},
    "unreachable": {"exitcode": 7, "num_connects": 0, "time_total": 3.06},
    "timed-out": {"exitcode": 28, "num_connects": 0, "time_total": 2.0},
    "dns-failed": {"exitcode": 6, "num_connects": 0, "time_total": 0.004},
    "not-run": {"exitcode": 2, "num_connects": 0},
}


@dataclass(frozen=True)
class Case:
    """One folder."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def code(self) -> str:
        """The rule that the folder is about; empty for a healthy Service."""
        code = self.name.partition("-")[0]
        return code if code.startswith("SVC") else ""

    @property
    def expected(self) -> str:
        return (self.folder / "expected.txt").read_text()

    @property
    def fires(self) -> bool:
        return self.code in found_codes(self.expected)

    @property
    def objects(self) -> list[dict[str, Any]]:
        """What cluster.yaml holds."""
        return _load(self.folder / "cluster.yaml")

    @property
    def target(self) -> tuple[str, str]:
        """Namespace and name of the Service."""
        namespace, _, name = self._text("target.txt", "shop/web").strip().partition("/")
        return namespace, name

    def client(self, cluster: FakeCluster) -> Client:
        """Who asks."""
        words = self._text("client.txt", "").split()
        flags = dict(zip(words[::2], words[1::2], strict=True))
        kind, name = ClientName().convert(flags["--from"], None, None) if "--from" in flags else ("", "")
        labels = Labels().convert(flags["--from-labels"], None, None) if "--from-labels" in flags else {}
        wish = ClientWish(kind, name, flags.get("--from-namespace", ""), labels, flags.get("--mesh", "auto"))
        return find_client(cluster, wish, self.target[0])

    def snapshot(self, cluster: FakeCluster | None = None) -> Snapshot:
        """The Service and all that is read with it, as the program reads it."""
        return collect(cluster or self.cluster(), *self.target, TAKEN, self.client(cluster or self.cluster()))

    def evidence(self, cluster: FakeCluster | None = None) -> Evidence:
        """All that the rules may look at, in this cluster or the case's own."""
        snapshot, story = self.snapshot(cluster), self._document("observations.yaml")
        snapshot = replace(snapshot, lookups={n: tuple(a) for n, a in ((story or {}).get("lookups") or {}).items()})
        wishes = Wishes(
            from_pod=story is not None and not story.get("no-probe"),
            from_here=story is not None and not story.get("no-from-here"),
            path=(story or {}).get("path"),
            no_pod_reason="--no-probe",
        )
        plan = make_plan(snapshot, find_paths(snapshot), wishes)
        if story is None:
            return Evidence(snapshot, plan)
        resolv_conf = str(story.get("resolv.conf", RESOLV_CONF))
        here = _results(snapshot, plan, Vantage.HERE, story)
        from_pod = _from_pod(snapshot, plan, story, str(story.get("node", "node-1")))
        results = (*from_pod, *here)
        closer = _closer(snapshot, plan, results, story)
        probe = _probe(snapshot, plan, results, story)
        from_there: tuple[PathResult, ...] = ()
        if story.get("each-node") and probe:
            probe, from_pod, from_there = _each_node(snapshot, plan, story, probe)
            results = (*from_pod, *here)
        elif probe and not probe.problem and not story.get("one-pod"):
            look = second_look(snapshot, results, probe.node)
            from_there = asked_from(_asked(look.probes, story), look.node) if look else ()
            probe = replace(probe, other_node=look.node if look else "")
        results = (*with_true_names(results, cluster_domain(resolv_conf)), *from_there)
        if story.get("api-server"):
            asked = plan_api_server(snapshot, 5000, story.get("path"))
            plan = replace(plan, unprobed=(*plan.unprobed, *asked.unprobed))
            results = (*results, *_asked(asked.probes, story))
        snapshot = self._with_system(snapshot, results)
        return Evidence(snapshot, plan, results, probe, resolv_conf, closer=closer)

    def _with_system(self, snapshot: Snapshot, results: tuple[PathResult, ...]) -> Snapshot:
        """The cluster's own parts, read where the program reads them."""
        if concerns_proxies(results) or has_local_policy(snapshot.service):
            snapshot = look_at_proxies(self.cluster(), snapshot)
        return look_at_dns(self.cluster(), snapshot) if concerns_dns(results) else snapshot

    def report(self) -> Report:
        return _report(self)

    def cluster(self) -> FakeCluster:
        """A cluster that holds the objects, and refuses what is to be refused."""
        items = self.objects
        common = [item for item in _load(FOLDER / "common.yaml") if not _replaces(items, item)]
        cluster = FakeCluster(*common, *items)
        groups = self._text("apis.txt", "").split()
        cluster.raw["/apis"] = {"kind": "APIGroupList", "groups": [{"name": group} for group in groups]}
        for who, text in (self._document("logs.yaml") or {}).items():
            namespace, pod, container = who.split("/")
            cluster.logs[namespace, pod, container] = text.encode()
        for word, kinds in (self._document("unread.yaml") or {}).items():
            for kind in kinds:
                if word == "forbidden":
                    cluster.forbid(KNOWN[kind], "list", *(["get"] if kind == "Namespace" else []))
                else:
                    cluster.fail(KNOWN[kind], "list", AccessError("Unable to connect to the server: EOF"))
        return cluster

    def _document(self, name: str) -> dict[str, Any] | None:
        text = self._text(name, "")
        return dict(yaml.safe_load(text)) if text else None

    def _text(self, name: str, default: str) -> str:
        path = self.folder / name
        return path.read_text() if path.exists() else default


@cache
def _load(path: Path) -> list[dict[str, Any]]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [item for item in yaml.load_all(path.read_text(), loader) if item]


def _replaces(items: Iterable[dict[str, Any]], common: dict[str, Any]) -> bool:
    """A case that lists nodes has only those."""
    return common["kind"] == NODES.kind and any(item["kind"] == NODES.kind for item in items)


def all_cases() -> list[Case]:
    return [Case(folder) for folder in sorted(FOLDER.iterdir()) if folder.is_dir()]


def named(name: str) -> Case:
    return Case(FOLDER / name)


@cache
def _report(case: Case) -> Report:
    """The same for whoever asks: it is frozen."""
    return report(case.evidence(), Options())


def _ips(story: dict[str, Any]) -> tuple[str, ...]:
    return tuple(story.get("ips", ["10.244.1.77", "fd00:244::77"]))


def _probe(
    snapshot: Snapshot, plan: ProbePlan, results: tuple[PathResult, ...], story: dict[str, Any]
) -> ProbeFacts | None:
    if not plan.from_vantage(Vantage.POD):
        return None
    from_pod = [r for r in results if r.probe.vantage is Vantage.POD]
    return ProbeFacts(
        namespace=snapshot.client_namespace,
        pod="svcprobe-x7k2qf",
        node=str(story.get("node", "node-1")),
        ips=_ips(story),
        mesh=str(story.get("mesh", "")),
        image="docker.io/curlimages/curl:8.17.0",
        curl_version="8.17.0",
        settled=any(o.is_retry for r in from_pod for o in r.observations),
        seconds=1.4,
        problem=str(story.get("problem", "")),
        leftover=str(story.get("leftover", "")),
        repeated=not plan.settle and any(o.is_retry for r in from_pod for o in r.observations),
        client=snapshot.client.title,
        labels=snapshot.client.labels,
        service_account=str(snapshot.client.spec.get("serviceAccountName", "default")),
        differs=snapshot.client.differences(str(story.get("node", "node-1")), str(story.get("mesh", ""))),
    )


def _from_pod(snapshot: Snapshot, plan: ProbePlan, story: dict[str, Any], node: str) -> tuple[PathResult, ...]:
    """What the pods of one node met."""
    asked = replace(plan, probes=tuple(replace(p, node=node) for p in plan.probes))
    return within_families(_results(snapshot, asked, Vantage.POD, story), _ips(story))


def _each_node(
    snapshot: Snapshot, plan: ProbePlan, story: dict[str, Any], probe: ProbeFacts
) -> tuple[ProbeFacts, tuple[PathResult, ...], tuple[PathResult, ...]]:
    """As `asking_each` has it: the main node's view, and all others' with the health of kube-proxies."""
    asking, problems = asking_nodes(snapshot), story.get("not-from") or {}
    by_node = {n: _from_pod(snapshot, plan, story, n) for n in asking.names if n not in problems}
    main = main_node(snapshot, by_node)
    health = health_probes(1000, snapshot, by_node) if concern_proxies(by_node) else ()
    health_results = asked_from(_asked(health, story), main)
    facts = tuple(NodeProbe(n, f"svcprobe-{n}", problem=problems.get(n, "")) for n in asking.names)
    unable = tuple(NodeProbe(n, problem=why) for n, why in (asking.unable or {}).items())
    probe = replace(probe, node=main, each_node=(*facts, *unable), unasked_nodes=asking.beyond)
    return probe, as_matrix(by_node, main), health_results


def _results(snapshot: Snapshot, plan: ProbePlan, vantage: Vantage, story: dict[str, Any]) -> tuple[PathResult, ...]:
    """One vantage's results: a first round, and a second one of what failed in it."""
    probes = plan.from_vantage(vantage)
    if vantage is Vantage.POD and story.get("problem"):
        return join(probes, [], "the probe pod did not run")
    first = [o for probe in probes for o in _observations(probe, story, is_retry=plan.settle)]
    results = join(probes, first)
    again = (
        ()
        if plan.settle or story.get("not-repeated")
        else to_confirm(results, lambda r: bool(why_expected(snapshot, r, results)))
    )
    second = [o for probe in again for o in _observations(probe, story, is_retry=True)]
    return join(probes, [*first, *second])


def _closer(snapshot: Snapshot, plan: ProbePlan, results: tuple[PathResult, ...], story: dict[str, Any]) -> Closer:
    """What is found where a port refuses: at other ports of the pods, and by port-forward inside them."""
    found = story.get("inside") or {}
    inside = []
    for question in questions(snapshot, results):
        opened = found if isinstance(found, str) else found.get(question.pod, [])
        ports = (*question.ports, CLOSED_PORT)
        inside.append(
            Inside(question.pod, problem=opened)
            if isinstance(opened, str)
            else judged(question, {port: "connection refused" for port in ports if port not in opened})
        )
    others = () if plan.settle else other_probes(snapshot, results, plan.next_id)
    dialects = dialect_probes(results, plan.next_id + len(others))
    return Closer(tuple(inside), *(_aside(probes, story) for probes in (others, dialects)))


def _aside(probes: tuple[Probe, ...], story: dict[str, Any]) -> tuple[PathResult, ...]:
    return join(probes, [o for probe in probes for o in _observations(probe, story, is_retry=True)])


def _asked(probes: tuple[Probe, ...], story: dict[str, Any]) -> tuple[PathResult, ...]:
    """What the second look came back with."""
    return join(probes, [o for probe in probes for o in _observations(probe, story, is_retry=False)])


def _observations(probe: Probe, story: dict[str, Any], is_retry: bool) -> Iterator[Observation]:
    entry: dict[str, Any] = next((entry for entry in story.get("paths") or [] if _fits(entry, probe)), {})
    usual = 200 if probe.request.is_http else "silent" if probe.request.scheme == "udp" else "connected"
    answers = entry.get("attempts") or [entry.get("came", usual)]
    if is_retry:
        answers = entry.get("later", answers)
    for attempt in range(probe.attempts):
        yield _observation(probe, attempt, answers[attempt % len(answers)], is_retry)


def _fits(entry: dict[str, Any], probe: Probe) -> bool:
    kind, _, which = str(entry["path"]).partition(" ")
    path = probe.path
    known_as = (
        "",
        path.subject,
        path.host,
        path.target,
        path.node,
        path.family,
        path.service_port.name if path.service_port else "",
    )
    spoken = "proxied" if probe.request.is_proxied else probe.request.scheme
    if spoken not in entry.get("asked", [spoken]):
        return False
    return (
        path.kind.value == kind
        and which in known_as
        and entry.get("from", probe.vantage.value) in (probe.vantage.value, probe.node)
    )


def _through_api_server(probe: Probe, attempt: int, answer: Any) -> Observation:
    """An HTTP status, an outcome, or `no-endpoint`."""
    if isinstance(answer, int):
        outcome = Outcome.HTTP_ERROR if answer >= 500 else Outcome.ANSWERED
        return Observation(probe.id, attempt, outcome, http_status=answer, seconds=0.009)
    detail = NO_ENDPOINT if answer == "no-endpoint" else ""
    if probe.path.kind is PathKind.PORT_FORWARD:
        detail = {"refused": CLOSED_INSIDE, "connected": OPEN_INSIDE}.get(answer, "")
    if answer == "not-run":
        detail = "forbidden: this user may not create pods/portforward"
    return Observation(
        probe.id, attempt, Outcome.UNREACHABLE if answer == "no-endpoint" else Outcome(answer), detail=detail
    )


def _observation(probe: Probe, attempt: int, answer: Any, is_retry: bool) -> Observation:
    seconds = 0.004
    if probe.request.scheme == "udp":
        detail = "silent: cannot tell" if answer == "silent" else ""
        return Observation(probe.id, attempt, Outcome(answer), seconds=seconds, detail=detail, is_retry=is_retry)
    if probe.vantage is Vantage.API_SERVER:
        return _through_api_server(probe, attempt, answer)
    if isinstance(answer, int):
        transfer = {"exitcode": 0, "num_connects": 1, "http_code": answer, "time_total": seconds}
    else:
        transfer = {"time_total": seconds, **(answer if isinstance(answer, dict) else CURL[answer])}
    observation = decode(probe.id, attempt, transfer, probe.request, is_retry)
    observation = replace(
        observation,
        server=str(transfer.get("server", "")),
        proxy_error=str(transfer.get("l5d-proxy-error", "")),
        is_passed_on="x-envoy-upstream-service-time" in transfer,
    )
    if isinstance(answer, str) and observation.outcome is not Outcome(answer):
        raise ValueError(f"{answer} is no answer to {probe.request} at {probe.path.target}")
    return observation if probe.vantage is Vantage.POD else replace(observation, connect_seconds=0.0, remote_ip="")


def in_short(found: Report, code: str) -> str:
    """What expected.txt holds: identities, and no sentences; and whether the rule that the case is about was skipped."""
    lines = [found.verdict.value]
    for finding in found.findings:
        lines.append(f"{finding.code} {finding.severity.value} {finding.subject}")
        lines += [f"  $ {line}" for line in commands(finding)]
        lines += [f"  hence {line.split()[0]}" for line in finding.consequences]
    if any(skipped.what.startswith(f"{code} ") for skipped in found.skipped):
        lines.append(f"skipped {code}")
    return "\n".join(lines) + "\n"


def commands(finding: Finding) -> list[str]:
    return [line for line in finding.fix if line.startswith(("kubectl ", "curl "))]


def found_codes(expected: str) -> set[str]:
    """The codes that are found, consequences included."""
    words = [line.split() for line in expected.splitlines()[1:]]
    return {w[0] for w in words if w[0].startswith("SVC")} | {w[1] for w in words if w[0] == "hence"}
