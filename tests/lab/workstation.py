"""Being the user's machine: the user's own files, in the network namespace of the workstation, with its own names."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .layout import COMMON_PATH, Layout, Settings

# In a mount namespace of its own each time, and by `exec` all the way: the command is our process, with its terminal,
# its signals and its exit code.
SCRIPT = """
for file in hosts resolv.conf; do
  if [ -e /etc/$file ]; then mount --bind "$1/$file" /etc/$file || exit 125; fi
done
shift
exec "$@"
"""


def network(supervisor: int) -> Path:
    return Path(f"/proc/{supervisor}/root/run/netns/workstation")


def prefix(layout: Layout, supervisor: int) -> list[str]:
    """What a command is preceded by to run on the workstation."""
    spaces = ["nsenter", f"--net={network(supervisor)}", "unshare", "--mount", "--propagation", "private"]
    return [*spaces, "sh", "-c", SCRIPT, "sh", str(layout.workstation)]


def environment(layout: Layout, settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The user's, with the plugin under test and the lab's kubectl found first, and no proxy."""
    kept = {name: value for name, value in (base or os.environ).items() if not name.lower().endswith("_proxy")}
    paths = [Path(sys.executable).parent, Path(settings.programs) / "cli", kept.get("PATH", COMMON_PATH)]
    return {**kept, "PATH": os.pathsep.join(map(str, paths)), "KUBECONFIG": str(layout.kubeconfig("admin"))}


def become(layout: Layout, settings: Settings, supervisor: int, command: Sequence[str]) -> None:
    argv = [*prefix(layout, supervisor), *command]
    os.execvpe(argv[0], argv, environment(layout, settings))


def processes(layout: Layout) -> Iterator[int]:
    """What still runs on the workstation, told by the hosts file it sees; not ourselves, nor our ancestors."""
    try:
        own = (layout.workstation / "hosts").stat()
    except FileNotFoundError:
        return
    spared = set(ancestors(os.getpid()))
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if int(process.name) not in spared and os.path.samestat((process / "root/etc/hosts").stat(), own):
                yield int(process.name)


def ancestors(process: int) -> Iterator[int]:
    while process:
        yield process
        after_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]
        process = int(after_name.split()[1])
