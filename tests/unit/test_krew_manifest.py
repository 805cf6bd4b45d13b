"""krew-manifest.yaml, against the rules of krew's own validator (pkg/index/types.go, internal/index/validation)."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from kubectl_svcprobe import __version__
from tools import krew

Manifest = dict[str, Any]

#: What `validate-krew-manifest` knows.
KNOWN = [
    *(("windows", machine) for machine in ("386", "amd64", "arm64")),
    *(("linux", machine) for machine in ("386", "amd64", "arm", "arm64", "ppc64le")),
    *(("darwin", machine) for machine in ("386", "amd64", "arm64")),
]
SEMVER = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
DEVICES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}


def faults(manifest: Manifest, stem: str) -> Iterator[str]:
    """What krew would refuse, in a manifest that is to be called `stem`.yaml."""
    spec, name = manifest.get("spec") or {}, str((manifest.get("metadata") or {}).get("name", ""))
    if manifest.get("apiVersion") != "krew.googlecontainertools.github.com/v1alpha2":
        yield "apiVersion"
    if manifest.get("kind") != "Plugin":
        yield "kind"
    if not re.fullmatch(r"[\w-]+", name) or name.upper() in DEVICES or name != stem:
        yield "name"
    if not SEMVER.fullmatch(str(spec.get("version", ""))):
        yield "version"
    if not spec.get("shortDescription") or re.search(r"[\r\n]", spec["shortDescription"]):
        yield "shortDescription"
    if not spec.get("platforms"):
        yield "platforms"
    yield from _platform_faults(spec.get("platforms") or [])


def _platform_faults(platforms: list[Manifest]) -> Iterator[str]:
    for platform in platforms:
        yield from (key for key in ("uri", "bin", "selector") if not platform.get(key))
        if not re.fullmatch(r"[a-f0-9]{64}", str(platform.get("sha256"))):
            yield "sha256"
        if "files" in platform and not all(_is_clean(move) for move in platform["files"] or [{}]):
            yield "files"
        keys = set((platform.get("selector") or {}).get("matchLabels") or ())
        if not any(_selects(platform, *known) for known in KNOWN) or not keys <= {"os", "arch"}:
            yield "selector matches nothing"
    if any(sum(_selects(platform, *known) for platform in platforms) > 1 for known in KNOWN):
        yield "selectors overlap"


def _selects(platform: Manifest, system: str, machine: str) -> bool:
    labels = (platform.get("selector") or {}).get("matchLabels") or {}
    return bool(labels) and labels.items() <= {"os": system, "arch": machine}.items()


def _is_clean(move: Manifest) -> bool:
    to = str(move.get("to", ""))
    return bool(move.get("from")) and to != "" and str(PurePosixPath(to)) == to and not to.startswith("/")


@pytest.fixture
def manifest() -> Manifest:
    loaded: Manifest = yaml.safe_load(krew.MANIFEST.read_text("utf-8"))
    return loaded


def test_krew_would_take_it(manifest: Manifest) -> None:
    assert list(faults(manifest, "svcprobe")) == []


def test_it_is_as_the_index_likes_it(manifest: Manifest) -> None:
    spec = manifest["spec"]
    assert len(spec["shortDescription"]) <= 60
    assert spec["homepage"].startswith("https://")
    assert spec["description"].strip()


def test_it_is_of_this_version(manifest: Manifest) -> None:
    assert manifest["spec"]["version"] == f"v{__version__}"
    for platform in manifest["spec"]["platforms"]:
        assert re.fullmatch(rf"https://[^?]*/v{re.escape(__version__)}/[^/]*\.tar\.gz", platform["uri"])


def test_it_is_what_the_tool_writes(manifest: Manifest) -> None:
    sums = {p["uri"].rsplit("/", 1)[1]: p["sha256"] for p in manifest["spec"]["platforms"]}
    built = {name: value for name, value in sums.items() if value != krew.UNBUILT}
    assert krew.MANIFEST.read_text("utf-8") == krew.text(built)


def test_a_release_fills_in_the_checksums(tmp_path: Path) -> None:
    for number, platform in enumerate(krew.PLATFORMS):
        (tmp_path / krew.archive(*platform)).write_bytes(bytes([number]))
    released = yaml.safe_load(krew.text(krew.checksums(tmp_path)))
    assert list(faults(released, "svcprobe")) == []
    found = [platform["sha256"] for platform in released["spec"]["platforms"]]
    assert found[0] == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert len({krew.UNBUILT, *found}) == len(found) + 1


def test_a_release_without_one_of_its_archives_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="linux-amd64"):
        krew.checksums(tmp_path)


def _platform(**changes: Any) -> Callable[[Manifest], None]:
    return lambda manifest: manifest["spec"]["platforms"][0].update(changes)


BROKEN: dict[str, tuple[str, Callable[[Manifest], None]]] = {
    "no kind": ("kind", lambda m: m.pop("kind")),
    "another apiVersion": ("apiVersion", lambda m: m.update(apiVersion="v1")),
    "another name": ("name", lambda m: m["metadata"].update(name="svcprobe2")),
    "no v": ("version", lambda m: m["spec"].update(version="0.1.0")),
    "a version of Python": ("version", lambda m: m["spec"].update(version="v0.1.0rc1")),
    "two lines": ("shortDescription", lambda m: m["spec"].update(shortDescription="a\nb")),
    "no platform": ("platforms", lambda m: m["spec"].update(platforms=[])),
    "upper case": ("sha256", _platform(sha256="A" * 64)),
    "no archive": ("uri", _platform(uri="")),
    "no program": ("bin", _platform(bin="")),
    "no files": ("files", _platform(files=[])),
    "files not clean": ("files", _platform(files=[{"from": "*", "to": "./x"}])),
    "every platform": ("selector", _platform(selector={})),
    "unknown platform": ("selector matches nothing", _platform(selector={"matchLabels": {"os": "plan9"}})),
    "two for one": ("selectors overlap", _platform(selector={"matchLabels": {"os": "linux"}})),
}


@pytest.mark.parametrize("name", BROKEN)
def test_the_rules_find_what_is_wrong(manifest: Manifest, name: str) -> None:
    fault, spoil = BROKEN[name]
    spoiled = copy.deepcopy(manifest)
    spoil(spoiled)
    assert fault in list(faults(spoiled, "svcprobe"))
