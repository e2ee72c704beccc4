"""Case by case: life, darkness, blindness, idle points, pairs, recovery, coverage, lookback."""

from dataclasses import replace

import numpy as np
import pytest

from sloguard.core.judge import judge_slo
from sloguard.core.model import PhaseName
from sloguard.core.series import PARTIAL, Surroundings
from tests.support.evidence import FAULT, between, evidence_of, judged, marks, rule, slo

BEFORE, DURING, AFTER = PhaseName.BEFORE, PhaseName.DURING, PhaseName.AFTER


def away(low: float, high: float, step: float = 5.0) -> Surroundings:
    return Surroundings(away=FAULT + np.arange(low, high + 1, step), away_step=step)


# --- life


def test_a_series_that_appears_after_the_fault_is_judged_from_where_it_starts():
    result = judged(slo(), lambda t: None if t < 20 else 0.0)
    phases = result.series[0].phases
    assert phases[BEFORE].verdict == "not-judged"
    assert phases[DURING].points == 8
    assert result.verdict == "met"


def test_a_series_that_appears_and_goes_again_cannot_go_dark():
    result = judged(slo(), between(20, 100, 0.0, otherwise=None))
    assert result.verdict == "met"
    assert result.series[0].phases[AFTER].points == 9


def test_a_series_that_ended_before_the_fault_counts_for_nothing():
    ended = between(-60, -30, 0.5, otherwise=None)
    result = judged(slo(), {"old": ended, "new": 0.0})
    assert result.verdict == "met"
    old = next(s for s in result.series if ("service", "old") in s.labels)
    assert (old.verdict, old.note) == ("not-judged", "ended before the fault")
    assert judged(slo(), ended).verdict == "inconclusive"


def test_present_in_one_of_the_last_two_points_before_is_enough_to_go_dark():
    assert judged(slo(), lambda t: 0.0 if t <= -10 else None).verdict == "deviated"
    assert judged(slo(), lambda t: 0.0 if t <= -15 else None).verdict == "inconclusive"


def test_a_series_idle_all_through_is_left_out_beside_a_judged_one():
    result = judged(slo(), {"idle": float("nan"), "busy": 0.0})
    assert result.verdict == "met"
    assert "1 series idle all through, left out" in result.notes
    assert judged(slo(), {"a": float("nan"), "b": float("nan")}).verdict == "inconclusive"


# --- darkness


def test_one_gap_alone_is_forgiven_and_two_are_not():
    assert judged(slo(), between(20, 20, None)).verdict == "met"
    assert judged(slo(), between(20, 25, None)).verdict == "inconclusive"


def test_a_gap_longer_than_a_scrape_interval_is_not_forgiven():
    timeline = marks()
    evidence = evidence_of(
        slo(), timeline, {"query": {"a": between(20, 20, None)}}, scrape_interval=1.0
    )
    assert judge_slo(evidence, timeline).verdict == "inconclusive"


def test_gone_dark_at_the_end_of_during_even_if_the_series_is_back_later():
    result = judged(slo(), between(45, 60, None))
    assert result.series[0].phases[DURING].verdict == "deviated"
    assert "gone dark: no data for 20s from 12:00:45Z, 45s after the fault" in result.reason


def test_dark_for_no_longer_than_tolerated_is_judged_twice():
    tolerant = slo(during=rule("< 1%", 10))
    assert judged(tolerant, between(50, 55, None)).verdict == "met"
    breached = {45.0: 0.5, 50.0: None, 55.0: None}
    assert judged(tolerant, breached).verdict == "inconclusive"


def test_gone_dark_at_the_end_of_after():
    result = judged(slo(), lambda t: 0.0 if t <= 165 else None)
    assert result.series[0].phases[DURING].verdict == "met"
    assert result.series[0].phases[AFTER].verdict == "deviated"


def test_dark_after_the_fault_is_judged_twice_for_recovery_too():
    after = rule("< 1%", recover_within=60.0)
    late = slo(during=rule("< 1%", 100), after=after)
    assert judged(late, between(150, 160, None)).verdict == "inconclusive"
    early = between(80, 90, None)
    assert judged(late, early).verdict == "met"


def test_gaps_before_the_fault_are_only_a_matter_of_coverage():
    assert judged(slo(), between(-40, -30, None)).verdict == "met"
    assert judged(slo(), between(-55, -25, None)).verdict == "inconclusive"


def test_darkness_alone_is_no_evidence_however_much_is_tolerated():
    result = judged(slo(during=rule("< 1%", 60)), between(0, 55, None))
    assert result.verdict == "inconclusive"


