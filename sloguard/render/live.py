"""A run as it goes on, redrawn in place: phase, time left, each SLO's value against its objective."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sloguard.core import events as ev
from sloguard.core.model import PhaseName
from sloguard.core.text import format_duration, format_value
from sloguard.core.visible import visible
from sloguard.render.console import STYLES
from sloguard.render.lines import line
from sloguard.render.sparkline import sparkline
from sloguard.render.summary import MARKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

_HISTORY = 40


class LiveProgress:
    """Consumes events; draws on a terminal's stderr. ``now``: seconds, UTC, on the events' clock."""

    def __init__(self, console: Console, now: Callable[[], float]) -> None:
        from rich.live import Live

        self._now = now
        self._phase: PhaseName | None = None
        self._until: float | None = None
        self._doing = ""
        self._readings: tuple[ev.SloReading, ...] = ()
        self._history: dict[str, deque[float]] = {}
        self._console = console
        self._offset = 0.0
        self._live = Live(
            console=console, refresh_per_second=4, transient=True, get_renderable=self._screen
        )

    def __enter__(self) -> LiveProgress:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def __call__(self, event: ev.Event) -> None:
        """Take in one event."""
        from rich.text import Text

        # Events are on Prometheus's clock; what is left of a phase is counted on the same one.
        self._offset = event.at - self._now()
        match event:
            case ev.PhaseStarted():
                self._phase, self._until, self._doing = event.phase, event.until, ""
            case ev.Waiting():
                self._doing, self._until = event.reason, event.until
                return
            case ev.ActivityStarted():
                self._doing = visible(f"{event.section}: {event.activity.name}")
            case ev.ActivityEnded():
                self._doing = ""
            case ev.Observed():
                self._take(event)
                return
        text = line(event)
        if text:
            self._console.print(Text(text))

    def _take(self, event: ev.Observed) -> None:
        self._readings = event.readings
        for one in event.readings:
            if one.value is not None:
                self._history.setdefault(one.slo, deque(maxlen=_HISTORY)).append(one.value)

    def _screen(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2, 0, 0))
        head = Text(str(self._phase or "preparing"), style="bold")
        left = None if self._until is None else self._until - self._now() - self._offset
        if left is not None and left > 0:
            head.append(f"  {format_duration(round(left))} left", style="cyan")
        if self._doing:
            head.append(f"  {self._doing}", style="dim")
        table.add_row(head)
        inner = Table.grid(padding=(0, 2, 0, 0))
        for one in self._readings:
            value = "no data" if one.value is None else format_value(one.value, one.unit)
            inner.add_row(
                Text(MARKS[one.verdict], style=STYLES[one.verdict]),
                Text(one.slo),
                Text(value, style=STYLES[one.verdict]),
                Text(one.objective, style="dim"),
                Text(sparkline(list(self._history.get(one.slo, ())), 24)),
                # Cut short rather than broken: the picture must not grow under the cursor.
                Text(one.labels, style="dim", no_wrap=True, overflow="ellipsis"),
            )
        table.add_row(inner)
        return table
