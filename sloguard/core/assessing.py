"""One phase of all series at once: counts, then a verdict with the rule that gave it.

Arrays are series x points of the phase, or one number a series. The rules are numbered as they are
asked; the first one that says something decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import IntEnum

import numpy as np

from sloguard.core.darkness import exceeds, longest_run, run_lengths
from sloguard.core.model import PhaseRule, Verdict
from sloguard.core.objective import Bools, Floats, Ints, anywhere

Codes = Ints
_NEVER = np.iinfo(np.int64).max

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


Judge = Callable[[PhasePoints, PhaseRule, Known], Decided]


def judge_phase(points: PhasePoints, rule: PhaseRule, known: Known, *, is_after: bool) -> Decided:
    """Judge every series of a phase; dark points twice, as ok and as breach."""
    judge: Judge = _judge_after if is_after else _judge_plain
    decided = judge(points, rule, known)
    doubtful = anywhere(points.dark) & ~known.gone_dark
    # A run of breaches goes on over a gap. That it is a dark one must not make the picture prettier.
    doubtful &= decided.why != Why.BREACHED
    if doubtful.any():
        some = points.rows(doubtful)
        about = replace(
            known, gone_dark=known.gone_dark[doubtful], too_blind=known.too_blind[doubtful]
        )
        decided.put(doubtful, _judge_twice(judge, some, rule, about))
    if is_after:
        # What is gone at the end has not recovered, however well it looked before.
        for column in (decided.recovered, decided.recovered_from, decided.recovered_to):
            column[known.gone_dark] = np.nan
        decided.why[known.gone_dark & (decided.why == Why.RECOVERED_LATE)] = Why.GONE_DARK
    return decided


def _judge_twice(judge: Judge, points: PhasePoints, rule: PhaseRule, known: Known) -> Decided:
    lit = replace(points, gap=points.gap & ~points.dark, dark=np.zeros_like(points.dark))
    as_ok = judge(replace(lit, ok=points.ok | points.dark), rule, known)
    as_breach = judge(replace(lit, breach=points.breach | points.dark), rule, known)
    differ = as_ok.verdict != as_breach.verdict
    # Darkness is no evidence, whatever it is taken for: neither alone, nor of what a lookback blurs.
    real = (points.ok | points.breach) & ~points.excused
    unseen = ~anywhere(real) & (as_ok.verdict == MET)
    blurred = ~differ & ~unseen & (as_ok.verdict == MET)
    blurred &= (judge is _judge_plain) & _blurred(points, known)
    result = as_breach
    # The recovery is told by what is certain; where it may have come earlier, the span says so.
    result.recovered_from = np.fmin(as_ok.recovered_from, as_breach.recovered_from)
    doubt = differ | unseen
    result.verdict[doubt], result.why[doubt] = INCONCLUSIVE, Why.DARK
    # Where it is inconclusive even at its best, and never a deviation, that is not for its darkness;
    # except that without it, it might have held for longer.
    other = (as_ok.verdict == INCONCLUSIVE) & (as_breach.verdict != DEVIATED)
    other &= as_ok.why != Why.NOT_HELD
    result.why[other] = as_ok.why[other]
    result.verdict[blurred], result.why[blurred] = INCONCLUSIVE, Why.BLURRED
    return result


def _blurred(points: PhasePoints, known: Known) -> Bools:
    """Nothing breached, and no judged point is old enough to have seen ``during`` alone."""
    old = points.age >= max(known.lookback, known.step) - 1e-6
    return ~anywhere(points.ok[:, old]) & ~anywhere(points.breach)


def within_tolerance(points: PhasePoints, rule: PhaseRule, step: float) -> Bools:
    """Whether the breaches of a phase stay within what is tolerated."""
    seconds = longest_run(points.breach, points.ok) * step
    breaches, judged = points.breach.sum(axis=1), (points.ok | points.breach).sum(axis=1)
    return np.asarray(
        ~(exceeds(rule.tolerate, seconds, breaches / np.maximum(judged, 1)) & (breaches > 0))
    )


def _judge_plain(points: PhasePoints, rule: PhaseRule, known: Known) -> Decided:
    rows = len(points.ok)
    decided = _blank(rows)
    judged = points.ok | points.breach
    _decide(decided, ~within_tolerance(points, rule, known.step), DEVIATED, Why.BREACHED)
    _lack_of_evidence(decided, points, known, judged)
    _decide(decided, _blurred(points, known), INCONCLUSIVE, Why.BLURRED)
    _decide(decided, np.ones(rows, dtype=bool), MET, Why.HELD)
    return decided


def _judge_after(points: PhasePoints, rule: PhaseRule, known: Known) -> Decided:
    counted = ~points.excused
    ok, breach = points.ok & counted, points.breach & counted
    decided = _blank(len(ok))
    back = _first_lasting_ok(ok, breach, rule, known.step)
    breached, never = anywhere(breach), back == _NEVER
    at = np.where(never, 0, back)
    if points.age.size:
        decided.recovered = np.where(never, np.nan, points.age[at])
    alive = ok | breach | ((points.undecided | points.idle | points.gap | points.dark) & counted)
    from_back = np.arange(ok.shape[1]) >= back[:, None]
    decided.held = (alive & from_back).sum(axis=1) * known.step
    decided.recovered_from = np.maximum(decided.recovered - known.lookback, 0.0)
    decided.recovered_to = decided.recovered.copy()
    late = breached & ~never & (decided.recovered > known.recover_within + 1e-6)
    failed = breached & (never | late) & ~_may_have_recovered(points, rule, known, ok, breach)
    _recovery_without_breach(decided, points, ~breached, anywhere(ok))

    _decide(decided, failed & never, DEVIATED, Why.NOT_RECOVERED)
    _decide(decided, failed, DEVIATED, Why.RECOVERED_LATE)
    _lack_of_evidence(decided, points, known, ok | breach)
    short = breached & (decided.held < known.hold - 1e-6)
    _decide(decided, short, INCONCLUSIVE, Why.NOT_HELD)
    _decide(decided, breached, MET, Why.RECOVERED)
    _decide(decided, np.ones(len(ok), dtype=bool), MET, Why.HELD)
    return decided


def _may_have_recovered(
    points: PhasePoints, rule: PhaseRule, known: Known, ok: Bools, breach: Bools
) -> Bools:
    """Whether it recovered in time if all that nobody can decide was ok."""
    undecided = points.undecided & ~points.excused
    doubtful = anywhere(undecided)
    if doubtful.any():
        rows = np.flatnonzero(doubtful)
        back = _first_lasting_ok((ok | undecided)[rows], breach[rows], rule, known.step)
        never = back == _NEVER
        age = points.age[np.where(never, 0, back)]
        doubtful[rows] = ~never & (age <= known.recover_within + 1e-6)
    return doubtful


def _lack_of_evidence(decided: Decided, points: PhasePoints, known: Known, judged: Bools) -> None:
    """Rules 2 and 3: gone dark, undecided, blind, coverage."""
    counted = ~points.excused
    idle = (points.idle & counted).sum(axis=1)
    in_life = ((points.gap | points.dark | points.undecided) & counted) | judged
    decided.asked = asked = in_life.sum(axis=1)
    decided.seen = seen = judged.sum(axis=1)
    everything = asked + idle
    _decide(decided, known.gone_dark, DEVIATED, Why.GONE_DARK)
    _decide(decided, anywhere(points.undecided & counted), INCONCLUSIVE, Why.UNDECIDED)
    _decide(decided, known.too_blind, INCONCLUSIVE, Why.BLIND)
    _decide(decided, (everything == 0) & (points.excused.any()), INCONCLUSIVE, Why.ALL_EXCUSED)
    _decide(decided, seen == 0, INCONCLUSIVE, Why.NO_POINT)
    thin = seen < (known.min_coverage - 1e-9) * asked
    _decide(decided, thin, INCONCLUSIVE, Why.COVERAGE)


def _recovery_without_breach(
    decided: Decided, points: PhasePoints, quiet: Bools, known: Bools
) -> None:
    """0 where nothing breached that counts; the span reaches to the first ok after excused breaches.

    Where no point that counts is ``known`` to be ok, there is nothing to say.
    """
    for column in (decided.recovered, decided.recovered_from, decided.recovered_to):
        column[quiet] = np.where(known[quiet], 0.0, np.nan)
    excused_breach = points.breach & points.excused
    rows = np.flatnonzero(quiet & known & anywhere(excused_breach))
    for row in rows:
        last = np.flatnonzero(excused_breach[row])[-1]
        later = np.flatnonzero(points.ok[row, last:])
        decided.recovered_to[row] = points.age[last + later[0]] if len(later) else np.nan


def _first_lasting_ok(ok: Bools, breach: Bools, rule: PhaseRule, step: float) -> Ints:
    """The first ok point from which on breaches stay within what is tolerated; _NEVER if none."""
    tolerate = rule.tolerate
    if tolerate is not None and tolerate.seconds is None:
        left_breaches = np.cumsum(breach[:, ::-1], axis=1)[:, ::-1]
        left_judged = np.cumsum((ok | breach)[:, ::-1], axis=1)[:, ::-1]
        share = left_breaches / np.maximum(left_judged, 1)
        candidate = ok & ~(exceeds(tolerate, share, share) & (left_breaches > 0))
    else:
        too_long = breach & exceeds(tolerate, run_lengths(breach, ok) * step, np.zeros(1))
        clear = ~np.maximum.accumulate(too_long[:, ::-1], axis=1)[:, ::-1]
        candidate = ok & clear
    found = anywhere(candidate) if candidate.shape[1] else np.zeros(len(ok), dtype=bool)
    first = candidate.argmax(axis=1) if candidate.shape[1] else np.zeros(len(ok), dtype=np.intp)
    return np.where(found, first, _NEVER)


def _blank(rows: int) -> Decided:
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


def _decide(decided: Decided, where: Bools, verdict: int, why: Why) -> None:
    """The first rule that says something decides."""
    here = where & (decided.verdict < 0)
    decided.verdict[here] = verdict
    decided.why[here] = why
