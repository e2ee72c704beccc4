"""``sloguard alerts``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import (
    FAILED,
    config_option,
    console,
    fail,
    settings_from,
    store_option,
    the_store,
)
from sloguard.cli.moments import moment
from sloguard.cli.streams import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from sloguard.adapters.store import Store
    from sloguard.ports.alert_inbox import KeptEpisode, Received
    from sloguard.settings import Settings

format_option = click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is printed.",
)
limit_option = click.option(
    "--limit",
    default=20,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="At most this many.",
)
before_option = click.option(
    "--before",
    metavar="NUMBER",
    type=click.IntRange(1),
    help="Only those before this one (the next page).",
)


class _ListsAlone(click.Group):
    """Without the name of a command it is ``list``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does, with that name put in."""
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


@click.group("alerts", cls=_ListsAlone)
def command() -> None:
    """List the alerts that Alertmanager has sent; 'sloguard alerts' alone is 'sloguard alerts list'.

    'sloguard serve' takes them at /webhooks/alertmanager.
    """


@command.command("list")
@limit_option
@before_option
@click.option("--name", help="Only with this alertname.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    metavar="NAME=VALUE",
    help="Only with this label, with != only without it; can be repeated.",
)
@click.option("--run", metavar="RUN", help="Only those that fell into the time of this run.")
@click.option("--firing/--resolved", default=None, help="Only those that fire, or that do not.")
@click.option("--since", metavar="TIME", help="Only those that began then or later.")
@click.option("--until", metavar="TIME", help="Only those that began before.")
@format_option
@store_option
@config_option
def list_(
    limit: int,
    before: int | None,
    name: str | None,
    labels: tuple[str, ...],
    run: str | None,
    firing: bool | None,
    format_: str,
    **flags: Any,
) -> None:
    """Alerts, the newest start first."""
    equal, unlike = _matchers(labels)
    settings, store = _opened(flags)
    since, until = moment(flags["since"], "--since"), moment(flags["until"], "--until")

    def ask() -> tuple[KeptEpisode, ...]:
        span = None
        if run is not None:
            found = store.run_span(store.run_id(run))
            span = None if found is None else (found.start, found.end)
        page = store.alert_page(
            limit,
            before=before,
            span=span,
            since=since,
            until=until,
            name=name,
            equal=equal,
            unlike=unlike,
            firing=firing,
        )
        return tuple(page)

    found = _asked(ask)
    rows = [_shape(one, settings.alerts.stale_after) for one in found]
    if format_ == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    elif rows:
        _print(rows)
    else:
        click.echo(
            f"no such alerts in {store.where}; docs/alerts.md says how Alertmanager sends them"
        )
    _tell_rest(store)


@command.command("refused")
@limit_option
@before_option
@format_option
@store_option
@config_option
def refused(limit: int, before: int | None, format_: str, **flags: Any) -> None:
    """What could not be taken, newest first, with the reason and the beginning of it."""
    _, store = _opened(flags)
    found: tuple[Received, ...] = _asked(lambda: store.refused_payloads(limit, before=before))
    if format_ == "json":
        click.echo(json.dumps([_refused(one) for one in found], indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo(f"nothing was refused, as far as {store.where} remembers")
    for one in found:
        _print_refused(_refused(one))


def _opened(flags: dict[str, Any]) -> tuple[Settings, Store]:
    settings = settings_from(flags.get("config"), store=flags.get("store"))
    return settings, the_store(settings)


def _asked(ask: Callable[[], Any]) -> Any:
    """Ask the store; what it refuses is a message."""
    from sloguard.ports import OutsideError

    try:
        return ask()
    except OutsideError as error:
        fail(str(error), FAILED)


def _matchers(given: tuple[str, ...]) -> tuple[dict[str, str], dict[str, str]]:
    equal: dict[str, str] = {}
    unlike: dict[str, str] = {}
    for text in given:
        name, found, value = text.partition("=")
        if not found or not name.removesuffix("!") or value.startswith("~"):
            fail(f"--label: expected NAME=VALUE or NAME!=VALUE, found '{text}'")
        (unlike if name.endswith("!") else equal)[name.removesuffix("!")] = value
    return equal, unlike


def _shape(one: KeptEpisode, stale_after: float) -> dict[str, Any]:
    import time

    from sloguard.core.text import iso_time

    episode = one.episode
    state = "resolved"
    if episode.ends_at is None:
        state = "stale" if time.time() - episode.last_received > stale_after else "firing"
    return {
        "number": one.number,
        "name": episode.name,
        "state": state,
        "labels": {k: v for k, v in episode.labels.items() if k != "alertname"},
        "annotations": dict(episode.annotations),
        "fingerprint": episode.fingerprint,
        "generator_url": episode.generator_url,
        "starts_at": iso_time(episode.starts_at),
        "ends_at": None if episode.ends_at is None else iso_time(episode.ends_at),
        "first_received": iso_time(episode.first_received),
        "last_received": iso_time(episode.last_received),
    }


def _refused(one: Received) -> dict[str, Any]:
    from sloguard.core.text import iso_time

    return {
        "number": one.number,
        "received": iso_time(one.received_at),
        "sender": one.sender,
        "address": one.address,
        "reason": one.reason,
        "size": one.size,
        "body": one.body.decode("utf-8", "backslashreplace"),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sloguard.core.visible import visible

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("number", "state", "alert", "from", "until"):
        table.add_column(title, no_wrap=title != "alert")
    for row in rows:
        labels = ", ".join(f'{key}="{value}"' for key, value in row["labels"].items())
        shown = f"{row['name'] or 'an alert'} {labels}".strip()
        table.add_row(
            str(row["number"]),
            row["state"],
            Text(visible(shown)),
            row["starts_at"],
            row["ends_at"] or "",
        )
    console().print(table)


def _print_refused(row: dict[str, Any]) -> None:
    from sloguard.core.visible import visible

    who = f"{row['sender']} at {row['address']}" if row["address"] else row["sender"]
    click.echo(f"{row['number']}  {row['received']}  {row['size']} bytes from {visible(who)}")
    click.echo(f"  {visible(row['reason'])}")
    click.echo(f"  {visible(row['body'])[:400]}\n")


def _tell_rest(store: Store) -> None:
    """What the list does not show."""
    state = _asked(store.inbox_state)
    if state.waiting:
        tell(f"{state.waiting} payloads wait to be worked off; 'sloguard serve' does that")
    if state.refused:
        tell(f"{state.refused} payloads could not be taken: 'sloguard alerts refused'")
