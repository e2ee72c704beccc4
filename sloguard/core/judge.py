"""Series + windows + SLO -> verdict. Pure: the same evidence gives the same answer, always."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sloguard.core.arrays import Ints
from sloguard.core.columns import Columns, judge_columns
from sloguard.core.deciding import INCONCLUSIVE, NOT_JUDGED, Why
from sloguard.core.explaining import Facts
from sloguard.core.model import PhaseName, Timeline, Verdict
from sloguard.core.points import Frame, Values, frame, slo_values
from sloguard.core.results import SloResult
from sloguard.core.rows import VERDICTS, JudgedSeries, series_verdicts
from sloguard.core.series import SloEvidence, Surroundings


def judge_slo(
    evidence: SloEvidence,
    timeline: Timeline,
    surroundings: Surroundings | None = None,
    declared_after: float = 120.0,
) -> SloResult:
    """Judge one SLO over a timeline.

    ``declared_after``: the declared length of ``after`` (s), from which the default of
    ``recover_within`` follows. An SLO without evidence is inconclusive, never met.
    """
    slo = evidence.slo
    if evidence.error:
        return _unknown(evidence, evidence.error)
    if evidence.partial:
        # What is missing from a partial answer was not missing from the service.
        evidence = replace(evidence, slo=replace(slo, no_data="inconclusive"))
    surroundings = surroundings or Surroundings()
    shared = frame(evidence, timeline, surroundings)
    values = slo_values(evidence)
    if not values.sampled.any():
        if evidence.partial:
            return _unknown(evidence, f"no data in the whole window; {evidence.partial}")
        return _judge_silence(evidence, values, shared, surroundings, declared_after)
    columns = judge_columns(evidence, values, shared, surroundings, declared_after)
    _leave_out_idle(columns)
    if evidence.lookback is None:
        for phase in columns.phases.values():
            judged = phase.verdict > NOT_JUDGED
            phase.verdict[judged], phase.why[judged] = INCONCLUSIVE, Why.LOOKBACK_UNKNOWN
    elif evidence.partial:
        # A breach that was seen was there; that all held, nobody has seen.
        for phase in columns.phases.values():
            unseen = phase.verdict == Verdict.MET.rank
            phase.verdict[unseen], phase.why[unseen] = INCONCLUSIVE, Why.PARTIAL
    _leave_out_ended(columns)
    facts = Facts(evidence, values, shared, surroundings, columns, declared_after)
    return _summed_up(evidence, JudgedSeries(facts), slo.name)


def _leave_out_ended(columns: Columns) -> None:
    """What the fault removed, and which so had no time to show it, is not judged where another one is."""
    during = columns.phases[PhaseName.DURING]
    short = columns.series.removed & (during.why == Why.BLURRED)
    short &= during.verdict == INCONCLUSIVE
    decided = (during.verdict == Verdict.MET.rank) | (during.verdict == Verdict.DEVIATED.rank)
    if decided.any():
        during.verdict[short], during.why[short] = NOT_JUDGED, Why.OUTSIDE_LIFE


def _leave_out_idle(columns: Columns) -> None:
    """Series that were idle all through are not judged where another one is."""
    series = columns.series
    others = ~series.ended & ~series.all_idle & series.has_life
    if (others & (series_verdicts(columns) > NOT_JUDGED)).any():
        series.left_out[series.all_idle] = True
        for phase in columns.phases.values():
            phase.verdict[series.left_out] = NOT_JUDGED


def _unknown(evidence: SloEvidence, reason: str) -> SloResult:
    return SloResult(
        name=evidence.slo.name,
        verdict=Verdict.INCONCLUSIVE,
        reason=f"{evidence.slo.name}: {reason}",
        evidence=evidence,
        series=(),
        notes=evidence.notes,
    )


def _judge_silence(
    evidence: SloEvidence,
    values: Values,
    shared: Frame,
    surroundings: Surroundings,
    declared_after: float,
) -> SloResult:
    """No sample in the whole window: ``no_data`` may prove a breach, never ``met``."""
    slo = evidence.slo
    ruled_by_no_data = slo.no_data not in ("inconclusive", "met")
    if ruled_by_no_data and evidence.lookback is not None and not shared.blind.all():
        # What Prometheus could not see is no evidence of anything, here as elsewhere.
        asked = ~shared.blind[None, :]
        silent = Values(((),), np.full(asked.shape, np.nan), np.zeros_like(asked), asked)
        ruled = replace(evidence, slo=replace(slo, idle=slo.no_data))
        columns = judge_columns(ruled, silent, shared, surroundings, declared_after)
        for phase in columns.phases.values():
            phase.gaps, phase.idle = phase.points.copy(), np.zeros_like(phase.idle)
            met = phase.verdict == Verdict.MET.rank
            phase.verdict[met], phase.why[met] = INCONCLUSIVE, Why.NO_POINT
        facts = Facts(evidence, silent, shared, surroundings, columns, declared_after, silent=True)
        result = _summed_up(evidence, JudgedSeries(facts), slo.name)
        if result.verdict is Verdict.DEVIATED:
            return replace(result, reason=f"no data in the whole window: {result.reason}")
    answered = len(values.labels)
    what = "no data in the whole window"
    if answered and slo.is_pair:
        what = f"{answered} series of one half of the pair, none with a total of the same labels"
    return _unknown(evidence, what)


def _summed_up(evidence: SloEvidence, series: JudgedSeries, name: str) -> SloResult:
    """An SLO is its worst series."""
    columns = series.facts.columns
    worst = int(series.verdicts.max(initial=NOT_JUDGED))
    if worst == NOT_JUDGED:
        return SloResult(
            name,
            Verdict.INCONCLUSIVE,
            f"{name}: no series was judged" + "".join(f"; {note}" for note in _counted(columns)),
            evidence,
            series,
            notes=_notes(evidence, columns),
        )
    order = np.asarray(series.order, dtype=np.intp)
    rows = order[series.verdicts[order] == worst]
    row = _most_telling(series.facts, rows)
    reason = series.reason(row)
    if len(rows) > 1 and worst > Verdict.MET.rank:
        reason += f" (and {len(rows) - 1} more series)"
    after = columns.phases[PhaseName.AFTER]
    gone = columns.series.ended | (columns.series.removed & ~columns.series.at_end)
    calm = (after.verdict == Verdict.MET.rank) & columns.series.at_end & (after.dark == 0)
    settled = bool((calm | gone).all() and calm.any())
    return SloResult(
        name, VERDICTS[worst], reason, evidence, series, settled, _notes(evidence, columns)
    )


def _most_telling(made: Facts, rows: Ints) -> int:
    """Of equally bad series, the one that was longest in breach; the first by its labels if equal."""
    during, after = made.columns.phases[PhaseName.DURING], made.columns.phases[PhaseName.AFTER]
    breaches = during.breaches + after.breaches
    return int(rows[breaches[rows].argmax()])


def _notes(evidence: SloEvidence, columns: Columns) -> tuple[str, ...]:
    return (*evidence.notes, *_counted(columns))


def _counted(columns: Columns) -> list[str]:
    """How many series were left out, and why."""
    idle, ended = int(columns.series.left_out.sum()), int(columns.series.ended.sum())
    made = []
    if idle:
        made.append(f"{idle} series idle all through, left out")
    if ended:
        made.append(f"{ended} series ended before the fault, not judged")
    return made
