"""Samples -> points: what there is at each grid point of each series, and during which points it lives.

All arrays are series x points unless said otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sloguard.core.arrays import Bools, Floats, Ints, anywhere
from sloguard.core.model import PhaseName, Policy, Timeline
from sloguard.core.series import LabelSet, Matrix, SloEvidence, Surroundings
from sloguard.core.windows import Grid, phase_slice


@dataclass(frozen=True, slots=True)
class Values:
    """The value of each series at each point.

    ``has_value``: there is a number (±Inf included); ``idle``: a sample that proves nothing (NaN, or a
    pair's total of 0). Neither: a gap. ``total``: a pair's events a second, NaN where there is
    none; of a plain query it is None.
    """

    labels: tuple[LabelSet, ...]
    values: Floats
    has_value: Bools
    idle: Bools
    total: Floats | None = None

    @property
    def sampled(self) -> Bools:
        """Points that are not gaps."""
        return self.has_value | self.idle

    def rows(self, part: slice) -> Values:
        """Some of the series."""
        return Values(
            self.labels[part],
            self.values[part],
            self.has_value[part],
            self.idle[part],
            None if self.total is None else self.total[part],
        )


def slo_values(evidence: SloEvidence) -> Values:
    """The values of an SLO: a query's own, or the share of bad events of a pair, clamped to 0..1."""
    if evidence.slo.is_pair:
        return _pair_values(evidence)
    answer = evidence.answers["query"]
    nan = np.isnan(answer.values)
    return Values(answer.labels, answer.values, answer.present & ~nan, answer.present & nan)


def _pair_values(evidence: SloEvidence) -> Values:
    role = "bad" if "bad" in evidence.answers else "good"
    total, part = _nameless(evidence.answers["total"]), _nameless(evidence.answers[role])
    labels = total.labels
    if part.labels != labels:
        labels = tuple(dict.fromkeys((*total.labels, *part.labels)))
        total, part = _on_rows(total, labels), _on_rows(part, labels)
    part_values, part_known = _matched_against_absence(part, evidence)
    # A negative total (a recording rule gone wrong) proves as little as one of 0.
    counted = total.present & (total.values > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        bad = part_values if role == "bad" else np.maximum(total.values - part_values, 0.0)
        share = np.clip(bad / total.values, 0.0, 1.0)
    is_gap = ~total.present | (counted & ~part_known)
    has_value = counted & ~is_gap & ~np.isnan(share)
    return Values(
        labels,
        np.where(has_value, share, np.nan),
        has_value,
        ~is_gap & ~has_value,
        np.where(total.present, total.values, np.nan),
    )


def _nameless(answer: Matrix) -> Matrix:
    """Without ``__name__``, which differs between the two halves of a pair; unless that mixes series up."""
    if not any(name == "__name__" for labels in answer.labels for name, _ in labels):
        return answer
    labels = tuple(tuple(p for p in row if p[0] != "__name__") for row in answer.labels)
    if len(set(labels)) < len(labels):
        return answer
    return Matrix(answer.grid, labels, answer.values, answer.present, answer.notes)


def _on_rows(answer: Matrix, labels: tuple[LabelSet, ...]) -> Matrix:
    """The same answer with one row for each of ``labels``, absent where it has no such series."""
    row_of = {row: i for i, row in enumerate(labels)}
    values = np.full((len(labels), answer.grid.count), np.nan)
    present = np.zeros(values.shape, dtype=bool)
    rows = [row_of[row] for row in answer.labels]
    values[rows], present[rows] = answer.values, answer.present
    return Matrix(answer.grid, labels, values, present, answer.notes)


def _matched_against_absence(part: Matrix, evidence: SloEvidence) -> tuple[Floats, Bools]:
    """Values with 0 where absence means 0, and where they are known.

    One exporter tells both numbers: what it does not list did not happen. From another exporter that
    holds only until it has listed the series once; after that its silence is a gap. In a partial answer
    silence is always one.
    """
    filled = np.where(part.present, part.values, 0.0)
    if evidence.partial:
        return filled, part.present
    if evidence.same_metric:
        return filled, np.ones(part.present.shape, dtype=bool)
    seen_earlier = np.maximum.accumulate(part.present, axis=1)
    return filled, np.asarray(part.present | ~seen_earlier)


@dataclass(frozen=True, slots=True)
class Frame:
    """What all series of one SLO share. ``blind`` (points,): Prometheus itself was away."""

    timeline: Timeline
    grid: Grid
    times: Floats
    spans: dict[PhaseName, slice]
    blind: Bools

    @property
    def fault(self) -> int:
        """The index of the first point at or after the fault."""
        return int(np.searchsorted(self.times, self.timeline.fault - 0.0005))

    def last_seen_points(self, phase: PhaseName, count: int) -> Ints:
        """The last ``count`` points of a phase at which Prometheus was there."""
        span = self.spans[phase]
        return np.asarray((np.flatnonzero(~self.blind[span]) + span.start)[-count:])

    @property
    def end_of_before(self) -> slice:
        """The last two points of ``before`` at which Prometheus was there, and what lies between and after."""
        span = self.spans[PhaseName.BEFORE]
        seen = self.last_seen_points(PhaseName.BEFORE, 2)
        return slice(int(seen[0]) if len(seen) == 2 else span.start, span.stop)


def frame(evidence: SloEvidence, timeline: Timeline, surroundings: Surroundings) -> Frame:
    """The shared frame of one SLO's series."""
    grid = evidence.grid
    spans = {phase: phase_slice(timeline, grid, phase) for phase in PhaseName}
    return Frame(timeline, grid, grid.times, spans, _blind_points(grid, surroundings))


def _blind_points(grid: Grid, surroundings: Surroundings) -> Bools:
    blind = np.zeros(grid.count, dtype=bool)
    if len(surroundings.away):
        away, times = np.sort(surroundings.away), grid.times
        right = np.clip(np.searchsorted(away, times), 0, len(away) - 1)
        left = np.maximum(right - 1, 0)
        distance = np.minimum(np.abs(away[right] - times), np.abs(away[left] - times))
        blind = distance <= surroundings.away_step / 2 + 0.0005
    return blind


@dataclass(frozen=True, slots=True)
class Life:
    """When a series counts. All per series unless said otherwise.

    ``alive`` (series x points). ``can_go_dark``: it was judged in ``before`` and there at its end.
    ``ended``: it was gone before the fault. ``removed``: the fault took its object away.
    """

    alive: Bools
    can_go_dark: Bools
    ended: Bools
    removed: Bools


def lives(sampled: Bools, judged: Bools, shared: Frame, removed: Bools, last_of_all: int) -> Life:
    """``judged``: points that count as ok or breach (values, and idle points that a policy rules)."""
    index = np.arange(shared.grid.count)
    whole, some = sampled.all(), anywhere(sampled)
    first = np.where(some, sampled.argmax(axis=1), shared.grid.count)
    last = np.where(some, shared.grid.count - 1 - sampled[:, ::-1].argmax(axis=1), -1)
    before = shared.spans[PhaseName.BEFORE]
    at_its_end = anywhere(sampled[:, shared.end_of_before])
    can_go_dark = anywhere(judged[:, before]) & at_its_end
    ended = some & (last < shared.fault) & ~at_its_end
    until = np.where(can_go_dark, shared.grid.count - 1, _over_blindness(last, shared.blind))
    alive = sampled if whole else (index >= first[:, None]) & (index <= until[:, None])
    if removed.any() and not whole:
        # What the fault removed is expected to be away, and may come back under its name; but once no
        # series of the SLO is left at all, its gaps are like those of any other.
        alive &= sampled | ~removed[:, None] | (index < shared.fault) | (index > last_of_all)
    return Life(alive, can_go_dark, ended, removed)


def _over_blindness(last: Ints, blind: Bools) -> Ints:
    """Where lives end whose last samples these are: Prometheus's own absence ends none."""
    if not blind.any():
        return last
    seeing = np.append(np.flatnonzero(~blind), len(blind))
    return np.where(last < 0, last, seeing[np.searchsorted(seeing, last + 1)] - 1)


def last_sample(values: Values) -> int:
    """The last point at which any series is there; -1 if none ever is."""
    return int(np.max(np.flatnonzero(values.sampled.any(axis=0)), initial=-1))


def named_removed(labels: tuple[LabelSet, ...], surroundings: Surroundings) -> Bools:
    """Series that bear the name of an object which the fault removed."""
    if not surroundings.removed:
        return np.zeros(len(labels), dtype=bool)
    names = surroundings.removed
    return np.array(
        [any(value in names.get(label, ()) for label, value in row) for row in labels], dtype=bool
    )


@dataclass(slots=True)
class Points:
    """Every point of every series, as far as it lies in the series' life; the sets are disjoint.

    ``value``: to be judged by its number; ``ok``/``breach``: ruled so by ``no_data`` or ``idle``;
    ``idle``; ``gap`` (blind ones included). ``raw_gap`` and ``raw_idle``: before any policy.
    """

    values: Floats
    value: Bools
    ok: Bools
    breach: Bools
    idle: Bools
    gap: Bools
    raw_gap: Bools
    raw_idle: Bools
    life: Life

    @property
    def judged(self) -> Bools:
        """Points that count as ok or breach, or will once they are held against an objective."""
        return self.value | self.ok | self.breach


def points_of(
    values: Values,
    shared: Frame,
    removed: Bools,
    *,
    no_data: Policy,
    idle: Policy,
    last_of_all: int | None = None,
) -> Points:
    """Apply both policies, each within the series' life; Prometheus's own absence is nobody's gap.

    ``last_of_all``: the last point at which any series of the SLO is there, where ``values`` are not
    all of them.
    """
    sampled = values.sampled
    gap = ~sampled
    made = Points(
        values=values.values,
        value=values.has_value,
        ok=np.zeros(values.idle.shape, dtype=bool),
        breach=np.zeros(values.idle.shape, dtype=bool),
        idle=values.idle,
        gap=gap,
        raw_gap=gap,
        raw_idle=values.idle,
        life=Life(*(np.empty(0, dtype=bool),) * 4),
    )
    _rule(made, idle, made.idle)
    if last_of_all is None:
        last_of_all = last_sample(values) if removed.any() else -1
    made.life = lives(sampled, made.judged, shared, removed, last_of_all)
    alive = made.life.alive
    _rule(made, no_data, made.gap & alive & ~shared.blind)
    if not alive.all():
        for name in ("value", "ok", "breach", "idle", "gap", "raw_gap", "raw_idle"):
            setattr(made, name, getattr(made, name) & alive)
    return made


def _rule(points: Points, policy: Policy, where: Bools) -> None:
    """Move ``where`` (idle points or gaps) to what the policy says they stand for."""
    if policy == "inconclusive" or not where.any():
        return
    points.idle, points.gap = points.idle & ~where, points.gap & ~where
    if policy == "breach":
        points.breach = points.breach | where
    elif policy == "met":
        points.ok = points.ok | where
    else:
        points.values = np.where(where, float(policy), points.values)
        points.value = points.value | where
