"""What reports read, run after run and never all at once; and the reports that are kept."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from sloguard.adapters.store.base import StorePart, parsed
from sloguard.adapters.store.errors import StoreError
from sloguard.adapters.store.report_tables import reports
from sloguard.adapters.store.tables import faults, runs, verdicts
from sloguard.core.jsonable import dump
from sloguard.core.reporting import (
    ExperimentPast,
    ReportLine,
    RunSource,
    StoredReport,
    VerdictSource,
)

#: So many documents are in memory at once.
_PAGE = 100
_SOURCE = (
    runs.c.id,
    runs.c.experiment,
    runs.c.title,
    runs.c.tags,
    runs.c.kind,
    runs.c.started_at,
    runs.c.ended_at,
    runs.c.outcome,
    runs.c.reason,
    runs.c.score,
    runs.c.document,
)
_LINE = (
    reports.c.id,
    reports.c.kind,
    reports.c.name,
    reports.c.title,
    reports.c.summary,
    reports.c.start,
    reports.c.end,
    reports.c.created_at,
    reports.c.created_by,
    reports.c.announced_at,
)
#: By which runs of one experiment are known as such.
_NAME = func.coalesce(func.nullif(runs.c.experiment, ""), runs.c.title)
#: What was judged again is the same run once more.
_COUNTS = (runs.c.kind != "rejudge") & runs.c.outcome.is_not(None) & runs.c.ended_at.is_not(None)


class ReportsPart(StorePart):
    """The reading side of reports, and where they are kept."""

    def run_sources(self, since: float, until: float) -> Iterator[RunSource]:
        """Every ended run that started in [since, until), oldest first; a page of them is read at a time."""
        place = tuple_(runs.c.started_at, runs.c.id)
        base = select(*_SOURCE).where(
            _COUNTS, runs.c.started_at >= since, runs.c.started_at < until
        )
        last: tuple[float, str] | None = None
        while True:
            query = base.order_by(runs.c.started_at, runs.c.id).limit(_PAGE)
            if last is not None:
                query = query.where(place > tuple_(*last))
            with self._database.reading() as connection:
                rows = connection.execute(query).all()
            for row in rows:
                yield RunSource(*row)._replace(tags=tuple(parsed(row.tags)))
            if len(rows) < _PAGE:
                return
            last = (rows[-1].started_at, rows[-1].id)

    def run_sources_of(self, ids: tuple[str, ...]) -> Iterator[RunSource]:
        """These runs (whole ids) in this order; those that there are not are left out."""
        for run in ids:
            with self._database.reading() as connection:
                row = connection.execute(select(*_SOURCE).where(runs.c.id == run)).first()
            if row is not None:
                yield RunSource(*row)._replace(tags=tuple(parsed(row.tags)))

    def experiments_past(self, until: float) -> tuple[ExperimentPast, ...]:
        """Every experiment that was run before ``until``, by name: its newest run, and its last success."""
        name = _NAME
        ended = select(name.label("name"), runs.c.started_at, runs.c.outcome).where(
            _COUNTS, runs.c.started_at < until
        )
        inner = ended.subquery()
        newest = select(
            inner.c.name, func.count().label("runs"), func.max(inner.c.started_at).label("last")
        ).group_by(inner.c.name)
        met = (
            select(inner.c.name, func.max(inner.c.started_at))
            .where(inner.c.outcome == "met")
            .group_by(inner.c.name)
        )
        found = newest.subquery()
        lines = select(
            found.c.name, runs.c.title, found.c.runs, runs.c.id, runs.c.started_at,
            runs.c.outcome, runs.c.reason,
        ).join(found, (name == found.c.name) & (runs.c.started_at == found.c.last)).where(_COUNTS)  # fmt: skip
        with self._database.reading() as connection:
            met_at: dict[Any, Any] = {row[0]: row[1] for row in connection.execute(met)}
            rows = connection.execute(lines.order_by(found.c.name, runs.c.id)).all()
        made = {row[0]: ExperimentPast(*row, met_at.get(row[0])) for row in rows}
        return tuple(made.values())

    def faults_past(self, until: float) -> tuple[str, ...]:
        """Every fault that was injected before ``until``, by name."""
        query = (
            select(faults.c.fault)
            .where(faults.c.injected_at < until)
            .distinct()
            .order_by(faults.c.fault)
        )
        with self._database.reading() as connection:
            found = connection.execute(query).scalars().all()
        return tuple(dict.fromkeys(name.removeprefix("sloguard.faults.") for name in found))

    def verdict_history(self, experiment: str, slo: str, until: float) -> Iterator[VerdictSource]:
        """Verdicts of one SLO of one experiment (its name, else title), newest run first, page by page."""
        # Not by ``_NAME``: each of these two has an index.
        untitled = (runs.c.experiment == "") & (runs.c.title == experiment)
        named = (runs.c.experiment == experiment) | untitled
        base = select(runs.c.id, runs.c.started_at, runs.c.outcome).where(
            _COUNTS, named, runs.c.started_at < until
        )
        place = tuple_(runs.c.started_at, runs.c.id)
        last: tuple[float, str] | None = None
        while True:
            query = base.order_by(runs.c.started_at.desc(), runs.c.id.desc()).limit(_PAGE)
            if last is not None:
                query = query.where(place < tuple_(*last))
            with self._database.reading() as connection:
                page = connection.execute(query).all()
                rows = connection.execute(
                    select(verdicts.c.run, verdicts.c.labels, verdicts.c.verdict)
                    .where(verdicts.c.slo == slo, verdicts.c.run.in_([row.id for row in page]))
                    .order_by(verdicts.c.number)
                ).all()
            of_run: dict[str, list[Any]] = {}
            for row in rows:
                of_run.setdefault(row.run, []).append(row)
            for run, at, outcome in page:
                for row in of_run.get(run, ()):
                    labels = parsed(row.labels) if row.labels else None
                    yield VerdictSource(run, at, labels, row.verdict, str(outcome))
            if len(page) < _PAGE:
                return
            last = (page[-1].started_at, page[-1].id)

    # Reports that are kept.

    def keep_report(self, report: StoredReport) -> bool:
        """Keep it; False where there is one with this ``key`` already, and then nothing is kept."""
        values = {
            "id": report.id,
            "kind": report.kind,
            "name": report.name,
            "title": report.title,
            "summary": report.summary,
            "start": report.start,
            "end": report.end,
            "created_at": report.created_at,
            "created_by": report.created_by,
            "announced_at": report.announced_at,
            "key": report.key,
            "model": _packed(dump(report.model)),
            "body": _packed(report.body),
        }
        try:
            with self._database.writing() as connection:
                if report.key is not None:
                    taken = select(reports.c.id).where(reports.c.key == report.key)
                    if connection.execute(taken).first() is not None:
                        return False
                connection.execute(insert(reports).values(**values))
        except StoreError as error:
            # Two at the same moment: the other one was first.
            if report.key is not None and isinstance(error.__cause__, IntegrityError):
                return False
            raise
        return True

    def reports(
        self, limit: int = 50, before: str | None = None, *, kind: str | None = None
    ) -> tuple[ReportLine, ...]:
        """Newest first; ``before``: the id of the page before's last."""
        query = select(*_LINE).order_by(reports.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(reports.c.id < before)
        if kind is not None:
            query = query.where(reports.c.kind == kind)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(ReportLine(**row._mapping) for row in rows)

    def report(self, report: str) -> StoredReport | None:
        """One by its id; ``latest``: the newest one."""
        query = select(*_LINE, reports.c.key, reports.c.model, reports.c.body)
        if report == "latest":
            query = query.order_by(reports.c.id.desc()).limit(1)
        else:
            query = query.where(reports.c.id == report)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        kept = dict(row._mapping)
        kept["model"] = json.loads(_unpacked(kept["model"]))
        kept["body"] = _unpacked(kept["body"])
        return StoredReport(**kept)

    def report_with_key(self, key: str) -> ReportLine | None:
        """The one report of this key."""
        with self._database.reading() as connection:
            row = connection.execute(select(*_LINE).where(reports.c.key == key)).first()
        return None if row is None else ReportLine(**row._mapping)

    def reports_to_announce(self) -> tuple[ReportLine, ...]:
        """Those of the schedule that nobody was told of yet, oldest first."""
        query = (
            select(*_LINE)
            .where(reports.c.key.is_not(None), reports.c.announced_at.is_(None))
            .order_by(reports.c.id)
        )
        with self._database.reading() as connection:
            return tuple(ReportLine(**row._mapping) for row in connection.execute(query))

    def report_announced(self, report: str) -> None:
        """It was told that this one is there."""
        with self._database.writing() as connection:
            told = update(reports).where(reports.c.id == report)
            connection.execute(told.values(announced_at=self._now()))

    def delete_report(self, report: str) -> bool:
        """Whether there was one."""
        with self._database.writing() as connection:
            gone = connection.execute(delete(reports).where(reports.c.id == report))
            return bool(gone.rowcount)

    def prune_reports(self, older_than: float) -> int:
        """Forget reports that were made before this time; how many these were."""
        with self._database.writing() as connection:
            gone = connection.execute(delete(reports).where(reports.c.created_at < older_than))
            return int(gone.rowcount)


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "backslashreplace"), 6)


def _unpacked(data: bytes) -> str:
    return zlib.decompress(data).decode()
