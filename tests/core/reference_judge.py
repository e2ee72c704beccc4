"""A second, independent reading of the judge's contract: one series and one point at a time, slowly.

It shares the declarations (model, series, objective, windows) with the judge and nothing else. Readings
of what the contract leaves open stand beside the line, marked "Reading:".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, isnan, nan
from statistics import median

from sloguard.core.model import PhaseName, PhaseRule, Policy, Slo, Timeline, Tolerance, Verdict
from sloguard.core.objective import Between, Bound, Comparison, Objective
from sloguard.core.series import PARTIAL, LabelSet, Matrix, SloEvidence, Surroundings

MS = 0.0005
TINY = 1e-9
MET, INCONCLUSIVE, DEVIATED = Verdict.MET, Verdict.INCONCLUSIVE, Verdict.DEVIATED
NOT_JUDGED = Verdict.NOT_JUDGED
ORDER = [NOT_JUDGED, MET, INCONCLUSIVE, DEVIATED]


def worst_of(verdicts: Sequence[Verdict]) -> Verdict:
    return max(verdicts, key=ORDER.index, default=NOT_JUDGED)


# --- what is known of a point ---------------------------------------------------------------------


@dataclass
class Point:
    """One point of one series. ``raw``: value | idle | gap. ``kind``: what it counts as in its phase,

    ok | breach | undecided | idle | gap (neutral) | dark (judged twice) | blind (Prometheus was away).
    """

    at: float
    raw: str
    value: float = nan
    total: float = nan
    away: bool = False
    alive: bool = False
    ruled: str = ""
    kind: str = ""
    margin: float = nan
    run: int = 0


def first_kind(total: float | None) -> str:
    """What the ``total`` of a pair alone says of a point; '' if the other half has to be looked at."""
    if total is None:
        return "gap"
    # Reading: a negative rate or NaN counts no events either.
    return "" if total > 0 else "idle"


def pair_point(at: float, total: float | None, part: float | None, known: bool, bad: bool) -> Point:
    """``known``: an absent half can no longer mean zero events."""
    kind = first_kind(total)
    if kind or total is None:
        return Point(at, kind, total=nan if total is None else total)
    if part is None:
        if known:
            return Point(at, "gap", total=total)
        part = 0.0
    share = part / total if bad else (total - part) / total
    if isnan(share):
        return Point(at, "idle", total=total)
    return Point(at, "value", min(max(share, 0.0), 1.0), total)


def plain_point(at: float, value: float | None) -> Point:
    if value is None:
        return Point(at, "gap")
    return Point(at, "idle") if isnan(value) else Point(at, "value", value)


def rows(answer: Matrix | None, count: int) -> dict[LabelSet, list[float | None]]:
    """Samples by series; None where there is none."""
    if answer is None:
        return {}
    found: dict[LabelSet, list[float | None]] = {}
    for index, labels in enumerate(answer.labels):
        found[labels] = [
            float(answer.values[index][i]) if answer.present[index][i] else None
            for i in range(count)
        ]
    return found


def nameless(found: dict[LabelSet, list[float | None]]) -> dict[LabelSet, list[float | None]]:
    """Reading: as in PromQL itself, the halves of a pair are not matched by their metrics' names."""
    bare = {tuple(p for p in k if p[0] != "__name__"): row for k, row in found.items()}
    return bare if len(bare) == len(found) else found


def read_series(evidence: SloEvidence) -> dict[LabelSet, list[Point]]:
    times = [float(t) for t in evidence.grid.times]
    if not evidence.slo.is_pair:
        plain = rows(evidence.answers.get("query"), len(times))
        return {
            k: [plain_point(t, v) for t, v in zip(times, r, strict=True)] for k, r in plain.items()
        }
    is_bad = evidence.slo.bad is not None
    partial = any(note.startswith(PARTIAL) for note in evidence.notes)
    totals = nameless(rows(evidence.answers.get("total"), len(times)))
    parts = nameless(rows(evidence.answers.get("bad" if is_bad else "good"), len(times)))
    nothing: list[float | None] = [None] * len(times)
    made = {}
    for labels in [*totals, *(k for k in parts if k not in totals)]:
        points, seen = [], False
        total_row, part_row = totals.get(labels, nothing), parts.get(labels, nothing)
        for at, total, part in zip(times, total_row, part_row, strict=True):
            points.append(
                # Reading: in a partial answer silence is a gap, never zero events.
                pair_point(
                    at, total, part, partial or (seen and not evidence.same_metric), bad=is_bad
                )
            )
            seen = seen or part is not None
        made[labels] = points
    return made


