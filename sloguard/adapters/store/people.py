"""Asks, voices, one-time links and notes. Of a link only a hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, func, insert, select, update

from sloguard.adapters.store.base import StorePart, parsed, upsert
from sloguard.adapters.store.people_tables import asks, links, notes, voices
from sloguard.adapters.store.tables import events, runs
from sloguard.core.jsonable import dump
from sloguard.core.people import Ask, RunNote, Voice
from sloguard.ports.people import AskOver, AskState, Link, NothingAsked, StoredAsk, TooManyNotes

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow, AnySelect

# Random over all of its length, so a plain hash is enough: there is nothing to guess.
_SECRET_BYTES = 32
_WAITING = AskState.WAITING.value
#: Of one run; a page shows them all.
MOST_NOTES = 500


class PeoplePart(StorePart):
    """ports.people.People."""

    def open_ask(self, ask: Ask, *, requester: str = "") -> None:
        """Keep an ask, durably; what the run had asked before is withdrawn."""
        with self._database.writing() as connection:
            self._ensure_run(connection, ask.run)
            earlier = (asks.c.run == ask.run) & (asks.c.state == _WAITING)
            ended = {"state": AskState.WITHDRAWN.value, "detail": "it was asked anew"}
            connection.execute(update(asks).where(earlier).values(**ended))
            connection.execute(
                insert(asks).values(
                    id=ask.id,
                    run=ask.run,
                    title=ask.title,
                    digest=ask.digest,
                    plan=dump(ask.plan),
                    asked_at=ask.asked_at,
                    until=ask.until,
                    minimum=ask.minimum,
                    allowed=dump(ask.by),
                    again=ask.again,
                    requester=requester,
                    state=_WAITING,
                    detail="",
                )
            )

    def ask_of(self, run: str) -> StoredAsk | None:
        """The newest ask of a run, past its time as expired; None where it never asked."""
        query = select(asks).where(asks.c.run == run).order_by(asks.c.asked_at.desc()).limit(1)
        return self._one_ask(query)

    def ask(self, id: str) -> StoredAsk | None:
        """An ask by its id."""
        return self._one_ask(select(asks).where(asks.c.id == id))

    def waiting_asks(self) -> Sequence[StoredAsk]:
        """Those that wait for an answer, the oldest first."""
        still = (asks.c.state == _WAITING) & (asks.c.until > self._now())
        query = (
            select(asks)
            .join(runs, runs.c.id == asks.c.run)
            .where(still, runs.c.ended_at.is_(None))
            .order_by(asks.c.asked_at, asks.c.id)
            .limit(100)
        )
        with self._database.reading() as connection:
            return tuple(self._stored(connection, row) for row in connection.execute(query).all())

    def add_voice(self, id: str, voice: Voice, *, token: str = "") -> StoredAsk:
        """Add what one person says, and use up the token it was said with, both or neither.

        Raises AskOver where it is decided or too late, and NothingAsked.
        """
        with self._database.writing() as connection:
            query = select(asks).where(asks.c.id == id)
            row = connection.execute(query.with_for_update()).first()
            if row is None:
                raise NothingAsked("nobody asks for this any more")
            self._check_open(connection, row)
            if token:
                self._use(connection, row, token, voice)
            said: dict[str, Any] = {"answer": voice.answer, "at": voice.at}
            said |= {"origin": voice.from_, "reason": voice.reason}
            upsert(
                connection,
                voices,
                {"ask": id, "by": voice.by, **said},
                keys=("ask", "by"),
                update=tuple(said),
            )
            state = _state(row.minimum, _voices(connection, id))
            if state is not AskState.WAITING:
                ended = {"state": state.value, "decided_at": voice.at}
                connection.execute(update(asks).where(asks.c.id == id).values(**ended))
            return self._stored(connection, connection.execute(query).one())

    def end_ask(self, id: str, state: AskState, detail: str) -> None:
        """It waits no more (expired, withdrawn); one that is decided stays as it is."""
        waits = (asks.c.id == id) & (asks.c.state == _WAITING)
        values = {"state": state.value, "detail": detail, "decided_at": self._now()}
        with self._database.writing() as connection:
            connection.execute(update(asks).where(waits).values(**values))

    def new_link(self, ask: str, channel: str) -> str:
        """A new one-time token of an ask that waits: its secret, told this once. Raises AskOver."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        with self._database.writing() as connection:
            row = connection.execute(select(asks).where(asks.c.id == ask)).first()
            if row is None:
                raise NothingAsked("nobody asks for this any more")
            self._check_open(connection, row)
            connection.execute(
                insert(links).values(
                    hash=_hash(secret),
                    ask=ask,
                    channel=channel,
                    created_at=self._now(),
                    expires_at=row.until,
                    answer="",
                )
            )
        return secret

    def link(self, secret: str) -> Link | None:
        """What is known of a token, used and expired ones too; None for an unknown one."""
        with self._database.reading() as connection:
            row = connection.execute(select(links).where(links.c.hash == _hash(secret))).first()
        if row is None:
            return None
        return Link(
            ask=row.ask,
            channel=row.channel,
            expires_at=row.expires_at,
            used_at=row.used_at,
            answer=row.answer,
        )

    def add_note(self, note: RunNote) -> RunNote:
        """Keep a note, with the number that it gets. Of a run under way those who look on are told as well."""
        with self._database.writing() as connection:
            mine = select(func.count()).select_from(notes).where(notes.c.run == note.run)
            if connection.execute(mine).scalar_one() >= MOST_NOTES:
                raise TooManyNotes(f"run {note.run} has {MOST_NOTES} notes, and takes no more")
            number = write_note(connection, note)
            going_on = (runs.c.id == note.run) & runs.c.ended_at.is_(None)
            if connection.execute(select(runs.c.id).where(going_on)).first() is not None:
                data = {"text": note.text, "by": note.by, "origin": note.origin}
                values = {"run": note.run, "at": note.at, "kind": "NoteTaken", "data": dump(data)}
                connection.execute(insert(events).values(**values))
        return replace(note, number=number)

    def notes_of(self, run: str) -> Sequence[RunNote]:
        """Those of a run, by the time that they are about."""
        query = select(notes).where(notes.c.run == run).order_by(notes.c.at, notes.c.number)
        with self._database.reading() as connection:
            return tuple(_note(row) for row in connection.execute(query))

    def notes_between(
        self, since: float, until: float, limit: int = 100
    ) -> Sequence[tuple[RunNote, str]]:
        """Notes of runs that started in [since, until), with the titles of these; the newest of what is more
        than ``limit`` are left out."""
        query = (
            select(notes, runs.c.title.label("title"))
            .join(runs, runs.c.id == notes.c.run)
            .where(runs.c.started_at >= since, runs.c.started_at < until)
            .order_by(notes.c.at, notes.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple((_note(row), row.title) for row in connection.execute(query))

    def _check_open(self, connection: Connection, row: AnyRow) -> None:
        if row.state != _WAITING:
            raise AskOver(_over(row))
        if row.until <= self._now():
            raise AskOver("it is too late: nobody decided in time")
        run = connection.execute(select(runs).where(runs.c.id == row.run)).one()
        if run.ended_at is not None:
            raise AskOver("the run has ended meanwhile")
        if not self._is_alive(run):
            raise AskOver("the process that waited for it is gone")

    def _use(self, connection: Connection, row: AnyRow, secret: str, voice: Voice) -> None:
        fits = (links.c.hash == _hash(secret)) & (links.c.ask == row.id) & links.c.used_at.is_(None)
        fits &= links.c.expires_at > self._now()
        used = connection.execute(
            update(links).where(fits).values(used_at=voice.at, answer=voice.answer)
        )
        if used.rowcount != 1:
            raise AskOver("this link was used before, or is too old")

    def _one_ask(self, query: AnySelect) -> StoredAsk | None:
        with self._database.reading() as connection:
            row = connection.execute(query).first()
            return None if row is None else self._stored(connection, row)

    def _stored(self, connection: Connection, row: AnyRow) -> StoredAsk:
        state = AskState(row.state)
        if state is AskState.WAITING and row.until <= self._now():
            state = AskState.EXPIRED
        return StoredAsk(
            ask=Ask(
                id=row.id,
                run=row.run,
                title=row.title,
                digest=row.digest,
                plan=parsed(row.plan),
                asked_at=row.asked_at,
                until=row.until,
                minimum=row.minimum,
                by=tuple(parsed(row.allowed)),
                again=row.again,
            ),
            state=state,
            requester=row.requester,
            voices=_voices(connection, row.id),
            decided_at=row.decided_at,
            detail=row.detail,
        )


def write_note(connection: Connection, note: RunNote) -> int:
    """A row of notes; its number."""
    written = connection.execute(
        insert(notes).values(
            run=note.run,
            text=note.text,
            at=note.at,
            by=note.by,
            written_at=note.written_at,
            origin=note.origin,
            place=note.where,
        )
    )
    key = written.inserted_primary_key
    return int(key[0]) if key else 0


def _voices(connection: Connection, ask: str) -> tuple[Voice, ...]:
    query = select(voices).where(voices.c.ask == ask).order_by(voices.c.at, voices.c.by)
    return tuple(
        Voice(by=row.by, answer=row.answer, at=row.at, from_=row.origin, reason=row.reason)
        for row in connection.execute(query)
    )


def _state(minimum: int, said: Sequence[Voice]) -> AskState:
    """One refusal refuses; so many people approve."""
    if any(voice.answer == "refused" for voice in said):
        return AskState.REFUSED
    agreed = sum(voice.answer == "approved" for voice in said)
    return AskState.APPROVED if agreed >= minimum else AskState.WAITING


def _over(row: Any) -> str:
    detail = f": {row.detail}" if row.detail else ""
    return f"it was {row.state} before{detail}"


def _note(row: AnyRow) -> RunNote:
    return RunNote(
        run=row.run,
        text=row.text,
        at=row.at,
        by=row.by,
        written_at=row.written_at,
        origin=row.origin,
        where=row.place,
        number=row.number,
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
