"""The read side of alerts: episodes by time, name and labels, what was refused, what waits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, or_, select, union_all

from sloguard.adapters.store.alert_tables import episodes, inbox, left_out, refused
from sloguard.adapters.store.base import StorePart, parsed
from sloguard.adapters.store.inbox import unpacked
from sloguard.adapters.store.tables import runs
from sloguard.core.deliveries import Delivered
from sloguard.core.episodes import AlertEpisode
from sloguard.ports.alert_inbox import (
    InboxState,
    KeptEpisode,
    LeftOut,
    Received,
    RunSpan,
)

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnyRow, AnySelect

#: An alert that nobody has heard of for so long, and that nobody said had ended, may be over: what would
#: have said so may have died. Alertmanager repeats what fires (``repeat_interval``, 4 hours unless set).
STALE_SECONDS = 86400.0
#: Of what was refused, so much is shown, bytes.
EXCERPT = 4000
SPAN = (runs.c.started_at, runs.c.fault_at, runs.c.ended_at)


def _overlapping() -> AnySelect:
    """Two questions, each along an index: most of all that were ever kept have ended before."""
    begun = episodes.c.starts_at <= bindparam("end")
    ended = select(episodes).where(begun, episodes.c.ends_at >= bindparam("start"))
    firing = select(episodes).where(
        begun, episodes.c.ends_at.is_(None), episodes.c.last_received >= bindparam("heard")
    )
    return select(union_all(ended, firing).subquery("either"))


_OVERLAPPING = _overlapping()
_COUNTS = select(
    select(func.count()).select_from(inbox).scalar_subquery(),
    select(func.min(inbox.c.received_at)).scalar_subquery(),
    select(func.count()).select_from(refused).scalar_subquery(),
)
_EPISODE_COUNTS = select(
    select(func.count()).select_from(episodes).scalar_subquery(),
    select(func.count())
    .select_from(episodes)
    .where(episodes.c.ends_at.is_(None))
    .scalar_subquery(),
)
_ANY = select(episodes.c.number).limit(1)


def span_of(row: AnyRow, now: float) -> tuple[float, float]:
    """From when to when alerts concern a run. A window that is judged later began before its run."""
    start = row.started_at if row.fault_at is None else min(row.started_at, row.fault_at)
    return start, now if row.ended_at is None else row.ended_at


class AlertReadingPart(StorePart):
    """ports.alerts.AlertSource, and what pages and lists show."""

    def episodes(
        self, start: float, end: float, *, stale_after: float = STALE_SECONDS
    ) -> Sequence[AlertEpisode]:
        """Every episode that overlaps [start, end], by its start.

        One that nobody said had ended counts up to ``stale_after`` after it was last heard of.
        """
        given = {"start": start, "end": end, "heard": start - stale_after}
        with self._database.reading() as connection:
            rows = connection.execute(_OVERLAPPING, given).all()
        found = sorted(rows, key=lambda row: (row.starts_at, row.number))
        return tuple(_as_source(episode_of(row)) for row in found)

    def alert_page(
        self,
        limit: int,
        *,
        before: int | None = None,
        span: tuple[float, float] | None = None,
        since: float | None = None,
        until: float | None = None,
        name: str | None = None,
        equal: Mapping[str, str] | None = None,
        unlike: Mapping[str, str] | None = None,
        firing: bool | None = None,
    ) -> Sequence[KeptEpisode]:
        """Episodes, the newest start first; ``before``: the number of the page before's last.

        ``span``: those that overlap it. ``since`` (inclusive) and ``until`` (exclusive) bound the start. ``equal`` and
        ``unlike``: labels with these values, or without them; a label that is not there is empty.
        ``firing``: those that nobody said had ended, or the others.
        """
        query = select(episodes).order_by(episodes.c.starts_at.desc(), episodes.c.number.desc())
        if before is not None:
            mark = select(episodes.c.starts_at).where(episodes.c.number == before).scalar_subquery()
            same = (episodes.c.starts_at == mark) & (episodes.c.number < before)
            query = query.where(or_(episodes.c.starts_at < mark, same))
        if span is not None:
            ended = or_(episodes.c.ends_at.is_(None), episodes.c.ends_at >= span[0])
            query = query.where(episodes.c.starts_at <= span[1], ended)
        if since is not None:
            query = query.where(episodes.c.starts_at >= since)
        if until is not None:
            query = query.where(episodes.c.starts_at < until)
        if name is not None:
            query = query.where(episodes.c.name == name)
        if firing is not None:
            open_ = episodes.c.ends_at.is_(None)
            query = query.where(open_ if firing else ~open_)
        for label, value in (equal or {}).items():
            query = query.where(_has(label, value))
        for label, value in (unlike or {}).items():
            query = query.where(~_has(label, value))
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return tuple(KeptEpisode(number=row.number, episode=episode_of(row)) for row in rows)

    def has_episodes(self) -> bool:
        """Whether Alertmanager has ever told of an alert that is still kept."""
        return bool(self._database.rows(_ANY, {}))

    def runs_during(self, start: float, end: float, limit: int = 200) -> Sequence[RunSpan]:
        """Runs (and judged windows) that overlap [start, end], the newest first."""
        day = 2 * 86400.0
        query = (
            select(runs.c.id, runs.c.title, runs.c.experiment, runs.c.outcome, *SPAN)
            .where(
                runs.c.started_at.between(start - day, end + day),
                or_(runs.c.started_at <= end, runs.c.fault_at <= end),
                or_(runs.c.ended_at.is_(None), runs.c.ended_at >= start),
                runs.c.kind != "rejudge",
            )
            .order_by(runs.c.started_at.desc())
            .limit(limit)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(_run_span(row, self._now()) for row in rows)

    def run_span(self, run: str) -> RunSpan | None:
        """One run (by its whole id) with its time."""
        query = select(runs.c.id, runs.c.title, runs.c.experiment, runs.c.outcome, *SPAN)
        with self._database.reading() as connection:
            row = connection.execute(query.where(runs.c.id == run)).first()
        return None if row is None else _run_span(row, self._now())

    def inbox_state(self) -> InboxState:
        """How much waits, since when, and how much was refused."""
        waiting, oldest, refusals = self._database.rows(_COUNTS, {})[0]
        return InboxState(waiting=waiting, oldest_at=oldest, refused=refusals)

    def episode_counts(self) -> Mapping[str, int]:
        """How many episodes are firing, as far as is known, and how many have ended."""
        all_, firing = self._database.rows(_EPISODE_COUNTS, {})[0]
        return {"firing": firing, "resolved": all_ - firing}

    def alerts_left_out(self, start: float, end: float) -> Sequence[LeftOut]:
        """Groups of which Alertmanager has left something out in that time."""
        query = select(left_out).where(left_out.c.first_at <= end, left_out.c.last_at >= start)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(left_out.c.last_at.desc()).limit(100)).all()
        return tuple(
            LeftOut(
                receiver=row.receiver,
                group=row.grouping,
                first_at=row.first_at,
                last_at=row.last_at,
                payloads=row.payloads,
                most=row.most,
            )
            for row in rows
        )

    def refused_payloads(self, limit: int = 50, *, before: int | None = None) -> Sequence[Received]:
        """What was refused, newest first, each with the beginning of its body."""
        query = select(refused).order_by(refused.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(refused.c.number < before)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Received(
                number=row.number,
                received_at=row.received_at,
                sender=row.sender,
                address=row.address,
                alerts=row.alerts,
                size=row.size,
                reason=row.reason,
                body=unpacked(row.body)[:EXCERPT],
            )
            for row in rows
        )


def _has(label: str, value: str) -> Any:
    """Whether the labels (JSON, as ``dump`` writes it) hold this one with this value.

    Quotes inside of names and values are escaped there, so nothing else can look like it but a name that ends
    in a backslash and a quote.
    """
    name = json.dumps(label)
    if not value:
        return ~episodes.c.labels.contains(f"{name}:", autoescape=True)
    return episodes.c.labels.contains(f"{name}:{json.dumps(value)}", autoescape=True)


def episode_of(row: AnyRow) -> Delivered:
    """The episode of a row."""
    return Delivered(
        fingerprint=row.fingerprint,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        labels=parsed(row.labels),
        annotations=parsed(row.annotations),
        generator_url=row.generator_url,
        first_received=row.first_received,
        last_received=row.last_received,
    )


def _as_source(episode: Delivered) -> AlertEpisode:
    return AlertEpisode(
        labels=episode.labels,
        starts_at=episode.starts_at,
        ends_at=episode.ends_at,
        fingerprint=episode.fingerprint,
        annotations=episode.annotations,
        generator_url=episode.generator_url,
        origin="webhook",
        received_at=episode.first_received,
    )


def _run_span(row: AnyRow, now: float) -> RunSpan:
    start, end = span_of(row, now)
    return RunSpan(
        run=row.id,
        title=row.title,
        experiment=row.experiment,
        outcome=row.outcome or "",
        ended=row.ended_at is not None,
        start=start,
        end=end,
    )
