from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Namespace
from tests.lab import Lab, NotRunningError


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab of this checkout, which other work may share: each test keeps to namespaces of its own.

    One that runs already is left running; one that had to be started ends with the tests.
    """
    was_running = is_running()
    lab = Lab.ensure()
    yield lab
    if not was_running:
        lab.stop()


def is_running() -> bool:
    try:
        Lab.current()
    except NotRunningError:
        return False
    return True


@pytest.fixture(scope="module")
def namespace(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """An empty namespace, called like the module."""
    with Namespace.fresh(lab, Path(str(request.path)).stem.replace("_", "-")) as fresh:
        yield fresh
