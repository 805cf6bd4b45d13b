"""The command line: words to options, options to one of four actions, and every error to one line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kubectl_svcprobe import __version__
from kubectl_svcprobe.client_flags import CLIENT, refuse_without_a_service
from kubectl_svcprobe.errors import ExitCode, Interrupted, SvcprobeError, UsageError
from kubectl_svcprobe.flags import ACCESS, INSPECT, check_all_nodes, options
from kubectl_svcprobe.inside_flags import INSIDE, check_inside
from kubectl_svcprobe.interrupts import Interrupts
from kubectl_svcprobe.progress import Progress
from kubectl_svcprobe.protocol_flags import PROTOCOL, check_protocol
from kubectl_svcprobe.render.terminal import Paper

if TYPE_CHECKING:
    from kubectl_svcprobe.session import Session

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.command("kubectl svcprobe", context_settings=CONTEXT_SETTINGS, options_metavar="[flags]")
@click.argument("services", nargs=-1, metavar="[SERVICE]...")
@options(INSPECT, PROTOCOL, CLIENT, INSIDE, ACCESS)
@click.version_option(__version__, message="kubectl-svcprobe %(version)s")
@click.pass_context
def inspect(ctx: click.Context, /, services: tuple[str, ...], **flags: Any) -> int:
    """Inspect a Service, try every way in, and say which hop is broken.

    SERVICE is whatever is at hand; without one, all Services of the namespace are listed with their health, and nothing is
    tried.

    \b
      devops, svc/devops, devops:80, devops:http     a name, and a port by number or name
      devops.shop, devops.shop.svc.cluster.local     a DNS name
      http://devops.shop:8080/healthz                a URL: its scheme, port and path are probed
      deploy/web, sts/db, ds/x, rs/x, job/x, pod/x   the Services that select its pods
      ingress/x, httproute/x, grpcroute/x, route/x   the Services that it leads to
      10.96.0.7, 172.30.0.11:30588, [fd00::1]:80     an address: whose is it?

    \b
    More commands:
      kubectl svcprobe explain CODE     the page of one finding
      kubectl svcprobe cleanup [-A]     remove probe pods that a killed run left behind
    """
    from kubectl_svcprobe import actions
    from kubectl_svcprobe.target import parse_all

    targets = parse_all(services)
    check_all_nodes(flags, bool(targets))
    check_protocol(flags, targets)
    check_inside(flags, bool(targets))
    session = _session(ctx, flags)
    if flags["dry_run"]:
        if not targets:
            raise UsageError("error: --dry-run needs a SERVICE")
        return actions.dry_run(session, targets)
    if not targets:
        refuse_without_a_service(flags)
        return actions.list_services(session)
    return actions.inspect(session, targets)


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
