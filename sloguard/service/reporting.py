"""Reports, made of what the store has. ``report_schedule`` makes them each week."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from sloguard.core.history import StoredRun
from sloguard.core.people import RunNote
from sloguard.core.reporting import (
    ExperimentPast,
    RunSource,
    StoredReport,
    VerdictSource,
)
from sloguard.core.series import SloEvidence
from sloguard.render.report.known import Known, KnownBacklog, KnownExperiment, Past
from sloguard.render.report.period import Period, before

if TYPE_CHECKING:
    from sloguard.render.report.subjects import Subject
    from sloguard.service.backlog import BacklogDesk
    from sloguard.service.catalogue import Catalogue

_NAMED = re.compile(r"\b(?:service|app|job|deployment)\s*=\s*[\"']?([A-Za-z0-9][A-Za-z0-9._-]*)")


class ReportSources(Protocol):
    """What reports are made of."""

    def run_sources(self, since: float, until: float) -> Iterator[RunSource]:
        """Every ended run that started in [since, until), oldest first."""
        ...

    def experiments_past(self, until: float) -> tuple[ExperimentPast, ...]:
        """Every experiment that was run before ``until``."""
        ...

    def faults_past(self, until: float) -> tuple[str, ...]:
        """Every fault that was injected before ``until``."""
        ...

    def verdict_history(self, experiment: str, slo: str, until: float) -> Iterator[VerdictSource]:
        """Verdicts of one SLO of one experiment, newest run first."""
        ...

    def run(self, run: str) -> StoredRun:
        """A run, by its id or a unique beginning."""
        ...

    def notes_of(self, run: str) -> Sequence[RunNote]:
        """What people noted."""
        ...

    def notes_between(
        self, since: float, until: float, limit: int = 100
    ) -> Sequence[tuple[RunNote, str]]:
        """What they noted of runs that started in this time, with the titles of these."""
        ...

    def each_evidence(self, run: str, slo: str | None = None) -> Iterator[SloEvidence]:
        """Its samples."""
        ...


class ReportDesk:
    """Makes reports. ``known``: what could be tried, asked anew for each report; ``backlog``: the hypotheses."""

    def __init__(
        self,
        store: ReportSources,
        *,
        known: Callable[[], Known],
        new_id: Callable[[], str],
        now: Callable[[], float] = time.time,
        backlog: BacklogDesk | None = None,
    ) -> None:
        self._store, self._known, self._new_id, self._now = store, known, new_id, now
        self._backlog = backlog

    def weekly(
        self, period: Period, *, weeks: int = 5, by: str = "", key: str | None = None
    ) -> StoredReport:
        """The report of a period beside those before it. It is not kept. Raises OutsideError."""
        # pandas takes half a second to load.
        from sloguard.render.report.making import weekly_model
        from sloguard.render.report.rows import Rows

        periods = before(period, weeks)
        rows = Rows.of(self._store.run_sources(periods[0].start, period.end))
        past = Past(
            experiments=self._store.experiments_past(period.end),
            faults=self._store.faults_past(period.end),
            history=lambda experiment, slo: self._store.verdict_history(
                experiment, slo, period.end
            ),
        )
        model = weekly_model(
            rows,
            periods,
            past,
            self._known(),
            now=self._now(),
            backlog=self._hypotheses(period),
            observations=self._store.notes_between(period.start, period.end),
        )
        return self._written(model, period.start, period.end, by, key)

    def _hypotheses(self, period: Period) -> KnownBacklog | None:
        if self._backlog is None:
            return None
        look = self._backlog.look(period.end)
        return KnownBacklog(
            standings=look.standings,
            before=self._backlog.look(period.start).standings,
            title=look.title,
            # Where the file lies is nobody's business who reads the report.
            problems=[str(replace(p, file=os.path.basename(p.file))) for p in look.problems],
        )

    def runs(self, subjects: Sequence[Subject], *, zone: str = "UTC", by: str = "") -> StoredReport:
        """The report of these runs. It is not kept. Raises ReportError."""
        from sloguard.render.report.runs import runs_model

        known = self._backlog.look().standings if self._backlog is not None else ()
        model = runs_model(subjects, now=self._now(), zone=zone, backlog=known)
        start, end = (datetime.fromisoformat(model[mark]).timestamp() for mark in ("start", "end"))
        return self._written(model, start, end, by, None)

    def stored(self, runs: Sequence[str]) -> list[Subject]:
        """Runs of the store by their ids. Raises ReportError where one has no verdict, OutsideError."""
        from sloguard.render.report.subjects import of_stored

        found = [self._store.run(run) for run in runs]
        return [of_stored(run, self._store.notes_of(run.id)) for run in found]

    def _written(
        self, model: Mapping[str, Any], start: float, end: float, by: str, key: str | None
    ) -> StoredReport:
        from sloguard.render.report.illustrating import pictures_of
        from sloguard.render.report.writing import body_of

        title = str(model["title"])
        if model["kind"] == "weekly":
            title = f"{title} {model['name']}"
        return StoredReport(
            id=self._new_id(),
            kind=str(model["kind"]),
            name=str(model["name"])[:200],
            title=title[:300],
            summary=str(model["summary"])[:1000],
            start=start,
            end=end,
            created_at=self._now(),
            created_by=by,
            model=model,
            body=body_of(model, pictures_of(model, self._draw)),
            key=key,
        )

    def _draw(self, run: str, slo: str, size: tuple[int, int]) -> str | None:
        from sloguard.render.charts import chart_document

        stored = self._store.run(run)
        evidence = next(iter(self._store.each_evidence(stored.id, slo)), None)
        if evidence is None or stored.document is None or stored.timeline is None:
            return None
        picture = chart_document(
            stored.document, evidence, size=size, surroundings=stored.surroundings
        )
        return picture.decode()


def known_of(catalogue: Catalogue | None) -> Known:
    """What could be tried: every fault of sloguard, and the experiments of a catalogue."""
    from sloguard.faults.catalogue import catalogue as all_faults

    faults = {entry.name: entry.summary for entry in all_faults()}
    if catalogue is None:
        return Known(faults=faults)
    experiments = [
        KnownExperiment(
            name=entry.name,
            title=entry.title,
            services=services_in(entry.declared, entry.experiment.tags if entry.experiment else ()),
            valid=entry.valid,
        )
        for entry in catalogue.entries()
    ]
    return Known(faults=faults, experiments=experiments)


def services_in(declared: Any, tags: Sequence[str] = ()) -> tuple[str, ...]:
    """Services that an experiment names: in selectors (``app=checkout``), in queries, in tags."""
    found = {tag.partition(":")[2].strip() for tag in tags if tag.startswith("service:")}
    for text in _texts(declared):
        found.update(_NAMED.findall(text))
    return tuple(sorted(name for name in found if name))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
