"""What a chart shows: numbers and texts, decided before anything is drawn.

Times are seconds since the epoch, UTC; values are in base units (shares, seconds, bytes); floats in
arrays are NaN where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sloguard.core.arrays import Bools, Floats
from sloguard.core.model import PhaseName, Timeline, Verdict


class ChartError(ValueError):
    """A picture that cannot be drawn as asked; the text says what can be."""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``start`` to ``end``, with a text where there is something to say."""

    start: float
    end: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class AlertSpan:
    """An alert that was pending or firing; ``end`` None: it still is. ``expected``: the experiment says
    that the fault has to set it off."""

    name: str
    start: float
    end: float | None = None
    firing: bool = True
    expected: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """A bound in one phase. A line at ``high`` or ``low``, a band where both are there.

    ``high``: values above are a breach; ``low``: values below are. ``equal``: the values themselves
    are what ``==`` asks for (both sides breach); ``avoid``: what ``!=`` forbids. ``curve``: the index
    of the curve that this bound (from its baseline) belongs to; None: it holds for all.
    """

    high: float | None = None
    low: float | None = None
    text: str = ""
    avoid: bool = False
    curve: int | None = None

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers to be seen on the axis."""
        both = (self.low, self.high)
        return tuple(dict.fromkeys(v for v in both if v is not None))


@dataclass(frozen=True, slots=True)
class PhaseView:
    """A phase with its verdict and what is declared for it."""

    name: PhaseName
    start: float
    end: float
    verdict: Verdict
    objective: str = ""
    tolerated: str = ""
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """A named series. All arrays have one entry a point; ``values`` is NaN where there is no value.

    ``idle``: there was a sample, and nothing happened. ``gap``: a sample was expected and is missing.
    ``breach``: held against its objective and found in breach. ``name`` is short and tells it apart,
    ``full`` holds every label.
    """

    name: str
    full: str
    values: Floats
    idle: Bools
    gap: Bools
    breach: Bools
    verdict: Verdict = Verdict.NOT_JUDGED
    worst: float | None = None
    worst_at: float | None = None
    baseline: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Deviation:
    """The breaches of one curve: when, how long in all, and how bad. ``brief``: where room is short."""

    curve: int
    runs: tuple[Span, ...]
    text: str
    brief: str
    worst: float | None = None
    worst_at: float | None = None


@dataclass(frozen=True, slots=True)
class Recovery:
    """From ``start`` (restored) to ``end``; ``never``: to the end of the window, and still not back.

    ``whose``: the series, where there are several.
    """

    start: float
    end: float
    text: str
    brief: str
    whose: str = ""
    never: bool = False
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class ChartModel:
    """Everything a picture of one SLO shows.

    ``curves``: the worst first, named and coloured; ``rest`` (series x points): the others, grey.
    ``excused``: points younger than the lookback after ``restored``. ``empty``: what to say where there
    is no value at all. ``legend``: the names of the labels that ``Curve.name`` holds.
    """

    name: str
    title: str
    verdict: Verdict
    reason: str
    unit: str
    step: float
    timeline: Timeline
    times: Floats
    phases: tuple[PhaseView, ...]
    curves: tuple[Curve, ...]
    rest: Floats
    legend: str = ""
    deviation: Deviation | None = None
    recovery: Recovery | None = None
    excused: Span | None = None
    away: tuple[Span, ...] = ()
    alerts: tuple[AlertSpan, ...] = ()
    queries: tuple[tuple[str, str], ...] = ()
    facts: tuple[str, ...] = field(default=())
    empty: str = ""
