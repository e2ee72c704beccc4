"""Looking on while an expected alert may still come, or may still be over in time."""

from __future__ import annotations

from sloguard.core.alerting import AlertsRead, undecided_until
from sloguard.core.events import Waiting
from sloguard.engine.alert_sources import asking_sources, live_sources
from sloguard.engine.loop import Work
from sloguard.engine.session import Session

#: Between two looks, seconds.
_PACE = 2.0


def undecided(session: Session, read: AlertsRead, end: float) -> tuple[float, str] | None:
    """Until when it is worth looking on with what was read up to ``end``, and for what."""
    timeline, restored = session.timeline(end), session.restored
    if timeline is None or restored is None:
        return None
    declared = restored + session.experiment.phases.after
    return undecided_until(read, session.experiment.alerts, timeline, declared)


def looking_on(session: Session, until: float) -> Work[float]:
    """Wait beyond ``until`` while an expectation is open; gives the end of the run.

    Bounded by what is declared: each expectation has its time. Raises Stopped.
    """
    if not session.experiment.alerts.expect or session.start is None:
        return until
    sources = live_sources(session)
    told, end = 0.0, until
    while True:
        now = session.now()
        read = yield from asking_sources(session.loop, sources, session.start, now)
        session.check()
        wait = undecided(session, read, now)
        if wait is None:
            return end
        deadline, why = wait
        if deadline != told:
            told = deadline
            yield Waiting(now, why, deadline)
        yield from session.until(lambda: False, min(_PACE, deadline - now))
        end = session.now()