# --- objectives -----------------------------------------------------------------------------------


def bound_of(bound: Bound, value: float, baseline: float | None) -> float | None:
    """The number to compare with; None where it is undecided."""
    if not bound.baseline:
        return bound.value
    if baseline is None or (bound.relative and baseline == 0 and value != 0):
        return None
    return baseline + bound.value + bound.relative * abs(baseline)


def compare(op: str, value: float, bound: float) -> tuple[bool, float]:
    """Whether it breaches, and the margin."""
    equal = value == bound or abs(value - bound) <= 1e-9 * abs(bound)
    if op in ("==", "!="):
        distance = 0.0 if value == bound else abs(value - bound)
        return (not equal, -distance) if op == "==" else (equal, distance)
    margin = 0.0 if value == bound else (bound - value if op[0] == "<" else value - bound)
    if equal:
        return op in ("<", ">"), margin
    return margin < 0, margin


def hold_against(
    objective: Objective | None, value: float, baseline: float | None
) -> tuple[str, float]:
    """ok | breach | undecided, and the smallest margin of what could be decided."""
    breach, undecided, margin = False, False, nan
    comparisons: list[tuple[str, Bound]] = []
    for member in objective.members if objective else ():
        if isinstance(member, Comparison):
            comparisons.append((member.op, member.bound))
        else:
            # Reading: of a range, one bound may be decided (and breached) while the other is not.
            comparisons += [(">=", member.low), ("<=", member.high)]
    for op, bound in comparisons:
        number = bound_of(bound, value, baseline)
        if number is None:
            undecided = True
            continue
        broken, distance = compare(op, value, number)
        breach = breach or broken
        margin = distance if isnan(margin) else min(margin, distance)
    if breach:
        return "breach", margin
    return ("undecided" if undecided else "ok"), margin


# --- a series: policies, life, darkness -----------------------------------------------------------


@dataclass
class Phase:
    verdict: Verdict
    points: int = 0
    gaps: int = 0
    idle: int = 0
    breach_seconds: float = 0.0
    longest_breach_seconds: float = 0.0
    worst: float | None = None
    worst_at: float | None = None
    first_breach_seconds: float | None = None
    recovered_seconds: float | None = None
    recovered_between_seconds: tuple[float, float] | None = None


@dataclass
class Series:
    labels: LabelSet
    points: list[Point]
    verdict: Verdict = NOT_JUDGED
    phases: dict[PhaseName, Phase] = field(default_factory=dict)
    baseline: float | None = None
    budget_burned: float | None = None
    budget_is_lower_bound: bool = False
    never: bool = False
    there_at_fault: bool = False
    capable: bool = False
    removed: bool = False
    ended: bool = False
    left_out: bool = False
    blurred: bool = False


@dataclass
class Case:
    """All that the steps below share."""

    evidence: SloEvidence
    timeline: Timeline
    surroundings: Surroundings
    declared_after: float

    @property
    def slo(self) -> Slo:
        return self.evidence.slo

    @property
    def step(self) -> float:
        return self.evidence.grid.step

    @property
    def lookback(self) -> float:
        return self.evidence.lookback or 0.0

    @property
    def partial(self) -> bool:
        return any(note.startswith(PARTIAL) for note in self.evidence.notes)

    def span(self, phase: PhaseName) -> tuple[float, float]:
        line = self.timeline
        return {
            PhaseName.BEFORE: (line.start, line.fault),
            PhaseName.DURING: (line.fault, line.restored),
            PhaseName.AFTER: (line.restored, line.end),
        }[phase]

    def holds(self, phase: PhaseName, at: float) -> bool:
        left, right = self.span(phase)
        if right <= left or at < left - MS:
            return False
        return at <= right + MS if phase is PhaseName.AFTER else at < right - MS

    def away(self, at: float) -> bool:
        # Reading: `up` may be sampled on a grid of its own, and a sample stands for what is nearest.
        reach = self.surroundings.away_step / 2 + MS
        return any(abs(at - float(a)) <= reach for a in self.surroundings.away)

    @property
    def forgiving(self) -> bool:
        """Whether a step is short enough for one gap to be a late scrape (or that is not known)."""
        interval = self.evidence.scrape_interval
        return interval is None or self.step <= interval + MS


