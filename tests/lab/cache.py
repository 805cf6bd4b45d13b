"""What the lab is made of, built once and kept: keyed by the Go modules and sources and by the build itself, so that an
edit of anything else of the lab builds nothing again."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from . import build, images
from .layout import PACKAGE, LabError, cache_root
from .progress import Progress

KEPT = 14 * 24 * 3600.0  # seconds since a lab last used what another state of the sources was built into


def digest(*parts: bytes) -> str:
    total = hashlib.sha256()
    for part in parts:
        total.update(hashlib.sha256(part).digest())
    return total.hexdigest()[:16]


def build_key() -> str:
    sources = sorted(path for path in build.SOURCES.rglob("*") if path.is_file())
    named = [part for path in sources for part in (str(path.relative_to(PACKAGE)).encode(), path.read_bytes())]
    return digest(Path(build.__file__).read_bytes(), images.architecture().encode(), *named)


def images_key() -> str:
    """The machine's own programs are in the images too."""
    programs = [images.program(name) for name in ("busybox", "curl")]
    runtime = subprocess.run(["containerd", "--version"], capture_output=True, check=False).stdout
    return digest(Path(images.__file__).read_bytes(), runtime, *(path.read_bytes() for path in programs))


@contextlib.contextmanager
def locked(path: Path, progress: Progress | None = None) -> Iterator[None]:
    """One at a time; the lock ends with its holder, however that ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if progress:
                progress.line(f"waiting for another build ({path})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def complete(directory: Path, made_by: build.Maker, progress: Progress) -> Path:
    """A directory is there whole or not at all."""
    if directory.is_dir():
        return directory
    with locked(directory.parent / f"{directory.name}.lock", progress):
        if directory.is_dir():
            return directory
        unfinished = directory.with_name(f"{directory.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        try:
            made_by(unfinished, progress)
            unfinished.rename(directory)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return directory


def programs(progress: Progress) -> Path:
    return complete(cache_root() / build_key() / "bin", build.build_all, progress)


def make_image_store(target: Path, progress: Progress) -> None:
    built = target.parent / "bin"
    archives = target / "archives"
    progress.step("container images")
    images.write_images(built, archives)
    progress.step("image store")
    images.make_store(archives, target / "store")
    shutil.rmtree(archives)


def used_by_us(programs: Path) -> IO[str]:
    """Holds a build as long as the file stays open."""
    mark = (programs.parent / "in-use").open("w")
    fcntl.flock(mark, fcntl.LOCK_SH)
    os.utime(mark.fileno())
    return mark


def remove_old(kept: Path) -> None:
    """Builds that nobody has used for long and nobody uses now."""
    for other in cache_root().iterdir():
        if other == kept or not (other / "bin").is_dir():
            continue
        with (other / "in-use").open("a") as mark, contextlib.suppress(BlockingIOError):
            last = max(os.fstat(mark.fileno()).st_mtime, (other / "bin").stat().st_mtime)
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - last > KEPT:
                shutil.rmtree(other)


def image_store(progress: Progress) -> Path:
    if os.geteuid():
        raise LabError("the image store needs root")
    home = programs(progress).parent
    remove_old(home)
    store = complete(home / f"images-{images_key()}", make_image_store, progress) / "store"
    for other in home.glob("images-*"):  # a running lab has links of its own to what it uses
        if other.is_dir() and other != store.parent and other.suffix not in (".unfinished", ".lock"):
            shutil.rmtree(other, ignore_errors=True)
    return store
