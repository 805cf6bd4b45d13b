"""The flags that have an existing pod ask: `--in` and its container. Light to import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from kubectl_svcprobe.client_flags import WORDS, is_pod_name
from kubectl_svcprobe.errors import UsageError


class PodName(click.ParamType[str]):
    """An existing pod: `pod/NAME`, or its bare name."""

    name = "pod"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The pod's name. Raises UsageError for what is no pod."""
        word, slash, name = str(value).rpartition("/")
        if slash and word.lower() not in WORDS["Pod"]:
            raise UsageError(f"error: --in {value}: a request is made inside one pod; give pod/NAME")
        if not is_pod_name(name):
            raise UsageError(f"error: --in {value}: {name or 'an empty word'} cannot be the name of a pod")
        return name


INSIDE = [
    click.option(
        "--in",
        "in_",
        type=PodName(),
        metavar="pod/NAME",
        help="Ask from inside this pod by its own curl, instead of a probe pod; where it has none, from an ephemeral "
        "container, whose entry stays in the pod's spec.",
    ),
    click.option("-c", "--container", metavar="NAME", help="Container of that pod.  [default: as kubectl exec]"),
]

#: What is about a probe pod, and so contradicts `--in`: the flag's field, and how it is written.
NOT_BESIDE_IN = {
    "no_probe": "--no-probe",
    "from_": "--from",
    "from_labels": "--from-labels",
    "node": "--node",
    "all_nodes": "--all-nodes",
    "keep_pod": "--keep-pod",
    "dry_run": "--dry-run",
}


def check_inside(flags: Mapping[str, Any], has_service: bool) -> None:
    """Raises UsageError for `--in` beside a flag about the probe pod that it does without, and for `-c` alone."""
    if not flags["in_"]:
        if flags["container"]:
            raise UsageError("error: --container names a container of the pod of --in; give that one too")
        return
    for name, written in NOT_BESIDE_IN.items():
        if flags[name]:
            raise UsageError(f"error: --in asks from a pod that is there already, and {written} is about a probe pod")
    if not has_service:
        raise UsageError("error: --in needs a SERVICE")
