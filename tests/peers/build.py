"""Programs of others that the lab, or this plugin, is measured against: built when first asked for, each kept by itself."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from tests.lab import build, cache, images, prerequisites
from tests.lab.layout import cache_root
from tests.lab.progress import Progress

SOURCES = Path(__file__).resolve().parent / "go"
PACKAGES = {  # a module beside this file: the package it is there for, and the module whose version counts
    "cyclonus": (".", "github.com/mattfenwick/cyclonus"),
    "popeye": ("github.com/derailed/popeye", "github.com/derailed/popeye"),
}


def key(name: str) -> str:
    sources = sorted((SOURCES / name).iterdir())
    return cache.digest(images.architecture().encode(), *(path.read_bytes() for path in sources))


def version(name: str) -> str:
    _, module = PACKAGES[name]
    found = re.search(rf"{re.escape(module)} (\S+)", (SOURCES / name / "go.mod").read_text())
    assert found
    return found[1]


def program(name: str, progress: Progress) -> Path:
    package, module = PACKAGES[name]

    def make(target: Path, progress: Progress) -> None:
        prerequisites.ensure_go(progress)
        with tempfile.TemporaryDirectory(prefix="lab-build") as copy:
            sources = Path(shutil.copytree(SOURCES / name, Path(copy) / name))
            progress.step(name)
            flags = f"{build.PLAIN} -X {module}/cmd.version={version(name)}"
            build.compile_package(sources, flags, target / name, [package], progress)

    home = cache_root() / f"{name}-{key(name)}"
    built = cache.complete(home / "bin", make, progress) / name
    cache.used_by_us(home / "bin").close()  # notes that it was used
    return built
