"""The command line: words to options, options to one of four actions, and every error to one line and an exit code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kubectl_svcprobe import __version__
from kubectl_svcprobe.errors import ExitCode, Interrupted, SvcprobeError, UsageError
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.progress import Progress
from kubectl_svcprobe.render.terminal import Paper

if TYPE_CHECKING:
    from kubectl_svcprobe.session import Session

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


def options(*groups: list[Any]) -> Callable[[F], F]:
    """A decorator that adds whole groups of options, in their order."""

    def decorate(function: F) -> F:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.command("kubectl svcprobe", context_settings=CONTEXT_SETTINGS, options_metavar="[flags]")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@options(INSPECT, ACCESS)
@click.version_option(__version__, message="kubectl-svcprobe %(version)s")
@click.pass_context
def inspect(ctx: click.Context, /, services: tuple[str, ...], **flags: Any) -> int:
    """Inspect a Service, try every way in, and say which hop is broken.

    SERVICE is a name, as in devops, svc/devops, devops:80 or devops:http; without one, all Services of the namespace are
    listed with their health, and nothing is tried.

    \b
    More commands:
      kubectl svcprobe explain CODE     the page of one finding
      kubectl svcprobe cleanup [-A]     remove probe pods that a killed run left behind
    """
    from kubectl_svcprobe import actions
    from kubectl_svcprobe.target import parse_all

    targets = parse_all(services)
    session = _session(ctx, flags)
    if flags["dry_run"]:
        if not targets:
            raise UsageError("error: --dry-run needs a SERVICE")
        return actions.dry_run(session, targets)
    return actions.inspect(session, targets) if targets else actions.list_services(session)


@click.command("kubectl svcprobe cleanup", context_settings=CONTEXT_SETTINGS, options_metavar="[flags]")
@options(ACCESS)
@click.option("-A", "--all-namespaces", is_flag=True, help="Look in all namespaces.")
@click.pass_context
def cleanup(ctx: click.Context, /, all_namespaces: bool, **flags: Any) -> int:
    """Remove probe pods that a killed run, or --keep-pod, left behind: this tool's own, and no others."""
    from kubectl_svcprobe import actions

    return actions.cleanup(_session(ctx, flags), all_namespaces)


@click.command("kubectl svcprobe explain", context_settings=CONTEXT_SETTINGS, options_metavar="")
@click.argument("code")
@click.option("--no-color", is_flag=True, help="No colour, even on a terminal.")
@click.pass_context
def explain(ctx: click.Context, /, code: str, no_color: bool) -> int:
    """Print the page of one finding, such as SVC201."""
    from kubectl_svcprobe.explain import find, page

    click.echo(page(find(code), paper(no_color)), nl=False, color=True)
    return ExitCode.OK


COMMANDS = {"explain": explain, "cleanup": cleanup}


def paper(no_color: bool) -> Paper:
    """The width of the terminal, and colour where kubectl would use it (cli-runtime's `AllowsColorOutput`)."""
    import shutil

    is_terminal = sys.stdout.isatty()
    columns = shutil.get_terminal_size((100, 24)).columns
    width = min(max(columns, 60), 120) if is_terminal or "COLUMNS" in os.environ else 100
    colour = is_terminal and not no_color and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    return Paper(width, colour)


def _session(ctx: click.Context, flags: dict[str, Any]) -> Session:
    from kubectl_svcprobe.session import Session

    return Session(flags, paper(flags["no_color"]), ctx.obj["interrupts"], ctx.obj["progress"])


def run(arguments: Sequence[str]) -> int:
    """Run one command line to its exit code. Nothing escapes: every error becomes one line on stderr."""
    command = COMMANDS.get(arguments[0], inspect) if arguments else inspect
    rest = list(arguments if command is inspect else arguments[1:])
    with Progress(sys.stderr) as progress:
        impatient = lambda: progress.note("still removing the probe pod; this takes a few seconds at most")  # noqa: E731
        try:
            with Interrupts(impatient) as interrupts:
                obj = {"interrupts": interrupts, "progress": progress}
                # Not `command.main`, which ends the program with 1 where whoever read its output has left.
                with command.make_context(str(command.name), rest, obj=obj) as context:
                    return int(command.invoke(context) or 0)
        except (Interrupted, Exception) as error:
            progress.close()
            return _report_error(error, str(command.name), is_traced="-vv" in rest)


def _report_error(error: BaseException, name: str, is_traced: bool) -> int:
    """Say what went wrong, and return the exit code for it."""
    if is_traced:
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)
    if isinstance(error, Interrupted):
        return error.exit_code
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        return ExitCode.OK
    if isinstance(error, click.ClickException):
        click.echo(f"error: {error.format_message()}\nSee '{name} --help' for usage.", err=True)
        return ExitCode.USAGE
    click.echo(_one_line(error), err=True)
    return error.exit_code if isinstance(error, SvcprobeError) else ExitCode.UNKNOWN


def _one_line(error: BaseException) -> str:
    """One line that names the thing. What is no error of ours is a bug, and says so."""
    from kubectl_svcprobe.render.terminal import clean

    if not isinstance(error, SvcprobeError):
        return clean(f"error: this is a bug in kubectl svcprobe: {type(error).__name__}: {error} (-vv shows where)")
    text = clean(str(error))
    return text if text[:1].isupper() or text.startswith("error") else f"error: {text}"
