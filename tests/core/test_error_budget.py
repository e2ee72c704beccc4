"""Error budgets: what a history says, the gate, the guard, and the entries of the document."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.core.budget_entries import MOST_SERIES, budget_entries, kept_histories
from sloguard.core.budget_limits import check_gate, judge_guard
from sloguard.core.document import document
from sloguard.core.judge import judge_slo
from sloguard.core.model import Budget, Outcome, Slo, Verdict
from sloguard.core.outcome import RunFacts, conclude
from sloguard.core.results import SloResult
from sloguard.core.series import Matrix, SloEvidence, label_set
from sloguard.core.spending import History, ratio_spent, sampled_spent, usual_totals
from sloguard.core.windows import Grid, pinned_grid
from tests.support.evidence import FAULT, marks, matrix, rule, slo

DAY = 86400.0
MONTH = 30 * DAY
A, B = label_set({"service": "a"}), label_set({"service": "b"})
SHARE = st.floats(0, 1)
TIMELINE = marks(60, 60, 60)


def pair(**more: object) -> Slo:
    return slo(pair="bad", target=0.999, period=MONTH, **more)


def history(spent: dict, known: float = 1.0, **more: object) -> History:
    return History(slo="slo", at=FAULT, spent=spent, known=known, **more)  # type: ignore[arg-type]


def judged(declared: Slo, answers: dict[str, Matrix], step: float = 5.0) -> SloResult:
    grid = pinned_grid(TIMELINE, step)
    return judge_slo(SloEvidence(declared, grid, answers, 0.0), TIMELINE)


def run_of(bad: float, *, gaps: tuple[float, ...] = (), total: float = 100.0) -> SloResult:
    """100 events a second, of which ``bad`` fail from the fault to the end of ``during``."""
    grid = pinned_grid(TIMELINE, 5.0)

    def failing(t: float) -> float | None:
        return None if t in gaps else (bad if 0 <= t < 60 else 0.0)

    answers = {
        "total": matrix(grid, {"a": lambda t: None if t in gaps else total}),
        "bad": matrix(grid, {"a": failing}),
    }
    return judged(pair(during=rule("< 100%"), after=rule("< 100%")), answers)


# What had been spent.


@given(st.floats(0, 1e9), st.floats(0, 1e9), st.floats(0.5, 0.9999), SHARE)
def test_a_ratio_spends_its_share_of_what_is_allowed(bad, total, target, known):
    spent = ratio_spent(bad, total, target, known)
    if total <= 0:
        assert spent == 0
    else:
        share = min(bad / total, 1.0)
        assert spent == pytest.approx(share / (1 - target) * known)
    assert 0 <= spent <= 1 / (1 - target) + 1e-6


@given(st.floats(0, 100), st.floats(0, 100), SHARE, SHARE)
def test_more_bad_and_more_history_never_spend_less(one, other, known, more):
    few, many = sorted((one, other))
    less, all_of_it = sorted((known, more))
    assert ratio_spent(few, 100, 0.99, less) <= ratio_spent(many, 100, 0.99, less) + 1e-12
    assert ratio_spent(few, 100, 0.99, less) <= ratio_spent(few, 100, 0.99, all_of_it) + 1e-12


@given(st.lists(st.tuples(SHARE, st.floats(0.1, 100)), min_size=2, max_size=40))
def test_points_of_a_pair_are_weighed_by_their_events(points):
    grid = Grid(0.0, MONTH / len(points), len(points))
    total = np.array([[t for _, t in points]])
    bad = np.array([[s * t for s, t in points]])
    here = np.ones(total.shape, dtype=bool)
    answers = {"total": Matrix(grid, (A,), total, here), "bad": Matrix(grid, (A,), bad, here)}
    spent = sampled_spent(SloEvidence(pair(), grid, answers, None), 1.0)
    assert spent[A] == pytest.approx(bad.sum() / total.sum() / 0.001, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("objective", "values", "spent"),
    [
        # An hour of a day in breach, with an hour allowed.
        ("<= 300ms", [0.1] * 23 + [0.5], 1.0),
        ("<= 300ms", [0.1] * 24, 0.0),
        # A share of bad events, added up over time.
        ("< 1%", [0.0] * 12 + [1 / 24] * 12, 0.5),
        # Of good events it is what is missing.
        (">= 99%", [1.0] * 12 + [1 - 1 / 24] * 12, 0.5),
        # What has no value burns nothing that anybody knows of.
        ("< 1%", [math.nan] * 23 + [1.0], 1.0),
        ("<= 300ms", [None] * 22 + [0.5, 0.5], 2.0),
    ],
)
def test_points_of_a_query_are_added_up_over_time(objective, values, spent):
    grid = Grid(0.0, 3600.0, 24)
    rows = np.array([[math.nan if v is None else v for v in values]])
    present = np.array([[v is not None for v in values]])
    declared = slo(objective, target=1 - 1 / 24, period=DAY)
    evidence = SloEvidence(declared, grid, {"query": Matrix(grid, (A,), rows, present)}, None)
    assert sampled_spent(evidence, 1.0)[A] == pytest.approx(spent)


def test_no_history_knows_a_baseline():
    grid = Grid(0.0, 3600.0, 24)
    declared = slo("<= baseline + 50%", target=0.9, period=DAY)
    answer = Matrix(grid, (A,), np.ones((1, 24)), np.ones((1, 24), dtype=bool))
    with pytest.raises(ValueError, match="names the baseline"):
        sampled_spent(SloEvidence(declared, grid, {"query": answer}, None), 1.0)


def test_usual_totals_are_medians_and_none_where_nothing_happens():
    grid = Grid(0.0, 5.0, 4)
    answers = {
        "total": matrix(grid, {"a": 50.0, "b": 0.0}),
        "bad": matrix(grid, {}),
    }
    assert usual_totals(SloEvidence(pair(), grid, answers, None)) == {A: 50.0}


# The gate.

KEEP = Budget(keep_at_least=0.2)


@given(st.floats(0, 3), st.floats(0, 1))
def test_the_gate_opens_for_what_is_left_and_for_nothing_else(spent, least):
    verdict, reason = check_gate(Budget(keep_at_least=least), pair(), history({A: spent}))
    assert (verdict is Verdict.MET) == (1 - spent >= least - 1e-9)
    assert verdict in (Verdict.MET, Verdict.DEVIATED)
    assert "is left, at least" in reason


def test_the_gate_looks_at_the_worst_series_that_counts():
    spent = {A: 0.1, B: 0.95}
    verdict, reason = check_gate(KEEP, pair(), history(spent))
    assert verdict is Verdict.DEVIATED
    assert reason == ('slo{service="b"}: 5% of the error budget of 30d is left, at least 20% asked')
    assert check_gate(KEEP, pair(), history(spent), [A])[0] is Verdict.MET


@pytest.mark.parametrize(
    ("given_history", "why"),
    [
        (None, "it was not asked for"),
        (history({}, problem="Prometheus refused the connection"), "refused the connection"),
        (history({}), "no data in the last 30d"),
        (history({A: 0.0}, known=0.5), "only 15d of the 30d of its error budget are known"),
    ],
)
def test_without_evidence_the_gate_stays_shut(given_history, why):
    verdict, reason = check_gate(KEEP, pair(), given_history)
    assert verdict is Verdict.INCONCLUSIVE
    assert why in reason


def test_a_budget_that_is_proven_to_be_spent_needs_no_more_history():
    assert check_gate(KEEP, pair(), history({A: 0.9}, known=0.1))[0] is Verdict.DEVIATED
    loose = replace(KEEP, min_history=0.5)
    verdict, reason = check_gate(loose, pair(), history({A: 0.1}, known=0.5))
    assert verdict is Verdict.MET
    assert "at most 90%" in reason


# The guard, once the run is over. 60 s of 10 bad events a second of 100: 600 of 259,200 allowed.

SPENT = 600 / (100 * MONTH * 0.001)


def test_what_a_run_spends_is_known():
    assert run_of(10.0).series[0].budget_burned == pytest.approx(SPENT)


@pytest.mark.parametrize(
    ("limit", "verdict"), [(SPENT * 0.99, "deviated"), (SPENT, "deviated"), (SPENT * 1.01, "met")]
)
def test_the_guard_compares_what_was_spent(limit, verdict):
    made = judge_guard(Budget(abort_spent=limit), run_of(10.0), TIMELINE)
    assert made["verdict"] == verdict
    assert made["spent"] == limit


@settings(max_examples=25)
@given(st.floats(0.1, 100), st.floats(0.0001, 0.5), st.floats(0.0001, 0.5))
def test_a_higher_limit_never_makes_the_guard_worse(bad, one, other):
    low, high = sorted((one, other))
    result = run_of(bad)
    ranks = [
        Verdict(judge_guard(Budget(abort_spent=limit), result, TIMELINE)["verdict"]).rank
        for limit in (low, high)
    ]
    assert ranks[1] <= ranks[0]


def test_gaps_that_could_hide_it_leave_the_guard_undecided():
    gaps = (10.0, 15.0)
    known = 500 / (100 * MONTH * 0.001)
    result = run_of(10.0, gaps=gaps)
    assert result.series[0].budget_burned == pytest.approx(known)

    def at(limit: float) -> str:
        return str(judge_guard(Budget(abort_spent=limit), result, TIMELINE)["verdict"])

    # Two gaps of 5 s could hide 1000 bad events at most.
    most = 1500 / (100 * MONTH * 0.001)
    assert [at(known), at(most * 0.99), at(most * 1.01)] == ["deviated", "inconclusive", "met"]


@pytest.mark.parametrize(
    ("rate", "hold", "verdict"),
    [
        (99.0, 0.0, "deviated"),
        (100.0, 0.0, "met"),
        (99.0, 60.0, "deviated"),
        (99.0, 61.0, "met"),
        (101.0, 0.0, "met"),
    ],
)
def test_a_tenth_of_all_failing_burns_a_thousandth_a_hundred_times_too_fast(rate, hold, verdict):
    limits = Budget(abort_burn_rate=rate, hold_for=hold)
    made = judge_guard(limits, run_of(10.0), TIMELINE)
    assert made["verdict"] == verdict
    assert "up to 100x" in made["reason"]


def test_a_gap_neither_ends_nor_lengthens_what_burns():
    limits = Budget(abort_burn_rate=50, hold_for=55)
    assert judge_guard(limits, run_of(10.0, gaps=(30.0,)), TIMELINE)["verdict"] == "deviated"
    limits = Budget(abort_burn_rate=50, hold_for=56)
    assert judge_guard(limits, run_of(10.0, gaps=(30.0,)), TIMELINE)["verdict"] == "met"


def test_a_guard_of_a_latency_burns_while_it_is_in_breach():
    grid = pinned_grid(TIMELINE, 5.0)
    declared = slo("<= 300ms", target=0.99, period=DAY, during=rule("<= 300ms", 60))
    result = judged(declared, {"query": matrix(grid, {"a": lambda t: 0.5 if 0 <= t < 30 else 0.1})})
    over = judge_guard(Budget(abort_burn_rate=99, hold_for=30), result, TIMELINE)
    assert over["verdict"] == "deviated"
    assert judge_guard(Budget(abort_burn_rate=101), result, TIMELINE)["verdict"] == "met"


def test_nothing_known_is_inconclusive_and_counts_in_the_outcome():
    result = run_of(0.0, total=0.0)
    limits = Budget(abort_spent=0.05)
    entries = budget_entries([result], (), limits, TIMELINE)
    assert entries[0]["guard"]["verdict"] == "inconclusive"
    facts = RunFacts(experiment="e", timeline=TIMELINE, slos=(run_of(0.0),), budget=entries)
    assert conclude(facts).outcome is Outcome.INCONCLUSIVE


def test_the_guard_counts_like_an_slo_and_an_abort_comes_first():
    result = run_of(10.0)
    assert result.verdict is Verdict.MET
    facts = RunFacts(experiment="e", timeline=TIMELINE, slos=(result,))
    assert conclude(facts).outcome is Outcome.MET
    entries = budget_entries([result], (), Budget(abort_spent=SPENT / 2), TIMELINE)
    over = conclude(replace(facts, budget=entries))
    assert over.outcome is Outcome.DEVIATED
    assert "0.231% of its error budget, 0.116% allowed" in over.reason
    assert conclude(replace(facts, budget=entries, aborted="why")).outcome is Outcome.ABORTED
    # Its gate was open, or the run would not have begun.
    gate = budget_entries([result], (history({A: 0.9}),), KEEP, TIMELINE)
    assert gate[0]["gate"]["verdict"] == "deviated"
    assert conclude(replace(facts, budget=gate)).outcome is Outcome.MET


# The document.


@settings(max_examples=25)
@given(st.floats(0, 2), st.floats(0, 100))
def test_what_is_left_after_is_what_was_left_less_what_was_spent(before, bad):
    entry = budget_entries([run_of(bad)], [history({A: before})], None, TIMELINE)[0]
    assert entry["left_before"] == 1 - before
    assert entry["left_after"] == entry["left_before"] - entry["spent_by_run"]
    assert entry["known_share"] == 1.0
    assert entry["reason"] == ""
    assert entry["labels"] == {"service": "a"}


def test_what_is_unknown_is_null_and_says_why():
    entry = budget_entries([run_of(10.0)], (), None, TIMELINE)[0]
    assert (entry["left_before"], entry["left_after"]) == (None, None)
    assert entry["spent_by_run"] == pytest.approx(SPENT)
    assert entry["reason"] == "what was left before was not asked for"
    failed = history({}, problem="the query loads too many samples")
    entry = budget_entries([run_of(0.0, total=0.0)], [failed], None, TIMELINE)[0]
    assert entry["spent_by_run"] is entry["left_before"] is entry["known_share"] is None
    assert "too many samples; what the run spent is unknown" in entry["reason"]


def test_the_worst_series_speaks_and_the_others_follow():
    grid = pinned_grid(TIMELINE, 5.0)
    names = [f"s{i:02}" for i in range(30)]
    answers = {
        "total": matrix(grid, dict.fromkeys(names, 100.0)),
        "bad": matrix(grid, {n: float(i) / 10 for i, n in enumerate(names)}),
    }
    result = judged(pair(), answers)
    spent = {label_set({"service": n}): 0.01 * (30 - i) for i, n in enumerate(names)}
    entry = budget_entries([result], [history(spent)], None, TIMELINE)[0]
    assert entry["series_count"] == 30
    assert len(entry["series"]) == MOST_SERIES
    left = [row["left_after"] for row in entry["series"]]
    assert left == sorted(left)
    assert entry["left_after"] == left[0]


def test_an_slo_without_a_budget_has_no_entry_and_old_facts_have_none():
    grid = pinned_grid(TIMELINE, 5.0)
    plain = judged(slo(), {"query": matrix(grid, {"a": 0.0})})
    assert budget_entries([plain], (), None, TIMELINE) == ()
    assert document(RunFacts(experiment="e"))["budget"] == []


def test_a_judgement_from_the_store_knows_the_history_of_the_run():
    before = budget_entries([run_of(10.0)], [history({A: 0.25}, known=0.5)], None, TIMELINE)
    kept = document(RunFacts(experiment="e", budget=before))["budget"]
    found = kept_histories(kept, [pair()])
    assert budget_entries([run_of(10.0)], found, None, TIMELINE) == before
    assert kept_histories(kept, [replace(pair(), target=0.99)]) == []
