"""Runs that test hypotheses, for working out how it stands with these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Double, Integer, String, bindparam, literal, select

from sloguard.adapters.store.reading import SUMMARY, ReadingPart
from sloguard.adapters.store.tables import runs, tags
from sloguard.core.backlog import ANSWERS, Attempt
from sloguard.core.history import RunSummary

if TYPE_CHECKING:
    from sloguard.adapters.store.base import AnySelect

_FOR_EVER = 1e18


def _newest(*, by_tag: bool, answered: bool) -> AnySelect:
    """The newest runs of one tag or of one experiment, along its index; ``answered``: of those that were met or
    deviated, the newest one."""
    query: AnySelect = select(*SUMMARY)
    key, until = bindparam("key", type_=String), bindparam("until", type_=Double)
    if by_tag:
        query = query.join(tags, tags.c.run == runs.c.id)
        query = query.where(tags.c.tag == key, tags.c.at < until)
        query = query.order_by(tags.c.at.desc(), tags.c.run.desc())
    else:
        query = query.where(runs.c.experiment == key, runs.c.started_at < until)
        query = query.order_by(runs.c.started_at.desc(), runs.c.id.desc())
    query = query.where(runs.c.kind != literal("rejudge"))
    if not answered:
        return query.limit(bindparam("each", type_=Integer))
    outcomes = [runs.c.outcome == literal(outcome) for outcome in ANSWERS]
    return query.where(outcomes[0] | outcomes[1], runs.c.ended_at.is_not(None)).limit(literal(1))


_BY_TAG, _ANSWERED_BY_TAG = (_newest(by_tag=True, answered=a) for a in (False, True))
_BY_NAME, _ANSWERED_BY_NAME = (_newest(by_tag=False, answered=a) for a in (False, True))


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
        given = {"until": _FOR_EVER if until is None else until, "each": each}
        asked = [
            (statement, {**given, "key": key})
            for keys, statements in (
                (wanted, (_BY_TAG, _ANSWERED_BY_TAG)),
                (names, (_BY_NAME, _ANSWERED_BY_NAME)),
            )
            for key in dict.fromkeys(keys)
            for statement in statements
        ]
        found: dict[str, Attempt] = {}
        for rows in self._database.moment(*asked) if asked else ():
            for row in rows:
                if row.id not in found:
                    found[row.id] = _attempt(RunSummary(**self._summary(row)))
        return tuple(found[id] for id in sorted(found, reverse=True))


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
