"""What is decided of a phase, and by which rule; the first rule that says something decides.

Arrays are series x points of the phase, or one number a series.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np

from sloguard.core.arrays import Bools, Floats, Ints, anywhere, count
from sloguard.core.model import Verdict

Codes = Ints

NOT_JUDGED, MET, INCONCLUSIVE, DEVIATED = (v.rank for v in Verdict)


class Why(IntEnum):
    """Which rule decided; the text is made from it when somebody reads it."""

    OUTSIDE_LIFE = 0
    HELD = 1
    BREACHED = 2
    GONE_DARK = 3
    DARK = 4
    BLIND = 5
    UNDECIDED = 6
    COVERAGE = 7
    NO_POINT = 8
    BLURRED = 9
    NOT_RECOVERED = 10
    RECOVERED_LATE = 11
    NOT_HELD = 12
    NO_BASELINE = 13
    RECOVERED = 14
    ENDED = 15
    LOOKBACK_UNKNOWN = 17
    EMPTY_PHASE = 18
    ALL_EXCUSED = 19
    NO_GRID_POINT = 20
    PARTIAL = 21


@dataclass(frozen=True, slots=True)
class PhasePoints:
    """A phase's points: disjoint sets, all inside the series' life. ``age`` (points,) is from its mark.

    ``dark``: gaps to be judged twice. ``undecided``: values that a baseline could not decide.
    ``excused`` (points,): too young in ``after`` to be held against anybody.
    """

    ok: Bools
    breach: Bools
    undecided: Bools
    idle: Bools
    gap: Bools
    dark: Bools
    age: Floats
    excused: Bools

    def rows(self, which: Bools) -> PhasePoints:
        """Some of the series."""
        return PhasePoints(
            self.ok[which],
            self.breach[which],
            self.undecided[which],
            self.idle[which],
            self.gap[which],
            self.dark[which],
            self.age,
            self.excused,
        )


@dataclass(frozen=True, slots=True)
class Known:
    """What the phase's own points do not tell. ``gone_dark`` and ``too_blind`` (beyond what is tolerated):

    one entry a series.
    """

    gone_dark: Bools
    too_blind: Bools
    recover_within: float
    hold: float
    lookback: float
    step: float
    min_coverage: float


@dataclass(slots=True)
class Decided:
    """Columns, one entry a series. Spans in seconds; NaN where there is none.

    ``seen`` of ``asked`` points were judged: those that are not idle, and in ``after`` not excused.
    """

    verdict: Codes
    why: Codes
    recovered: Floats
    recovered_from: Floats
    recovered_to: Floats
    held: Floats
    seen: Ints
    asked: Ints

    def put(self, where: Bools, other: Decided) -> None:
        """Take over the rows of ``other``, which holds only the series of ``where``."""
        for column in fields(self):
            getattr(self, column.name)[where] = getattr(other, column.name)


def blank(rows: int) -> Decided:
    return Decided(
        verdict=np.full(rows, -1, dtype=np.int8),
        why=np.zeros(rows, dtype=np.int8),
        recovered=np.full(rows, np.nan),
        recovered_from=np.full(rows, np.nan),
        recovered_to=np.full(rows, np.nan),
        held=np.zeros(rows),
        seen=np.zeros(rows, dtype=np.intp),
        asked=np.zeros(rows, dtype=np.intp),
    )


def decide(decided: Decided, where: Bools, verdict: int, why: Why) -> None:
    """The first rule that says something decides."""
    here = where & (decided.verdict < 0)
    decided.verdict[here] = verdict
    decided.why[here] = why


def lack_of_evidence(decided: Decided, points: PhasePoints, known: Known, judged: Bools) -> None:
    """Rules 2 and 3: gone dark, undecided, blind, coverage."""
    counted = ~points.excused
    unclear = (points.gap | points.dark | points.undecided) & counted
    decided.seen = seen = count(judged)
    decided.asked = asked = count(unclear | judged)
    everything = asked + count(points.idle & counted)
    decide(decided, known.gone_dark, DEVIATED, Why.GONE_DARK)
    decide(decided, anywhere(points.undecided & counted), INCONCLUSIVE, Why.UNDECIDED)
    decide(decided, known.too_blind, INCONCLUSIVE, Why.BLIND)
    decide(decided, (everything == 0) & (points.excused.any()), INCONCLUSIVE, Why.ALL_EXCUSED)
    decide(decided, seen == 0, INCONCLUSIVE, Why.NO_POINT)
    thin = seen < (known.min_coverage - 1e-9) * asked
    decide(decided, thin, INCONCLUSIVE, Why.COVERAGE)
