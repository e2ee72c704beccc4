"""What a check of an SLO's queries may say, and the one table of its codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sloguard.promql.errors import Position


class Severity(StrEnum):
    """An error cannot be judged, or is certain to be judged wrongly; a warning may be meant."""

    ERROR = "error"
    WARNING = "warning"


#: Every code with what it means. Stable: people silence findings by them.
CODES: Mapping[str, str] = {
    "promql/syntax": "The query is not PromQL.",
    "promql/unsupported": "The query may be right for a newer server, but cannot be read here.",
    "promql/not-a-vector": "The query answers a range or a text, which has no value at a point.",
    "promql/fixed-time": "The query is fixed to one instant of the run by @ start(), @ end() or @ time.",
    "promql/only-past": "The query sees only time before the fault, by its offset or a fixed @.",
    "promql/lookback-unknown": "The lookback cannot be read, mostly because of a recording rule.",
    "promql/lookback-unused": "The declared lookback is not used: the query itself tells another.",
    "promql/lookback-over-during": "The lookback, or the step, is too long for the fault: it averages it away.",
    "promql/after-too-short": "After is too short to see that the system recovered and held.",
    "promql/lookback-under-scrapes": "A range holds fewer than 4 samples: one lost scrape moves the value.",
    "promql/rate-of-sum": "A rate of a sum takes every restart of a part for a burst; sum the rates.",
    "promql/rate-of-gauge": "A rate is of counters; the metric's name says that it is a gauge.",
    "promql/counter-without-rate": "A counter without rate or increase tells its whole life, not now.",
    "promql/quantile-without-le": "histogram_quantile needs the label le, which the query drops.",
    "promql/ratio-not-a-pair": "A ratio whose top may be empty answers nothing just then; write a pair.",
    "promql/pair-grouping": "The queries of a pair bear different labels, so their series never meet.",
    "promql/pair-unit": "The value of a pair is a share from 0 to 1; the objective is of something else.",
    "promql/by-killed-label": "The method kills what the series are named by, so they end with it.",
    "promql/filter": "A comparison without bool, 'and' or 'unless' drops series; a dropped one is a gap.",
    "promql/ranking": "topk and its kin change their series from point to point; the others are gaps.",
    "promql/absent": "absent() answers 1 or nothing, so that the good state has no value.",
    "promql/time-unit": "The objective is in time, which is read as seconds; the metric is in another unit.",
    "promql/percent": "The objective is in percent of 1; the query's values are no shares of 1.",
    "promql/pushed": "A pushed metric keeps its last value when its source is dead.",
    "promql/negative-offset": "A negative offset looks ahead: the newest points are not there yet.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know about an SLO. ``role``: which query (``query``, ``total``, ``bad``, ``good``), or
    empty where it is about the SLO. ``hint``: what to do about it."""

    code: str
    severity: Severity
    message: str
    role: str = ""
    position: Position | None = None
    hint: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"no code '{self.code}' in the table of findings")

    def __str__(self) -> str:
        place = ", ".join(str(part) for part in (self.role, self.position) if part)
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.severity}: {f'{place}: ' if place else ''}{self.message}{hint} [{self.code}]"
