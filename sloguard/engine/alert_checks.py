"""What alerts say before a run: nothing is broken while they fire, and there is somebody to ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sloguard.core.alert_rules import Alerting, AlertPattern
from sloguard.core.alerting import AlertsRead
from sloguard.core.episodes import AlertEpisode, merged
from sloguard.core.expecting import shown_alert
from sloguard.core.text import format_duration, format_time
from sloguard.engine.alert_sources import asking_sources, live_sources
from sloguard.engine.findings import Findings
from sloguard.engine.loop import Work
from sloguard.ports import OutsideError

_NAME = "alerts"


def checking_alerts(found: Findings) -> Work[None]:
    """Told as any check; what is declared and cannot be had keeps the run from starting."""
    session = found.session
    alerting = session.experiment.alerts
    if not alerting.declared:
        return
    sources = live_sources(session)
    if not sources:
        yield found.bad(_NAME, "nobody can be asked for alerts: give --prometheus URL")
        return
    now = session.now()
    # What has just begun or ended is told a moment later.
    read = yield from asking_sources(session.loop, sources, now - 2 * session.options.tick, now)
    session.check()
    must = bool(alerting.refuse_when_firing or alerting.abort_on)
    against = list(firing_against(alerting, read, now))
    for problem in against:
        yield found.bad(_NAME, problem)
    for problem in [] if must else read.unread:
        yield found.odd(_NAME, problem)
    if must and not against:
        yield found.good(_NAME, "none fires that would stand against the run")
    yield from _expecting(found, alerting, _firing(alerting, read, now))
    if alerting.silence is not None:
        yield from _silence(found, alerting)


def firing_against(alerting: Alerting, read: AlertsRead, now: float) -> Iterator[str]:
    """Why nothing may be broken at ``now``, as sentences: alerts that fire, or that nobody can tell of."""
    if alerting.refuse_when_firing or alerting.abort_on:
        yield from read.unread
    firing = _firing(alerting, read, now)
    for key, patterns in (
        ("refuse_when_firing", alerting.refuse_when_firing),
        ("abort_on", alerting.abort_on),
    ):
        told = _first(patterns, firing)
        if told is not None:
            alert, more = told
            others = f" (and {more} more)" if more else ""
            yield f"{shown_alert(alert)} fires{others}, which '{key}' names: nothing is broken now"


def _firing(alerting: Alerting, read: AlertsRead, now: float) -> list[AlertEpisode]:
    return [
        e
        for e in merged(read.episodes)
        if (e.ends_at is None or e.ends_at > now) and alerting.concerns(e.labels)
    ]


def _first(
    patterns: Sequence[AlertPattern], firing: Sequence[AlertEpisode]
) -> tuple[AlertEpisode, int] | None:
    meant = [e for e in firing if any(pattern.holds(e.labels) for pattern in patterns)]
    return (meant[0], len(meant) - 1) if meant else None


def _expecting(found: Findings, alerting: Alerting, firing: Sequence[AlertEpisode]) -> Work[None]:
    phases = found.session.experiment.phases
    for expected in alerting.expect:
        told = _first([expected.pattern], firing)
        if told is not None:
            text = (
                f"{shown_alert(told[0])} fires already: whether the fault would set {expected.pattern} off "
                "cannot be told"
            )
            yield found.odd(_NAME, text)
        waits = [expected.within or 0.0, phases.during + (expected.resolved_within or 0.0)]
        if max(waits) > phases.during + phases.after:
            text = (
                f"{expected.pattern}: 'after' goes on for as long as it may take, up to "
                f"{format_duration(max(waits))} after the fault"
            )
            yield found.good(_NAME, text)


def _silence(found: Findings, alerting: Alerting) -> Work[None]:
    session, silence = found.session, alerting.silence
    silences = session.ports.silences
    if silences is None or silence is None:
        yield found.bad("silence", "no Alertmanager is configured; set alertmanager.url")
        return
    try:
        who = yield from session.attempt(silences.check, "alertmanager")
    except OutsideError as error:
        yield found.bad("silence", f"it could not be made: {error}")
        return
    phases = session.experiment.phases
    if silence.at_most < phases.during:
        text = (
            f"it ends {format_duration(silence.at_most)} after the fault, which lasts for at least "
            f"{format_duration(phases.during)}"
        )
        yield found.odd("silence", text)
    until = format_time(session.now() + silence.at_most)
    shown = ", ".join(map(str, silence.matchers))
    yield found.good("silence", f"{shown} by {who}, until {until} at most if it began now")
