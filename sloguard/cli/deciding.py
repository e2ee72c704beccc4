"""``sloguard runs approve``, ``refuse`` and ``note``: people who share the store with a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.asking import here, person
from sloguard.cli.common import config_option, fail, settings_from, store_option, the_store
from sloguard.cli.moments import moment
from sloguard.cli.streams import tell

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.core.people import Answer
    from sloguard.settings import Settings

_run_argument = click.argument("run")


def _opened(flags: dict[str, Any]) -> tuple[Settings, Store]:
    settings = settings_from(flags["config"], store=flags["store"])
    return settings, the_store(settings)


def _audited(store: Store, action: str, run: str, **detail: Any) -> None:
    import time

    from sloguard.ports import OutsideError
    from sloguard.ports.service import AuditEntry

    entry = AuditEntry(
        at=time.time(), who=person(), where=here(), action=action, target=run, detail=detail
    )
    try:
        store.append_audit(entry)
    except OutsideError as error:
        tell(f"sloguard: the audit log has no entry of this: {error}")


def _decide(run: str, answer: Answer, reason: str, yes: bool, flags: dict[str, Any]) -> None:
    from sloguard.bootstrap import approval_desk
    from sloguard.cli.people import plan_lines
    from sloguard.core.visible import visible
    from sloguard.ports import OutsideError
    from sloguard.service.approvals import over

    settings, store = _opened(flags)
    desk = approval_desk(settings, store)
    try:
        found = store.run(run).id
        asked = store.ask_of(found)
        if asked is None:
            fail(f"run {found} does not wait for an approval")
        for line in plan_lines(asked.ask):
            tell(line)
        if answer == "approved" and not yes:
            _confirm(found)
        decided = desk.decide(
            found, answer, by=person(), from_=here(), reason=reason, plan=asked.ask.digest
        )
    except (OutsideError, ValueError) as error:
        fail(visible(str(error)))
    _audited(store, f"runs.{'approve' if answer == 'approved' else 'refuse'}", found,
             plan=asked.ask.digest, reason=reason)  # fmt: skip
    said = "approved" if answer == "approved" else "refused"
    voices = sum(voice.answer == "approved" for voice in decided.voices)
    if decided.decision.answer:
        click.echo(visible(f"run {found}: {over(decided)}"))
    else:
        click.echo(f"run {found}: {said} by {person()}; {voices} of {decided.ask.minimum} agree")


def _confirm(run: str) -> None:
    if not sys.stdin.isatty():
        fail("nobody can be asked here whether this is right: look at the plan, then add --yes")
    if not click.confirm(f"Approve run {run}?", err=True):
        fail("not approved; the run still waits", 1)


_reason = click.option("--reason", default="", metavar="TEXT", help="Why; it stands in the record.")


@click.command("approve")
@_run_argument
@_reason
@click.option("--yes", is_flag=True, help="Without asking once more.")
@store_option
@config_option
def approve(run: str, reason: str, yes: bool, **flags: Any) -> None:  # fmt: skip
    """Approve what a waiting run is about to inject, after a look at its plan."""
    _decide(run, "approved", reason, yes, flags)


@click.command("refuse")
@_run_argument
@_reason
@store_option
@config_option
def refuse(run: str, reason: str, **flags: Any) -> None:
    """Refuse it: the waiting run is not started, and nothing is injected."""
    _decide(run, "refused", reason, True, flags)


@click.command("note")
@_run_argument
@click.argument("text")
@click.option("--at", metavar="TIME", help="When it was seen, such as -5m; else now.")
@click.option("--by", metavar="NAME", help="Who saw it; else you.")
@store_option
@config_option
def note(run: str, text: str, at: str | None, by: str | None, **flags: Any) -> None:  # fmt: skip
    """Attach an observation to a run, while it goes on or afterwards; also to an open window."""
    from sloguard.core.text import format_time
    from sloguard.ports import OutsideError
    from sloguard.service.noting import NoteDesk

    _, store = _opened(flags)
    who = f"{by} (by {person()})" if by else person()
    try:
        found = _named(store, run)
        kept = NoteDesk(store).add(
            found, text, by=who, origin="cli", at=moment(at, "--at"), where=here()
        )
    except (OutsideError, ValueError) as error:
        fail(str(error))
    _audited(store, "runs.note", found, note=kept.number)
    click.echo(f"run {found}: noted for {format_time(kept.at)}")


def _named(store: Store, run: str) -> str:
    from sloguard.ports import OutsideError

    try:
        return store.run(run).id
    except OutsideError:
        if store.window(run) is not None:
            return run
        raise