def rule_points(case: Case, series: Series) -> None:
    """``no_data`` and ``idle``: what a gap or idle point stands for."""
    for point in series.points:
        point.away = case.away(point.at)
        policy: Policy = "inconclusive"
        if point.raw == "idle":
            policy = case.slo.idle
        elif point.raw == "gap" and not point.away:
            # Reading: no_data speaks of the service; Prometheus's own absence is not ruled by it, nor
            # what a partial answer lacks.
            policy = "inconclusive" if case.partial else case.slo.no_data
        if isinstance(policy, str):
            point.ruled = "" if policy == "inconclusive" else policy
        else:
            point.ruled, point.value = "value", float(policy)
    before = [p for p in series.points if p.at < case.timeline.fault - MS]
    series.never = all(p.raw == "gap" for p in series.points)
    # Reading: "its last two points there" are the last two at which Prometheus was there to look.
    looked = [p for p in before if not (p.raw == "gap" and p.away)][-2:]
    # Reading: an idle point that its policy made ok or a breach is one.
    lived = any(p.raw == "value" or (p.raw == "idle" and p.ruled) for p in before)
    series.there_at_fault = any(p.raw != "gap" for p in looked)
    series.capable = lived and series.there_at_fault
    series.removed = any(
        value in case.surroundings.removed.get(name, frozenset()) for name, value in series.labels
    )


def set_life(case: Case, series: Series, last_of_all: int) -> None:
    """Which points belong to the series' life. ``last_of_all``: the last point with any series."""
    fault, points = case.timeline.fault, series.points
    if series.never:
        # An answer that is empty is asked for throughout; one row without a total has no life at all.
        seen = False
        for point in points:
            seen = seen or not point.away
            point.alive = last_of_all < 0 and seen
        return
    there = [i for i, p in enumerate(points) if p.raw != "gap"]
    first, last = there[0], there[-1]
    end = last
    # Reading: Prometheus's absence does not end a life.
    while end + 1 < len(points) and points[end + 1].away:
        end += 1
    if series.capable:
        end = len(points) - 1
    for index in range(first, end + 1):
        points[index].alive = True
    # Reading: one that was there up to the fault did not end before it.
    series.ended = points[end].at < fault - MS and not series.there_at_fault
    if series.removed:
        for index, point in enumerate(points):
            if point.raw == "gap" and point.at >= fault - MS:
                # Reading: while a removed object is away its series is outside its life, as long as the
                # SLO has any series left: from then on its gaps are like those of all others.
                point.alive = point.alive and index > last_of_all


def abandoned(case: Case, last: int) -> bool:
    """Whether it is as good as gone dark that no series of the SLO is left at the end.

    Reading: where `after` has no points, the end is that of `during`.
    """
    times = [float(t) for t in case.evidence.grid.times]
    phases = [
        p for p in (PhaseName.AFTER, PhaseName.DURING) if any(case.holds(p, t) for t in times)
    ]
    phase = phases[0] if phases else PhaseName.DURING
    missing = [t for t in times[last + 1 :] if not case.away(t)]
    if len(missing) < 2 or case.away(times[-1]):
        return False
    inside = sum(case.holds(phase, t) for t in missing)
    points = sum(case.holds(phase, t) for t in times)
    tolerate = case.slo.rule(phase).tolerate
    if tolerate is not None and tolerate.seconds is None and not inside:
        return False
    return beyond(case.step, tolerate, len(missing), inside or 1, max(points, 1))


def set_kinds(case: Case, series: Series) -> None:
    """What each point counts as, the baseline, and the runs of dark points."""
    before = [p for p in series.points if case.holds(PhaseName.BEFORE, p.at)]
    known = [p.value for p in before if p.alive and (p.raw == "value" or p.ruled == "value")]
    enough = len(known) >= 3 and len(known) >= case.slo.min_coverage * len(before) - TINY
    if enough:
        middle = median(known) if len(set(known)) > 1 else known[0]
        series.baseline = middle if isfinite(middle) else None
    for point in series.points:
        if point.alive:
            set_kind(case, series, point)
    set_dark_runs(case, series)


