"""Writes the generated parts of the docs, or (``--check``) fails where they are stale.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``; what is outside is left alone.
"""

from __future__ import annotations

import copy
import difflib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
_PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
Generator = Callable[[], str]


def help_texts() -> str:
    """``--help`` of every command."""
    from sloguard.cli.main import COMMANDS, cli

    parts = []
    with click.Context(cli, info_name="sloguard") as top:
        for name in COMMANDS:
            found = cli.get_command(top, name)
            assert found is not None  # noqa: S101 - it is one of the names just listed
            parts.append(_help(found, f"sloguard {name}"))
            subcommands = getattr(found, "commands", {}).items()
            parts += [_help(sub, f"sloguard {name} {key}") for key, sub in sorted(subcommands)]
    return "\n".join(parts)


def _help(command: click.Command, name: str) -> str:
    # A command keeps the help option that it was first asked for; on a copy it is always ours.
    command = copy.copy(command)
    command._help_option = None
    context = click.Context(
        command,
        info_name=name,
        max_content_width=100,
        terminal_width=100,
        help_option_names=["-h", "--help"],
    )
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    return f"### {name}\n\n```text\n{text}\n```\n"


def exit_codes() -> str:
    """The table of exit codes."""
    from sloguard.core.model import EXIT_CODES, EXIT_FAILED, EXIT_USAGE
    from sloguard.render.summary import OUTCOME_SENTENCES

    rows = [f"| `{o}` | {code} | {OUTCOME_SENTENCES[o]} |" for o, code in EXIT_CODES.items()]
    rows.append(f"| - | {EXIT_FAILED} | sloguard itself failed and there is no verdict |")
    rows.append(
        f"| - | {EXIT_USAGE} | the file or the command line is wrong; nothing was touched |"
    )
    return "\n".join(["| outcome | exit code | means |", "|---|---|---|", *rows]) + "\n"


def settings_table() -> str:
    """Every setting with its environment variable, default and meaning."""
    from sloguard.settings import describe

    rows = ["| setting | environment | default | meaning |", "|---|---|---|---|"]
    rows += [f"| `{s.name}` | `{s.env}` | {s.default} | {s.doc} |" for s in describe()]
    return "\n".join(rows) + "\n"


def lint_table() -> str:
    """Every finding of the PromQL lint."""
    from sloguard.promql.findings import CODES

    rows = [f"| `{code}` | {text} |" for code, text in sorted(CODES.items())]
    return "\n".join(["| code | what it means |", "|---|---|", *rows]) + "\n"


def faults_table() -> str:
    """Every fault with its arguments."""
    from sloguard.faults.catalogue import catalogue

    parts = [
        f"| `{e.name}` | {e.summary} | {', '.join(f'`{a.name}`' for a in e.arguments)} |"
        for e in catalogue()
    ]
    return "\n".join(["| fault | what it does | arguments |", "|---|---|---|", *parts]) + "\n"


def probes_table() -> str:
    """Every probe with its arguments."""
    from sloguard.probes.catalogue import catalogue

    parts = [
        f"| `{e.name}` | {e.summary} | {', '.join(f'`{a.name}`' for a in e.arguments)} |"
        for e in catalogue()
    ]
    return "\n".join(["| probe | what it tells | arguments |", "|---|---|---|", *parts]) + "\n"


def drivers_table() -> str:
    """Every function of a driver with what stands in for it."""
    from sloguard.engine.driver_names import TABLE

    rows = []
    for alias in sorted(TABLE.values(), key=lambda one: one.name):
        own = f"`{alias.target}`" if alias.target else "-"
        other = f"`{alias.rollback_target}`" if alias.rollback_target else "-"
        rows.append(f"| `{alias.name}` | {own} | {'the same' if own == other else other} |")
    head = ["| function | runs as | in rollbacks |", "|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def events_table() -> str:
    """Every event that people can be told of."""
    from sloguard.settings.notify import EVENTS

    rows = [f"| `{name}` | {text} |" for name, text in EVENTS.items()]
    return "\n".join(["| event | when |", "|---|---|", *rows]) + "\n"


def when_table() -> str:
    """The words for sets of events."""
    from sloguard.settings.notify import WHEN

    rows = [f"| `{name}` | {text} |" for name, text in WHEN.items()]
    return "\n".join(["| `when` | events |", "|---|---|", *rows]) + "\n"


def channels_table() -> str:
    """Every key of a channel."""
    from sloguard.settings.channels import key_setting
    from sloguard.settings.notify import KEYS

    rows = []
    for key in dict.fromkeys(key for keys in KEYS.values() for key in keys):
        of = [kind for kind, keys in KEYS.items() if key in keys]
        shown = "all" if len(of) == len(KEYS) else ", ".join(of)
        setting = key_setting(key)
        choices = f" One of {', '.join(setting.choices)}." if setting.choices else ""
        default = f" Without it: {setting.default}." if setting.default else ""
        rows.append(f"| `{key}` | {shown} | {setting.doc}{choices}{default} |")
    return "\n".join(["| key | of | meaning |", "|---|---|---|", *rows]) + "\n"


GENERATORS: dict[str, Generator] = {
    "help": help_texts,
    "exit-codes": exit_codes,
    "settings": settings_table,
    "lint": lint_table,
    "faults": faults_table,
    "probes": probes_table,
    "drivers": drivers_table,
    "events": events_table,
    "when": when_table,
    "channels": channels_table,
}


def refreshed(text: str) -> str:
    """The text with every generated part made anew."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}{GENERATORS[match[2]]()}{match[3]}"

    return _PART.sub(fill, text)


def main() -> int:
    """0 if all parts are (now) fresh, 1 if ``--check`` found stale ones."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]):
        old = path.read_text(encoding="utf-8")
        new = refreshed(old)
        if new == old:
            continue
        stale += 1
        if check:
            name = path.relative_to(ROOT)
            diff = difflib.unified_diff(
                old.splitlines(), new.splitlines(), f"{name}", "fresh", lineterm=""
            )
            click.echo("\n".join(list(diff)[:40]), err=True)
        else:
            path.write_text(new, encoding="utf-8")
            click.echo(f"{path.relative_to(ROOT)}: written", err=True)
    if check and stale:
        click.echo("The generated parts are stale: run 'make docs'.", err=True)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
