"""What two readings of the contract differed in, case by case: step 5 s, fault at 0, `during` 60 s."""

from __future__ import annotations

import numpy as np
import pytest

from sloguard.core.judge import judge_slo
from sloguard.core.model import PhaseName, PhaseRule
from sloguard.core.objective import parse_objective
from sloguard.core.series import Surroundings
from tests.support.evidence import FAULT, between, evidence_of, judged, marks, rule, slo

BEFORE, DURING, AFTER = PhaseName


def only(result):
    assert len(result.series) == 1
    return result.series[0].phases


def away(*seconds: float) -> Surroundings:
    return Surroundings(away=np.array([FAULT + s for s in seconds]), away_step=5.0)


def curve(points: dict[float, float | None]):
    return lambda t: points.get(t, 0.0)


# --- darkness


def test_more_darkness_makes_no_proven_breach_prettier():
    declared = slo(during=rule("< 1%", 10))
    one = {10.0: 0.5, 15.0: 0.5, 20.0: None, 25.0: 0.5}
    two = {10.0: 0.5, 15.0: 0.5, 20.0: None, 25.0: None, 30.0: 0.5}
    assert only(judged(declared, curve(one)))[DURING].verdict == "deviated"
    phase = only(judged(declared, curve(two)))[DURING]
    assert (phase.verdict, phase.longest_breach_seconds) == ("deviated", 15)


def test_darkness_is_no_evidence_of_what_the_lookback_blurs():
    # From 30 s on nothing is seen; what is tolerated covers it all, and yet the fault was not seen alone.
    declared = slo(during=rule("< 1%", 60))
    phase = only(judged(declared, between(30, 55, None), lookback=30))[DURING]
    assert phase.verdict == "inconclusive"
    assert "(6 without data of 12 points): it averages the fault away" in phase.reason


def test_what_was_ok_while_excused_does_not_speak_for_what_is_dark_after():
    declared = slo(after=rule("< 1%", 300))
    phase = only(judged(declared, between(90, 180, None), lookback=30))[AFTER]
    assert phase.verdict == "inconclusive"
    assert "not seen to recover" in phase.reason


def test_a_tolerated_share_is_one_of_the_phases_points_for_darkness_too():
    # One point of `during` is dark and eleven of `after`: of `during` that is 1 of 12.
    declared = slo(during=rule("< 1%", "20%"), after=rule("< 1%", "90%"))
    assert only(judged(declared, between(55, 110, None)))[DURING].verdict == "met"


def test_a_recovery_in_the_dark_is_a_span():
    phase = only(judged(slo(), between(65, 80, None)))[AFTER]
    assert phase.verdict == "met"
    assert (phase.recovered_seconds, phase.recovered_between_seconds) == (25, (0, 25))
    assert "seen again 25s after the fault was undone" in phase.reason


def test_what_is_gone_at_the_end_has_not_recovered():
    phase = only(judged(slo(), between(150, 180, None)))[AFTER]
    assert (phase.verdict, phase.recovered_seconds) == ("deviated", None)
    late = judged(
        slo(during=rule("< 1%", 100), after=rule("< 1%", recover_within=10.0)),
        lambda t: None if t >= 150 else 0.5 if 30 <= t <= 100 else 0.0,
    )
    assert "gone dark" in only(late)[AFTER].reason


# --- recovery


def test_without_one_ok_point_there_is_no_recovery_to_be_timed():
    phase = only(judged(slo(), between(60, 180, float("nan"))))[AFTER]
    assert (phase.verdict, phase.recovered_seconds) == ("inconclusive", None)


def test_a_late_recovery_may_have_been_an_earlier_one_that_nobody_could_decide():
    # At a baseline of 0 every value but 0 is undecided; only the plain bound can be breached.
    objective = parse_objective(["< 10%", "<= baseline + 50%"])
    after = PhaseRule(objective, recover_within=20.0)
    early = {**{float(t): 0.05 for t in range(65, 100, 5)}, 60.0: 0.5}
    late = {**{float(t): 0.05 for t in range(65, 100, 5)}, 60.0: 0.5, 180.0: 0.5}
    assert only(judged(slo(after=after), curve(early)))[AFTER].verdict == "inconclusive"
    # The last point breaches, whatever the undecided ones were.
    assert only(judged(slo(after=after), curve(late)))[AFTER].verdict == "deviated"


# --- lives


def test_prometheus_away_does_not_end_the_life_of_a_new_series():
    # It appears after the fault; then Prometheus is away to the end: nobody knows how `after` was.
    gone = away(*range(60, 181, 5))
    result = judged(slo(), lambda t: 0.0 if 20 <= t < 60 else None, surroundings=gone)
    assert only(result)[AFTER].verdict == "inconclusive"
    assert "Prometheus was away" in only(result)[AFTER].reason


def test_where_none_is_left_a_removed_series_is_dark_from_when_none_was():
    removed = Surroundings(removed={"service": frozenset({"a"})})
    # b takes over and ends 10 s before the end, which is tolerated.
    two = {"a": lambda t: 0.0 if t < 10 else None, "b": lambda t: 0.0 if 15 <= t <= 170 else None}
    assert judged(slo(after=rule("< 1%", 30)), two, surroundings=removed).verdict == "met"
    assert judged(slo(after=rule("< 1%", 5)), two, surroundings=removed).verdict == "deviated"
    phases = judged(slo(), two, surroundings=removed).series[0].phases
    assert (phases[DURING].verdict, phases[AFTER].verdict) == ("met", "deviated")
    assert "no data for 10s from 12:02:55Z" in phases[AFTER].reason