# --- blind


def test_nobody_goes_dark_while_prometheus_is_away():
    result = judged(slo(), between(20, 40, None), surroundings=away(20, 40))
    assert result.verdict == "inconclusive"
    assert "Prometheus was away for 25s (during)" in result.reason
    to_the_end = judged(slo(), lambda t: 0.0 if t < 20 else None, surroundings=away(20, 180))
    assert to_the_end.verdict == "inconclusive"


def test_prometheus_away_within_what_is_tolerated():
    tolerant = slo(during=rule("< 1%", 25))
    result = judged(tolerant, between(20, 35, None), surroundings=away(20, 35))
    assert result.verdict == "met"


def test_a_breach_beside_blindness_stays_proven():
    curve = {**{float(t): None for t in range(20, 45, 5)}, 10.0: 0.5}
    assert judged(slo(), curve, surroundings=away(20, 40)).verdict == "deviated"


def test_prometheus_away_just_before_the_fault_does_not_end_a_series():
    result = judged(slo(), between(-15, -5, None), surroundings=away(-15, -5))
    assert result.series[0].verdict != "not-judged"
    dark = judged(slo(), lambda t: 0.0 if t < -15 else None, surroundings=away(-15, -5))
    assert dark.verdict == "deviated"


# --- objects that the fault removed


def removed(**names: str) -> Surroundings:
    return Surroundings(removed={k: frozenset([v]) for k, v in names.items()})


def test_a_series_may_end_with_the_object_that_the_fault_removed():
    gone = lambda t: 0.0 if t < 10 else None  # noqa: E731 - a curve
    result = judged(slo(), {"a": gone, "b": 0.0}, surroundings=removed(service="a"))
    assert result.verdict == "met"
    assert result.series[0].note == "ended with its service"
    assert result.series[0].phases[AFTER].verdict == "not-judged"
    assert judged(slo(), {"a": gone, "b": 0.0}).verdict == "deviated"


def test_what_ends_at_once_is_no_lack_of_evidence_where_another_one_has_it():
    first = lambda t: 0.0 if t < 5 else None  # noqa: E731 - a curve: one point of the fault is seen
    result = judged(slo(), {"a": first, "b": 0.0}, surroundings=removed(service="a"))
    assert (result.verdict, result.series[0].verdict) == ("met", "met")
    phase = result.series[0].phases[DURING]
    assert (phase.verdict, phase.reason) == ("not-judged", "ended with its service")
    # One that only comes after the fault has seen as little of it.
    later = lambda t: 0.0 if t >= 60 else None  # noqa: E731
    result = judged(slo(), {"a": first, "b": later}, surroundings=removed(service="a"))
    assert (result.verdict, result.series[0].verdict) == ("inconclusive", "inconclusive")


def test_it_may_come_back_under_its_name_and_is_judged_there():
    back = lambda t: None if 10 <= t < 40 else 0.0  # noqa: E731
    assert judged(slo(), back, surroundings=removed(service="shop")).verdict == "met"
    bad = lambda t: None if 10 <= t < 40 else (0.0 if t < 10 else 0.5)  # noqa: E731
    assert judged(slo(), bad, surroundings=removed(service="shop")).verdict == "deviated"


def test_where_no_series_is_left_it_is_gone_dark_all_the_same():
    gone = lambda t: 0.0 if t < 10 else None  # noqa: E731
    result = judged(slo(), gone, surroundings=removed(service="shop"))
    assert result.verdict == "deviated"
    assert "ended with its service, and no series of the SLO is left" in result.reason


# --- policies


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ("inconclusive", "deviated"),
        ("breach", "deviated"),
        ("met", "met"),
        (0.0, "met"),
        (0.5, "deviated"),
    ],
)
def test_no_data_rules_gaps(policy, verdict):
    assert judged(slo(no_data=policy), lambda t: 0.0 if t < 20 else None).verdict == verdict


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ("inconclusive", "inconclusive"),
        ("breach", "deviated"),
        ("met", "inconclusive"),
        (0.0, "inconclusive"),
        (0.5, "deviated"),
    ],
)
def test_no_sample_at_all_may_prove_a_breach_but_never_met(policy, verdict):
    assert judged(slo(no_data=policy), {}).verdict == verdict


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        ("inconclusive", "inconclusive"),
        ("breach", "deviated"),
        ("met", "met"),
        (0.0, "met"),
        (0.5, "deviated"),
    ],
)
def test_idle_rules_points_where_nothing_happened(policy, verdict):
    curve = between(0, 59, float("nan"))
    assert judged(slo(idle=policy), curve).verdict == verdict


