"""What a run makes of the alerts that were read at its end."""

from __future__ import annotations

from sloguard.core.alerting import AlertsRead, judge_alerts
from sloguard.core.model import Timeline
from sloguard.engine.alert_sources import asking_sources, other_sources
from sloguard.engine.loop import Work
from sloguard.engine.session import Session


def hold_alerts(session: Session, read: AlertsRead, timeline: Timeline) -> None:
    """Keep the alerts, and what is said of those that were expected, with the run."""
    held = judge_alerts(read, session.experiment.alerts, timeline)
    session.alerts, session.alert_scope = held.entries, held.scope
    session.notes.extend(held.notes)


def alerts_alone(session: Session, timeline: Timeline) -> Work[None]:
    """Where Prometheus is not asked at the end: by whoever else knows of them."""
    sources = other_sources(session)
    if not sources and not session.experiment.alerts.declared:
        return
    read = yield from asking_sources(session.loop, sources, timeline.start, timeline.end)
    if not sources:
        read = AlertsRead(unread=("nobody could be asked for alerts",))
    session.notes.extend(read.unread)
    hold_alerts(session, read, timeline)
