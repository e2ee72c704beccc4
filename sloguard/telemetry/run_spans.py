"""A run as a trace: the run, its phases, their activities, and every query to Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from sloguard.core import events as ev
from sloguard.core.masking import Masker
from sloguard.core.model import Activity, ActivityRecord, ActivityStatus, Outcome
from sloguard.core.series import Matrix, Vector
from sloguard.core.windows import Grid
from sloguard.ports import ClockOffset, Metrics, RecordingRule, Selection
from sloguard.telemetry.traces import Tracing, ids

if TYPE_CHECKING:
    from opentelemetry.trace import Span

T = TypeVar("T")

_LONGEST_TEXT = 2000
#: These ended as somebody has to look at; every other outcome is an answer.
_WRONG = (Outcome.NOT_RESTORED,)


class RunSpans:
    """Takes the events of one run (``record``) and makes spans of them; ``over`` watches its queries.

    Times are those of this machine, as in every other span. ``close`` ends what is open.
    """

    def __init__(self, tracing: Tracing) -> None:
        self.__qualname__ = "the traces"
        self._tracer = tracing.tracer
        self._guard = threading.RLock()
        self._run: Span | None = None
        self._phase: Span | None = None
        self._activities: dict[str, Span] = {}
        self._masker = Masker()

    def facts(self) -> Mapping[str, str]:
        """For logs: in which trace this is."""
        return ids(self._run)

    def record(self, event: ev.Event) -> None:
        """One event, as it happens."""
        with self._guard:
            self._take(event)

    def over(self, metrics: Metrics, *, live: bool = False) -> Metrics:
        """The same Prometheus, each of its queries a span. ``live``: for guards and the live picture."""
        return _TracedMetrics(metrics, self, live)

    def close(self) -> None:
        """End what is open, as where a run was cut off."""
        with self._guard:
            for span in self._activities.values():
                span.end()
            self._activities.clear()
            self._end_phase()
            if self._run is not None:
                self._run.end()

    @contextmanager
    def query(self, kind: str, query: str, live: bool) -> Iterator[Span]:
        """A span around one query."""
        attributes: dict[str, str | bool] = {
            "db.system.name": "prometheus",
            "db.operation.name": kind,
            "db.query.text": self._masker.text(query)[:_LONGEST_TEXT],
            "sloguard.live": live,
        }
        span = self._begin("query", self._phase or self._run, attributes, client=True)
        try:
            yield span
        except Exception as error:
            self._failed(span, f"{type(error).__name__}: {error}")
            raise
        finally:
            span.end()

    def _take(self, event: ev.Event) -> None:
        match event:
            case ev.RunStarted():
                self._masker = Masker.of(event.experiment.secrets)
                attributes = {"sloguard.run": event.run, "sloguard.title": event.experiment.title}
                self._run = self._begin("run", None, attributes)
            case ev.PhaseStarted():
                self._end_phase()
                attributes = {"sloguard.phase": str(event.phase)}
                self._phase = self._begin(f"phase {event.phase}", self._run, attributes)
            case ev.ActivityStarted():
                self._activities[event.activity.key] = self._activity(event.activity, event.section)
            case ev.ActivityEnded():
                self._ended(event.record)
            case ev.FaultChanged():
                fault = event.fault
                told = {"fault": fault.fault, "target": fault.target, "status": str(fault.status)}
                self._tell("fault", told)
            case ev.GuardTripped():
                self._tell("guard tripped", {"guard": event.guard, "reason": event.reason})
            case ev.Interrupted():
                self._tell("interrupted", {"reason": event.reason})
            case ev.Note() if event.level != "info":
                self._tell(event.level, {"message": event.message})
            case ev.Judged():
                self._end_phase()
            case ev.RunEnded():
                self._end(event)

    def _activity(self, activity: Activity, section: str) -> Span:
        attributes: dict[str, str | bool] = {
            "sloguard.activity": activity.name,
            "sloguard.section": section,
            "sloguard.kind": activity.kind,
        }
        return self._begin(f"activity {activity.name}", self._phase or self._run, attributes)

    def _ended(self, record: ActivityRecord) -> None:
        span = self._activities.pop(record.activity.key, None)
        if span is None:
            return
        span.set_attribute("sloguard.status", str(record.status))
        if record.status is not ActivityStatus.SUCCEEDED:
            self._failed(span, record.error or str(record.status))
        span.end()

    def _end(self, event: ev.RunEnded) -> None:
        if self._run is not None:
            self._run.set_attribute("sloguard.outcome", str(event.outcome))
            self._run.set_attribute("sloguard.reason", self._shown(event.reason))
            if event.outcome in _WRONG:
                self._failed(self._run, event.reason)
        self.close()

    def _end_phase(self) -> None:
        if self._phase is not None:
            self._phase.end()
            self._phase = None

    def _tell(self, name: str, attributes: Mapping[str, str]) -> None:
        span = self._phase or self._run
        if span is not None:
            shown = {key: self._shown(text) for key, text in attributes.items()}
            span.add_event(name, {f"sloguard.{key}": text for key, text in shown.items()})

    def _begin(
        self,
        name: str,
        parent: Span | None,
        attributes: Mapping[str, str | bool],
        *,
        client: bool = False,
    ) -> Span:
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, set_span_in_context

        context = Context() if parent is None else set_span_in_context(parent, Context())
        kind = SpanKind.CLIENT if client else SpanKind.INTERNAL
        shown = {k: self._shown(v) if isinstance(v, str) else v for k, v in attributes.items()}
        return self._tracer.start_span(
            self._shown(name), context=context, kind=kind, attributes=shown
        )

    def _failed(self, span: Span, why: str) -> None:
        from opentelemetry.trace import StatusCode

        span.set_status(StatusCode.ERROR, self._shown(why))

    def _shown(self, text: str) -> str:
        return self._masker.text(text)[:_LONGEST_TEXT]


class _TracedMetrics:
    """ports.Metrics over another one."""

    def __init__(self, metrics: Metrics, spans: RunSpans, live: bool) -> None:
        self._metrics, self._spans, self._live = metrics, spans, live

    def range(self, query: str, grid: Grid) -> Matrix:
        return self._asked("range", query, lambda: self._metrics.range(query, grid))

    def instant(self, query: str, at: float | None = None) -> Vector:
        return self._asked("instant", query, lambda: self._metrics.instant(query, at))

    def scrape_interval(self, selections: Sequence[Selection]) -> float | None:
        return self._metrics.scrape_interval(selections)

    def recording_rules(self) -> Sequence[RecordingRule]:
        return self._metrics.recording_rules()

    def clock_offset(self) -> ClockOffset:
        return self._metrics.clock_offset()

    def _asked(self, kind: str, query: str, ask: Callable[[], T]) -> T:
        with self._spans.query(kind, query, self._live):
            return ask()