def test_prometheus_being_away_is_not_ruled_by_no_data():
    result = judged(slo(no_data="breach"), between(20, 40, None), surroundings=away(20, 40))
    assert result.verdict == "inconclusive"


# --- partial answers


def partly(declared, answers, **more):
    """Judged where a store was away."""
    evidence = evidence_of(declared, marks(), answers, **more)
    return judge_slo(replace(evidence, notes=(f"{PARTIAL}store-2: timeout",)), marks())


def test_of_a_partial_answer_nothing_is_met_and_the_reason_says_so():
    result = partly(slo(), {"query": {"web": 0.0}})
    assert result.verdict == "inconclusive"
    assert "the answer is partial: store-2: timeout" in result.reason
    assert {p.verdict for p in result.series[0].phases.values()} == {"inconclusive"}
    assert not result.settled


def test_a_breach_in_a_partial_answer_stays_proven():
    assert partly(slo(), {"query": {"web": between(10, 20, 0.08)}}).verdict == "deviated"


@pytest.mark.parametrize("policy", ["inconclusive", "breach", 0.5])
def test_what_a_partial_answer_lacks_is_neither_gone_nor_ruled(policy):
    gone = {"query": {"web": between(20, 999, None)}}
    assert partly(slo(no_data=policy), gone).verdict == "inconclusive"
    result = partly(slo(no_data=policy), {"query": {}})
    assert result.verdict == "inconclusive"
    assert "partial" in result.reason


def test_the_half_of_a_pair_that_a_partial_answer_lacks_is_not_zero():
    halves = {"total": {"web": 50.0}, "good": {}}
    whole = judge_slo(evidence_of(slo(pair="good"), marks(), halves), marks())
    assert whole.verdict == "deviated"
    assert partly(slo(pair="good"), halves).verdict == "inconclusive"


# --- values


def test_infinities_are_values_and_nan_is_not():
    assert judged(slo(), between(10, 10, float("inf"))).verdict == "deviated"
    assert judged(slo("> 1"), between(10, 10, float("-inf"), otherwise=2.0)).verdict == "deviated"
    assert (
        judged(slo("!= 0"), between(0, 59, float("nan"), otherwise=1.0)).verdict == "inconclusive"
    )


@pytest.mark.parametrize(
    ("objective", "value", "verdict"),
    [
        ("< 30%", 0.3, "deviated"),
        ("<= 30%", 0.1 + 0.2, "met"),
        ("== 300ms", 0.3, "met"),
        (">= 55%", 0.55, "met"),
        ("between 1 and 2", 2.0, "met"),
        ("between 1 and 2", 2.1, "deviated"),
        ("!= 1", 1.0, "deviated"),
        ("> 1KiB", 1025.0, "met"),
    ],
)
def test_bounds(objective, value, verdict):
    assert judged(slo(objective), value).verdict == verdict


# --- pairs


def test_a_bad_series_of_another_exporter_must_stay_once_seen():
    pair = slo(pair="bad")
    never = judged(pair, total=50.0, part={}, same_metric=False)
    assert never.verdict == "met"
    seen_then_gone = judged(
        pair, total=50.0, part={"shop": lambda t: 0.0 if t < 20 else None}, same_metric=False
    )
    assert seen_then_gone.verdict == "deviated"
    same = judged(pair, total=50.0, part={"shop": lambda t: 0.0 if t < 20 else None})
    assert same.verdict == "met"


def test_an_absent_good_is_no_good_at_all():
    result = judged(slo(pair="good"), total=50.0, part={})
    assert result.verdict == "deviated"
    assert result.series[0].phases[DURING].worst == 1.0


def test_a_share_is_clamped():
    result = judged(slo("<= 100%", pair="bad"), total=50.0, part=80.0)
    assert result.verdict == "met"
    assert judged(slo(pair="good"), total=50.0, part=50.0001).verdict == "met"


def test_a_bad_series_without_a_total_of_its_labels_is_inconclusive():
    result = judged(slo(pair="bad"), total={"a": 50.0}, part={"a": 0.0, "b": 1.0})
    assert result.verdict == "inconclusive"
    assert "no total with these labels" in result.reason


# --- phases, coverage, lookback, recovery


def test_tolerate_as_a_share_of_the_judged_points():
    curve = between(10, 20, 0.5)  # 3 of 12
    assert judged(slo(during=rule("< 1%", "25%")), curve).verdict == "met"
    result = judged(slo(during=rule("< 1%", "24%")), curve)
    assert "25% of the judged points in breach, 24% tolerated" in result.reason


