from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Namespace
from tests.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The lab of this checkout, which other work may share: each test keeps to namespaces of its own."""
    return Lab.ensure()


@pytest.fixture(scope="module")
def namespace(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """An empty namespace, called like the module."""
    with Namespace.fresh(lab, Path(str(request.path)).stem.replace("_", "-")) as fresh:
        yield fresh
