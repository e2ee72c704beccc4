"""Reports: made of what the store has, kept there, and made each week by themselves."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from sloguard.core.history import StoredRun
from sloguard.core.reporting import (
    ExperimentPast,
    ReportLine,
    RunSource,
    StoredReport,
    VerdictSource,
    ready,
)
from sloguard.core.series import SloEvidence
from sloguard.ports.outbox import Draft
from sloguard.render.report import ReportError
from sloguard.render.report.known import Known, KnownExperiment, Past
from sloguard.render.report.period import Period, before, last_whole_week, zone_of

if TYPE_CHECKING:
    from sloguard.render.report.subjects import Subject
    from sloguard.service.catalogue import Catalogue

log = logging.getLogger(__name__)

#: Between two looks at the clock, in seconds.
LOOK_SECONDS = 30.0
#: Nobody else begins for so long; a report takes seconds.
LEASE_SECONDS = 900.0
#: A report that could not be made is tried again after so long, in seconds.
AGAIN_SECONDS = 600.0
_CLEAR_SECONDS = 3600.0
_DAY = 86400.0
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_NAMED = re.compile(r"\b(?:service|app|job|deployment)\s*=\s*[\"']?([A-Za-z0-9][A-Za-z0-9._-]*)")

#: Makes messages of what ``core.reporting.ready`` tells, one a channel that wants it.
ReportWriter = Callable[[Mapping[str, Any]], Iterable[Draft]]


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

    def each_evidence(self, run: str, slo: str | None = None) -> Iterator[SloEvidence]:
        """Its samples."""
        ...


class ReportShelf(Protocol):
    """Where reports are kept."""

    def keep_report(self, report: StoredReport) -> bool:
        """Keep it; False where there is one with this key already."""
        ...

    def report_with_key(self, key: str) -> ReportLine | None:
        """The one report of this key."""
        ...

    def reports_to_announce(self) -> tuple[ReportLine, ...]:
        """Those of the schedule that nobody was told of yet."""
        ...

    def report_announced(self, report: str) -> None:
        """It was told."""
        ...

    def prune_reports(self, older_than: float) -> int:
        """Forget old ones."""
        ...

    def hold_lease(self, name: str, holder: str, seconds: float) -> bool:
        """What only one of several services does at a time."""
        ...


class ReportDesk:
    """Makes reports. ``known``: what could be tried, asked anew for each report."""

    def __init__(
        self,
        store: ReportSources,
        *,
        known: Callable[[], Known],
        new_id: Callable[[], str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._known, self._new_id, self._now = store, known, new_id, now

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
        model = weekly_model(rows, periods, past, self._known(), now=self._now())
        return self._written(model, period.start, period.end, by, key)

    def runs(self, subjects: Sequence[Subject], *, zone: str = "UTC", by: str = "") -> StoredReport:
        """The report of these runs. It is not kept. Raises ReportError."""
        from sloguard.render.report.runs import runs_model

        model = runs_model(subjects, now=self._now(), zone=zone)
        start, end = (datetime.fromisoformat(model[mark]).timestamp() for mark in ("start", "end"))
        return self._written(model, start, end, by, None)

    def stored(self, runs: Sequence[str]) -> list[Subject]:
        """Runs of the store by their ids. Raises ReportError where one has no verdict, OutsideError."""
        from sloguard.render.report.subjects import of_stored

        return [of_stored(self._store.run(run)) for run in runs]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """When the week's report is due: a day (0 is Monday) and a time in a time zone."""

    day: int
    hour: int
    minute: int
    zone: str
    weeks: int = 5

    @classmethod
    def of(cls, day: int, at: str, zone: str, weeks: int = 5) -> Rhythm:
        """Raises ReportError for a time or a zone that there is not."""
        found = _CLOCK.fullmatch(at.strip())
        if found is None:
            raise ReportError(f"found '{at}', expected a time of the day such as 07:00")
        zone_of(zone)
        return cls(day=day, hour=int(found[1]), minute=int(found[2]), zone=zone, weeks=weeks)

    def due(self, now: float) -> tuple[Period, float]:
        """The last week whose report is due by now, and since when.

        A report is due on the first such day and time after its week has ended. Only the newest one is
        made up for: nobody reads the others any more.
        """
        period = last_whole_week(now, self.zone)
        while (at := self._moment(period)) > now:
            period = before(period, 2)[0]
        return period, at

    def _moment(self, period: Period) -> float:
        ended = datetime.fromtimestamp(period.end, zone_of(self.zone))
        monday = ended.date().toordinal()
        day = datetime.fromordinal(monday + self.day)
        moment = day.replace(hour=self.hour, minute=self.minute, tzinfo=zone_of(self.zone))
        return moment.timestamp()


class ReportSchedule:
    """Makes the report of each week once, whatever number of services there are on one store; tells of it,
    and forgets old ones.

    What was missed while no service ran is made at the next start. ``writers`` make the messages that
    ``put`` keeps; ``link``: the address of a report's page, or empty.
    """

    def __init__(
        self,
        desk: ReportDesk,
        shelf: ReportShelf,
        *,
        name: str,
        rhythm: Rhythm | None,
        put: Callable[[Sequence[Draft]], object],
        writers: Sequence[ReportWriter] = (),
        link: Callable[[str], str] = lambda _report: "",
        retention_days: float = 0.0,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk, self._shelf, self._name, self._rhythm = desk, shelf, name, rhythm
        self._put, self._writers, self._link = put, tuple(writers), link
        self._keep, self._now, self._monotonic = retention_days * _DAY, now, monotonic
        self._made, self._not_before, self._cleared = "", float("-inf"), float("-inf")

    def turn(self) -> None:
        """Look at the clock once. Raises OutsideError where the store is away."""
        if self._rhythm is not None:
            self._make(self._rhythm)
            self._announce()
        self._clear_out()

    def _make(self, rhythm: Rhythm) -> None:
        now = self._now()
        period, _ = rhythm.due(now)
        key = f"weekly {period.name} {rhythm.zone}"
        if key == self._made or self._monotonic() < self._not_before:
            return
        if self._shelf.report_with_key(key) is None:
            if not self._shelf.hold_lease("reports", self._name, LEASE_SECONDS):
                return
            # Should it fail, the others have their turn when the lease has run out, and this one then too.
            self._not_before = self._monotonic() + AGAIN_SECONDS
            report = self._desk.weekly(period, weeks=rhythm.weeks, key=key)
            if self._shelf.keep_report(report):
                log.info("made the report %s of %s", report.id, period.name)
        self._made, self._not_before = key, float("-inf")

    def _announce(self) -> None:
        for line in self._shelf.reports_to_announce():
            told = ready(line, self._link(line.id))
            drafts: list[Draft] = []
            for write in self._writers:
                try:
                    drafts += write(told)
                except Exception:
                    # One that fails takes nothing from the others.
                    log.exception("report %s is not told to one channel", line.id)
            if drafts:
                # Their keys are the report's: told twice is told once.
                self._put(drafts)
            self._shelf.report_announced(line.id)

    def _clear_out(self) -> None:
        now = self._monotonic()
        if not self._keep or now - self._cleared < _CLEAR_SECONDS:
            return
        self._cleared = now
        gone = self._shelf.prune_reports(self._now() - self._keep)
        if gone:
            log.info("deleted %d reports that were older than they are kept", gone)


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


def page_link(base_url: str) -> Callable[[str], str]:
    """Where a report's page is; empty without an address."""
    base = base_url.rstrip("/")
    return lambda report: f"{base}/reports/{report}" if base else ""
