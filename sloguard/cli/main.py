"""The group of commands, and the one place where errors become a line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys

import click

from sloguard import __version__
from sloguard.cli.streams import make_safe, tell

#: Command -> where it lives and what it does; ``--help`` reads this and imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("sloguard.cli.run", "Run an experiment and judge it."),
    "judge": ("sloguard.cli.judge", "Judge any window after the fact, or a stored run again."),
    "validate": (
        "sloguard.cli.validate",
        "Check experiments; with --prometheus, their queries too.",
    ),
    "schema": ("sloguard.cli.schema", "Print the JSON Schema of experiments, for editors."),
    "init": ("sloguard.cli.init", "Write a first experiment from what Prometheus has."),
    "discover": ("sloguard.cli.discover", "List the faults and probes with their arguments."),
    "serve": ("sloguard.cli.serve", "Serve verdicts, charts and runs over HTTP."),
    "token": ("sloguard.cli.token", "Make, list and revoke the tokens of the service's users."),
    "demo": ("sloguard.cli.demo", "A shop of real processes, broken four times."),
    "rbac": (
        "sloguard.cli.rbac",
        "Print the smallest roles that let experiments run on Kubernetes.",
    ),
    "rules": (
        "sloguard.cli.rules",
        "Make recording rules, burn-rate alerts and their tests from SLO files.",
    ),
    "runs": ("sloguard.cli.runs", "List, show, delete and export the runs that were kept."),
    "backlog": (
        "sloguard.cli.backlog",
        "What could go wrong, and what runs have said about it.",
    ),
    "alerts": ("sloguard.cli.alerts", "List the alerts that Alertmanager has sent."),
    "chart": ("sloguard.cli.chart", "Draw a run's SLOs as PNG, SVG or PDF."),
    "report": (
        "sloguard.cli.report",
        "Write a report of runs, or of a week, as HTML, PDF or Markdown.",
    ),
    "outbox": ("sloguard.cli.outbox", "See, send, repeat and drop what is to be told to others."),
    "grafana": ("sloguard.cli.grafana", "Check the Grafana in which chaos windows are marked."),
    "recover": ("sloguard.cli.recover", "Undo what a killed run left behind."),
    "notify": ("sloguard.cli.notify", "List the channels that people are told by, and try them."),
    "settings": ("sloguard.cli.settings", "Show every setting, its value and where it came from."),
}

#: For the service's own use, and in no help.
HIDDEN = {"worker": "sloguard.cli.worker"}

#: core.model.EXIT_FAILED; not imported here, because that would bring numpy into every ``--help``.
FAILED = 1

EXIT_CODES_HELP = """\b
Exit codes:
  0   met            the steady state held before, during and after
  10  deviated       it did not: a weakness was found
  11  inconclusive   no evidence either way
  12  not-started    nothing was injected: no steady state before, or a check said no
  13  aborted        stopped by a guard rail, a signal or a person; everything was undone
  14  not-restored   a fault could not be undone; what is left is printed
  1   sloguard itself failed and there is no verdict
  2   the file or the command line is wrong; nothing was touched
"""


class Commands(click.Group):
    """Finds a command's module when it is called, so that help and errors stay instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the one command that was asked for."""
        if cmd_name not in COMMANDS and cmd_name not in HIDDEN:
            return None
        place = HIDDEN[cmd_name] if cmd_name in HIDDEN else COMMANDS[cmd_name][0]
        module = importlib.import_module(place)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With the nearest command where one was mistyped."""
        name = args[0] if args else ""
        if name and name not in {*COMMANDS, *HIDDEN} and not name.startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, 1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Commands: {', '.join(COMMANDS)}."
            ctx.fail(f"No such command '{name}'.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """The table of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES_HELP,
)
@click.version_option(__version__, prog_name="sloguard")
def cli() -> None:
    """Does the steady state hold when something breaks?

    sloguard injects a fault, judges every series of your SLOs in Prometheus before, during and after
    it, undoes everything, and says met, deviated or inconclusive, with the evidence.

    \b
      sloguard demo                           see it work, on this machine
      sloguard init --prometheus URL          write a first experiment
      sloguard validate experiment.yaml       look before breaking anything
      sloguard run experiment.yaml            run it; the exit code is the verdict
    """


def run() -> None:
    """Run the command line; every expected error is one message on stderr, never a traceback."""
    make_safe()
    try:
        cli(prog_name="sloguard")
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain again while closing it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:  # noqa: BLE001 - the last line of defence of the command line
        _report(error)
        sys.exit(FAILED)


def _report(error: Exception) -> None:
    """An unexpected error: short for people, whole for those who ask."""
    from sloguard.ports import OutsideError

    if isinstance(error, OutsideError | OSError):
        tell(f"sloguard: {error}")
        return
    if os.environ.get("SLOGUARD_DEBUG"):
        import traceback

        tell("".join(traceback.format_exception(error)))
    tell(
        f"sloguard: this is a bug: {type(error).__name__}: {error}\n"
        "Set SLOGUARD_DEBUG=1 to see where it happened."
    )