def phase_of(case: Case, at: float) -> PhaseName | None:
    return next((phase for phase in PhaseName if case.holds(phase, at)), None)


def set_kind(case: Case, series: Series, point: Point) -> None:
    phase = phase_of(case, point.at)
    if point.raw == "value" or point.ruled == "value":
        objective = case.slo.rule(phase or PhaseName.AFTER).objective
        if phase is PhaseName.BEFORE:
            # Reading: where only the baseline is named, values are shown against it and not judged.
            left = objective.without_baseline()
            point.kind, point.margin = hold_against(left or objective, point.value, series.baseline)
            if not left:
                point.margin = nan if point.kind == "undecided" else point.margin
                point.kind = "ok"
        else:
            point.kind, point.margin = hold_against(objective, point.value, series.baseline)
    elif point.ruled:
        point.kind = "ok" if point.ruled == "met" else "breach"
    elif point.raw == "idle":
        point.kind = "idle"
    elif point.away:
        point.kind = "blind"
    elif series.capable and point.at >= case.timeline.fault - MS:
        point.kind = "dark"
    else:
        point.kind = "gap"


def set_dark_runs(case: Case, series: Series) -> None:
    """How long the darkness is that a dark point belongs to, in points; one gap alone is forgiven.

    Reading: darkness is measured across the border of two phases. A point at which Prometheus was away
    neither ends nor lengthens it.
    """
    run: list[Point] = []
    for point in [*series.points, Point(0, "end", kind="end")]:
        if point.kind == "dark":
            run.append(point)
        elif point.kind != "blind":
            for member in run:
                member.run = len(run)
                if len(run) == 1 and case.forgiving:
                    member.kind = "gap"
            run = []


# --- a phase --------------------------------------------------------------------------------------


def longest(kinds: Sequence[str], wanted: str, enders: Sequence[str]) -> int:
    best = run = 0
    for kind in kinds:
        if kind == wanted:
            run += 1
            best = max(best, run)
        elif kind in enders:
            run = 0
    return best


def beyond(step: float, tolerate: Tolerance | None, run: int, count: int, judged: int) -> bool:
    """Whether a run (seconds) or a count of so many judged points (share) is more than tolerated."""
    if count == 0:
        return False
    if tolerate is None:
        return True
    if tolerate.seconds is not None:
        return run * step > tolerate.seconds + 1e-6
    return count / judged > (tolerate.share or 0.0) + TINY


def too_much(step: float, tolerate: Tolerance | None, kinds: Sequence[str], judged: int) -> bool:
    """Whether breaches exceed ``tolerate``: only an ok point ends a run."""
    return beyond(step, tolerate, longest(kinds, "breach", ["ok"]), kinds.count("breach"), judged)


def covered(case: Case, kinds: Sequence[str]) -> bool:
    """Whether enough is known of these points."""
    judged, points = kinds.count("ok") + kinds.count("breach"), len(kinds) - kinds.count("idle")
    return judged > 0 and judged / points >= case.slo.min_coverage - TINY


@dataclass
class Recovery:
    breached: bool
    seconds: float | None
    between: tuple[float, float] | None
    held: float = inf


def recovery(case: Case, points: Sequence[Point], kinds: Sequence[str]) -> Recovery:
    """r and its span, of the points of ``after``."""
    restored, rule = case.timeline.restored, case.slo.after
    counted = [i for i, p in enumerate(points) if p.at - restored >= case.lookback - MS]
    if not any(kinds[i] == "breach" for i in counted):
        if not any(kinds[i] == "ok" for i in counted):
            # Reading: with nothing known there was no recovery to be timed.
            return Recovery(False, None, None)
        broken = [i for i, kind in enumerate(kinds) if kind == "breach"]
        if not broken:
            return Recovery(False, 0.0, (0.0, 0.0))
        well = next(i for i in range(broken[-1] + 1, len(points)) if kinds[i] == "ok")
        return Recovery(False, 0.0, (0.0, points[well].at - restored))
    for i in counted:
        # Reading: a tolerated share is, from r on, one of the points from r on.
        judged = kinds[i:].count("ok") + kinds[i:].count("breach")
        if kinds[i] == "ok" and not too_much(case.step, rule.tolerate, kinds[i:], judged):
            late = points[i].at - restored
            held = case.step * (len(points) - i)
            return Recovery(True, late, (max(0.0, late - case.lookback), late), held)
    return Recovery(True, None, None)


