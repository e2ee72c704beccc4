"""What pages show: a few statements a page, each along an index, however many runs are kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Integer, String, bindparam, func, literal, select, true

from sloguard.adapters.store.base import parsed
from sloguard.adapters.store.ledger import UNDONE
from sloguard.adapters.store.reading import SUMMARY, ReadingPart
from sloguard.adapters.store.tables import events, faults, intents, runs
from sloguard.core.browsing import FaultLeft, StoredDocument
from sloguard.core.history import RunSummary, StoredEvent

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnySelect

#: So many announcements of one run are told.
_MOST_TOLD = 2000
#: What a story does not need: the live picture, and the arrival of samples.
_NOT_TOLD = ("Observed", "EvidenceCollected", "SurroundingsCollected")


def _recent(name: Any) -> AnySelect:
    """The newest runs of one experiment, rejudgements left out."""
    return (
        select(*SUMMARY)
        .where(runs.c.experiment == name, runs.c.kind != literal("rejudge"))
        .order_by(runs.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
    )


def _recent_of_list() -> AnySelect:
    """As ``_RECENT_OF_ALL`` for SQLite, which knows no LATERAL: of each name in a list (JSON) the newest ids."""
    names = func.json_each(bindparam("names", type_=String)).table_valued("value").alias("names")
    own = runs.alias("own")
    newest = (
        select(own.c.id)
        .where(own.c.experiment == names.c.value, own.c.kind != literal("rejudge"))
        .order_by(own.c.id.desc())
        .limit(bindparam("limit", type_=Integer))
        .correlate(names)
        .subquery("newest")
    )
    # As a list again: what stands in a function's argument is always worked out before it.
    listed = select(func.json_group_array(newest.c.id)).correlate(names).scalar_subquery()
    ids = func.json_each(listed).table_valued("value").alias("ids")
    wanted = select(ids.c.value).select_from(names.join(ids, true()))
    return select(*SUMMARY).where(runs.c.id.in_(wanted))


_RECENT_OF_LIST = _recent_of_list()
_NAMES = func.unnest(bindparam("names", type_=ARRAY(String))).table_valued("name").alias("names")
_RECENT_OF_ALL = select(_recent(_NAMES.c.name).lateral("recent")).select_from(_NAMES)


class BrowsingPart(ReadingPart):
    """The reading side of the pages."""

    def recent_runs(
        self, names: Sequence[str], limit: int = 12
    ) -> Mapping[str, Sequence[RunSummary]]:
        """The newest runs of each of these experiments, newest first; rejudgements left out."""
        unique = list(dict.fromkeys(names))
        if self._database.is_sqlite:
            listed = {"names": json.dumps(unique), "limit": limit}
            [rows] = self._database.moment((_RECENT_OF_LIST, listed)) if unique else [[]]
        else:
            given = {"names": unique, "limit": limit}
            rows = self._database.rows(_RECENT_OF_ALL, given) if unique else []
        found: dict[str, list[RunSummary]] = {name: [] for name in unique}
        for row in rows:
            found[row.experiment].append(RunSummary(**self._summary(row)))
        for several in found.values():
            several.sort(key=lambda run: run.id, reverse=True)
        return found

    def story(self, run: str) -> tuple[StoredEvent, ...]:
        """What a run (its whole id) announced, without the live picture and the samples."""
        query = (
            select(events.c.number, events.c.at, events.c.kind, events.c.data)
            .where(events.c.run == run, events.c.kind.not_in(_NOT_TOLD))
            .order_by(events.c.number)
            .limit(_MOST_TOLD)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(StoredEvent(n, at, kind, parsed(data)) for n, at, kind, data in rows)

    def newest_picture(self, run: str) -> StoredEvent | None:
        """The last live picture (Observed) of a run (its whole id)."""
        query = (
            select(events.c.number, events.c.at, events.c.kind, events.c.data)
            .where(events.c.run == run, events.c.kind == "Observed")
            .order_by(events.c.number.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else StoredEvent(row[0], row[1], row[2], parsed(row[3]))

    def documents(self, names: Sequence[str]) -> tuple[StoredDocument, ...]:
        """The documents of these runs (whole ids) as text, newest first; runs without one left out."""
        query = (
            select(runs.c.id, runs.c.experiment, runs.c.title, runs.c.started_at, runs.c.document)
            .where(runs.c.id.in_(names), runs.c.document.is_not(None))
            .order_by(runs.c.id.desc())
        )
        with self._database.reading() as connection:
            return tuple(StoredDocument(*row) for row in connection.execute(query))

    def faults_left_by(self, names: Sequence[str]) -> tuple[FaultLeft, ...]:
        """Injections of these runs (whole ids) that are not undone, with how a person would do it."""
        if not names:
            return ()
        query = (
            select(
                intents.c.run,
                runs.c.title,
                intents.c.fault,
                intents.c.target,
                intents.c.status,
                intents.c.detail,
                func.coalesce(faults.c.by_hand, ""),
            )
            .join(runs, runs.c.id == intents.c.run)
            .outerjoin(faults, (faults.c.run == intents.c.run) & (faults.c.id == intents.c.id))
            .where(intents.c.run.in_(names), intents.c.status != UNDONE)
            .order_by(intents.c.number.desc())
        )
        with self._database.reading() as connection:
            return tuple(FaultLeft(*row) for row in connection.execute(query))
