"""Runs that test hypotheses, for working out how it stands with these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from sloguard.adapters.store.reading import SUMMARY, ReadingPart
from sloguard.adapters.store.tables import runs, tags
from sloguard.core.backlog import ANSWERS, Attempt
from sloguard.core.history import RunSummary

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnySelect

#: Databases take so many values in one question.
_AT_ONCE = 500
_ANSWERED = case((runs.c.outcome.in_(list(ANSWERS)), 1), else_=0)


class BacklogPart(ReadingPart):
    """Runs by tags and by names of experiments; what was judged again is left out."""

    def attempts(
        self,
        wanted: Sequence[str],
        names: Sequence[str],
        *,
        until: float | None = None,
        each: int = 30,
    ) -> tuple[Attempt, ...]:
        """The newest ``each`` runs with each of these tags, and of each of these experiments, and of all of
        them the newest that was met or deviated, however old it is.

        ``until``: only those that started before. Newest first, each once.
        """
        found: dict[str, Attempt] = {}
        for key, values in ((tags.c.tag, wanted), (runs.c.experiment, names)):
            for some in _parts(values):
                for row in self._ranked(key, some, until, each):
                    found[row.id] = _attempt(RunSummary(**self._summary(row)))
        return tuple(found[id] for id in sorted(found, reverse=True))

    def _ranked(
        self, key: Any, values: Sequence[str], until: float | None, each: int
    ) -> Sequence[Any]:
        by_tag = key.table is tags
        run = tags.c.run if by_tag else runs.c.id

        def place(*within: Any) -> Any:
            return func.row_number().over(partition_by=within, order_by=run.desc())

        inner: AnySelect = select(
            runs.c.id,
            _ANSWERED.label("answered"),
            place(key).label("place"),
            # Judged and ended are two moments: of two one has ended.
            place(key, _ANSWERED).label("among"),
        ).where(key.in_(values), runs.c.kind != "rejudge")
        if by_tag:
            inner = inner.join(tags, tags.c.run == runs.c.id)
        if until is not None:
            inner = inner.where((tags.c.at if by_tag else runs.c.started_at) < until)
        ranked = inner.subquery()
        wanted = (ranked.c.place <= each) | ((ranked.c.answered == 1) & (ranked.c.among <= 2))
        query = select(*SUMMARY).where(runs.c.id.in_(select(ranked.c.id).where(wanted)))
        with self._database.reading() as connection:
            return connection.execute(query).all()


def _parts(values: Iterable[str]) -> Iterable[list[str]]:
    unique = list(dict.fromkeys(values))
    return (unique[start : start + _AT_ONCE] for start in range(0, len(unique), _AT_ONCE))


def _attempt(run: RunSummary) -> Attempt:
    return Attempt(
        run.id,
        run.experiment,
        run.title,
        run.source,
        run.tags,
        run.started_at,
        run.ended_at,
        run.state,
        run.reason,
    )
