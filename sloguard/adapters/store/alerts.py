"""Alerts: an inbox of what Alertmanager sends, the episodes that it tells of, and runs that they concern."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    Connection,
    bindparam,
    delete,
    insert,
    or_,
    select,
    text,
    update,
)

from sloguard.adapters.store.alert_reading import SPAN, AlertReadingPart, episode_of, span_of
from sloguard.adapters.store.alert_tables import amendments, episodes, inbox, left_out, refused
from sloguard.adapters.store.base import parsed, upsert
from sloguard.adapters.store.database import Database
from sloguard.adapters.store.inbox import InboxWriter, packed, unpacked
from sloguard.adapters.store.tables import runs
from sloguard.core.deliveries import Delivered, by_key, joined
from sloguard.core.jsonable import dump
from sloguard.host.identity import Identity
from sloguard.ports.alert_inbox import Amend, Received, WorkedOff

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow

#: "sgalerts", for PostgreSQL's advisory lock: payloads are worked off by one at a time.
_LOCK_KEY = 0x7367616C65727473
#: Of one alert, so many of the newest runs that it touches are looked at again.
MOST_RUNS = 500
#: No run takes longer than this, nor is a window judged later, seconds.
LONGEST_RUN = 2 * 86400.0
#: So much is looked up in one statement.
_AT_ONCE = 500
#: What later deliveries may change of an episode.
_CHANGING = ("ends_at", "labels", "annotations", "generator_url", "first_received", "last_received")
_TO: dict[str, Any] = {name: bindparam(f"to_{name}") for name in _CHANGING}
_CHANGE = update(episodes).where(episodes.c.number == bindparam("at")).values(**_TO)
_WAITS = select(inbox.c.number).limit(1)


class AlertsPart(AlertReadingPart):
    """ports.alerts.AlertInbox."""

    def __init__(
        self, database: Database, now: Callable[[], float], process: Callable[[], Identity]
    ) -> None:
        super().__init__(database, now, process)
        self._inbox = InboxWriter(database)

    def keep_payload(self, payload: Received) -> None:
        """Keep it, on disk before this returns; one with a reason as refused. Raises StoreError."""
        self._inbox.keep(payload)

    def payloads_wait(self) -> bool:
        """Whether there is anything to work off; a cheap question."""
        return bool(self._database.rows(_WAITS, {}))

    def waiting_payloads(self, limit: int, *, alerts: int | None = None) -> Sequence[Received]:
        """The oldest ones that were not worked off, with no more ``alerts`` than these, but at least one."""
        oldest = select(inbox.c.number, inbox.c.alerts).order_by(inbox.c.number).limit(limit)
        with self._database.reading() as connection:
            chosen: list[int] = []
            for number, count in connection.execute(oldest).all():
                if alerts is not None:
                    alerts -= count
                    if chosen and alerts < 0:
                        break
                chosen.append(number)
            query = select(inbox).where(inbox.c.number.in_(chosen)).order_by(inbox.c.number)
            return tuple(_received(row) for row in connection.execute(query))

    def settle_payloads(self, done: Sequence[WorkedOff]) -> int:
        """Write down what came of payloads, all or nothing, and take them from the inbox.

        One that somebody else has settled meanwhile is left out. How many episodes are new or changed.
        """
        if not done:
            return 0
        # Not flushed by itself: where the machine dies, the payloads are back in the inbox with it.
        with self._inbox.door.entered(), self._database.writing(durable=False) as connection:
            self._alone(connection)
            wanted = inbox.c.number.in_([one.payload.number for one in done])
            mine = set(connection.execute(select(inbox.c.number).where(wanted)).scalars())
            kept = [one for one in done if one.payload.number in mine]
            changed = _join(connection, [e for one in kept if one.told for e in one.told.episodes])
            for one in kept:
                _keep_rest(connection, one)
            connection.execute(delete(inbox).where(wanted))
        return changed

    def runs_to_amend(self, limit: int) -> Sequence[tuple[str, int]]:
        """Ended runs whose alerts may have changed since, with the turn in which that was found."""
        query = (
            select(amendments.c.run, amendments.c.turn)
            .join(runs, runs.c.id == amendments.c.run)
            .where(runs.c.ended_at.is_not(None))
            .order_by(amendments.c.run)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return tuple((row.run, row.turn) for row in connection.execute(query))

    def amend_run(self, run: str, turn: int, amend: Amend) -> bool:
        """Hand a run's document to ``amend`` with the episodes of its time, and keep what it returns (None: as it
        is). Whether it was changed.

        Where the document or the alerts change meanwhile, nothing is done, and it is left for the next look.
        """
        with self._database.reading() as connection:
            query = select(runs.c.document, *SPAN).where(runs.c.id == run)
            row = connection.execute(query).first()
        made = None
        if row is not None and row.document is not None:
            start, end = span_of(row, self._now())
            made = amend(parsed(row.document), self.episodes(start, end))
        with self._database.writing() as connection:
            mine = (amendments.c.run == run) & (amendments.c.turn == turn)
            if not connection.execute(delete(amendments).where(mine)).rowcount:
                return False
            if made is None or row is None:
                return False
            same = (runs.c.id == run) & (runs.c.document == row.document)
            changed = connection.execute(update(runs).where(same).values(document=dump(made)))
            if not changed.rowcount:
                _look_again(connection, [run])
            return bool(changed.rowcount)

    def prune_alerts(
        self, *, episodes_before: float, refused_before: float, most_refused: int
    ) -> int:
        """Forget episodes that were last heard of (and ended) before, and refused payloads that are older or more
        than so many; how many episodes these were."""
        old = (episodes.c.last_received < episodes_before) & or_(
            episodes.c.ends_at.is_(None), episodes.c.ends_at < episodes_before
        )
        beyond = select(refused.c.number).order_by(refused.c.number.desc()).offset(most_refused)
        last = beyond.limit(1).scalar_subquery()
        with self._database.writing(durable=False) as connection:
            gone = connection.execute(delete(episodes).where(old)).rowcount
            connection.execute(delete(refused).where(refused.c.received_at < refused_before))
            connection.execute(delete(refused).where(refused.c.number <= last))
            connection.execute(delete(left_out).where(left_out.c.last_at < episodes_before))
        return int(gone)

    def _alone(self, connection: Connection) -> None:
        # SQLite's write transaction is such a lock itself.
        if not self._database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def _join(connection: Connection, told: Iterable[Delivered]) -> int:
    """Join what was told to what is known; how many episodes are new or have another end."""
    fresh = by_key(told)
    known: dict[tuple[str, float], tuple[int, Delivered]] = {}
    keys = list(fresh)
    for first in range(0, len(keys), _AT_ONCE):
        part = keys[first : first + _AT_ONCE]
        starts = [start for _, start in part]
        # Pairs in a list are looked up by no index of SQLite's.
        near = episodes.c.fingerprint.in_(
            {mark for mark, _ in part}
        ) & episodes.c.starts_at.between(min(starts), max(starts))
        for row in connection.execute(select(episodes).where(near)):
            known[row.fingerprint, row.starts_at] = row.number, episode_of(row)
    new, changed = [], []
    later: list[tuple[int, Delivered]] = []
    repeated: dict[float, list[int]] = {}
    for key, episode in fresh.items():
        if key not in known:
            new.append(_row(episode))
            changed.append(episode)
            continue
        number, before = known[key]
        after = joined(before, episode)
        if after == replace(before, last_received=after.last_received):
            # Most of what comes is what came before.
            if after != before:
                repeated.setdefault(after.last_received, []).append(number)
            continue
        later.append((number, after))
        if after.ends_at != before.ends_at:
            changed.append(after)
    if new:
        connection.execute(insert(episodes), new)
    if later:
        connection.execute(_CHANGE, [_changed(number, after) for number, after in later])
    for at, numbers in repeated.items():
        same = episodes.c.number.in_(numbers)
        connection.execute(update(episodes).where(same).values(last_received=at))
    _look_again(connection, _touched(connection, changed))
    return len(changed)


def _changed(number: int, episode: Delivered) -> dict[str, Any]:
    row = _row(episode)
    return {"at": number, **{f"to_{name}": row[name] for name in _CHANGING}}


def _touched(connection: Connection, changed: Sequence[Delivered]) -> set[str]:
    """Runs in whose time an episode began, or that it was found to reach into."""
    if not changed:
        return set()
    first = min(episode.starts_at for episode in changed)
    last = max(_heard_until(episode) for episode in changed)
    query = (
        select(runs.c.id, *SPAN)
        .where(
            runs.c.started_at.between(first - LONGEST_RUN, last + LONGEST_RUN),
            or_(runs.c.started_at <= last, runs.c.fault_at <= last),
            or_(runs.c.ended_at.is_(None), runs.c.ended_at >= first),
        )
        .order_by(runs.c.started_at.desc())
        .limit(MOST_RUNS)
    )
    found = set()
    for row in connection.execute(query):
        start, end = span_of(row, float("inf"))
        if any(e.starts_at <= end and _heard_until(e) >= start for e in changed):
            found.add(row.id)
    return found


def _heard_until(episode: Delivered) -> float:
    return episode.last_received if episode.ends_at is None else episode.ends_at


def _look_again(connection: Connection, wanted: Iterable[str]) -> None:
    for run in sorted(wanted):
        upsert(connection, amendments, {"run": run, "turn": 0}, keys=("run",), update=())
        mine = update(amendments).where(amendments.c.run == run)
        connection.execute(mine.values(turn=amendments.c.turn + 1))


def _keep_rest(connection: Connection, one: WorkedOff) -> None:
    payload = one.payload
    if one.refused:
        values = {
            "received_at": payload.received_at,
            "sender": payload.sender,
            "address": payload.address,
            "alerts": payload.alerts,
            "size": payload.size,
            "reason": one.refused,
            "body": packed(payload.body),
        }
        connection.execute(insert(refused).values(**values))
    if one.told is not None and one.told.left_out:
        _keep_left_out(
            connection, payload.received_at, one.told.receiver, one.told.group, one.told.left_out
        )


def _keep_left_out(
    connection: Connection, at: float, receiver: str, group: str, count: int
) -> None:
    digest = hashlib.sha256(f"{receiver}\n{group}".encode("utf-8", "backslashreplace")).hexdigest()
    mine = left_out.c.id == digest
    row = connection.execute(select(left_out).where(mine)).first()
    if row is None:
        values = {"first_at": at, "last_at": at, "payloads": 1, "most": count}
        about = {"id": digest, "receiver": receiver, "grouping": group}
        connection.execute(insert(left_out).values(**about, **values))
        return
    values = {
        "first_at": min(at, row.first_at),
        "last_at": max(at, row.last_at),
        "payloads": row.payloads + 1,
        "most": max(count, row.most),
    }
    connection.execute(update(left_out).where(mine).values(**values))


def _row(episode: Delivered) -> dict[str, Any]:
    return {
        "fingerprint": episode.fingerprint,
        "starts_at": episode.starts_at,
        "ends_at": episode.ends_at,
        "name": episode.name,
        "labels": dump(episode.labels),
        "annotations": dump(episode.annotations),
        "generator_url": episode.generator_url,
        "first_received": episode.first_received,
        "last_received": episode.last_received,
    }


def _received(row: AnyRow) -> Received:
    return Received(
        number=row.number,
        received_at=row.received_at,
        sender=row.sender,
        address=row.address,
        alerts=row.alerts,
        size=row.size,
        body=unpacked(row.body),
    )
