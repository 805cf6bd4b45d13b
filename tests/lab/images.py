"""The lab's container images, made from files of this machine without a container engine, and the image store that
every node starts with: made once by a containerd of its own, then given to the nodes as hard links."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .layout import (
    AGNHOST_IMAGE,
    CONFORMANCE_IMAGE,
    COREDNS_IMAGE,
    CURL_IMAGE,
    CURL_STAND_IN,
    METALLB_IMAGE,
    SERVERS_IMAGE,
    LabError,
    minimal_environment,
)
from .pki import make_authority

APPLETS = "cat date echo env grep head hostname httpd id ip kill ls nc nslookup ps sed sh sleep tail timeout tr wc wget"
PASSWD = b"root:x:0:0:root:/root:/bin/sh\ncurl_user:x:100:101:Linux User,,,:/home/curl_user:/sbin/nologin\n"
GROUP = b"root:x:0:\ncurl_group:x:101:curl_user\n"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"

# As in the image it stands in for: anything that is no command is curl's.
CURL_ENTRYPOINT = b"""#!/bin/sh
set -e
if [ "${1#-}" != "${1}" ] || [ -z "$(command -v "${1}")" ]; then
  set -- curl "$@"
fi
exec "$@"
"""

Content = Path | bytes  # a file of this machine, or what a file is to hold


def architecture() -> str:
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def libraries(program: Path) -> Iterator[Path]:
    """What a program needs to start, the loader included."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    for word in listed.split():
        if word.startswith("/"):
            yield Path(word)


def program(name: str) -> Path:
    found = shutil.which(name)
    if found is None:
        raise LabError(f"{name} is needed for the lab's images and is not on this machine")
    return Path(found)


def with_libraries(name: str, where: str) -> dict[str, Content]:
    found = program(name)
    return {where: found, **{str(library).lstrip("/"): library for library in libraries(found)}}


def add_file(archive: tarfile.TarFile, name: str, content: Content) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = 0o755
    if isinstance(content, bytes):
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
        return
    real = Path(os.path.realpath(content))
    entry.size = real.stat().st_size
    with real.open("rb") as source:
        archive.addfile(entry, source)


def layer(files: Mapping[str, Content], links: Mapping[str, str]) -> bytes:
    """One uncompressed layer; the same files make the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        parents = {str(parent) for name in [*files, *links] for parent in Path(name).parents if str(parent) != "."}
        for name in sorted(parents | {"tmp"}):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            archive.addfile(entry)
        for name in sorted(files):
            add_file(archive, name, files[name])
        for name in sorted(links):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, links[name]
            archive.addfile(entry)
    return buffer.getvalue()


def write_image(
    target: Path,
    tags: Sequence[str],
    content: bytes,
    entrypoint: Sequence[str],
    command: Sequence[str] = (),
    user: str = "",
) -> None:
    settings = {"Entrypoint": list(entrypoint), "Cmd": list(command), "Env": ["PATH=/usr/bin:/bin"], "User": user}
    layers = {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(content).hexdigest()]}
    platform_fields = {"architecture": architecture(), "os": "linux"}
    configuration = json.dumps({**platform_fields, "rootfs": layers, "config": settings}).encode()
    name = hashlib.sha256(configuration).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": list(tags), "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(target, "w") as archive:
        for entry, data in ((name, configuration), ("layer.tar", content), ("manifest.json", manifest)):
            add_file(archive, entry, data)


def write_images(programs: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    base = {**with_libraries("busybox", "bin/busybox"), "etc/passwd": PASSWD, "etc/group": GROUP}
    applets = {f"bin/{applet}": "/bin/busybox" for applet in APPLETS.split()}
    write_image(
        target / "agnhost.tar", [AGNHOST_IMAGE, CONFORMANCE_IMAGE],
        layer({**base, "agnhost": programs / "agnhost"}, applets), ["/agnhost"], ["pause"],
    )  # fmt: skip
    pki = target / "pki"
    make_authority(pki, "The lab's authority")
    servers: dict[str, Content] = {"servers": programs / "servers"}
    servers |= {f"pki/{name}": (pki / name).read_bytes() for name in ("ca.crt", "ca.key")}
    write_image(target / "servers.tar", [SERVERS_IMAGE], layer(servers, {}), ["/servers"])
    trusted = Path(AUTHORITIES).read_bytes() if Path(AUTHORITIES).exists() else b""
    curl = {**base, **with_libraries("curl", "usr/bin/curl"), "entrypoint.sh": CURL_ENTRYPOINT}
    curl[AUTHORITIES.lstrip("/")] = trusted + (pki / "ca.crt").read_bytes()
    names = [CURL_STAND_IN, CURL_IMAGE]
    write_image(target / "curl.tar", names, layer(curl, applets), ["/entrypoint.sh"], ["curl"], "curl_user")
    write_image(target / "coredns.tar", [COREDNS_IMAGE], layer({"coredns": programs / "coredns"}, {}), ["/coredns"])
    metallb: dict[str, Content] = {name: programs / name for name in ("controller", "speaker")}
    write_image(target / "metallb.tar", [METALLB_IMAGE], layer(metallb, {}), ["/controller"])


def make_store(archives: Path, store: Path) -> None:
    """Let a containerd of its own, in namespaces of its own, unpack the images into its store."""
    store.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="lab") as state:  # a short name: the path of a socket has 107 bytes at most
        settings = Path(state, "containerd.toml")
        settings.write_text(
            f'version = 2\nroot = "{store}"\nstate = "{state}/run"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "{state}/socket"\n'
        )
        spaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        log = archives / "containerd.log"
        with log.open("wb") as output:
            daemon = subprocess.Popen(
                [*spaces, "containerd", "-c", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=minimal_environment(),
                start_new_session=True,
            )
        try:
            client = ["ctr", "-a", f"{state}/socket", "-n", "k8s.io"]
            await_containerd(client, daemon, log)
            for archive in sorted(archives.glob("*.tar")):
                command = [*client, "images", "import", str(archive)]
                result = subprocess.run(command, capture_output=True, text=True, check=False)
                if result.returncode:
                    raise LabError(f"importing {archive.name} failed: {result.stderr.strip()}")
        finally:
            daemon.kill()  # takes containerd along; its databases are written with every transaction
            daemon.wait()


def await_containerd(client: Sequence[str], daemon: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run([*client, "version"], capture_output=True, check=False).returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise LabError(f"containerd did not start; see {log}:\n{log.read_text()[-800:]}")
        time.sleep(0.05)