def hold_of(case: Case) -> float:
    hold = case.slo.after.hold
    return 3 * case.step if hold is None else hold


def recover_within(case: Case) -> float:
    within = case.slo.after.recover_within
    if within is not None:
        return within
    return max(0.0, case.declared_after - case.lookback - hold_of(case))


def verdict_after(case: Case, points: Sequence[Point], kinds: Sequence[str]) -> Verdict:
    """Rules 1, 3 and 4 of ``after``, of kinds without a dark point."""
    found = recovery(case, points, kinds)
    if found.breached and (found.seconds is None or found.seconds > recover_within(case) + 1e-6):
        return DEVIATED
    restored = case.timeline.restored
    # Reading: excused points prove nothing, so coverage is that of the others.
    counted = [
        k for p, k in zip(points, kinds, strict=True) if p.at - restored >= case.lookback - MS
    ]
    if not covered(case, counted):
        return INCONCLUSIVE
    return INCONCLUSIVE if found.held < hold_of(case) - 1e-6 else MET


def verdict_plain(case: Case, rule: PhaseRule, kinds: Sequence[str]) -> Verdict:
    """Rules 1 and 3 of ``before`` and ``during``, of kinds without a dark point."""
    judged = kinds.count("ok") + kinds.count("breach")
    if too_much(case.step, rule.tolerate, kinds, judged):
        return DEVIATED
    return MET if covered(case, kinds) else INCONCLUSIVE


def swapped(kinds: Sequence[str], kind: str, by: str) -> list[str]:
    return [by if k == kind else k for k in kinds]


def gone_dark(case: Case, rule: PhaseRule, points: Sequence[Point]) -> bool:
    """2 or more gaps, longer than tolerated, that hold the phase's last point."""
    if not points or points[-1].kind != "dark" or points[-1].run < 2:
        return False
    kinds = [p.kind for p in points]
    inside = 0
    for kind in reversed(kinds):
        if kind not in ("dark", "blind"):
            break
        inside += kind == "dark"
    # Reading: a value that no baseline could decide was there all the same.
    judged = sum(kinds.count(kind) for kind in ("ok", "breach", "undecided", "dark"))
    return beyond(case.step, rule.tolerate, points[-1].run, inside, judged)


def blind_too_long(case: Case, rule: PhaseRule, points: Sequence[Point]) -> bool:
    kinds = [p.kind for p in points]
    run = longest(kinds, "blind", ["ok", "breach", "undecided", "idle"])
    if run == 1 and case.forgiving:
        # Reading: one gap alone is forgiven whoever was away.
        return False
    count = kinds.count("blind")
    judged = kinds.count("ok") + kinds.count("breach") + count
    return beyond(case.step, rule.tolerate, run, count, judged)


def phase_verdict(case: Case, series: Series, phase: PhaseName, points: list[Point]) -> Verdict:
    rule, kinds = case.slo.rule(phase), [p.kind for p in points]
    restored = case.timeline.restored
    counted = points
    if phase is PhaseName.AFTER:
        counted = [p for p in points if p.at - restored >= case.lookback - MS]
    elif phase is PhaseName.BEFORE and rule.objective.without_baseline() is None:
        # Reading: only a policy can have made breaches here; the rest is met by a baseline.
        if too_much(case.step, rule.tolerate, kinds, kinds.count("ok") + kinds.count("breach")):
            return DEVIATED
        return INCONCLUSIVE if series.baseline is None else MET

    def judge(dark: str, undecided: str) -> Verdict:
        read = swapped(swapped(kinds, "dark", dark), "undecided", undecided)
        if phase is PhaseName.AFTER:
            return verdict_after(case, points, read)
        return verdict_plain(case, rule, read)

    unsure = any(p.kind == "undecided" for p in counted)
    undecided = ["ok", "breach"] if unsure and phase is PhaseName.AFTER else ["gap"]
    readings = {judge(dark, other) for dark in ("ok", "breach") for other in undecided}
    # Reading: outside `after` a run that spans a gap is proven, also where the gap is a dark one.
    if phase is not PhaseName.AFTER and judge("gap", "gap") is DEVIATED:
        return DEVIATED
    # Reading: what a partial answer lacks is not gone.
    if readings == {DEVIATED} or (not case.partial and gone_dark(case, rule, points)):
        return DEVIATED
    if unsure or blind_too_long(case, rule, counted) or len(readings) > 1:
        return INCONCLUSIVE
    verdict = readings.pop()
    real = [p for p in counted if p.kind in ("ok", "breach")]
    # Reading: darkness may be judged as one likes, but it is no evidence: without a real point, not met.
    if verdict is MET and not real:
        return INCONCLUSIVE
    if verdict is MET and phase is PhaseName.DURING:
        old = max(case.lookback, case.step)
        proven = any(p.kind == "breach" or p.at - case.timeline.fault >= old - MS for p in real)
        series.blurred = not proven
        return MET if proven else INCONCLUSIVE
    return verdict


