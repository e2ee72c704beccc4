"""One outcome from everything that happened, the score, and the answer as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.core.document import document
from sloguard.core.judge import judge_slo
from sloguard.core.model import (
    EXIT_CODES,
    Activity,
    ActivityRecord,
    ActivityStatus,
    FaultRecord,
    Outcome,
    PhaseName,
    Verdict,
)
from sloguard.core.outcome import ProbeResult, RunFacts, conclude
from tests.support.evidence import FAULT, between, judged, marks, slo
from tests.support.random_evidence import random_case

MET = judged(slo(), 0.0)
DEVIATED = judged(slo(), between(10, 15, 0.5))
INCONCLUSIVE = judged(slo(), {})
ACTION = Activity("method[0]", "action", "lose-a-pod", {})
LEFT = FaultRecord("1", "delay", "envoy", "left", FAULT, detail="envoy does not answer")


def facts(*slos, **more) -> RunFacts:
    return RunFacts(experiment="x", timeline=marks(), slos=slos, **more)


def failed(status=ActivityStatus.FAILED, error="exit code 1") -> ActivityRecord:
    return ActivityRecord(ACTION, "method", status, FAULT, FAULT + 1, error=error)


def probe(verdict: Verdict, phase: PhaseName = PhaseName.AFTER) -> ProbeResult:
    declared = Activity("hypothesis[0]", "probe", "answers", {})
    record = ActivityRecord(declared, "hypothesis", ActivityStatus.SUCCEEDED, FAULT, FAULT + 1)
    return ProbeResult("answers", phase, verdict, "500 is not 200", record)


# --- the outcome

#: What each outcome follows from, the strongest first.
CAUSES = {
    Outcome.NOT_RESTORED: {"faults": (LEFT,)},
    Outcome.ABORTED: {"aborted": "guard everything-is-down: 60% is not < 50%"},
    Outcome.DEVIATED: {"slos": (DEVIATED,)},
    Outcome.INCONCLUSIVE: {"inconclusive": ("guard x could not be read for 12s",)},
    Outcome.MET: {"probes": (probe(Verdict.MET),)},
}


@pytest.mark.parametrize("causes", [c for n in (1, 2, 3) for c in combinations(CAUSES, n)])
def test_the_first_that_is_true_is_the_outcome(causes):
    parts = {k: v for cause in causes for k, v in CAUSES[cause].items()}
    assert conclude(RunFacts(experiment="x", timeline=marks(), **parts)).outcome is causes[0]


def test_a_run_that_ended_before_its_method_was_not_started_unless_something_is_left():
    told = facts(not_started="error-ratio was not met", aborted="signal")
    assert conclude(told).outcome is Outcome.NOT_STARTED
    assert conclude(replace(told, faults=(LEFT,))).outcome is Outcome.NOT_RESTORED


@pytest.mark.parametrize("status", ["undone", "nothing-to-undo", "injected", "planned"])
def test_what_is_undone_is_not_left(status):
    assert conclude(facts(MET, faults=(replace(LEFT, status=status),))).outcome is Outcome.MET


def test_nothing_judged_is_never_met():
    assert conclude(facts()).outcome is Outcome.INCONCLUSIVE
    alone = facts(alerts=({"name": "x", "verdict": "met", "reason": "it fired"},))
    assert conclude(alone).outcome is Outcome.INCONCLUSIVE
    assert conclude(replace(alone, slos=(MET,))).outcome is Outcome.MET


def test_an_alert_expectation_counts():
    alert = {"name": "x", "verdict": "deviated", "reason": "it did not fire in 60s"}
    concluded = conclude(facts(MET, alerts=(alert,)))
    assert (concluded.outcome, concluded.reason) == (Outcome.DEVIATED, "it did not fire in 60s")


@pytest.mark.parametrize("status", [s for s in ActivityStatus if s != "succeeded"])
def test_a_failed_action_is_not_green_unless_something_proves_a_deviation(status):
    concluded = conclude(facts(MET, activities=(failed(status),)))
    assert concluded.outcome is Outcome.INCONCLUSIVE
    assert concluded.reason == "the fault was not injected: lose-a-pod: exit code 1"
    # What it left undecided follows from it.
    concluded = conclude(facts(INCONCLUSIVE, activities=(failed(status),)))
    assert concluded.reason == "the fault was not injected: lose-a-pod: exit code 1 (and 1 more)"
    assert conclude(facts(DEVIATED, activities=(failed(status),))).outcome is Outcome.DEVIATED


def test_the_reason_of_a_met_run_names_the_phases_there_were():
    assert conclude(facts(MET, MET)).reason == "all 2 held before, during and after"
    short = RunFacts(experiment="x", timeline=marks(after=0), slos=(MET,))
    assert conclude(short).reason == "1 held before and during"
    asked = RunFacts(experiment="x", timeline=marks(), probes=(probe(Verdict.MET),))
    assert conclude(asked).reason == "1 held after"


# --- the score


def weighted(result, weight):
    evidence = replace(result.evidence, slo=replace(result.evidence.slo, weight=weight))
    return replace(result, evidence=evidence)


def test_the_score_is_the_share_of_the_weights_that_are_met():
    assert conclude(facts(MET, DEVIATED, INCONCLUSIVE)).score == 33.3
    heavy = facts(weighted(MET, 3.0), weighted(DEVIATED, 1.0))
    assert conclude(heavy).score == 75.0


@pytest.mark.parametrize(
    "told",
    [
        facts(MET, aborted="signal"),
        facts(MET, not_started="no"),
        facts(MET, faults=(LEFT,)),
        facts(MET, activities=(failed(),)),
        facts(weighted(MET, 0.0)),
        facts(probes=(probe(Verdict.MET),)),
    ],
)
def test_there_is_no_score_where_it_would_mislead(told):
    assert conclude(told).score is None


# --- the document


def test_nobody_suffers_where_an_slo_weighs_nothing():
    assert document(facts(DEVIATED))["time_to_impact_seconds"] is not None
    watched = document(facts(weighted(DEVIATED, 0.0)))
    assert (watched["outcome"], watched["time_to_impact_seconds"]) == ("deviated", None)


def test_times_to_impact_and_recovery():
    ill = judged(slo(), lambda t: 0.5 if 10 <= t < 85 else 0.0)
    told = document(facts(MET, ill))
    assert (told["time_to_impact_seconds"], told["time_to_recover_seconds"]) == (10, 25)
    gone = judged(slo(), lambda t: 0.0 if t < 90 else None)
    assert document(facts(ill, gone))["time_to_recover_seconds"] is None
    never = judged(slo(), lambda t: 0.5 if t >= 30 else 0.0)
    assert document(facts(ill, never))["time_to_recover_seconds"] is None
    assert document(facts(INCONCLUSIVE))["time_to_recover_seconds"] is None


def test_the_first_alert_tells_the_time():
    alerts = tuple(
        {"name": n, "time_to_alert_seconds": s} for n, s in (("a", None), ("b", 40.0), ("c", 15.0))
    )
    assert document(facts(MET, alerts=alerts))["time_to_alert_seconds"] == 15.0


def test_it_holds_what_the_contract_names():
    told = document(facts(DEVIATED, run="r1"))
    assert told["timeline"] == {
        "start": "2026-01-01T11:59:00Z",
        "fault": "2026-01-01T12:00:00Z",
        "restored": "2026-01-01T12:01:00Z",
        "end": "2026-01-01T12:03:00Z",
    }
    (one,) = told["slos"]
    assert {"name", "verdict", "reason", "query", "lookback_seconds", "step_seconds"} <= set(one)
    (series,) = one["series"]
    assert {"labels", "verdict", "reason", "baseline", "budget_burned", "phases"} <= set(series)
    assert list(series["phases"]) == ["before", "during", "after"]
    assert series["phases"]["during"]["first_breach_seconds"] == 10
    assert {"recovered_seconds", "recovered_between_seconds"} <= set(series["phases"]["after"])
    for part in ("probes", "alerts", "faults", "activities"):
        assert told[part] == []


def not_a_number(_: str) -> None:
    raise AssertionError("not JSON")


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32))
def test_any_document_is_strict_json_and_agrees_with_itself(seed):
    case = random_case(Random(seed))
    result = judge_slo(case.evidence, case.timeline, case.surroundings, case.declared_after)
    told = RunFacts(experiment="x", timeline=case.timeline, slos=(result,))
    text = json.dumps(document(told), allow_nan=False)
    read = json.loads(text, parse_constant=not_a_number)
    assert read["exit_code"] == EXIT_CODES[Outcome(read["outcome"])]
    (one,) = read["slos"]
    ranks = [Verdict(s["verdict"]).rank for s in one["series"]]
    # An SLO is its worst series; without a judged one it is inconclusive.
    if ranks and case.evidence.lookback is not None:
        assert Verdict(one["verdict"]).rank == (max(ranks) or Verdict.INCONCLUSIVE.rank)
    assert one["verdict"] == read["outcome"]
    for series in one["series"]:
        worst = max(Verdict(p["verdict"]).rank for p in series["phases"].values())
        assert worst in (Verdict(series["verdict"]).rank, 0)
        assert series["reason"].startswith("slo")
        for phase in series["phases"].values():
            moment = phase["worst_at"]
            assert moment is None or datetime.fromisoformat(moment).tzinfo is not None
