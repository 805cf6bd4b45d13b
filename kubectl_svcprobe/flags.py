"""The words of the command line: parameter types and groups of options. Light to import, since `--help` and completion do."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from kubectl_svcprobe.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

OUTPUTS = ("text", "wide", "json", "yaml", "name")
FAIL_ON = ("error", "warning", "never")


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}


class Duration(click.ParamType[float]):
    """Seconds: `5`, `5s`, `500ms`, `2m`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A number above zero."""
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|)", str(value))
        seconds = float(found.group(1)) * _UNITS[found.group(2)] if found else 0.0
        if seconds <= 0:
            self.fail(f"{value} is not a duration; write 5s, 500ms or 2m", param, ctx)
        return seconds


class RequestTimeout(Duration):
    """kubectl's `--request-timeout`: 0 means none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """A number, 0 included."""
        return 0.0 if str(value) in ("0", "0s", "0.0") else super().convert(value, param, ctx)


class Codes(click.ParamType[frozenset[str]]):
    """Findings by code or name: `SVC520,headless-port-differs`."""

    name = "codes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[str]:
        """Their codes. Raises UsageError for one that does not exist."""
        if isinstance(value, frozenset):
            return value
        from kubectl_svcprobe.explain import find

        return frozenset(find(word.strip()).code for word in value.split(",") if word.strip())


def _environment(name: str) -> str:
    return f"KUBECTL_SVCPROBE_{name}"


ACCESS = [
    click.option("-n", "--namespace", metavar="NAME", help="Namespace of the Services; by default the context's."),
    click.option("--context", metavar="NAME", help="Context of the kubeconfig to use."),
    click.option("--kubeconfig", metavar="FILE", help="Kubeconfig to use instead of $KUBECONFIG and ~/.kube/config."),
    click.option(
        "--request-timeout",
        type=RequestTimeout(),
        default=20.0,
        metavar="DURATION",
        help="Limit for one request to the API server; 0 means none.  [default: 20s]",
    ),
    click.option(
        "-v", "verbose", count=True, help="Show on stderr what is asked of the API server; twice, tracebacks too."
    ),
    click.option(
        "--no-color", is_flag=True, help="No colour, even on a terminal. So does NO_COLOR in the environment."
    ),
]

INSPECT = [
    click.option(
        "-o", "--output", type=click.Choice(OUTPUTS), default="text", help="Format of the report.  [default: text]"
    ),
    click.option("--no-probe", is_flag=True, help="Start no pod: judge by the objects and from this machine."),
    click.option(
        "--from-here/--no-from-here",
        default=True,
        help="Whether to try outside addresses from this machine too.  [default: from-here]",
    ),
    click.option(
        "--image",
        metavar="IMAGE",
        envvar=_environment("IMAGE"),
        help="Image of the probe pod; it needs curl 7.75 or newer.  [default: docker.io/curlimages/curl:8.17.0]",
    ),
    click.option(
        "--path",
        metavar="PATH",
        help="Ask by HTTP, and for this path.  [default: what the pods' own probes ask for, else /]",
    ),
    click.option(
        "--timeout",
        type=Duration(),
        default=5.0,
        metavar="DURATION",
        envvar=_environment("TIMEOUT"),
        help="Limit for one request of the probe.  [default: 5s]",
    ),
    click.option("--node", metavar="NAME", help="Node on which the probe pod is to run."),
    click.option(
        "--all-nodes",
        is_flag=True,
        help="Start a probe pod on each ready node, and show what answers from where.",
    ),
    click.option(
        "--one-pod",
        is_flag=True,
        help="Start one pod only, which waits 5 s first: what fails is not repeated, nor asked from another node.",
    ),
    click.option("--keep-pod", is_flag=True, help="Leave the probe pod behind; `cleanup` removes it."),
    click.option("--dry-run", is_flag=True, help="Print the probe pod's manifest, and do no more."),
    click.option(
        "--fail-on",
        type=click.Choice(FAIL_ON),
        default="error",
        envvar=_environment("FAIL_ON"),
        help="The least severity that makes the exit code 1.  [default: error]",
    ),
    click.option(
        "--only",
        type=Codes(),
        default=frozenset(),
        metavar="CODES",
        envvar=_environment("ONLY"),
        help="Look for these findings only (codes or names, separated by commas), and for what could not be looked at.",
    ),
    click.option(
        "--skip",
        type=Codes(),
        default=frozenset(),
        metavar="CODES",
        envvar=_environment("SKIP"),
        help="Leave these findings out, and what follows from them; the report says where one was.",
    ),
]


#: What is no use beside `--all-nodes`: the flag, and why.
NOT_BESIDE_ALL_NODES = {
    "no_probe": "--no-probe starts no pod, and --all-nodes one on each node",
    "one_pod": "--one-pod starts one pod, and --all-nodes one on each node",
    "node": "--node names one node, and --all-nodes asks from all of them",
}


def check_all_nodes(flags: Mapping[str, Any], has_service: bool) -> None:
    """Raises UsageError for `--all-nodes` beside what contradicts it, and without a Service to ask."""
    if not flags["all_nodes"]:
        return
    for name, why in NOT_BESIDE_ALL_NODES.items():
        if flags[name]:
            raise UsageError(f"error: {why}: give one of them")
    if not has_service:
        raise UsageError("error: --all-nodes needs a SERVICE")


def options(*groups: list[Any]) -> Callable[[F], F]:
    """A decorator that adds whole groups of options, in their order."""

    def decorate(function: F) -> F:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate
