"""``sloguard token``."""

from __future__ import annotations

import json
import re
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
from sloguard.cli.streams import tell

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.ports.service import Token

# ports.service.Scope; not imported here, so that help stays instant.
SCOPES = ("read", "run", "webhook", "admin")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)
_LONGEST = 10 * 365 * 86400.0

format_option = click.option(
    "-o",
    "--format",
    "format_",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How it is printed.",
)


@click.group("token")
def command() -> None:
    """Make, list and revoke the tokens by which the service knows its users.

    \b
    Scopes:
      read     look at everything
      run      also start, stop and judge runs, open and close windows
      webhook  send alerts, and nothing else
      admin    everything: also delete runs, read the audit log
    """


@command.command("create")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(SCOPES),
    help="What it may do; can be repeated.",
)
@click.option(
    "--expires",
    metavar="DURATION",
    default="90d",
    show_default=True,
    help="How long it is valid, such as 12h or 30d; never: until it is revoked.",
)
@format_option
@store_option
@config_option
def create(name: str, scopes: tuple[str, ...], expires: str, format_: str, **flags: Any) -> None:
    """Make a token for NAME and print its secret, which is shown this once only."""
    from sloguard.ports.service import Scope

    if not _NAME.fullmatch(name):
        fail(f"'{name}' is no name for a token; expected letters, digits and . _ @ -, at most 64")
    lasts = _seconds(expires)
    store = _opened(flags)
    if any(token.name == name and _state(token, _now()) == "valid" for token in store.tokens()):
        fail(f"there is a valid token '{name}' already: revoke it first, or choose another name")
    until = None if lasts is None else _now() + lasts
    made, secret = store.create_token(name, [Scope(s) for s in scopes], expires_at=until, by=_me())
    _audit(store, "token.create", made)
    if format_ == "json":
        click.echo(json.dumps({**_shape(made), "secret": secret}, indent=2))
        return
    click.echo(secret)
    tell(f"token {made.id} for {name} ({', '.join(sorted(made.scopes))}), {_until(made)}")
    tell("This is its secret; it is kept nowhere and cannot be shown again.")


@command.command("list")
@format_option
@store_option
@config_option
def list_(format_: str, **flags: Any) -> None:
    """All tokens, oldest first; the secrets are known to nobody."""
    store = _opened(flags)
    found = store.tokens()
    if format_ == "json":
        click.echo(json.dumps([_shape(token) for token in found], indent=2))
    elif not found:
        click.echo(
            f"no tokens in {store.where}; 'sloguard token create NAME --scope read' makes one"
        )
    else:
        _print(found)


@command.command("revoke")
@click.argument("token")
@store_option
@config_option
def revoke(token: str, **flags: Any) -> None:
    """End TOKEN (its id, or the name of a valid one) at once, with all logins that were made with it."""
    from sloguard.ports.service import TokenNotFound

    store = _opened(flags)
    named = [t for t in store.tokens() if t.name == token and _state(t, _now()) == "valid"]
    if len(named) > 1:
        fail(f"several valid tokens are called '{token}': name one by its id")
    try:
        ended = store.revoke_token(named[0].id if named else token, by=_me())
    except TokenNotFound as error:
        fail(str(error))
    _audit(store, "token.revoke", ended)
    click.echo(f"revoked {ended.id} ({ended.name})")


def _opened(flags: dict[str, Any]) -> Store:
    return the_store(settings_from(flags["config"], store=flags["store"]))


def _seconds(text: str) -> float | None:
    from sloguard.core.objective import ObjectiveError, parse_duration

    if text == "never":
        return None
    try:
        seconds = parse_duration(text)
    except ObjectiveError as error:
        fail(f"--expires: {error}")
    if not 0 < seconds <= _LONGEST:
        fail("--expires: expected more than nothing and at most 3650d, or never")
    return seconds


def _now() -> float:
    import time

    return time.time()


def _me() -> str:
    """Who uses this command line, as far as the machine knows."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"


def _audit(store: Store, action: str, token: Token) -> None:
    """The same log as that of the service."""
    import socket

    from sloguard.ports import OutsideError
    from sloguard.ports.service import AuditEntry

    detail = {"name": token.name, "scopes": sorted(token.scopes)}
    entry = AuditEntry(
        at=_now(),
        who=_me(),
        where=socket.gethostname(),
        action=action,
        target=f"token:{token.id}",
        detail=detail,
    )
    try:
        store.append_audit(entry)
    except OutsideError as error:
        fail(f"it is done, but could not be written into the audit log: {error}", FAILED)


def _state(token: Token, now: float) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= now:
        return "expired"
    return "valid"


def _until(token: Token) -> str:
    from sloguard.core.text import iso_time

    if token.expires_at is None:
        return "valid until it is revoked"
    return f"valid until {iso_time(token.expires_at)}"


def _shape(token: Token) -> dict[str, Any]:
    from sloguard.core.text import iso_time

    def told(at: float | None) -> str | None:
        return None if at is None else iso_time(at)

    return {
        "token": token.id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "state": _state(token, _now()),
        "created": iso_time(token.created_at),
        "created_by": token.created_by,
        "expires": told(token.expires_at),
        "last_used": told(token.last_used_at),
        "revoked": told(token.revoked_at),
    }


def _print(found: tuple[Token, ...] | Any) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from sloguard.core.visible import visible

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for title in ("token", "name", "scopes", "state", "expires", "last used"):
        table.add_column(title, no_wrap=title == "token")
    for shape in map(_shape, found):
        table.add_row(
            shape["token"],
            Text(visible(shape["name"])),
            " ".join(shape["scopes"]),
            shape["state"],
            _day(shape["expires"]) or "never",
            _day(shape["last_used"]) or "never",
        )
    console().print(table)


def _day(text: str | None) -> str:
    return "" if text is None else f"{text.partition('.')[0].rstrip('Z')}Z"
