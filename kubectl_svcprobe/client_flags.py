"""The flags that say for whom the probe pod asks: `--from` and what goes with it. Light to import."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from kubectl_svcprobe.errors import UsageError

#: What `--from` takes, by kubectl's words for it.
WORDS = {
    "Pod": ("pod", "pods", "po"),
    "Deployment": ("deployment", "deployments", "deploy"),
    "StatefulSet": ("statefulset", "statefulsets", "sts"),
    "DaemonSet": ("daemonset", "daemonsets", "ds"),
    "ReplicaSet": ("replicaset", "replicasets", "rs"),
    "ReplicationController": ("replicationcontroller", "replicationcontrollers", "rc"),
    "Job": ("job", "jobs"),
    "CronJob": ("cronjob", "cronjobs", "cj"),
}
KIND = {word: kind for kind, words in WORDS.items() for word in words}

#: A DNS subdomain (RFC 1123), as names of pods and of what makes them are.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PART = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_LABEL = re.compile(rf"((?P<prefix>{_NAME.pattern})/)?(?P<name>{_PART})")
_VALUE = re.compile(rf"({_PART})?")


def is_pod_name(name: str) -> bool:
    """Whether a pod, or what makes one, can be called so."""
    return bool(_NAME.fullmatch(name))


class ClientName(click.ParamType[tuple[str, str]]):
    """A client: `pod/NAME`, `deploy/NAME`."""

    name = "client"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Kind, as the API spells it, and name. Raises UsageError for what is no client."""
        if isinstance(value, tuple):
            return value
        word, slash, name = str(value).rpartition("/")
        kind = KIND.get(word.lower().partition(".")[0])
        if not slash:
            raise UsageError(f"error: --from {value}: say what it is, as in --from deploy/{name} or --from pod/{name}")
        if kind is None:
            raise UsageError(
                f"error: --from {value}: not a client; give pod/NAME, or deploy, sts, ds, rs, job or cronjob"
            )
        if not is_pod_name(name):
            what = f"{name} cannot be the name of a {kind.lower()}" if name else "there is no name in it"
            raise UsageError(f"error: --from {value}: {what}; lower case letters, digits, '-' and '.' only")
        return kind, name


class Labels(click.ParamType[dict[str, str]]):
    """Labels: `role=frontend,tier=web`."""

    name = "labels"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """By key. Raises UsageError for what is no label, and for one by which controllers know their own pods."""
        if isinstance(value, dict):
            return value
        from kubectl_svcprobe.facts.stand_in import is_left_out

        found: dict[str, str] = {}
        for word in filter(None, (word.strip() for word in str(value).split(","))):
            key, equals, given = word.partition("=")
            if not (equals and _LABEL.fullmatch(key) and _VALUE.fullmatch(given)):
                raise UsageError(f"error: --from-labels: {word} is no label; write key=value, as in role=frontend")
            if is_left_out(key):
                raise UsageError(
                    f"error: --from-labels: {key} is how a controller or mesh knows its own pods; leave it out"
                )
            found[key] = given
        if not found:
            raise UsageError("error: --from-labels: there is no label in it; write key=value, as in role=frontend")
        return found


class NamespaceName(click.ParamType[str]):
    """The name of a namespace."""

    name = "namespace"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Raises UsageError for what cannot be one."""
        if not _NAMESPACE.fullmatch(str(value)):
            raise UsageError(f"error: --from-namespace: {value or 'an empty word'} cannot be the name of a namespace")
        return str(value)


def refuse_without_a_service(flags: Mapping[str, Any]) -> None:
    """A list starts no pod, so there is nobody to ask as. Raises UsageError."""
    for flag in ("from_", "from_labels", "from_namespace"):
        if flags.get(flag):
            word = f"--{flag.strip('_').replace('_', '-')}"
            raise UsageError(f"error: {word} needs a SERVICE: without one, Services are listed from the objects alone")


CLIENT = [
    click.option(
        "--from",
        "from_",
        type=ClientName(),
        metavar="KIND/NAME",
        help="Ask as this client does: with its labels, service account and DNS settings. KIND is pod, deploy, sts, ds, rs, "
        "job or cronjob.",
    ),
    click.option(
        "--from-namespace",
        type=NamespaceName(),
        metavar="NAME",
        help="Where that client lives, or the plain probe pod is to run.  [default: the Service's namespace]",
    ),
    click.option(
        "--from-labels",
        type=Labels(),
        metavar="LABELS",
        help="Ask with these labels (key=value, separated by commas), instead of a client's own or beside them.",
    ),
    click.option(
        "--mesh",
        type=click.Choice(("auto", "keep", "skip")),
        default="auto",
        help="Whether the probe pod is in a mesh: as pods of its namespace are (auto), as the client is and once the proxy "
        "is up (keep), or not at all (skip).  [default: auto]",
    ),
    click.option(
        "--image-pull-secret",
        multiple=True,
        metavar="NAME",
        help="Secret to pull the probe pod's image with, in its namespace; may be given more than once.",
    ),
]
