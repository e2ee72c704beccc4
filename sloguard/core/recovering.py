"""``after``: when a series was well again, for how long it held, and what the lookback excuses.

Arrays are series x points of the phase, or one number a series.
"""

from __future__ import annotations

import numpy as np

from sloguard.core.arrays import Bools, Ints, anywhere, count, run_lengths
from sloguard.core.darkness import exceeds
from sloguard.core.deciding import (
    DEVIATED,
    INCONCLUSIVE,
    MET,
    Decided,
    Known,
    PhasePoints,
    Why,
    blank,
    decide,
    lack_of_evidence,
)
from sloguard.core.model import PhaseRule

_NEVER = np.iinfo(np.int64).max


def judge_after(points: PhasePoints, rule: PhaseRule, known: Known) -> Decided:
    counted = ~points.excused
    ok, breach = points.ok & counted, points.breach & counted
    decided = blank(len(ok))
    back = _first_lasting_ok(ok, breach, rule, known.step)
    breached, never = anywhere(breach), back == _NEVER
    at = np.where(never, 0, back)
    if points.age.size:
        decided.recovered = np.where(never, np.nan, points.age[at])
    alive = ok | breach | ((points.undecided | points.idle | points.gap | points.dark) & counted)
    from_back = np.arange(ok.shape[1]) >= back[:, None]
    decided.held = count(alive & from_back) * known.step
    decided.recovered_from = np.maximum(decided.recovered - known.lookback, 0.0)
    decided.recovered_to = decided.recovered.copy()
    late = breached & ~never & (decided.recovered > known.recover_within + 1e-6)
    failed = breached & (never | late) & ~_may_have_recovered(points, rule, known, ok, breach)
    _recovery_without_breach(decided, points, ~breached, anywhere(ok))

    decide(decided, failed & never, DEVIATED, Why.NOT_RECOVERED)
    decide(decided, failed, DEVIATED, Why.RECOVERED_LATE)
    lack_of_evidence(decided, points, known, ok | breach)
    short = breached & (decided.held < known.hold - 1e-6)
    decide(decided, short, INCONCLUSIVE, Why.NOT_HELD)
    decide(decided, breached, MET, Why.RECOVERED)
    decide(decided, np.ones(len(ok), dtype=bool), MET, Why.HELD)
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
        too_long = breach
        if tolerate is not None:
            too_long = breach & exceeds(tolerate, run_lengths(breach, ok) * step, np.zeros(1))
        clear = ~np.maximum.accumulate(too_long[:, ::-1], axis=1)[:, ::-1]
        candidate = ok & clear
    found = anywhere(candidate) if candidate.shape[1] else np.zeros(len(ok), dtype=bool)
    first = candidate.argmax(axis=1) if candidate.shape[1] else np.zeros(len(ok), dtype=np.intp)
    return np.where(found, first, _NEVER)
