from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab, cache
from tests.lab.progress import Progress


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Two nodes of our own: these tests break it, and nobody else should be looking."""
    home: Path = tmp_path_factory.mktemp("lab") / "home"
    cache.image_store(Progress())
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTPS_PROXY", "http://192.0.2.7:3128")  # of the machine, and no business of the lab's
        running = Lab.start(nodes=2, home=home)
    yield running
    running.stop()
