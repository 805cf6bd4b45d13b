from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes of our own: these tests break it, and nobody else should be looking."""
    home: Path = tmp_path_factory.mktemp("lab") / "home"
    running = Lab.start(nodes=2, home=home)
    yield running
    running.stop()
