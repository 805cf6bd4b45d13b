"""What NetworkPolicies are foretold to admit, against real packets: policies, labels and pods by chance.

A difference is settled by the API's documentation (the sentences are in tests/unit/core/policy_situations.yaml), not by
either side.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from kubectl_svcprobe.facts.policy import Answer, NetworkPolicy
from kubectl_svcprobe.facts.traffic import Decision, End, decide
from kubectl_svcprobe.facts.workload import Pod
from tests.e2e import random_policies as by_chance
from tests.e2e.cluster import Object, as_list, await_service_account
from tests.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.policies]

#: Another number makes other policies.
SEED = int(os.environ.get("SVCPROBE_POLICY_SEED", "4"))
ROUNDS = 6
#: At least so many connections that policies have a say in.
SITUATIONS = 300
AT_ONCE = 5
#: Rules come into force a moment after they were written: what differs is asked again so often.
TRIES = 4

Connection = tuple[str, str, int]  # client, server, port


@dataclass
class World:
    """The pods, as the API server shows them."""

    lab: Lab
    pods: dict[str, Pod]
    namespaces: dict[str, dict[str, str]]
    policies: list[NetworkPolicy]

    @classmethod
    def read(cls, lab: Lab) -> World:
        everything = _get(lab, "pods,networkpolicies,namespaces", "-A")
        found = [item for item in everything if item["metadata"].get("namespace") in by_chance.NAMESPACES]
        pods = [Pod.from_json(item) for item in found if item["kind"] == "Pod"]
        return cls(
            lab,
            {f"{pod.meta.namespace}/{pod.meta.name}": pod for pod in pods},
            {
                item["metadata"]["name"]: item["metadata"]["labels"]
                for item in everything
                if item["kind"] == "Namespace"
            },
            [NetworkPolicy.from_json(item) for item in found if item["kind"] == "NetworkPolicy"],
        )

    def foretell(self, connection: Connection) -> Decision:
        client, server, port = connection
        return decide(self.policies, self.end(client), self.end(server), port)

    def end(self, name: str) -> End:
        pod = self.pods[name]
        return End.of_pod(pod, self.namespaces[pod.meta.namespace])

    def connections(self) -> list[Connection]:
        names = [pair for pair in itertools.product(sorted(self.pods), repeat=2) if pair[0] != pair[1]]
        return [(client, server, port) for client, server in names for port in by_chance.PORTS]

    def observe(self, wanted: list[Connection]) -> dict[Connection, bool]:
        """Whether each connection stands: one curl in each client, for all its targets at once."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            by_client = itertools.groupby(sorted(wanted), key=lambda connection: connection[0])
            asked = [pool.submit(self._ask, client, list(of_client)) for client, of_client in by_client]
            return {connection: stands for answer in asked for connection, stands in answer.result().items()}

    def _ask(self, client: str, wanted: list[Connection]) -> dict[Connection, bool]:
        namespace, name = client.split("/")
        url = {f"http://{self.pods[server].ips[0]}:{port}/": (client, server, port) for _, server, port in wanted}
        told = r"svcprobe %{url} %{num_connects}\n"
        curl = [
            "curl",
            "-s",
            "-Z",
            "--parallel-immediate",
            "--parallel-max",
            "100",
            "--connect-timeout",
            "2",
            "-m",
            "4",
        ]
        outputs = [word for target in url for word in ("-o", "/dev/null", target)]
        exec_ = ["kubectl", "exec", "-n", namespace, name, "-c", "client", "--", *curl, "-w", told, *outputs]
        said = self.lab.run(exec_, check=False, timeout=60).stdout
        lines = [line.split() for line in said.splitlines() if line.startswith("svcprobe ")]
        found = {url[words[1]]: words[2] != "0" for words in lines}
        assert len(found) == len(wanted), said
        return found


def _get(lab: Lab, *what: str) -> list[Any]:
    return list(json.loads(lab.kubectl("get", *what, "-o", "json"))["items"])


def apply(lab: Lab, objects: list[Object]) -> None:
    lab.kubectl("apply", "-f", "-", input=json.dumps(as_list(tuple(objects))), timeout=120)


@pytest.fixture(scope="module")
def addresses(lab: Lab) -> Iterator[list[str]]:
    """The pods, up and running, by address; their labels and policies change from round to round."""
    chance = Random(SEED)
    apply(lab, by_chance.namespaces(chance))
    for name in by_chance.NAMESPACES:
        await_service_account(lab, name)
    apply(lab, by_chance.pods(chance))
    try:
        for name in by_chance.NAMESPACES:
            lab.kubectl("wait", "-n", name, "--for=condition=Ready", "pods", "--all", "--timeout=90s", timeout=100)
        yield sorted(pod.ips[0] for pod in World.read(lab).pods.values())
    finally:
        lab.kubectl("delete", "namespaces", "-l", by_chance.LABEL, "--wait=false")


def new_world(lab: Lab, number: int, addresses: list[str]) -> World:
    """Other labels, and other policies in place of those before."""
    chance = Random(f"{SEED}-{number}")
    lab.kubectl("delete", "networkpolicies", "-A", "-l", by_chance.LABEL)
    apply(lab, [*by_chance.namespaces(chance), *by_chance.pods(chance), *by_chance.policies(chance, addresses)])
    return World.read(lab)


def differences(world: World) -> tuple[list[Connection], list[Connection]]:
    """The connections that policies have a say in, and those of all that came out otherwise each time they were tried."""
    everything = world.connections()
    foretold = {connection: world.foretell(connection) for connection in everything}
    assert all(decision.admits is not Answer.UNKNOWN for decision in foretold.values())
    wrong = everything
    for _ in range(TRIES):
        seen = world.observe(wrong)
        wrong = [c for c in wrong if seen[c] is not (foretold[c].admits is Answer.YES)]
        if not wrong:
            break
    return [c for c, decision in foretold.items() if decision.ingress.isolating or decision.egress.isolating], wrong


def test_what_is_foretold_is_what_packets_meet(lab: Lab, addresses: list[str]) -> None:
    judged, refused = 0, 0
    for number in range(ROUNDS):
        world = new_world(lab, number, addresses)
        decided, wrong = differences(world)
        judged += len(decided)
        refused += sum(world.foretell(connection).admits is Answer.NO for connection in decided)
        assert not wrong, told(world, wrong[0], number)
    print(f"{judged} connections that policies have a say in, {refused} of them refused: all as foretold")
    assert judged >= SITUATIONS
    assert judged / 10 < refused < judged * 9 / 10, "by chance, there should be enough of both"


def told(world: World, connection: Connection, number: int) -> str:
    """All that decides one connection."""
    decision = world.foretell(connection)
    rules = [*decision.ingress.rules, *decision.egress.rules]
    client, server = world.end(connection[0]), world.end(connection[1])
    lines = [f"seed {SEED}, round {number}: {connection} was foretold {decision.admits.name}", str(client), str(server)]
    isolating = [policy.meta for side in (decision.ingress, decision.egress) for policy in side.isolating]
    lines += [f"isolated by {meta.namespace}/{meta.name}" for meta in isolating]
    lines += [f"{r.policy.meta.name} {r.index}: peer {r.peer.name}, port {r.port.name}, {r.rule}" for r in rules]
    return "\n".join(lines)