def test_coverage_of_idle_points_is_not_asked():
    mostly_idle = lambda t: 0.0 if not 0 <= t < 50 else float("nan")  # noqa: E731
    assert judged(slo(), mostly_idle).verdict == "met"


def test_an_unknown_lookback_is_inconclusive_even_with_a_breach():
    assert judged(slo(), 0.5, lookback=None).verdict == "inconclusive"


def test_a_phase_of_no_length_is_not_judged():
    result = judged(slo(), 0.0, timeline=marks(during=0, after=0))
    phases = result.series[0].phases
    assert (phases[BEFORE].verdict, phases[DURING].verdict) == ("met", "not-judged")


def test_after_with_only_excused_points_is_inconclusive():
    result = judged(slo(), 0.0, timeline=marks(during=60, after=20), lookback=30)
    assert result.series[0].phases[AFTER].verdict == "inconclusive"


def test_never_recovered():
    result = judged(slo(during=rule("< 1%", 100)), lambda t: 0.5 if t >= 30 else 0.0)
    after = result.series[0].phases[AFTER]
    assert (after.verdict, after.recovered_seconds) == ("deviated", None)
    assert "not recovered: 50% at" in after.reason


def test_a_tolerated_relapse_does_not_undo_a_recovery():
    declared = slo(during=rule("< 1%", 100), after=rule("< 1%", 10, recover_within=30.0))
    curve = {**{float(t): 0.5 for t in range(60, 80, 5)}, 120.0: 0.5}
    result = judged(declared, curve)
    assert result.series[0].phases[AFTER].recovered_seconds == 20
    assert result.verdict == "met"


def test_recovery_by_share_looks_from_the_point_on():
    declared = slo(during=rule("< 1%", 100), after=rule("< 1%", "10%", recover_within=60.0))
    result = judged(declared, between(60, 75, 0.5))
    # 4 breaches among 25 points: from the third breach on, 2 of 23 are within 10%, but r is an ok point.
    assert result.series[0].phases[AFTER].recovered_seconds == 20


def test_hold_is_three_steps_by_default():
    declared = slo(during=rule("< 1%", 200), after=rule("< 1%", recover_within=119.0))
    assert judged(declared, between(60, 165, 0.5)).verdict == "met"
    assert judged(declared, between(60, 170, 0.5)).verdict == "inconclusive"


def test_before_does_not_need_the_baseline_but_during_does():
    objective = rule("<= baseline + 50%")
    sparse = lambda t: 1.0 if t >= -10 else None  # noqa: E731 - two points before the fault
    result = judged(slo("< 10", during=objective), sparse)
    assert result.verdict == "inconclusive"
    assert "no baseline: 2 of 12 points of before have a value" in result.reason


def test_a_decided_breach_beside_an_undecided_bound():
    from sloguard.core.model import PhaseRule
    from sloguard.core.objective import parse_objective

    both = PhaseRule(parse_objective(["<= baseline + 50%", "< 5"]))
    assert judged(slo("< 10", during=both), between(0, 59, 7.0)).verdict == "deviated"
    assert judged(slo("< 10", during=both), between(0, 59, 3.0)).verdict == "inconclusive"


def test_early_end_is_allowed_once_everything_is_calm():
    assert judged(slo(), 0.0).settled
    assert not judged(slo(), {"a": 0.0, "b": float("nan")}).settled
    assert not judged(slo(), lambda t: 0.0 if t < 170 else None).settled


# --- budget


def test_budget_of_a_pair():
    pair = slo(pair="bad", target=0.99, period=86400.0)
    result = judged(pair, total=50.0, part=between(0, 55, 10.0))
    burned = 12 * 5 * 10 / (50 * 86400 * 0.01)
    assert result.series[0].budget_burned == pytest.approx(burned)


def test_budget_of_a_plain_query():
    timed = slo("<= 300ms", target=0.999, period=86400.0)
    result = judged(timed, between(10, 20, 0.5))
    assert result.series[0].budget_burned == pytest.approx(15 / 86.4)
    share = slo("< 1%", target=0.99, period=86400.0)
    result = judged(share, between(10, 20, 0.5))
    assert result.series[0].budget_burned == pytest.approx(0.5 * 15 / 864)
    gaps = judged(share, {10.0: 0.5, 30.0: None})
    assert gaps.series[0].budget_is_lower_bound
    assert judged(slo(), 0.0).series[0].budget_burned is None
