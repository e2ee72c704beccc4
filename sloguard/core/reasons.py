"""Why: a comparison with both numbers and their time, made when somebody reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from sloguard.core.deciding import Why
from sloguard.core.explaining import Facts
from sloguard.core.model import PhaseName, Verdict
from sloguard.core.results import IDLE_NOTE
from sloguard.core.text import format_duration, format_time, format_value


def phase_reason(facts: Facts, row: int, phase: PhaseName) -> str:
    """The reason of one series in one phase, without the series' name."""
    return _TEXTS[Why(int(facts.column(phase).why[row]))](facts, row, phase)


def series_reason(
    facts: Facts, row: int, verdict: int, known: Mapping[PhaseName, str] | None = None
) -> str:
    """The reason of the first phase that is as bad as the series. ``known``: the reasons of its phases."""
    name = facts.series_name(row)
    if facts.columns.series.left_out[row]:
        return f"{name}: {IDLE_NOTE}, left out"
    phases = [p for p in PhaseName if facts.columns.phases[p].verdict[row] == verdict]
    # Of a met series, the phase under the fault is the one worth reading about.
    preferred = (PhaseName.DURING, PhaseName.AFTER, PhaseName.BEFORE)
    if verdict == Verdict.MET.rank:
        phases = [p for p in preferred if p in phases]
    if phases:
        return f"{name}: {known[phases[0]] if known else phase_reason(facts, row, phases[0])}"
    return f"{name}: {_nowhere(facts, row)}"


def _nowhere(f: Facts, row: int) -> str:
    """Of a series that was judged in no phase."""
    if f.columns.series.has_life[row]:
        return "judged in no phase"
    return "no total with these labels" if f.evidence.slo.is_pair else "no data in the whole window"


def _held(f: Facts, row: int, phase: PhaseName) -> str:
    columns = f.column(phase)
    if columns.breaches[row] and phase is not PhaseName.AFTER:
        return _breached(f, row, phase)
    if phase is PhaseName.BEFORE and f.fixed_bounds[phase] is None:
        baseline = float(f.columns.series.baseline[row])
        return f"the baseline is {format_value(baseline, f.unit)} ({phase})"
    if columns.worst[row] < 0:
        judged, points = int(columns.judged[row]), int(columns.points[row])
        return f"no value in {judged} of {points} points, which no_data or idle rule met ({phase})"
    return f"{f.worst(row, phase)}, {f.objective(row, phase)} ({phase})"


def _breached(f: Facts, row: int, phase: PhaseName) -> str:
    columns = f.column(phase)
    if columns.worst_breaks[row]:
        what = f"{f.worst(row, phase)}, not {f.objective(row, phase)}"
    else:
        what = f.without_value(row, phase, int(columns.first_breach[row]))
    return f"{what} ({phase}); {f.in_breach(row, phase)}"


def _gone_dark(f: Facts, row: int, phase: PhaseName) -> str:
    missing = f.no_data(row, phase, at_end=True)
    if f.columns.series.removed[row]:
        end = f"ended with its {f.removed_by(row)}, and no series of the SLO is left"
        return f"gone dark: {end}: {missing} ({phase}); {f.tolerated(phase)}"
    return f"gone dark: {missing}; the series was there before ({phase}); {f.tolerated(phase)}"


def _dark(f: Facts, row: int, phase: PhaseName) -> str:
    columns = f.column(phase)
    missing = f.no_data(row, phase, at_end=False)
    text = f"{missing}; the series was there before ({phase}); {f.tolerated(phase)}"
    if not columns.judged[row]:
        return f"{text}, but not one of {_points(columns.points[row])} could be judged"
    if phase is PhaseName.AFTER:
        return f"{text}; {_seen_again(f, row)}"
    if columns.breaches[row]:
        return f"{text}, and {f.span(int(columns.breaches[row]))} in breach beside it"
    return text


def _seen_again(f: Facts, row: int) -> str:
    """What is certain of a recovery that was partly in the dark."""
    columns = f.column(PhaseName.AFTER)
    if np.isnan(columns.recovered[row]):
        return f"not seen to recover, {_allowed(f)}"
    text = f"seen again {format_duration(float(columns.recovered[row]))} after the fault was undone, {_allowed(f)}"
    held = float(columns.held[row])
    if held < _hold(f):
        text += f", but held for {format_duration(held)}, {format_duration(_hold(f))} asked"
    return text


