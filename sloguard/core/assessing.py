"""One phase of all series at once: dark points are judged twice, the rules asked one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sloguard.core.arrays import Bools, anywhere, count, longest_run
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
from sloguard.core.recovering import judge_after

Judge = Callable[[PhasePoints, PhaseRule, Known], Decided]


def judge_phase(points: PhasePoints, rule: PhaseRule, known: Known, *, is_after: bool) -> Decided:
    """Judge every series of a phase; dark points twice, as ok and as breach."""
    judge: Judge = judge_after if is_after else _judge_plain
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
    if rule.tolerate is None:
        return ~anywhere(points.breach)
    seconds = longest_run(points.breach, points.ok) * step
    breaches, judged = count(points.breach), count(points.ok | points.breach)
    return np.asarray(
        ~(exceeds(rule.tolerate, seconds, breaches / np.maximum(judged, 1)) & (breaches > 0))
    )


def _judge_plain(points: PhasePoints, rule: PhaseRule, known: Known) -> Decided:
    rows = len(points.ok)
    decided = blank(rows)
    judged = points.ok | points.breach
    decide(decided, ~within_tolerance(points, rule, known.step), DEVIATED, Why.BREACHED)
    lack_of_evidence(decided, points, known, judged)
    decide(decided, _blurred(points, known), INCONCLUSIVE, Why.BLURRED)
    decide(decided, np.ones(rows, dtype=bool), MET, Why.HELD)
    return decided