def judge_phase(case: Case, series: Series, phase: PhaseName) -> Phase:
    left, right = case.span(phase)
    inside = [p for p in series.points if case.holds(phase, p.at)]
    points = [p for p in inside if p.alive]
    if right <= left or series.ended:
        return Phase(NOT_JUDGED)
    if not inside:
        # Reading: a phase that has a length but no point is unknown to whoever lived beside it.
        beside = series.points[-1 if phase is PhaseName.AFTER else 0]
        return Phase(INCONCLUSIVE if beside.alive else NOT_JUDGED)
    if not points:
        return Phase(NOT_JUDGED)
    kinds = [p.kind for p in points]
    verdict = phase_verdict(case, series, phase, points)
    # Reading: where some of the data is missing nobody has seen that all held.
    if (series.never or case.partial) and verdict is MET:
        verdict = INCONCLUSIVE
    made = Phase(
        verdict,
        points=len(points),
        gaps=sum(p.raw == "gap" for p in points),
        idle=sum(p.raw == "idle" for p in points),
        breach_seconds=case.step * kinds.count("breach"),
        longest_breach_seconds=case.step * longest(kinds, "breach", ["ok"]),
    )
    set_worst(case, made, phase, points)
    broken = [p.at for p in points if p.kind == "breach"]
    made.first_breach_seconds = round(broken[0] - left, 3) if broken else None
    if phase is PhaseName.AFTER:
        set_recovery(case, made, points)
    return made


def set_worst(case: Case, made: Phase, phase: PhaseName, points: Sequence[Point]) -> None:
    best: tuple[bool, float] | None = None
    for point in points:
        excused = phase is PhaseName.AFTER and (
            point.at - case.timeline.restored < case.lookback - MS
        )
        if excused or point.kind == "undecided" or isnan(point.margin):
            continue
        # Reading: at the bound itself, a value that breaches it is worse than one that does not.
        rank = (point.kind != "breach", point.margin)
        if best is None or rank < best:
            best, made.worst, made.worst_at = rank, point.value, point.at


def set_recovery(case: Case, made: Phase, points: Sequence[Point]) -> None:
    """Reading: what is dark widens the span; the time reported is the one that is certainly true."""
    kinds = [p.kind for p in points]
    early = recovery(case, points, swapped(kinds, "dark", "ok"))
    late = recovery(case, points, swapped(kinds, "dark", "breach"))
    made.recovered_seconds = None if late.seconds is None else round(late.seconds, 3)
    if late.between is not None:
        low = early.between[0] if early.between else late.between[0]
        low = min(low, late.between[0])
        made.recovered_between_seconds = (round(low, 3), round(late.between[1], 3))


# --- budget ---------------------------------------------------------------------------------------


