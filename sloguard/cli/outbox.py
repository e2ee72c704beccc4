"""``sloguard outbox``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import (
    FAILED,
    config_option,
    console,
    fail,
    plain_logs,
    seconds,
    settings_from,
    store_option,
    the_store,
)
from sloguard.cli.streams import tell

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.ports.outbox import Message

# ports.outbox.MessageState; not imported here, so that help stays instant.
STATES = ("waiting", "delivered", "failed", "dropped")
_MOST_AT_ONCE = 1000


@click.group("outbox")
def command() -> None:
    """See, send, repeat and drop what is to be told to others.

    \b
    States:
      waiting    on its way, or waiting for its next attempt
      delivered  it has arrived
      failed     given up: refused for good, or too old
      dropped    a person wants it no more
    """


@command.command("list")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(STATES),
    help="Only these; can be repeated. Without: what waits and what was given up.",
)
@click.option("--all", "all_", is_flag=True, help="In any state.")
@click.option("--channel", metavar="NAME", help="Only this channel's, such as grafana.")
@click.option("--stream", metavar="RUN", help="Only those of this run or report.")
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST_AT_ONCE),
    default=50,
    show_default=True,
    help="At most so many, newest first.",
)
@click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is printed.",
)
@store_option
@config_option
def list_(
    states: tuple[str, ...],
    all_: bool,
    channel: str | None,
    stream: str | None,
    limit: int,
    format_: str,
    **flags: Any,
) -> None:
    """Messages, newest first, and what went wrong with them."""
    from sloguard.ports.outbox import MessageState
    from sloguard.service.outbox import described

    store = _opened(flags)
    wanted = () if all_ else (states or ("waiting", "failed"))
    found = store.messages(
        states=[MessageState(s) for s in wanted], channel=channel, stream=stream, limit=limit
    )
    if format_ == "json":
        click.echo(json.dumps([described(message) for message in found], indent=2))
    elif found:
        _print(found)
    else:
        click.echo("no such message" if states or all_ else "nothing waits, nothing was given up")


@command.command("flush")
@click.option(
    "--timeout",
    metavar="DURATION",
    default="30s",
    show_default=True,
    help="How long it may take.",
)
@store_option
@config_option
def flush(timeout: str, **flags: Any) -> None:
    """Deliver what is due. Ends with 0 when nothing is left waiting, with 1 when something is.

    What has just failed waits for its next attempt; 'sloguard outbox retry' makes it due.
    """
    from sloguard.bootstrap import courier
    from sloguard.ports import OutsideError
    from sloguard.ports.outbox import MessageState

    limit = seconds(timeout, "--timeout") or 0.0
    plain_logs()
    settings = settings_from(flags["config"], store=flags["store"])
    store = the_store(settings)
    try:
        made = courier(settings, store)
    except OutsideError as error:
        fail(str(error))
    if made is not None:
        made.start()
        try:
            made.flush(limit)
        finally:
            made.stop(1.0)
    left = store.messages(states=[MessageState.WAITING], limit=_MOST_AT_ONCE)
    if not left:
        click.echo("nothing is left")
        return
    channels = made.channels if made else ()
    for name in sorted({message.channel for message in left}):
        mine = [message for message in left if message.channel == name]
        why = next((f": {m.error}" for m in mine if m.error), "")
        unknown = "" if name in channels else ": no such channel is set up here"
        tell(f"{len(mine)} to {name} left{why or unknown}")
    sys.exit(FAILED)


@command.command("retry")
@click.argument("numbers", nargs=-1, type=int, metavar="[NUMBER]...")
@click.option("--all", "all_", is_flag=True, help="Everything that waits or was given up.")
@click.option("--channel", metavar="NAME", help="With --all: only this channel's.")
@store_option
@config_option
def retry(numbers: tuple[int, ...], all_: bool, channel: str | None, **flags: Any) -> None:
    """Make messages due now, also those that were given up or dropped; the service, the next run or
    'sloguard outbox flush' delivers them."""
    from sloguard.ports.outbox import MessageState

    store = _opened(flags)
    if bool(numbers) == all_ or (channel and not all_):
        fail("name messages by their numbers, or all with --all (of one channel with --channel)")
    if all_:
        states = [MessageState.WAITING, MessageState.FAILED]
        found = store.messages(states=states, channel=channel, limit=_MOST_AT_ONCE)
        # Oldest first, as they are delivered.
        numbers = tuple(message.number for message in reversed(found) if not message.held_until)
    done = [number for number in numbers if store.retry_message(number)]
    _audit(store, "outbox.retry", done)
    click.echo(f"{len(done)} due now")
    _complain(store, numbers, done)


@command.command("drop")
@click.argument("numbers", nargs=-1, type=int, required=True, metavar="NUMBER...")
@store_option
@config_option
def drop(numbers: tuple[int, ...], **flags: Any) -> None:
    """Never deliver these messages. What follows them in their run goes on."""
    store = _opened(flags)
    done = [number for number in numbers if store.drop_message(number)]
    _audit(store, "outbox.drop", done)
    click.echo(f"{len(done)} dropped")
    _complain(store, numbers, done)


def _opened(flags: dict[str, Any]) -> Store:
    return the_store(settings_from(flags["config"], store=flags["store"]))


def _complain(store: Store, numbers: Sequence[int], done: Sequence[int]) -> None:
    """Say which could not be changed, and why; ends with 2 if any."""
    left = [number for number in numbers if number not in done]
    for number in left:
        found = store.message(number)
        if found is None:
            why = (
                "there is no such message; 'sloguard outbox list --all' shows those that are there"
            )
        elif found.state == "delivered":
            why = "it has arrived"
        else:
            why = "it is being delivered right now"
        tell(f"sloguard: {number}: {why}")
    if left:
        sys.exit(2)


def _audit(store: Store, action: str, numbers: Sequence[int]) -> None:
    """The same log as that of the service."""
    import getpass
    import socket
    import time

    from sloguard.ports.service import AuditEntry

    try:
        who = f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        who = "cli:unknown"
    for number in numbers:
        entry = AuditEntry(
            at=time.time(),
            who=who,
            where=socket.gethostname(),
            action=action,
            target=f"message:{number}",
        )
        store.append_audit(entry)


def _print(found: Sequence[Message]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sloguard.core.text import iso_time
    from sloguard.core.visible import visible

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("number", "channel", "what", "of", "state", "tries", "kept", "error"):
        table.add_column(title, no_wrap=title in ("number", "of"))
    for message in found:
        table.add_row(
            str(message.number),
            Text(visible(message.channel)),
            Text(visible(message.kind)),
            Text(visible(message.stream)),
            str(message.state),
            str(message.attempts),
            iso_time(message.created_at).partition(".")[0],
            Text(visible(message.error)),
        )
    console().print(table)
