"""What makes reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sloguard.bootstrap.backlog import backlog_desk
from sloguard.bootstrap.desks import catalogue
from sloguard.bootstrap.running import new_run_id
from sloguard.bootstrap.telling import open_notices

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.service.catalogue import Catalogue
    from sloguard.service.report_schedule import ReportSchedule, ReportWriter
    from sloguard.service.reporting import ReportDesk
    from sloguard.settings import Settings


def report_desk(settings: Settings, store: Store, known: Catalogue | None = None) -> ReportDesk:
    """What makes reports. ``known``: the experiments that there are; else those of the settings.

    Raises ServiceError for directories' permissions that there are not.
    """
    from sloguard.service.reporting import ReportDesk, known_of

    group = settings.serve
    offered = known or (catalogue(settings) if group.experiments else None)
    return ReportDesk(
        store,
        known=lambda: known_of(offered),
        new_id=new_run_id,
        backlog=backlog_desk(settings, store, known),
    )


def report_writers(settings: Settings) -> list[ReportWriter]:
    """What makes messages of a report that is there, one a kind of channel that is set up."""
    import time

    notices = open_notices(settings)
    if notices is None:
        return []
    return [lambda ready: notices.report(ready, time.time())]


def report_schedule(
    settings: Settings, store: Store, known: Catalogue, *, name: str
) -> ReportSchedule:
    """What makes the report of each week, and forgets old ones. Raises OutsideError."""
    from sloguard.ports import OutsideError
    from sloguard.render.report import ReportError
    from sloguard.service.report_schedule import ReportSchedule, Rhythm, page_link
    from sloguard.settings.reports import DAYS

    group, rhythm = settings.reports, None
    if group.weekly != "off":
        try:
            rhythm = Rhythm.of(DAYS.index(group.weekly), group.at, group.time_zone, group.weeks)
        except ReportError as error:
            raise OutsideError(f"the settings of reports do not fit: {error}") from error
    return ReportSchedule(
        report_desk(settings, store, known),
        store,
        name=name,
        rhythm=rhythm,
        put=store.put,
        writers=report_writers(settings),
        link=page_link(settings.serve.base_url),
        retention_days=group.retention_days,
    )
