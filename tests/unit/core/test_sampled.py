"""`--samples`: what is asked, what it comes to, who is said to have answered, and how it reads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubectl_svcprobe.errors import UsageError
from kubectl_svcprobe.facts.model import ServicePort
from kubectl_svcprobe.facts.snapshot import Snapshot
from kubectl_svcprobe.measured import SampleFacts
from kubectl_svcprobe.probe.exposure import PathKind, Vantage
from kubectl_svcprobe.probe.headers import TELLING_HEADERS
from kubectl_svcprobe.probe.observe import Observation, Outcome, read_log
from kubectl_svcprobe.probe.plan import MAX_SAMPLES_IN_ALL, Probe, Wishes, make_plan
from kubectl_svcprobe.probe.podspec import SAMPLES_AT_ONCE, PodOptions, Timing, curl_arguments, deadline
from kubectl_svcprobe.probe.results import join
from kubectl_svcprobe.probe.ways import find_paths
from kubectl_svcprobe.protocol_flags import MAX_SAMPLES, Samples
from kubectl_svcprobe.render.samples import samples as rendered
from kubectl_svcprobe.render.terminal import Paper
from kubectl_svcprobe.report import Report, ServiceFacts, Verdict
from kubectl_svcprobe.sampled import sample_facts
from tests.unit.core.build import endpoint, piece, service, snapshot

TWO = snapshot(service(), piece(endpoint("10.244.1.1", "web-1"), endpoint("10.244.2.2", "web-2")))
HEADLESS = snapshot(
    service(cluster_ips=("None",), is_headless=True),
    piece(endpoint("10.244.1.1", "web-1"), endpoint("10.244.2.2", "web-2")),
)


def asked(of: Snapshot, number: int) -> tuple[Probe, ...]:
    return make_plan(of, find_paths(of), Wishes(samples=number)).samples


# what is asked


@pytest.mark.parametrize("value", ["x", "-1", "301", "1.5", "", "99999", "٣"])
def test_a_number_that_is_none(value: str) -> None:
    with pytest.raises(UsageError, match=f"give a number from 1 to {MAX_SAMPLES}"):
        Samples().convert(value, None, None)


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("1", 1), ("300", 300), (7, 7)])
def test_a_number(value: Any, number: int) -> None:
    assert Samples().convert(value, None, None) == number


def test_nobody_is_asked_more_than_was_wished() -> None:
    assert asked(TWO, 0) == ()


@pytest.mark.parametrize(("of", "where"), [(TWO, "ClusterIP 10.96.0.7:80"), (HEADLESS, "DNS web:8080")])
def test_where(of: Snapshot, where: str) -> None:
    (sample,) = asked(of, 30)
    assert (f"{sample.path.kind.value} {sample.path.target}", sample.attempts, sample.is_sample) == (where, 30, True)


def test_each_port_by_one_family_and_within_what_a_pod_can_hold() -> None:
    ports = [ServicePort(number, number, name=f"p{number}") for number in range(8001, 8007)]
    slices = [piece(endpoint("10.244.1.1", "web-1"), port=p.port, name=p.name, called=p.name) for p in ports]
    found = asked(snapshot(service(*ports, cluster_ips=("10.96.0.7", "fd00::7")), *slices), MAX_SAMPLES)
    assert [s.path.target for s in found] == [f"10.96.0.7:{p.port}" for p in ports]
    assert {s.attempts for s in found} == {MAX_SAMPLES_IN_ALL // len(ports)}


def test_their_numbers_are_nobody_else_s() -> None:
    plan = make_plan(TWO, find_paths(TWO), Wishes(samples=30))
    numbers = [probe.id for probe in (*plan.probes, *plan.samples)]
    assert numbers == [*range(plan.next_id)]


def test_a_few_at_a_time_after_all_else() -> None:
    plan = make_plan(TWO, find_paths(TWO), Wishes(samples=300))
    probes = (*plan.from_vantage(Vantage.POD), *plan.samples)
    others = sum(probe.attempts for probe in probes if not probe.is_sample)
    arguments = curl_arguments(probes, Timing())
    assert arguments[arguments.index("--parallel-max") + 1] == str(others + SAMPLES_AT_ONCE)
    more = deadline(probes, PodOptions("svcprobe-a", "shop")) - deadline(plan.probes, PodOptions("svcprobe-a", "shop"))
    assert more >= 300 / (others + SAMPLES_AT_ONCE)


# what it comes to


def seen(of: Snapshot, *answers: Any) -> SampleFacts:
    """`answers`: an outcome, or milliseconds with what the answer tells by the given header or the address."""
    (sample,) = asked(of, len(answers))
    found = [_seen(sample.id, number, answer) for number, answer in enumerate(answers)]
    (facts,) = sample_facts(of, join([sample], found))
    return facts


def _seen(number: int, attempt: int, answer: Any) -> Observation:
    if isinstance(answer, Outcome):
        return Observation(number, attempt, answer)
    milliseconds, *words = answer if isinstance(answer, tuple) else (answer,)
    told = {word.partition("=")[0]: word.partition("=")[2] for word in words}
    answered = Observation(number, attempt, Outcome.ANSWERED, 200, milliseconds / 1000)
    telling = tuple(told.get(header, "") for header in TELLING_HEADERS)
    return replace(answered, telling=telling, remote_ip=told.get("ip", ""))


def test_times_are_such_as_were_measured() -> None:
    facts = seen(TWO, *range(100, 0, -1))
    assert (facts.asked, facts.succeeded, facts.p50, facts.p95, facts.longest) == (100, 100, 50.0, 95.0, 100.0)


def test_what_failed_has_no_time() -> None:
    facts = seen(TWO, 4, Outcome.REFUSED, 6, Outcome.NOT_RUN)
    assert (facts.asked, facts.succeeded, facts.outcomes, facts.longest) == (3, 2, {"200": 2, "refused": 1}, 6.0)


def test_no_answer_at_all() -> None:
    facts = seen(TWO, Outcome.TIMED_OUT, Outcome.TIMED_OUT)
    assert (facts.succeeded, facts.p50, facts.longest, facts.endpoints) == (0, 0.0, 0.0, {})


def test_without_a_pod_there_is_nothing_to_say() -> None:
    assert sample_facts(TWO, join(asked(TWO, 3), [])) == ()


SPREADS: list[tuple[str, Snapshot, list[Any], str, dict[str, int]]] = [
    ("by name", TWO, [(1, "x-pod-name=web-1"), (1, "x-pod-name=web-2")], "x-pod-name", {"web-1": 1, "web-2": 1}),
    ("by address", TWO, [(1, "x-backend=10.244.2.2")] * 2, "x-backend", {"web-2": 2}),
    ("not by what names no endpoint", TWO, [(1, "x-served-by=cache-fra-1")] * 2, "", {}),
    ("not by a part of a name", TWO, [(1, "x-pod=web-1.shop")] * 2, "", {}),
    ("nor unless all tell", TWO, [(1, "x-pod=web-1"), 1], "", {}),
    ("the header that tells", TWO, [(1, "x-host=web", "x-server=web-1")], "x-server", {"web-1": 1}),
    ("a virtual address tells nobody", TWO, [(1, "ip=10.96.0.7")], "", {}),
    ("a headless name does", HEADLESS, [(1, "ip=10.244.1.1"), (1, "ip=10.244.2.2")], "address", {"web-1": 1, "web-2": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("of", "answers", "told_by", "endpoints"), [s[1:] for s in SPREADS], ids=[s[0] for s in SPREADS]
)
def test_who_answered(of: Snapshot, answers: list[Any], told_by: str, endpoints: dict[str, int]) -> None:
    facts = seen(of, *answers)
    assert (facts.told_by, facts.endpoints) == (told_by, endpoints)


def test_a_pod_says_its_name_in_the_log() -> None:
    (sample,) = asked(TWO, 1)
    mark = f"{sample.id}:0"
    values = ["nginx", "", "", "", *("web-2" if header == "x-pod" else "" for header in TELLING_HEADERS)]
    log = (
        f'svcprobe:{mark} {{"exitcode":0,"num_connects":1,"http_code":200}}\nserver:{mark} ' + "\t".join(values) + "\n"
    )
    (facts,) = sample_facts(TWO, join([sample], read_log(log.encode(), {sample.id: sample.request})[0]))
    assert facts.endpoints == {"web-2": 1}


# how it reads


def said(of: SampleFacts, **fields: Any) -> str:
    about = ServiceFacts("shop", "web", exists=True, **fields)
    lines = rendered(Report(about, Verdict.OK, "", "", samples=(of,)), Paper(300))
    return "\n".join(" ".join(line.split()) for line in lines)


def test_all_answered() -> None:
    assert said(seen(TWO, 2, 2, 9)) == (
        "Samples 3 of 3 answered at ClusterIP 10.96.0.7:80 · median 2 ms, 95 % within 9 ms, slowest 9 ms\n"
        "which endpoint answered is not told by the answers"
    )


def test_none_answered() -> None:
    assert said(seen(TWO, Outcome.REFUSED)) == "Samples 0 of 1 answered at ClusterIP 10.96.0.7:80 (refused: 1)"


@pytest.mark.parametrize(
    ("affinity", "words", "is_said"),
    [
        ("ClientIP", ["x-pod=web-1", "x-pod=web-2"], True),
        ("ClientIP", ["x-pod=web-1", "x-pod=web-1"], False),
        ("None", ["x-pod=web-1", "x-pod=web-2"], False),
    ],
)
def test_affinity_is_spoken_of_where_it_does_not_hold(affinity: str, words: list[str], is_said: bool) -> None:
    text = said(seen(TWO, *((1, word) for word in words)), session_affinity=affinity)
    assert ("session affinity did not keep this client to one endpoint: 2 endpoints" in text) == is_said


def test_one_lookup_is_one_client_s() -> None:
    text = said(seen(HEADLESS, (1, "ip=10.244.1.1"), (1, "ip=10.244.1.1")), headless=True)
    assert text.endswith("web-1 2, by the address that the name led to: one client keeps to what it has looked up")


def test_the_kind_of_path_is_the_service_s_own() -> None:
    assert [seen(of, 1).kind for of in (TWO, HEADLESS)] == [PathKind.CLUSTER_IP.value, PathKind.DNS.value]
