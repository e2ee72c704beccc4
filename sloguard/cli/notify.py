"""``sloguard notify``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import config_option, console, fail, settings_from

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sloguard.ports.outbox import Channel, Message
    from sloguard.settings import Settings
    from sloguard.settings.notify import ChannelSettings

#: sloguard's own exit code for "it did not work".
_FAILED = 1


@click.group("notify")
def command() -> None:
    """The channels by which people are told of runs: notify.channels in the settings file.

    \b
      sloguard notify list
      sloguard notify test ops
    """


@command.command("list")
@config_option
def list_(config: Path | None) -> None:
    """Every channel: what it is, where its secrets come from, and what it is told."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    settings = settings_from(config)
    toolkit = _toolkit(settings)
    if not settings.channels and not toolkit:
        click.echo("no channels: name some under notify.channels in the settings file")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    for column in ("channel", "to", "told", "only"):
        table.add_column(column, overflow="fold")
    for channel in settings.channels:
        row = (f"{channel.type}:{channel.name}", _to(channel), _told(channel), _only(channel))
        table.add_row(*(Text(text) for text in row))
    for number, found in enumerate(toolkit, 1):
        events = ", ".join(map(str, found.get("events") or ())) or "all of the Chaos Toolkit's"
        kind = f"{found.get('type')}, of the Chaos Toolkit's settings"
        table.add_row(*(Text(t) for t in (f"chaostoolkit:{number}", kind, events, "")))
    console().print(table)


@command.command("test")
@click.argument("channel", required=False)
@config_option
def test(channel: str | None, config: Path | None) -> None:
    """Send a test message to CHANNEL (its name, or type:name), or to all of notify.channels.

    It goes at once and is not kept. Ends with 0 if all have arrived, else with 1.
    """
    from sloguard.bootstrap import notifiers
    from sloguard.documents.problems import did_you_mean
    from sloguard.ports.outbox import DeliveryError

    settings = settings_from(config)
    found = [c for c in notifiers(settings) if not c.name.startswith("chaostoolkit:")]
    names = [c.name for c in found]
    if channel is not None:
        found = [c for c in found if channel in (c.name, c.name.partition(":")[2])]
    if not found:
        if not names:
            fail("there are no channels: name some under notify.channels in the settings file")
        near = did_you_mean(channel or "", [*names, *(n.partition(":")[2] for n in names)])
        fail(f"there is no channel '{channel}'; channels: {', '.join(names)}. {near}".strip())
    failed = False
    for one in found:
        try:
            _send(one, settings)
        except DeliveryError as error:
            failed = True
            click.echo(f"{one.name}: failed: {error}")
        else:
            click.echo(f"{one.name}: sent")
    sys.exit(_FAILED if failed else 0)


def _send(channel: Channel, settings: Settings) -> None:
    channel.deliver(_message(channel.name, settings), _Once())


def _message(channel: str, settings: Settings) -> Message:
    from sloguard.ports.outbox import Message

    now = time.time()
    payload = {
        "event": "test",
        "at": now,
        "tone": "info",
        "headline": "A test of sloguard's notifications",
        "reason": "If you can read this, the channel works. Nothing was broken.",
        "facts": [["channel", channel]],
        "link": settings.serve.base_url,
    }
    return Message(
        channel=channel,
        key=f"test:{now}",
        kind="test",
        payload=payload,
        number=0,
        created_at=now,
        attempts=1,
    )


class _Once:
    """ports.outbox.Delivery of a message that is not kept."""

    def remember(self, memory: Mapping[str, Any]) -> None:
        """There is no second attempt to know it."""

    def earlier(self) -> Message | None:
        """Nothing came before."""
        return None


def _toolkit(settings: Settings) -> list[Mapping[str, Any]]:
    from sloguard.bootstrap import toolkit_notifications

    return list(toolkit_notifications(settings))


def _to(channel: ChannelSettings) -> str:
    """Where it goes, without a word of its secrets."""
    from sloguard.notifiers.building import secret_of

    if channel.type == "email":
        return f"{', '.join(channel.to)} by {channel.host} ({channel.security})"
    token = secret_of(channel, "token", "token")
    if token:
        return f"{channel.channel}, token from {token.source}"
    return f"address from {secret_of(channel, 'url', 'address').source}"


def _told(channel: ChannelSettings) -> str:
    return ", ".join(channel.events) or channel.when


def _only(channel: ChannelSettings) -> str:
    from sloguard.core.text import format_duration

    parts = [
        f"{name} {', '.join(values)}"
        for name, values in (
            ("outcomes", channel.outcomes),
            ("tags", channel.tags),
            ("experiments", channel.experiments),
        )
        if values
    ]
    if channel.quiet:
        parts.append(f"once in {format_duration(channel.quiet)}")
    return "; ".join(parts)
