"""What must hold for any samples: worst-of is monotone, order is irrelevant, no evidence never passes."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.core.columns import BLOCK_POINTS
from sloguard.core.judge import judge_slo
from sloguard.core.model import PhaseName, Slo, Timeline, Verdict
from sloguard.core.series import Matrix, SloEvidence, Surroundings
from sloguard.core.windows import pinned_grid
from tests.support.evidence import FAULT, rule, slo

TIMELINE = Timeline(FAULT - 30, FAULT, FAULT + 30, FAULT + 60)
GRID = pinned_grid(TIMELINE, 5)
POINTS = st.sampled_from([0.0, 0.0, 0.0, 0.005, 0.5, float("nan"), float("inf"), None])
ROW = st.lists(POINTS, min_size=GRID.count, max_size=GRID.count)
ROWS = st.lists(ROW, min_size=1, max_size=4)
TOLERATE = st.sampled_from([None, 5, 10, 20, "20%", "50%"])


@st.composite
def slos(draw: st.DrawFn) -> Slo:
    objective = draw(st.sampled_from(["< 1%", "<= baseline + 50%", ">= 0", "between 0 and 0.1"]))
    return slo(
        objective,
        during=rule(objective, draw(TOLERATE)),
        after=rule(objective, draw(TOLERATE), recover_within=draw(st.sampled_from([10.0, 30.0]))),
        no_data=draw(st.sampled_from(["inconclusive", "breach", "met", 0.5])),
        idle=draw(st.sampled_from(["inconclusive", "breach", "met", 0.0])),
    )


def evidence(declared: Slo, rows: list[list[float | None]], lookback: float = 0.0) -> SloEvidence:
    values = np.array([[np.nan if v is None else v for v in row] for row in rows])
    present = np.array([[v is not None for v in row] for row in rows])
    labels = tuple((("n", str(i)),) for i in range(len(rows)))
    answer = Matrix(GRID, labels, values, present)
    return SloEvidence(declared, GRID, {"query": answer}, lookback)


@given(slos(), ROWS, st.sampled_from([0.0, 10.0, 60.0]))
def test_an_slo_is_the_worst_of_its_counted_series(declared, rows, lookback):
    result = judge_slo(evidence(declared, rows, lookback), TIMELINE)
    worst = max((s.verdict.rank for s in result.series), default=0)
    assert result.verdict.rank <= max(worst, Verdict.INCONCLUSIVE.rank)
    if any(s.verdict is Verdict.DEVIATED for s in result.series):
        assert result.verdict is Verdict.DEVIATED
    assert result.verdict is not Verdict.NOT_JUDGED
    assert result.reason.startswith("slo")


@given(slos(), ROWS, st.randoms())
def test_the_order_of_series_is_irrelevant(declared, rows, random):
    straight = evidence(declared, rows)
    order = list(range(len(rows)))
    random.shuffle(order)
    answer = straight.answers["query"]
    mixed = Matrix(
        GRID, tuple(answer.labels[i] for i in order), answer.values[order], answer.present[order]
    )
    a = judge_slo(straight, TIMELINE)
    b = judge_slo(replace(straight, answers={"query": mixed}), TIMELINE)
    assert (a.verdict, a.reason, list(a.series)) == (b.verdict, b.reason, list(b.series))


@given(slos(), ROWS, ROW)
def test_one_more_series_never_improves_a_verdict_that_counts(declared, rows, more):
    few = judge_slo(evidence(declared, rows), TIMELINE)
    many = judge_slo(evidence(declared, [*rows, more]), TIMELINE)
    if few.verdict is Verdict.DEVIATED:
        assert many.verdict is Verdict.DEVIATED


@given(slos(), st.integers(1, 4))
def test_no_samples_are_never_met(declared, count):
    result = judge_slo(evidence(declared, [[None] * GRID.count] * count), TIMELINE)
    assert result.verdict is not Verdict.MET


@given(slos(), st.integers(1, 3))
def test_nan_alone_is_met_only_by_decree(declared, count):
    rows = [[float("nan")] * GRID.count] * count
    if declared.idle == "inconclusive":
        assert judge_slo(evidence(declared, rows), TIMELINE).verdict is Verdict.INCONCLUSIVE


FIXED = st.sampled_from(["< 1%", "between 0 and 0.1", ">= 0"])


@given(FIXED, TOLERATE, ROW, st.integers(0, GRID.count - 1))
@settings(max_examples=300)
def test_a_breach_in_place_of_an_ok_point_never_improves_a_verdict(objective, tolerate, row, at):
    declared = slo(objective, during=rule(objective, tolerate), after=rule(objective, tolerate))
    good = [0.0 if v is None or v != v else v for v in row]
    worse = list(good)
    worse[at] = -1.0 if objective == ">= 0" else 0.9
    a = judge_slo(evidence(declared, [good]), TIMELINE)
    b = judge_slo(evidence(declared, [worse]), TIMELINE)
    assert b.verdict.rank >= a.verdict.rank


@given(slos(), ROWS, st.sets(st.sampled_from(list(GRID.times)), max_size=6))
def test_counts_add_up_and_reasons_are_whole(declared, rows, away):
    surroundings = Surroundings(away=np.array(sorted(away)), away_step=5.0)
    result = judge_slo(evidence(declared, rows, 10.0), TIMELINE, surroundings)
    for series in result.series:
        for phase in series.phases.values():
            assert 0 <= phase.gaps + phase.idle <= phase.points <= GRID.count
            assert 0 <= phase.longest_breach_seconds <= phase.breach_seconds
            assert phase.reason
            assert "nan" not in phase.reason
        after = series.phases[PhaseName.AFTER]
        if after.recovered_between_seconds is not None:
            low, high = after.recovered_between_seconds
            assert 0 <= low <= high


@given(ROW)
def test_blind_gaps_alone_never_go_dark(row):
    away = [t for t, v in zip(GRID.times, row, strict=True) if v is None and t >= FAULT]
    surroundings = Surroundings(away=np.array(away), away_step=5.0)
    result = judge_slo(evidence(slo(">= 0"), [row]), TIMELINE, surroundings)
    assert "gone dark" not in result.reason


@pytest.mark.parametrize("blocks", [1, 255, 256, 257, 600])
def test_blocks_of_series_join_without_a_seam(blocks):
    rows = [[0.0] * GRID.count for _ in range(blocks)]
    rows[-1] = [0.0] * 8 + [0.9] * (GRID.count - 8)
    result = judge_slo(evidence(slo(), rows), TIMELINE)
    assert [s.verdict for s in result.series].count(Verdict.DEVIATED) == 1
    assert len(result.series) == blocks


@pytest.mark.parametrize("declared", [slo("< 1%"), slo("<= baseline + 50%", no_data="breach")])
def test_a_series_is_judged_the_same_beside_many_others(declared):
    """So many that they are judged in several blocks."""
    random = np.random.default_rng(7)
    line = Timeline(FAULT - 400, FAULT, FAULT + 400, FAULT + 795)
    grid = pinned_grid(line, 5)
    rows = BLOCK_POINTS // grid.count * 2 + 3
    values = np.where(random.random((rows, grid.count)) < 0.03, 0.5, 0.002)
    present = random.random(values.shape) > 0.02
    present[::5, 100:] = False
    values = np.where(present, values, np.nan)
    labels = tuple((("n", f"{i:06}"),) for i in range(rows))
    # What one series does may leave an idle one out, but there is none here.
    together = judge_slo(
        SloEvidence(declared, grid, {"query": Matrix(grid, labels, values, present)}, 0.0), line
    )
    assert len(together.series) == rows
    for row in (0, 1, 5, rows // 2, rows - 4, rows - 1):
        part = slice(row, row + 1)
        answer = Matrix(grid, labels[part], values[part], present[part])
        alone = judge_slo(SloEvidence(declared, grid, {"query": answer}, 0.0), line)
        assert alone.series[0] == together.series[row]
