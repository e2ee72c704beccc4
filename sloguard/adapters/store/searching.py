"""Search: by words of what was judged, of what was hit, and of titles; one way for every database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection, and_, delete, exists, func, select, union_all

from sloguard.adapters.store.base import insert_new, parsed
from sloguard.adapters.store.reading import SUMMARY, ReadingPart
from sloguard.adapters.store.search_tables import mentions, things
from sloguard.adapters.store.search_tables import words as known_words
from sloguard.adapters.store.tables import faults, runs, verdicts
from sloguard.core.browsing import SeriesFound, TargetFound
from sloguard.core.history import RunSummary
from sloguard.core.words import words

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, FromClause

    from sloguard.adapters.store.base import AnyRow

SERIES, TARGET, TITLE = "series", "target", "title"
#: So many things are looked at for a text, and so many words of it count.
_CANDIDATES, _MOST_WORDS = 2000, 8
#: So many titles are followed to their runs.
_TITLES = 40
#: Rows of one statement.
_AT_ONCE = 500
_LAST = chr(0x10FFFF)


class Thing(NamedTuple):
    """What can be found. ``texts``: where its words are."""

    kind: str
    experiment: str
    name: str
    detail: str
    texts: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The same for the same thing."""
        told = "\0".join(self[:4]).encode("utf-8", "backslashreplace")
        return hashlib.blake2b(told, digest_size=16).hexdigest()


def series_of(experiment: str, slo: str, labels: str) -> Thing:
    """A series; ``labels``: JSON. It is known by the values of its labels."""
    return Thing(SERIES, experiment, slo, labels, tuple(map(str, parsed(labels).values())))


def target_of(experiment: str, fault: str, target: str) -> Thing:
    """What a fault has hit."""
    return Thing(TARGET, experiment, fault, target, (target,))


def title_of(experiment: str, title: str) -> Thing:
    """The title of runs, with the name of their experiment."""
    return Thing(TITLE, experiment, "", title, (title, experiment))


def mention(connection: Connection, run: str, found: Iterable[Thing]) -> None:
    """Have a run found by these things from now on, beside those that it is found by already."""
    # In one order for all writers: so that none waits for one that waits for it.
    wanted = dict(sorted({thing.digest: thing for thing in found}.items()))
    digests = list(wanted)
    for start in range(0, len(digests), _AT_ONCE):
        part = digests[start : start + _AT_ONCE]
        known = _numbers(connection, part)
        missing = [digest for digest in part if digest not in known]
        if missing:
            rows = [{**wanted[d]._asdict(), "digest": d} for d in missing]
            for row in rows:
                del row["texts"]
            insert_new(connection, things, rows)
            made = _numbers(connection, missing)
            insert_new(
                connection,
                known_words,
                [
                    {"word": word, "thing": made[digest]}
                    for digest in missing
                    for word in words(*wanted[digest].texts)
                ],
            )
            known = {**known, **made}
        insert_new(connection, mentions, [{"thing": known[d], "run": run} for d in part])


def mention_hits(connection: Connection, run: str) -> None:
    """The targets of all faults of a run."""
    query = (
        select(runs.c.experiment, faults.c.fault, faults.c.target)
        .join(faults, faults.c.run == runs.c.id)
        .where(runs.c.id == run)
    )
    mention(connection, run, [target_of(*row) for row in connection.execute(query).all()])


def mentioned(connection: Connection, run: str) -> list[int]:
    """The things that a run mentions, by number: to be swept once it is gone."""
    query = select(mentions.c.thing).where(mentions.c.run == run)
    return list(connection.execute(query).scalars())


def sweep(connection: Connection, left: Sequence[int]) -> None:
    """Drop those of these things that no run mentions any more."""
    nobody = ~exists().where(mentions.c.thing == things.c.number)
    for start in range(0, len(left), _AT_ONCE):
        part = things.c.number.in_(left[start : start + _AT_ONCE])
        connection.execute(delete(things).where(part, nobody))


