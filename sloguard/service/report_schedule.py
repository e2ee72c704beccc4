"""The report of each week: made once by itself, told, and forgotten when it is old."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sloguard.core.reporting import ReportLine, StoredReport, ready
from sloguard.ports.outbox import Draft
from sloguard.render.report import ReportError
from sloguard.render.report.period import Period, before, last_whole_week, zone_of
from sloguard.service.reporting import ReportDesk

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

#: Makes messages of what ``core.reporting.ready`` tells, one a channel that wants it.
ReportWriter = Callable[[Mapping[str, Any]], Iterable[Draft]]


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


def page_link(base_url: str) -> Callable[[str], str]:
    """Where a report's page is; empty without an address."""
    base = base_url.rstrip("/")
    return lambda report: f"{base}/reports/{report}" if base else ""
