"""`pytest tests/unit --update-golden` writes what is expected anew; `git diff` then shows what has changed."""

from __future__ import annotations

import hypothesis
import pytest

#: The same examples in every run, so that a failure is never a matter of luck; nothing is kept on disk.
hypothesis.settings.register_profile("unit", derandomize=True, deadline=None, max_examples=60, database=None)
hypothesis.settings.load_profile("unit")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write tests/golden and tests/cases/*/expected.txt anew"
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
