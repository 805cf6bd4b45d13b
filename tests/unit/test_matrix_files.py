"""The files of `tests/matrix` are what its README says."""

from __future__ import annotations

from kubectl_svcprobe.probe.exposure import PathKind
from kubectl_svcprobe.probe.observe import Outcome
from kubectl_svcprobe.rules import RULES
from tests.matrix import dual_stack, matrix
from tests.matrix.cell import load

CELLS = [*matrix(), *dual_stack()]


def test_there_is_a_cell_for_every_type_and_protocol() -> None:
    types, protocols = load("types"), load("protocols")
    assert {"ClusterIP", "NodePort", "LoadBalancer", "headless", "ExternalName", "selectorless", "externalIPs"} == set(
        types
    )
    assert {"http", "https", "h2c", "tcp", "udp"} == set(protocols)
    assert {(cell.type, cell.column) for cell in matrix()} == {(kind, spoken) for kind in types for spoken in protocols}
    assert len({cell.name for cell in CELLS}) == len(CELLS)


def test_what_is_expected_exists() -> None:
    expected = [cell.expected for cell in CELLS]
    kinds = {kind for one in expected for kind, _ in one.paths}
    outcomes = {outcome for one in expected for seen in one.paths.values() for outcome in seen}
    assert kinds <= {kind.value for kind in PathKind}
    assert outcomes <= {outcome.value for outcome in Outcome}
    assert {code for one in expected for code in one.codes} <= {rule.code for rule in RULES}


def test_only_a_cell_that_exists_is_an_exception() -> None:
    columns = {*load("protocols"), *load("families"), "both-families"}
    for said in load("types").values():
        assert set(said) <= {"spec", "selects", "own_port", "outside", "pod", "here", "but"}
        assert set(said.get("but", {})) <= columns
        for but in said.get("but", {}).values():
            assert set(but) <= {"verdict", "exit", "codes", "paths", "says"}