def _points(count: int) -> str:
    return f"{count} point" if count == 1 else f"{count} points"


def _blind(f: Facts, row: int, phase: PhaseName) -> str:
    away = f.span(int(f.column(phase).blind[row]))
    since = f.blind_from(row, phase)
    return f"Prometheus was away for {away} ({phase}) from {since}; {f.tolerated(phase)}"


def _undecided(f: Facts, row: int, phase: PhaseName) -> str:
    if f.columns.series.baseline[row] != 0:
        return _no_baseline(f, row, phase)
    span = f.shared.spans[phase]
    numbers = f.values.values[row, span]
    counted = f.values.has_value[row, span] & (numbers != 0) & ~f.excused(phase)
    text = "the baseline is 0: give an absolute allowance"
    if not counted.any():
        return f"{text} ({phase})"
    index = int(counted.argmax())
    value = format_value(float(numbers[index]), f.unit)
    asked = f.rule(phase).objective.text
    return f"{value} at {f.time_at(phase, index)} against {asked}, but {text} ({phase})"


def _no_baseline(f: Facts, row: int, phase: PhaseName) -> str:
    span = f.shared.spans[PhaseName.BEFORE]
    points, numbers = span.stop - span.start, int(f.columns.series.numbers[row])
    share = f.evidence.slo.min_coverage
    text = f"no baseline: {numbers} of {_points(points)} of before have a value"
    if numbers >= 3 and numbers >= share * points - 1e-9:
        return f"{text}, and their median is not a finite number ({phase})"
    return f"{text}, at least 3 and {format_value(share, '%')} needed ({phase})"


def _coverage(f: Facts, row: int, phase: PhaseName) -> str:
    columns = f.column(phase)
    seen, asked = int(columns.seen[row]), int(columns.asked[row])
    needed = format_value(f.evidence.slo.min_coverage, "%")
    return (
        f"{seen} of {_points(asked)} have data, {format_value(seen / max(asked, 1), '%')}, "
        f"{needed} needed ({phase})"
    )


def _no_point(f: Facts, row: int, phase: PhaseName) -> str:
    columns = f.column(phase)
    points, gaps, idle = int(columns.points[row]), int(columns.gaps[row]), int(columns.idle[row])
    parts = [f"{idle} idle"] if idle else []
    parts += [f"{gaps} without data"] if gaps else []
    young = points - gaps - idle
    if young > 0:
        parts.append(f"{young} younger than the lookback, {format_duration(f.lookback)}")
    return f"nothing to judge in {_points(points)}: {', '.join(parts)} ({phase})"


def _blurred(f: Facts, row: int, phase: PhaseName) -> str:
    length = f.shared.timeline.restored - f.shared.timeline.fault
    lookback, fault = format_duration(f.lookback), format_duration(length)
    if f.lookback > length:
        return f"lookback {lookback} is longer than the {fault} fault: it averages the fault away"
    if f.lookback < f.step:
        return f"no judged point is a step, {format_duration(f.step)}, after the fault: it was not seen ({phase})"
    columns = f.column(phase)
    points, idle, gaps = (int(c[row]) for c in (columns.points, columns.idle, columns.gaps))
    lost = [f"{idle} idle"] if idle else []
    lost += [f"{gaps} without data"] if gaps else []
    why = f" ({', '.join(lost)} of {_points(points)})" if lost else ""
    return (
        f"no judged point of the {fault} fault is as old as the lookback, {lookback}{why}: "
        "it averages the fault away"
    )


def _all_excused(f: Facts, row: int, phase: PhaseName) -> str:
    lookback = format_duration(f.lookback)
    return f"no judged point is as old as the lookback, {lookback}: all still average the fault in ({phase})"


def _recovery(f: Facts, row: int) -> str:
    columns = f.column(PhaseName.AFTER)
    low, high = float(columns.recovered_from[row]), float(columns.recovered_to[row])
    between = (
        "" if low == high else f" (between {format_duration(low)} and {format_duration(high)})"
    )
    seconds = format_duration(float(columns.recovered[row]))
    return f"recovered {seconds} after the fault was undone{between}"


