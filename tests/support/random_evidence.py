"""Random evidence that is mostly interesting: borders, gaps, lookbacks, tolerances at exact multiples."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from random import Random

import numpy as np

from sloguard.core.model import PhaseRule, Policy, Slo, Timeline, Tolerance
from sloguard.core.objective import parse_objective
from sloguard.core.series import PARTIAL, LabelSet, Matrix, SloEvidence, Surroundings, label_set
from sloguard.core.windows import Grid, pinned_grid
from tests.support.evidence import FAULT

PLAIN = ["< 1%", "<= 1%", "<= 0.01", ">= 0.01", "> 0", "== 0.01", "!= 0.01", "between 0 and 1%"]
NAMED = [
    "<= baseline + 50%",
    "<= baseline + 0.005",
    ">= baseline - 50%",
    "between 0 and baseline + 50%",
    "between baseline - 0.001 and baseline + 10%",
]
SHARES = [0.0, 0.005, 0.01, 0.01 * (1 + 5e-10), 0.0100001, 0.015, 0.08, 0.5]
ODD = [nan, inf, -inf, -0.005, 2.0]


@dataclass(frozen=True)
class Given:
    """What the judge is called with."""

    evidence: SloEvidence
    timeline: Timeline
    surroundings: Surroundings
    declared_after: float


def chance(random: Random, share: float) -> bool:
    return random.random() < share


def random_case(random: Random) -> Given:
    """One SLO with all that its judge needs. Half of them are calm: mostly ok, one rule throughout."""
    calm = chance(random, 0.5)
    step = random.choice([5.0, 5.0, 5.0, 1.0, 2.5, 7.0, 15.0])
    timeline = _timeline(random, step)
    grid = pinned_grid(timeline, step)
    declared = _slo(random, step, calm)
    lookback = _lookback(random, step)
    answers = _answers(random, declared, grid, _borders(grid, timeline), calm)
    evidence = SloEvidence(
        slo=declared,
        grid=grid,
        answers=answers,
        lookback=lookback,
        lookback_problem="" if lookback is not None else "the rules API does not answer",
        scrape_interval=random.choice([None, None, step, step * 3, step / 2]),
        same_metric=chance(random, 0.5),
        notes=(f"{PARTIAL}store 2 is away",) if chance(random, 0.05) else (),
    )
    surroundings = _surroundings(random, grid, step)
    return Given(evidence, timeline, surroundings, _length(random, step))


def _length(random: Random, step: float) -> float:
    if chance(random, 0.06):
        return 0.0
    length = step * random.randint(1, 14)
    if chance(random, 0.3):
        length += random.choice([0.001, 0.25, step / 2, step - 0.001])
    return round(length, 3)


def _timeline(random: Random, step: float) -> Timeline:
    fault = FAULT + random.choice([0.0, 0.0, 0.123, 0.999])
    before, during, after = (_length(random, step) for _ in range(3))
    return Timeline(fault - before, fault, fault + during, fault + during + after)


def _borders(grid: Grid, timeline: Timeline) -> list[int]:
    """Indexes at which something is likely to change."""
    marks = [timeline.fault, timeline.restored]
    near = [int(np.searchsorted(grid.times, mark)) for mark in marks]
    return [0, grid.count, *near]


def _lookback(random: Random, step: float) -> float | None:
    if chance(random, 0.03):
        return None
    return random.choice([0.0, 0.0, step, step * 2, step * 3, step * random.randint(1, 12), 7.3])


def _tolerance(random: Random, step: float) -> Tolerance | None:
    if chance(random, 0.35):
        return None
    if chance(random, 0.3):
        return Tolerance(share=random.choice([0.0, 0.1, 0.25, 1 / 3, 0.5, 1.0]))
    return Tolerance(seconds=random.choice([step * random.randint(0, 8), step * 1.5, 0.0, 12.0]))


def _rule(random: Random, step: float, usual: str, calm: bool) -> PhaseRule:
    objective = usual if calm or chance(random, 0.7) else _objective(random)
    after = {}
    if chance(random, 0.5):
        after["recover_within"] = random.choice([0.0, step * random.randint(0, 12), 11.0])
    if chance(random, 0.5):
        after["hold"] = random.choice([0.0, step * random.randint(0, 6), 11.0])
    texts = [objective]
    if not calm and chance(random, 0.2):
        texts.append(_objective(random))
    return PhaseRule(parse_objective(texts), _tolerance(random, step), **after)


def _objective(random: Random) -> str:
    return random.choice(NAMED) if chance(random, 0.25) else random.choice(PLAIN)


def _policy(random: Random) -> Policy:
    if chance(random, 0.75):
        return "inconclusive"
    return random.choice(["breach", "met", 0.0, 0.08])


def _slo(random: Random, step: float, calm: bool) -> Slo:
    usual = "< 1%" if chance(random, 0.6) else _objective(random)
    if calm and chance(random, 0.4):
        usual = random.choice(NAMED)
    shape = random.choice(
        [{"query": "q"}] * 2 + [{"total": "t", "bad": "b"}] + [{"total": "t", "good": "g"}]
    )
    budget = {"target": random.choice([0.99, 0.9, 1.0]), "period": random.choice([3600.0, 86400.0])}
    return Slo(
        name="slo",
        objective=parse_objective(usual),
        before=_rule(random, step, usual, calm),
        during=_rule(random, step, usual, calm),
        after=_rule(random, step, usual, calm),
        no_data=_policy(random),
        idle=_policy(random),
        min_coverage=random.choice([0.6, 0.6, 0.0, 0.5, 1.0]),
        **shape,
        **(budget if chance(random, 0.5) else {}),
    )


def _runs(
    random: Random, count: int, borders: list[int], values: list[float | None]
) -> list[float | None]:
    """A curve of ``count`` points: a usual value, with runs of others, many of them at borders."""
    curve: list[float | None] = [values[0]] * count
    for _ in range(random.choice([0, 1, 1, 2, 3, 4])):
        value = random.choice(values)
        length = random.choice([1, 1, 2, 3, random.randint(1, 12)])
        anchor = random.choice(borders) if chance(random, 0.7) else random.randint(0, count)
        begin = anchor + random.choice([0, 0, -length, -length + 1, -1, 1, 2])
        for index in range(max(begin, 0), min(begin + length, count)):
            curve[index] = value
    if chance(random, 0.2):
        _cut(random, curve, borders)
    return curve


def _cut(random: Random, curve: list[float | None], borders: list[int]) -> None:
    """The curve starts late or ends early."""
    edge = random.choice(borders) + random.choice([0, 0, 1, -1, 2, -2, 3])
    edge = min(max(edge, 0), len(curve))
    absent = range(edge) if chance(random, 0.5) else range(edge, len(curve))
    for index in absent:
        curve[index] = None


def _palette(random: Random, calm: bool) -> list[float | None]:
    if calm:
        odd: list[list[float | None]] = [
            [None],
            [None, None],
            [0.08],
            [None, 0.08],
            [nan],
            [0.0051],
        ]
        return [0.005, *random.choice(odd)]
    usual: list[float | None] = [0.0 if chance(random, 0.4) else random.choice(SHARES[:3])]
    usual += [None] * random.choice([0, 1, 2])
    usual += [nan] * random.choice([0, 0, 1])
    usual += random.choices([0.0, 0.08, 0.08, *SHARES], k=2)
    usual += random.choices(ODD, k=1) if chance(random, 0.2) else []
    return usual


def _names(random: Random) -> list[LabelSet]:
    names: list[LabelSet] = [
        label_set({"pod": f"shop-{i}"}) for i in range(random.choice([1, 1, 1, 2, 3]))
    ]
    return names if chance(random, 0.97) else []


def _matrix(grid: Grid, curves: dict[LabelSet, list[float | None]]) -> Matrix:
    values = np.full((len(curves), grid.count), np.nan)
    present = np.zeros((len(curves), grid.count), dtype=bool)
    for row, curve in enumerate(curves.values()):
        for column, value in enumerate(curve):
            if value is not None:
                values[row, column], present[row, column] = value, True
    return Matrix(grid, tuple(curves), values, present)


def _answers(
    random: Random, declared: Slo, grid: Grid, borders: list[int], calm: bool
) -> dict[str, Matrix]:
    names = _names(random)
    if not declared.is_pair:
        curves = {n: _runs(random, grid.count, borders, _palette(random, calm)) for n in names}
        if chance(random, 0.1):
            curves = {
                n: [nan if v is not None else None for v in c] if chance(random, 0.5) else c
                for n, c in curves.items()
            }
        return {"query": _matrix(grid, curves)}
    totals, parts = {}, {}
    for name in names:
        total: list[float | None] = [50.0, 50.0, 100.0, None, 0.0]
        if calm:
            total = random.choice([[50.0], [50.0, None], [50.0, 0.0]])
        elif chance(random, 0.2):
            total += [random.choice([nan, inf, -1.0])]
        if chance(random, 0.95):
            totals[name] = _runs(random, grid.count, borders, total)
        shares = _palette(random, calm)
        if declared.good:
            shares = [None if s is None else 1 - s for s in shares]
        counts = [None if s is None else s * 50.0 for s in shares]
        if chance(random, 0.9):
            parts[name] = _runs(random, grid.count, borders, counts)
    role = "bad" if declared.bad else "good"
    return {"total": _matrix(grid, totals), role: _matrix(grid, parts)}


def _surroundings(random: Random, grid: Grid, step: float) -> Surroundings:
    removed = {"pod": frozenset({"shop-0"})} if chance(random, 0.25) else {}
    away, away_step = np.empty(0), 0.0
    if chance(random, 0.25) and grid.count:
        begin = random.randrange(grid.count)
        away = grid.times[begin : begin + random.choice([1, 2, 4, 8])]
        away_step = step
    return Surroundings(away, away_step, removed)