def _numbers(connection: Connection, digests: Sequence[str]) -> dict[str, int]:
    query = select(things.c.digest, things.c.number).where(things.c.digest.in_(digests))
    return {row.digest: row.number for row in connection.execute(query)}


def _begins(word: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return and_(word >= text, word < text + _LAST)


def _newest(text: str, kind: str, limit: int) -> FromClause | None:
    """Things of a kind that have all words of a text, each with its newest run, newest first."""
    wanted = sorted(words(text), key=len, reverse=True)[:_MOST_WORDS]
    if not wanted:
        return None
    number, word = things.c.number, known_words.c.word
    found = (
        select(number, things.c.name, things.c.detail)
        .join(known_words, known_words.c.thing == number)
        .where(things.c.kind == kind, _begins(word, wanted[0]))
        .distinct()
        .order_by(number.desc())
        .limit(_CANDIDATES)
    )
    for other in wanted[1:]:
        also = known_words.alias()
        found = found.where(exists().where(also.c.thing == number, _begins(also.c.word, other)))
    candidates = found.subquery("candidates")
    run = (
        select(func.max(mentions.c.run))
        .where(mentions.c.thing == candidates.c.number)
        .scalar_subquery()
        .label("run")
    )
    query = select(candidates, run).order_by(run.desc().nulls_last()).limit(limit)
    return query.subquery("newest")


class SearchPart(ReadingPart):
    """What is found by words. Every word of a text has to be there, or begin one that is."""

    def series_like(self, text: str, limit: int = 50) -> tuple[SeriesFound, ...]:
        """Series with these words in the values of their labels, each with its newest verdict."""
        newest = _newest(text, SERIES, limit)
        if newest is None:
            return ()
        query = (
            select(verdicts, runs.c.title, runs.c.experiment, runs.c.started_at)
            .join(newest, newest.c.run == verdicts.c.run)
            .join(runs, runs.c.id == verdicts.c.run)
            .where(verdicts.c.slo == newest.c.name, verdicts.c.labels == newest.c.detail)
            .order_by(verdicts.c.run.desc(), verdicts.c.number)
        )
        with self._database.reading() as connection:
            return tuple(map(_series, connection.execute(query)))

    def targets_like(self, text: str, limit: int = 50) -> tuple[TargetFound, ...]:
        """Targets of faults with these words, each with the newest run that hit it."""
        newest = _newest(text, TARGET, limit)
        if newest is None:
            return ()
        query = (
            select(newest.c.name, newest.c.detail, *_RUN)
            .join(runs, runs.c.id == newest.c.run)
            .order_by(runs.c.id.desc())
        )
        with self._database.reading() as connection:
            return tuple(TargetFound(*row) for row in connection.execute(query))

    def runs_like(self, text: str, limit: int = 20) -> tuple[RunSummary, ...]:
        """Runs with these words in their title or in their experiment's name, newest first."""
        titles = _newest(text, TITLE, _TITLES)
        if titles is None:
            return ()
        with self._database.reading() as connection:
            numbers = connection.execute(select(titles.c.number)).scalars().all()
            if not numbers:
                return ()
            each = [
                select(mentions.c.run)
                .where(mentions.c.thing == number)
                .order_by(mentions.c.run.desc())
                .limit(limit)
                .subquery()
                for number in numbers
            ]
            ids = connection.execute(union_all(*map(select, each))).scalars().all()
            wanted = sorted(set(ids), reverse=True)[:limit]
            query = select(*SUMMARY).where(runs.c.id.in_(wanted)).order_by(runs.c.id.desc())
            rows = connection.execute(query).all()
        return tuple(RunSummary(**self._summary(row)) for row in rows)


_RUN = (runs.c.id, runs.c.title, runs.c.experiment, runs.c.started_at, runs.c.outcome)


def _series(row: AnyRow) -> SeriesFound:
    return SeriesFound(
        labels=parsed(row.labels),
        slo=row.slo,
        verdict=row.verdict,
        reason=row.reason,
        run=row.run,
        title=row.title,
        experiment=row.experiment,
        started_at=row.started_at,
    )