def _allowed(f: Facts) -> str:
    after = f.evidence.slo.after
    within = after.recover_within
    if within is None:
        within = max(f.declared_after - f.lookback - _hold(f), 0.0)
    return f"{format_duration(within)} allowed"


def _hold(f: Facts) -> float:
    hold = f.evidence.slo.after.hold
    return 3 * f.step if hold is None else hold


def _not_recovered(f: Facts, row: int, phase: PhaseName) -> str:
    columns = f.column(phase)
    if columns.worst_breaks[row]:
        what = f"{f.worst(row, phase)}, not {f.objective(row, phase)}"
    else:
        what = f.without_value(row, phase, int(columns.last_breach[row]))
    return f"not recovered: {what} ({phase}); {_allowed(f)}"


def _recovered(f: Facts, row: int, phase: PhaseName) -> str:
    columns = f.column(phase)
    if columns.recovered[row] == 0 and columns.breaches[row]:
        # It was well at once; what breached later was tolerated.
        return _breached(f, row, phase)
    if columns.dark[row] and not columns.breaches[row]:
        # Nothing was seen to be wrong; it was just not there.
        return _dark(f, row, phase)
    return f"{_recovery(f, row)}, {_allowed(f)} ({phase})"


def _not_held(f: Facts, row: int, phase: PhaseName) -> str:
    columns = f.column(phase)
    if columns.dark[row] and not columns.breaches[row]:
        return _dark(f, row, phase)
    held = format_duration(float(columns.held[row]))
    return f"{_recovery(f, row)}, but held for {held}, {format_duration(_hold(f))} asked ({phase})"


def _ended(f: Facts, row: int, phase: PhaseName) -> str:
    last = float(f.shared.times[f.columns.series.sampled_until[row]])
    return f"the series ended before the fault, at {format_time(last)}"


def _outside(f: Facts, row: int, phase: PhaseName) -> str:
    series = f.columns.series
    if not series.has_life[row]:
        return _nowhere(f, row)
    gone = series.removed[row] and phase is not PhaseName.BEFORE
    if gone and f.values.sampled[row, : f.shared.spans[phase].start + 1].any():
        return f"ended with its {f.removed_by(row)}"
    return f"the series was not there ({phase})"


def _lookback_unknown(f: Facts, row: int, phase: PhaseName) -> str:
    return f.evidence.lookback_problem or "the lookback of the query is not known"


def _partial(f: Facts, row: int, phase: PhaseName) -> str:
    return f"{f.evidence.partial}: what is missing may have been in breach ({phase})"


def _empty_phase(f: Facts, row: int, phase: PhaseName) -> str:
    return f"the phase has no length ({phase})"


def _no_grid_point(f: Facts, row: int, phase: PhaseName) -> str:
    line = f.shared.timeline
    length = line.end - line.restored if phase is PhaseName.AFTER else line.fault - line.start
    return (
        f"no point to judge: the phase lasts {format_duration(np.round(length, 3))}, "
        f"a step {format_duration(f.step)} ({phase})"
    )


Text = Callable[[Facts, int, PhaseName], str]

_TEXTS: dict[Why, Text] = {
    Why.OUTSIDE_LIFE: _outside,
    Why.HELD: _held,
    Why.BREACHED: _breached,
    Why.GONE_DARK: _gone_dark,
    Why.DARK: _dark,
    Why.BLIND: _blind,
    Why.UNDECIDED: _undecided,
    Why.COVERAGE: _coverage,
    Why.NO_POINT: _no_point,
    Why.BLURRED: _blurred,
    Why.NOT_RECOVERED: _not_recovered,
    Why.RECOVERED_LATE: _recovered,
    Why.NOT_HELD: _not_held,
    Why.NO_BASELINE: _no_baseline,
    Why.RECOVERED: _recovered,
    Why.ENDED: _ended,
    Why.LOOKBACK_UNKNOWN: _lookback_unknown,
    Why.PARTIAL: _partial,
    Why.EMPTY_PHASE: _empty_phase,
    Why.NO_GRID_POINT: _no_grid_point,
    Why.ALL_EXCUSED: _all_excused,
}
