"""Every type of Service by every protocol, in the lab of this checkout: the files of `tests/matrix` say what is right.

`make matrix-nftables` and `make dual-stack` look at more of them, in labs of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.lab import Lab
from tests.matrix import Cell, Seen, look, matrix

pytestmark = pytest.mark.lab

CELLS = matrix()


@pytest.fixture(scope="module")
def looked_at(lab: Lab) -> Iterator[Mapping[str, Future[Seen]]]:
    with look(lab, CELLS) as futures:
        yield futures


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_cell(cell: Cell, looked_at: Mapping[str, Future[Seen]]) -> None:
    seen = looked_at[cell.name].result()
    assert not seen.told, seen.answer.stdout