@pytest.mark.parametrize(("policy", "verdict"), [("met", "met"), ("breach", "deviated")])
def test_where_none_is_left_no_data_rules(policy, verdict):
    removed = Surroundings(removed={"service": frozenset({"shop"})})
    ends = lambda t: 0.0 if t < 10 else None  # noqa: E731
    assert judged(slo(no_data=policy), ends, surroundings=removed).verdict == verdict


def test_an_idle_series_that_is_left_out_is_not_judged():
    result = judged(slo(), {"busy": 0.0, "quiet": float("nan")})
    quiet = result.series[1]
    assert (result.verdict, quiet.verdict, quiet.note) == ("met", "not-judged", "idle all through")
    assert {phase.verdict for phase in quiet.phases.values()} == {"not-judged"}
    assert judged(slo(), {"quiet": float("nan")}).series[0].verdict == "inconclusive"


# --- blindness


def test_prometheus_away_while_points_are_excused_is_excused():
    gone = away(*range(60, 90, 5))
    assert judged(slo(), between(60, 85, None), lookback=30, surroundings=gone).verdict == "met"
    assert judged(slo(), between(60, 85, None), surroundings=gone).verdict == "inconclusive"


def test_a_tolerated_share_counts_all_points_at_which_prometheus_was_away():
    gone = away(10, 15, 35, 40)
    holes = lambda t: None if t in (10, 15, 35, 40) else 0.0  # noqa: E731
    for share, verdict in (("25%", "inconclusive"), ("34%", "met")):
        result = judged(slo(during=rule("< 1%", share)), holes, surroundings=gone)
        assert only(result)[DURING].verdict == verdict


# --- no samples, no points


@pytest.mark.parametrize("phase", [BEFORE, AFTER])
def test_a_phase_too_short_for_a_point_is_not_met(phase):
    timeline = marks(**{str(phase): 3})
    if phase is AFTER:
        timeline = marks(during=61, after=3)
    result = judged(slo(), 0.0, timeline=timeline)
    assert only(result)[phase].verdict == "inconclusive"
    assert "the phase lasts 3s, a step 5s" in only(result)[phase].reason


def test_no_phase_is_met_without_one_sample():
    result = judged(slo(during=rule("< 1%", 100), no_data="breach"), {})
    assert result.verdict == "deviated"
    assert {p.verdict for p in only(result).values()} == {"deviated", "inconclusive"}


def test_no_sample_and_no_lookback_is_inconclusive():
    assert judged(slo(no_data="breach"), {}, lookback=None).verdict == "inconclusive"


def test_a_policys_breach_counts_before_too_where_only_the_baseline_is_asked():
    declared = slo("<= baseline + 50%", idle="breach")
    phase = only(judged(declared, between(-20, -10, float("nan"), otherwise=0.2)))[BEFORE]
    assert (phase.verdict, phase.breach_seconds) == ("deviated", 15)


# --- objectives and numbers


def test_one_bound_of_a_range_may_be_decided_alone():
    declared = slo(during=rule("between 0 and baseline + 50%"))
    result = judged(declared, between(10, 10, -1.0))
    assert only(result)[DURING].verdict == "deviated"


def test_at_the_bound_the_worst_value_is_one_that_breaches():
    declared = slo(">= 0", during=PhaseRule(parse_objective([">= 0", "< 1"])))
    phase = only(judged(declared, between(30, 30, 1.0)))[DURING]
    assert (phase.verdict, phase.worst) == ("deviated", 1.0)


def test_a_value_that_differs_from_its_bound_is_shown_to_differ():
    declared = slo("<= 300ms")
    assert (
        "300.01ms at 12:00:30Z, not <= 300ms" in judged(declared, between(30, 30, 0.30001)).reason
    )


def test_a_reason_tells_a_policys_breach_from_a_value():
    declared = slo(no_data="breach")
    result = judged(declared, between(20, 25, None, otherwise=0.005))
    assert (
        "no data at 12:00:20Z, a breach by the no_data rule (during); 10s in breach"
        in result.reason
    )
    numbers = slo(no_data=0.5)
    result = judged(numbers, between(20, 25, None, otherwise=0.005))
    assert "50% at 12:00:20Z by the no_data rule, not < 1% (during)" in result.reason


# --- budget


def test_under_a_lower_bound_what_is_missing_burns():
    declared = slo(">= 99%", target=0.99, period=3600.0)
    burned = judged(declared, between(0, 20, 0.9, otherwise=1.0)).series[0].budget_burned
    assert burned == pytest.approx(0.1 * 25 / 36)


def test_a_pair_burns_no_more_than_it_had():
    # Scrapes of two exporters: 60 bad of 50 in all.
    declared = slo(pair="bad", target=0.99, period=3600.0)
    part = between(0, 20, 60.0)
    burned = judged(declared, total=50.0, part=part).series[0].budget_burned
    assert burned == pytest.approx(50 * 25 / (50 * 36))


def test_a_series_that_ended_before_the_fault_burns_nothing_that_is_known():
    declared = slo(target=0.99, period=3600.0)
    two = {"old": lambda t: 0.0 if t < -30 else None, "new": 0.0}
    new, old = judged(declared, two).series
    assert (new.budget_burned, old.budget_burned) == (0.0, None)


def test_an_infinite_burn_is_a_lower_bound():
    declared = slo(target=0.99, period=3600.0)
    series = judged(declared, between(10, 10, float("inf"))).series[0]
    assert (series.budget_burned, series.budget_is_lower_bound) == (0.0, True)


def test_a_pair_is_matched_without_the_metrics_names():
    total = [({"__name__": "requests:rate", "service": "shop"}, 50.0)]
    bad = [({"__name__": "errors:rate", "service": "shop"}, 0.0)]
    declared = slo(pair="bad")
    evidence = evidence_of(declared, marks(), {"total": total, "bad": bad})
    assert judge_slo(evidence, marks()).verdict == "met"
