from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab


@pytest.fixture(scope="session")
def api_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An API server of our own with its controllers, and no node."""
    lab = Lab.start(nodes=0, home=tmp_path_factory.mktemp("api") / "home")
    yield lab
    lab.stop()