def set_budget(case: Case, series: Series) -> None:
    slo, step = case.slo, case.step
    if slo.target is None or slo.period is None or series.ended:
        return
    allowed = slo.period * (1 - slo.target)
    lived = [p for p in series.points if p.alive]
    later = [p for p in lived if p.at >= case.timeline.fault - MS and phase_of(case, p.at)]
    spent: list[float]
    if slo.is_pair:
        before = [p.total for p in series.points if case.holds(PhaseName.BEFORE, p.at)]
        before = [t for t in before if isfinite(t)]
        allowed *= median(before) if before else 0.0
        spent = [p.value * p.total for p in later if p.raw == "value"]
    elif any(b.unit == "%" for m in slo.objective.members for _, b in comparisons_of(m)):
        # Reading: of a share of good events (a lower bound) it is what is missing to all that burns.
        floor = all(
            op[0] == ">" or bound.value >= 1
            for m in slo.objective.members
            for op, bound in comparisons_of(m)
            if bound.unit == "%"
        )
        spent = [1 - p.value if floor else p.value for p in later if p.raw == "value"]
    else:
        spent = [float(p.kind == "breach") for p in later]
    if allowed > 0 and later:
        # Reading: what is infinite cannot be added up; then it is a lower bound too.
        series.budget_burned = sum(max(x, 0.0) for x in spent if isfinite(x)) * step / allowed
        endless = not all(isfinite(x) for x in spent)
        series.budget_is_lower_bound = endless or any(p.raw == "gap" for p in later)


def comparisons_of(member: Comparison | Between) -> list[tuple[str, Bound]]:
    if isinstance(member, Comparison):
        return [(member.op, member.bound)]
    return [(">=", member.low), ("<=", member.high)]


# --- up -------------------------------------------------------------------------------------------


def reference_judge(
    evidence: SloEvidence,
    timeline: Timeline,
    surroundings: Surroundings | None = None,
    declared_after: float = 120.0,
) -> tuple[Verdict, list[Series]]:
    """The verdict of an SLO and of its series."""
    case = Case(evidence, timeline, surroundings or Surroundings(), declared_after)
    found: Mapping[LabelSet, list[Point]] = read_series(evidence)
    if evidence.error:
        return INCONCLUSIVE, []
    if all(p.raw == "gap" for points in found.values() for p in points):
        # No sample in the whole window; halves of a pair without the other are none.
        times = [float(t) for t in evidence.grid.times]
        found = {(): [Point(t, "gap") for t in times]}
    everything = [Series(labels, points) for labels, points in found.items()]
    for series in everything:
        rule_points(case, series)
    last_of_all = max(
        (i for s in everything for i, p in enumerate(s.points) if p.raw != "gap"), default=-1
    )
    if last_of_all >= 0 and not abandoned(case, last_of_all):
        last_of_all = len(evidence.grid.times)
    for series in everything:
        set_life(case, series, last_of_all)
        set_kinds(case, series)
        for phase in PhaseName:
            series.phases[phase] = judge_phase(case, series, phase)
        series.verdict = worst_of([p.verdict for p in series.phases.values()])
        if series.verdict is NOT_JUDGED and not series.ended:
            series.verdict = INCONCLUSIVE
        set_budget(case, series)
    leave_out(everything)
    if evidence.lookback is not None:
        leave_out_ended(everything)
    verdict = worst_of([s.verdict for s in everything])
    if evidence.lookback is None or verdict is NOT_JUDGED:
        verdict = INCONCLUSIVE
    return verdict, everything


def leave_out_ended(everything: Sequence[Series]) -> None:
    """Series that the fault took away before they could show it, where another one was judged.

    Reading: such a series "is expected to end", so that its few points are no lack of evidence.
    """
    during = [s.phases[PhaseName.DURING] for s in everything]
    if any(phase.verdict in (MET, DEVIATED) for phase in during):
        for series in everything:
            phase = series.phases[PhaseName.DURING]
            if series.removed and series.blurred and phase.verdict is INCONCLUSIVE:
                phase.verdict = NOT_JUDGED
                series.verdict = worst_of([p.verdict for p in series.phases.values()])
                if series.verdict is NOT_JUDGED:
                    series.verdict = INCONCLUSIVE


def leave_out(everything: Sequence[Series]) -> None:
    """Series that were idle all through, where another one was judged."""
    quiet = [
        s
        for s in everything
        if not s.never
        and not s.ended
        and not any(p.kind in ("ok", "breach", "undecided") for p in s.points)
    ]
    others = [s for s in everything if s not in quiet and not s.never]
    if any(s.verdict is not NOT_JUDGED for s in others):
        for series in quiet:
            # Reading: left out is not judged, in any phase.
            series.left_out, series.verdict = True, NOT_JUDGED
            for phase in series.phases.values():
                phase.verdict = NOT_JUDGED
