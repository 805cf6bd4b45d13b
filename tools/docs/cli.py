"""docs/cli.md, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator

import click

from kubectl_svcprobe.cli import cleanup, explain, inspect
from tools.docs.markdown import head, table, text

COMMANDS: tuple[click.Command, ...] = (inspect, explain, cleanup)

#: Of a terminal with 100 columns, as click lays it out.
HELP_WIDTH = 98

INTRODUCTION = """\
kubectl takes no flags before a plugin's name: `kubectl svcprobe devops -n shop`, not `kubectl -n shop svcprobe devops`.
Flags may stand before or after the Service's name. The report goes to stdout, and all else to stderr.
"""

OTHER_VARIABLES = (
    ("KUBECONFIG", "The kubeconfig files, as for kubectl; `--kubeconfig` goes before it."),
    ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "The proxy to the API server, as for kubectl. Probes never use one."),
    ("NO_COLOR", "No colour, whatever its value."),
    ("TERM", "`dumb` means no colour."),
    ("COLUMNS", "The width of the report, from 60 to 120; a terminal's own width goes without."),
)


def page() -> str:
    """The three `--help` texts and the environment variables."""
    lines = [*head("Command line", "the options in `kubectl_svcprobe/cli.py`"), INTRODUCTION]
    for command in COMMANDS:
        lines += [f"## {command.name}", "", "```text", help_text(command), "```", ""]
    lines += ["## Environment variables", "", "A flag goes before its variable.", ""]
    rows = [*own_variables(), *((f"`{name}`".replace(", ", "`, `"), what) for name, what in OTHER_VARIABLES)]
    return text([*lines, *table(["Variable", "Meaning"], rows)])


def help_text(command: click.Command) -> str:
    """What `--help` prints."""
    with command.make_context(str(command.name), [], resilient_parsing=True, terminal_width=HELP_WIDTH) as context:
        return command.get_help(context)


def own_variables() -> Iterator[tuple[str, str]]:
    """The variables that set an option's default."""
    for parameter in inspect.params:
        if isinstance(parameter, click.Option) and isinstance(parameter.envvar, str):
            yield f"`{parameter.envvar}`", f"The default of `{parameter.opts[-1]}`. {parameter.help}"
