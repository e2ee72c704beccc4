"""The live watch over alerts: those that end a run, and a memory for sources that only know what fires now.

``poll`` is called whenever the run waits, as ``Watcher.poll`` is, and never blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from sloguard.core.alert_rules import Alerting, AlertPattern
from sloguard.core.alerts import NOW_QUERY, firing_now
from sloguard.core.episodes import AlertEpisode
from sloguard.core.events import Event, GuardTripped
from sloguard.core.expecting import shown_alert
from sloguard.core.text import format_duration, format_time
from sloguard.engine.loop import Loop
from sloguard.engine.options import Options
from sloguard.engine.ports_bundle import Task
from sloguard.ports import Metrics
from sloguard.ports.alerts import AlertSource
from sloguard.ports.silences import Momentary

#: After an answer at least so many times as long as it took is waited for the next one.
_REST = 4.0


class AlertWatch:
    """Watches while a run waits. ``tripped`` is handed the reason, once, and whether it is blind.

    An alert of ``abort_on`` that fires while it guards trips it; preflight has seen to it that none fired
    before. It is blind when it could not ask everybody for longer than two scrape intervals.
    """

    def __init__(
        self,
        loop: Loop,
        live: Metrics | None,
        sources: Sequence[AlertSource],
        alerting: Alerting,
        options: Options,
        tripped: Callable[[str, bool], None],
    ) -> None:
        self._loop, self._live = loop, live
        self._alerting, self._tripped = alerting, tripped
        # Where nothing ends the run, only those are asked that would else forget.
        self._asked = [s for s in sources if alerting.abort_on or isinstance(s, Momentary)]
        self._every = options.tick
        self._allowed = 2 * max(options.fallback_step, options.tick)
        self._due = -math.inf
        self._since = math.inf
        self._asked_at = 0.0
        self._task: Task[Sequence[AlertEpisode]] | None = None
        self._unread_since: float | None = None
        self._error = ""
        self.guarding = False

    def start_guarding(self) -> None:
        """From now on an alert can trip it, and it has to be readable."""
        self.guarding = bool(self._alerting.abort_on)
        self._since = min(self._since, self._loop.now())
        self._unread_since = None

    def poll(self) -> Iterator[Event]:
        """Take what has arrived, ask if it is due, say what is to be said."""
        now = self._loop.now()
        if self._task is not None and self._task.done():
            task, self._task = self._task, None
            # A large installation is not kept busy by being watched.
            self._due = max(self._due, now + _REST * (now - self._asked_at))
            yield from self._taken(task)
        if self.guarding and self._unread_since is not None:
            away = now - self._unread_since
            if away > self._allowed:
                yield from self._stop(self._blind(away), "alerts", blind=True)
        if self._task is None and now >= self._due:
            self._due, self._asked_at = now + self._every, now
            if self._unread_since is None:
                self._unread_since = now
            self._task = self._loop.submit(lambda: self._read(now), "watching alerts")
        self._loop.wake_by(self._due if self._due > now else now + self._every)

    def _read(self, now: float) -> Sequence[AlertEpisode]:
        """Blocking. What fires, or has fired since this guards. Raises whatever a source raises."""
        found: list[AlertEpisode] = []
        if self._live is not None and self._alerting.abort_on:
            samples = self._live.instant(NOW_QUERY, now).samples
            found += firing_now([sample.labels for sample in samples], now)
        since = min(self._since, now)
        for source in self._asked:
            found += [e for e in source.episodes(since, now) if e.starts_at >= since]
        return found

    def _taken(self, task: Task[Sequence[AlertEpisode]]) -> Iterator[Event]:
        try:
            found = task.result()
        except Exception as error:  # noqa: BLE001 - whatever broke the reading, alerts are unread
            self._error = str(error)
            return
        self._unread_since, self._error = None, ""
        if not self.guarding:
            return
        for pattern in self._alerting.abort_on:
            alert = next((e for e in found if self._meant(pattern, e)), None)
            if alert is not None:
                at = format_time(alert.starts_at)
                reason = f"alert {shown_alert(alert)} fires at {at}: 'abort_on' names {pattern}"
                yield from self._stop(reason, str(pattern), blind=False)
                return

    def _meant(self, pattern: AlertPattern, alert: AlertEpisode) -> bool:
        return pattern.holds(alert.labels) and self._alerting.concerns(alert.labels)

    def _blind(self, away: float) -> str:
        why = f": {self._error}" if self._error else ""
        return (
            f"alerts that end the run could not be read for {format_duration(away)}, "
            f"{format_duration(self._allowed)} allowed{why}"
        )

    def _stop(self, reason: str, name: str, *, blind: bool) -> Iterator[Event]:
        self.guarding = False
        self._tripped(reason, blind)
        yield GuardTripped(round(self._loop.now(), 3), f"alert {name}", reason, blind)
