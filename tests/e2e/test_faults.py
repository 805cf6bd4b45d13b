"""Faults as data: each file in `faults/` is applied in a namespace of its own, all of them together; when all have come
about, each is looked at with `kubectl svcprobe`, four at a time. Healthy controls are among them: nothing may be found there.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.cluster import Namespace, Object, as_list, await_service_account, deployment, ready_addresses, service
from tests.e2e.command import Answer, Report, svcprobe
from tests.lab import Lab
from tests.sockets.certificates import certificates

pytestmark = pytest.mark.lab

LABEL = "svcprobe-tests=faults"
AT_ONCE = 4


@dataclass(frozen=True)
class Fault:
    """One file."""

    name: str
    objects: tuple[Object, ...]
    run: tuple[str, ...]
    awaited: Mapping[str, Any]
    expect: Mapping[str, Any]
    needs_certificate: bool

    @classmethod
    def load(cls, file: Path) -> Fault:
        said, *objects = yaml.safe_load_all(file.read_text())
        return cls(
            name=file.stem,
            objects=tuple(objects),
            run=tuple(said["run"]),
            awaited=said.get("await", {}),
            expect=said["expect"],
            needs_certificate=said.get("certificate", False),
        )

    @property
    def namespace(self) -> str:
        return f"fault-{self.name}"

    @property
    def surroundings(self) -> list[Object]:
        """What has to be there first: the namespace, and a quota, which admits everything until it is known."""
        labels = dict([LABEL.split("=")])
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        return [namespace, *self._placed(item for item in self.objects if item["kind"] == "ResourceQuota")]

    @property
    def rest(self) -> list[Object]:
        return self._placed(item for item in self.objects if item["kind"] != "ResourceQuota")

    def _placed(self, objects: Iterable[Object]) -> list[Object]:
        return [{**item, "metadata": {**item["metadata"], "namespace": self.namespace}} for item in objects]


FAULTS = [Fault.load(file) for file in sorted((Path(__file__).parent / "faults").glob("*.yaml"))]


def come_about(lab: Lab, fault: Fault) -> None:
    """Wait until a fault shows as it will to its user."""
    namespace = Namespace(lab, fault.namespace)
    for what, wanted in fault.awaited.items():
        if what == "endpoints":
            namespace.until("endpointslices", partial(_are_ready, wanted), "kubernetes.io/service-name=web")
        else:
            enough = any if what == "events" else all
            namespace.until(what, partial(_contain, enough, wanted))


def _are_ready(count: int, slices: list[Object]) -> bool:
    return len(ready_addresses(slices)) == count


def _contain(enough: Any, text: str, found: list[Object]) -> bool:
    """Whether all of them (or any) contain a text, and there are some."""
    return bool(found) and bool(enough(text in json.dumps(item) for item in found))


def apply(lab: Lab, objects: list[Object]) -> None:
    lab.kubectl("apply", "-f", "-", input=json.dumps(as_list(tuple(objects))), timeout=180)


def look_at(lab: Lab, fault: Fault, prepared: Future[None]) -> Answer:
    prepared.result()
    return svcprobe(lab, *fault.run, "-n", fault.namespace)


@pytest.fixture(scope="module")
def answers(lab: Lab) -> Iterator[Mapping[str, Future[Answer]]]:
    """What the command says of each fault."""
    lab.kubectl("delete", "namespaces", "-l", LABEL, "--ignore-not-found", timeout=180)
    apply(lab, [item for fault in FAULTS for item in fault.surroundings])
    for fault in FAULTS:
        await_service_account(lab, fault.namespace)
        if fault.needs_certificate:
            pair = certificates().server
            files = [f"--cert={pair.certificate}", f"--key={pair.key}"]
            lab.kubectl("-n", fault.namespace, "create", "secret", "tls", "tls", *files)
    apply(lab, [item for fault in FAULTS for item in fault.rest])
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            preparations = [pool.submit(come_about, lab, fault) for fault in FAULTS]
            wait(preparations)
            yield {f.name: pool.submit(look_at, lab, f, done) for f, done in zip(FAULTS, preparations, strict=True)}
    finally:
        lab.kubectl("delete", "namespaces", "-l", LABEL, "--wait=false")


def said_in(report: Report) -> str:
    return json.dumps(report.json["findings"], ensure_ascii=False)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(fault: Fault, answers: Mapping[str, Future[Answer]]) -> None:
    answer = answers[fault.name].result()
    report, expect = answer.report, fault.expect
    verdicts = expect["verdict"] if isinstance(expect["verdict"], list) else [expect["verdict"]]
    found = report.codes if len(verdicts) == 1 else [*report.codes, *report.information]
    assert (found, report.verdict in verdicts, answer.code) == (expect["codes"], True, expect["exit"]), said_in(report)
    assert set(expect.get("information", [])) <= set(report.information)
    for text in expect.get("says", []):
        assert text in said_in(report)
    for kind, outcomes in expect.get("outcomes", {}).items():
        assert sorted(set(report.outcomes(kind).values())) == sorted(outcomes), kind
    if report.verdict == "ok":
        assert report.json["service"]["name"] in report.summary
    assert not answer.stderr
    if report.json["probe"]:
        assert (report.json["probe"]["problem"], report.json["probe"]["leftover"]) == ("", "")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_no_probe_pod_is_left(fault: Fault, lab: Lab, answers: Mapping[str, Future[Answer]]) -> None:
    answers[fault.name].result()
    namespace = Namespace(lab, fault.namespace)
    namespace.until("pods", lambda pods: not pods, "app.kubernetes.io/managed-by=kubectl-svcprobe")


def test_a_udp_port_is_not_tried_and_that_is_said(answers: Mapping[str, Future[Answer]]) -> None:
    report = answers["udp-only"].result().report
    assert {path["outcome"] for path in report.paths()} == {"not-run"}
    assert all("UDP" in path["detail"] for path in report.paths())
    assert "53/UDP" in report.summary or "Nothing was tried" in report.summary


def test_names_that_dns_does_not_know_and_a_dns_that_does_not_answer(lab: Lab) -> None:
    """The last of all, since it takes the cluster's DNS away from everybody for some seconds."""
    with Namespace.fresh(lab, "fault-dns") as namespace:
        namespace.apply(deployment(), service())
        namespace.roll_out("web")
        with forgotten(lab, "web.fault-dns.svc.cluster.local"):
            unknown = svcprobe(lab, "web", "-n", namespace.name)
        assert (unknown.code, unknown.report.verdict, unknown.report.codes) == (1, "broken", ["SVC610"])
        assert set(unknown.report.outcomes("DNS").values()) == {"dns-failed"}
        assert set(unknown.report.outcomes("ClusterIP").values()) == {"answered"}
        assert "10.96.0.10" in said_in(unknown.report)

        with lab.broken("coredns"):
            silent = svcprobe(lab, "web", "-n", namespace.name)
        assert (silent.code, silent.report.verdict, silent.report.codes) == (1, "broken", ["SVC611"])
        assert "10.96.0.10" in said_in(silent.report)
        assert set(silent.report.outcomes("Endpoint").values()) == {"answered"}
        assert set(silent.report.outcomes("ClusterIP").values()) == {"answered"}

        mended = svcprobe(lab, "web", "-n", namespace.name)
        assert (mended.code, mended.report.verdict, mended.report.codes) == (0, "ok", [])


@contextlib.contextmanager
def forgotten(lab: Lab, name: str) -> Iterator[None]:
    """CoreDNS says that there is no such name."""
    system = Namespace(lab, "kube-system")
    before = system.get("configmap", "coredns")["data"]["Corefile"]
    answer = f"template ANY ANY {name} {{\n rcode NXDOMAIN\n }}\n"
    configure(system, before.replace("kubernetes cluster.local", answer + "kubernetes cluster.local", 1))
    try:
        yield
    finally:
        configure(system, before)


def configure(system: Namespace, corefile: str) -> None:
    system.kubectl("patch", "configmap", "coredns", "--patch", json.dumps({"data": {"Corefile": corefile}}))
    system.kubectl("rollout", "restart", "deployment/coredns")
    system.roll_out("coredns")
    system.until("pods", lambda pods: len(pods) == 1, "k8s-app=kube-dns")
