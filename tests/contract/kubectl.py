"""The real kubectl, asked for comparison."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="no kubectl on PATH")


def kubectl(*arguments: str, home: Path, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run it with an environment of its own, and with nobody to answer its questions."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), **(environ or {})}
    return subprocess.run(
        ["kubectl", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def last_line(text: str) -> str:
    """What kubectl says in the end; its log lines come before."""
    return text.strip().splitlines()[-1] if text.strip() else ""
