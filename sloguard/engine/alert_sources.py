"""Asking for alerts: Prometheus's own series, and whoever else knows of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from sloguard.core.alerting import AlertsRead
from sloguard.core.alerts import QUERY, SINCE_QUERY, episodes_of
from sloguard.core.episodes import AlertEpisode
from sloguard.core.windows import Grid
from sloguard.engine.loop import Loop, Work
from sloguard.engine.session import Session
from sloguard.ports import Metrics, OutsideError
from sloguard.ports.alerts import AlertSource
from sloguard.ports.silences import Narrowing

#: Points by which Prometheus is asked for a window while a run waits; the end of a run asks by its step.
_POINTS = 2000


class PrometheusAlerts:
    """ports.AlertSource over what Prometheus recorded. ``step``: how finely a window is looked at, seconds."""

    def __init__(self, metrics: Metrics, step: float) -> None:
        self._metrics, self._step = metrics, step

    def episodes(self, start: float, end: float) -> Sequence[AlertEpisode]:
        """By start; ends are known to a step. Raises MetricsError."""
        step = max(self._step, (end - start) / _POINTS)
        count = int((end - start) / step) + 1
        grid = Grid(round(end - (count - 1) * step, 3), step, count)
        firing = self._metrics.range(QUERY, grid)
        if not firing.labels:
            return ()
        return episodes_of(firing, self._metrics.range(SINCE_QUERY, grid))


def other_sources(session: Session) -> list[AlertSource]:
    """Whoever knows of alerts beside Prometheus, asked for those that concern the run. The same ones each
    time: some remember what they have seen."""
    if session.alert_sources is None:
        wanted = session.experiment.alerts.where.matchers
        session.alert_sources = [
            source.narrowed(wanted) if wanted and isinstance(source, Narrowing) else source
            for source in session.ports.alert_sources
        ]
    return session.alert_sources


def live_sources(session: Session) -> list[AlertSource]:
    """Everybody who can be asked while the run goes on."""
    live = session.ports.live or session.ports.metrics
    own: list[AlertSource] = [] if live is None else [PrometheusAlerts(live, session.options.tick)]
    return [*own, *other_sources(session)]


def asking_sources(
    loop: Loop, sources: Sequence[AlertSource], start: float, end: float
) -> Work[AlertsRead]:
    """What each of them tells of a window; one that fails is ``unread``. Raises nothing."""
    tasks = [
        loop.submit(functools.partial(source.episodes, start, end), "alerts") for source in sources
    ]
    yield from loop.until(lambda: all(task.done() for task in tasks))
    episodes: list[AlertEpisode] = []
    unread: list[str] = []
    for task in tasks:
        try:
            episodes.extend(task.result())
        except OutsideError as error:
            unread.append(f"alerts could not be read: {error}")
        except Exception as error:  # noqa: BLE001 - whoever cannot tell, the run goes on without
            unread.append(f"alerts could not be read: {type(error).__name__}: {error}")
    return AlertsRead(episodes=tuple(episodes), unread=tuple(unread))
