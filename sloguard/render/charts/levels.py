"""What is declared for a phase -> bounds to draw."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sloguard.core.model import PhaseName, PhaseRule, Slo
from sloguard.core.objective import Between, Bound, Comparison, Member, Objective
from sloguard.core.text import format_duration
from sloguard.render.charts.model import Level

#: Bounds that follow a baseline are drawn for this many curves; more would hide what they bound.
OWN_BOUNDS = 3


def objective_in(slo: Slo, phase: PhaseName) -> Objective | None:
    """What a phase is held against; None where ``before`` has only the baseline to live up to."""
    objective = slo.rule(phase).objective
    return objective.without_baseline() if phase is PhaseName.BEFORE else objective


def levels_of(objective: Objective | None, baselines: Sequence[float | None]) -> tuple[Level, ...]:
    """The bounds of one phase; those that name the baseline once for each of the first curves."""
    if objective is None:
        return ()
    made: list[Level] = []
    for member in objective.members:
        if not any(bound.baseline for bound in _bounds(member)):
            made.append(_level(member, None, None))
            continue
        for curve, baseline in enumerate(baselines[:OWN_BOUNDS]):
            if baseline is not None and _decides(member, baseline):
                made.append(_level(member, baseline, curve))
    return tuple(level for level in made if all(np.isfinite(level.values)))


def tolerated(rule: PhaseRule, phase: PhaseName) -> str:
    """What a phase allows beside its objective, in a few words; '' for nothing."""
    parts = []
    if rule.tolerate is not None:
        text = rule.tolerate.text
        if not text and rule.tolerate.seconds is not None:
            text = format_duration(rule.tolerate.seconds)
        elif not text:
            text = f"{(rule.tolerate.share or 0) * 100:g}%"
        parts.append(f"{text} tolerated")
    if phase is PhaseName.AFTER and rule.recover_within is not None:
        parts.append(f"back within {format_duration(rule.recover_within)}")
    return ", ".join(parts)


def _bounds(member: Member) -> tuple[Bound, ...]:
    return (member.bound,) if isinstance(member, Comparison) else (member.low, member.high)


def _decides(member: Member, baseline: float) -> bool:
    """A baseline of 0 with a relative allowance decides nothing: there is no line to draw."""
    return baseline != 0 or not any(bound.relative for bound in _bounds(member))


def _level(member: Member, baseline: float | None, curve: int | None) -> Level:
    known = np.array([np.nan if baseline is None else baseline])
    numbers = [float(bound.resolve(known)[0]) for bound in _bounds(member)]
    if isinstance(member, Between):
        return Level(low=numbers[0], high=numbers[1], text=member.text, curve=curve)
    if member.op in ("<", "<="):
        return Level(high=numbers[0], text=member.text, curve=curve)
    if member.op in (">", ">="):
        return Level(low=numbers[0], text=member.text, curve=curve)
    return Level(
        low=numbers[0], high=numbers[0], text=member.text, avoid=member.op == "!=", curve=curve
    )
