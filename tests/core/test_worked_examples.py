"""The ten worked examples of the contract: step 5 s, fault at 0, ratios."""

from sloguard.core.model import PhaseName, Verdict
from tests.support.evidence import between, judged, marks, rule, slo

DURING, AFTER = PhaseName.DURING, PhaseName.AFTER


def test_1_tolerated_and_not():
    curve = {10.0: 0.08, 15.0: 0.08, 20.0: 0.08}
    result = judged(slo(during=rule("< 1%", 20)), curve)
    assert result.verdict == "met"
    assert result.series[0].phases[DURING].longest_breach_seconds == 15
    result = judged(slo(during=rule("< 1%", 10)), curve)
    assert result.verdict == "deviated"
    assert result.series[0].phases[DURING].first_breach_seconds == 10


def test_2_a_gap_neither_ends_nor_lengthens_a_run():
    curve = {10.0: 0.08, 15.0: 0.08, 20.0: None, 25.0: 0.08}
    result = judged(slo(during=rule("< 1%", 10)), curve)
    assert result.verdict == "deviated"
    assert result.series[0].phases[DURING].longest_breach_seconds == 15


def test_3_recovery_is_a_span():
    during = rule("< 5%", 100)
    curve = between(60, 105, 0.08)
    result = judged(slo(during=during, after=rule("< 1%", recover_within=60.0)), curve, lookback=30)
    after = result.series[0].phases[AFTER]
    assert (after.recovered_seconds, after.recovered_between_seconds) == (50, (20, 50))
    assert result.verdict == "met"
    result = judged(slo(during=during, after=rule("< 1%", recover_within=45.0)), curve, lookback=30)
    assert result.verdict == "deviated"


def test_4_only_excused_points_breached():
    result = judged(slo(), between(60, 85, 0.08), lookback=30)
    after = result.series[0].phases[AFTER]
    assert (after.recovered_seconds, after.recovered_between_seconds) == (0, (0, 30))
    assert result.verdict == "met"


def test_5_a_lookback_that_averages_the_fault_away():
    short = marks(during=11)
    result = judged(slo(), 0.0, timeline=short, lookback=300)
    assert result.series[0].phases[DURING].verdict == "inconclusive"
    assert "lookback 5m is longer than the 11s fault: it averages the fault away" in result.reason
    result = judged(slo(), between(5, 5, 0.5), timeline=short, lookback=300)
    assert result.verdict == "deviated"
    result = judged(slo(), 0.0, lookback=60)
    assert result.series[0].phases[DURING].verdict == "inconclusive"


def test_6_pairs():
    pair = slo(pair="bad")
    assert judged(pair, total=50.0).verdict == "met"
    assert judged(pair, total=0.0).verdict == "inconclusive"
    gone = judged(pair, total=lambda t: 50.0 if t < 5 else None)
    assert gone.verdict == "deviated"
    assert "gone dark" in gone.reason
    away = between(10, 25, None, otherwise=50.0)
    assert judged(pair, total=away).verdict == "inconclusive"
    assert judged(slo(pair="bad", during=rule("< 1%", 20)), total=away).verdict == "met"


def test_7_the_worst_series_decides():
    hole = between(10, 30, None)
    two = {"a": 0.0, "b": hole}
    assert judged(slo(), two).verdict == "inconclusive"
    assert judged(slo(), {**two, "c": between(10, 10, 0.5)}).verdict == "deviated"


def test_8_baselines():
    def one(objective: str, before: float, during: float) -> Verdict:
        curve = between(0, 59, during, otherwise=before)
        return judged(slo("< 10000", during=rule(objective)), curve).verdict

    assert one("<= baseline + 50%", 0.2, 0.31) == "deviated"
    assert one("<= baseline + 50%", 0.0, 0.01) == "inconclusive"
    assert one("<= baseline + 50ms", 0.0, 0.04) == "met"


def test_9_empty_answers():
    result = judged(slo(), {})
    assert result.verdict == "inconclusive"
    assert judged(slo(pair="bad"), total={}, part={}).verdict == "inconclusive"


def test_10_recovered_in_time_but_not_yet_held():
    declared = slo(after=rule("< 1%", recover_within=120.0, hold=15.0))
    result = judged(declared, between(150, 170, 0.08))
    assert result.verdict == "inconclusive"
    assert result.series[0].phases[AFTER].recovered_seconds == 115
    assert "held for 10s, 15s asked" in result.reason
