"""Verdicts with alerts in them: an SLO in breach from 10 to 40 seconds after the fault, and what fired."""

from __future__ import annotations

from typing import Any

from sloguard.core.alert_rules import Alerting, AlertPattern, ExpectedAlert, Matcher
from sloguard.core.alerting import AlertsRead, judge_alerts
from sloguard.core.document import document
from sloguard.core.episodes import AlertEpisode
from sloguard.core.outcome import RunFacts
from tests.support.evidence import FAULT, between, judged, marks, slo

HIGH = AlertPattern((Matcher("alertname", "=", "High"),))
DOWN = AlertPattern((Matcher("severity", "=", "critical"),))


def verdict(
    *episodes: AlertEpisode, bad: bool = True, alerting: Alerting | None = None
) -> dict[str, Any]:
    series = between(10, 40, 0.2 if bad else 0.0)
    result = judged(slo("< 1%"), {"": series})
    read = AlertsRead(episodes=episodes)
    held = judge_alerts(read, alerting or Alerting(), marks())
    facts = RunFacts(
        experiment="x",
        timeline=marks(),
        slos=(result,),
        alerts=held.entries,
        alert_scope=held.scope,
    )
    return document(facts)


def fired(name: str, start: float, end: float | None = None, **labels: str) -> AlertEpisode:
    ends = None if end is None else FAULT + end
    return AlertEpisode(labels={"alertname": name, **labels}, starts_at=FAULT + start, ends_at=ends)


EXPECTED = Alerting(expect=(ExpectedAlert(HIGH, 60.0), ExpectedAlert(DOWN, 30.0)), forbid=(DOWN,))
