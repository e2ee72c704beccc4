"""``sloguard settings``."""

from __future__ import annotations

from pathlib import Path

import click

from sloguard.cli.common import config_option, console, settings_from


@click.command("settings")
@config_option
def command(config: Path | None) -> None:
    """Show every setting: its value, where it came from, and what it is for. Secrets are not shown."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sloguard.settings import describe

    settings = settings_from(config)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("setting", "value", "from", "environment", "meaning"):
        table.add_column(title, overflow="fold")
    for one in describe():
        value = getattr(getattr(settings, one.group), one.key)
        origin = settings.origins.get(one.name, "default")
        given = "*****" if one.secret else str(value)
        shown = one.default if origin == "default" else given
        table.add_row(*(Text(text) for text in (one.name, shown, origin, one.env, one.doc)))
    console().print(table)
