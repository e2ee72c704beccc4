"""sloguard's own keys become the model, and every value in every form means what the contract says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sloguard.core.model import PhaseName, Phases, Tolerance
from sloguard.spec import SpecError, load, parse_slos
from tests.support.experiments import UP, experiment, read_corpus, with_slo, written


def refusal(document: Any, **options: Any) -> str:
    with pytest.raises(SpecError) as caught:
        load(document, environ={}, **options)
    return str(caught.value)


def test_the_experiment_of_the_contract_is_read_to_the_letter() -> None:
    experiment = read_corpus("valid/contract.yaml").experiment
    assert experiment.phases == Phases(120, 60, 120)
    errors, latency, replicas = experiment.slos
    assert errors.is_pair
    assert set(errors.queries) == {"total", "bad"}
    assert errors.during.objective.text == "< 5%"
    assert errors.during.tolerate == Tolerance(seconds=20.0, text="20s")
    assert errors.before.objective is errors.objective
    assert errors.after.recover_within == 60
    assert errors.after.hold is None
    assert latency.during.objective.names_baseline
    assert latency.objective.members[0].bound.value == pytest.approx(0.3)  # type: ignore[union-attr]
    assert replicas.rule(PhaseName.DURING).objective.text == ">= 2"
    (guard,) = experiment.guards
    assert (guard.name, guard.hold_for) == ("everything-is-down", 10)
    assert experiment.method[0].provider["arguments"] == {"a": "${namespace}"}
    assert experiment.configuration == {"namespace": "shop"}


def test_every_key_arrives() -> None:
    experiment = read_corpus("valid/every-key.yaml").experiment
    assert experiment.phases == Phases(90, 90, 120)
    full, numbers, *_, named = experiment.slos
    assert full.objective.text == "< 1% and <= baseline + 0.5%"
    assert (full.before.objective.text, full.before.tolerate) == ("< 2%", None)
    assert full.during.tolerate == Tolerance(share=0.1, text="10%")
    assert full.after.tolerate == Tolerance(seconds=5, text="5s")
    assert (full.after.recover_within, full.after.hold) == (60, 15)
    assert (full.no_data, full.idle, full.min_coverage, full.weight) == ("breach", "met", 0.75, 2.5)
    assert (full.step, full.lookback, full.period) == (5, 300, 30 * 86400)
    assert full.target == pytest.approx(0.999)
    assert (numbers.no_data, numbers.idle, numbers.min_coverage) == (0, 1.5, 0.5)
    assert (numbers.weight, numbers.step, numbers.target, numbers.period) == (0, 1, 0.95, 604800)
    assert named.name == "42"
    pair, plain = experiment.guards
    assert (pair.total is not None, pair.hold_for) == (True, 0)
    assert plain.hold_for == 5


def test_what_is_not_said_has_the_contracts_defaults() -> None:
    loaded = load(experiment())
    assert loaded.phases == Phases(120, 60, 120)
    (slo,) = loaded.slos
    assert (slo.no_data, slo.idle, slo.min_coverage, slo.weight) == (
        "inconclusive",
        "inconclusive",
        0.6,
        1,
    )
    assert (slo.step, slo.lookback, slo.target, slo.period) == (None,) * 4
    assert slo.after.tolerate is None


def test_variables_fill_every_place() -> None:
    experiment = read_corpus("valid/variables.yaml").experiment
    assert experiment.title == "Objectives of checkout"
    assert experiment.hypothesis_title == "checkout is well"
    assert experiment.phases == Phases(90, 60, 90)
    errors, listed, replaced = experiment.slos
    assert errors.name == "checkout-errors"
    assert errors.query == 'errors{service="checkout"}'
    assert errors.objective.text == "< 1%"
    assert errors.during.tolerate == Tolerance(seconds=5, text="5s")
    assert errors.after.recover_within == 30
    assert errors.min_coverage == 0.5
    assert len(listed.objective.members) == 2
    assert '"${1}"' in (replaced.query or "")
    assert experiment.guards[0].hold_for == 2
    # Activities are substituted when they are carried out.
    assert experiment.method[0].pause_before == "${pause}"
    assert experiment.method[0].provider["url"] == "http://127.0.0.1/${service}"


@pytest.mark.parametrize(
    ("objective", "instead"),
    [(">= 99.5%", "'<= 0.5%'"), ("> 0.9", "'< 10%'"), ("> baseline", "an upper bound")],
)
@pytest.mark.parametrize("phase", [None, "before", "during", "after"])
def test_lower_bounds_on_pairs_are_refused_with_the_complement(
    objective: str, instead: str, phase: str | None
) -> None:
    change: dict[str, Any] = {"query": None, "total": "t", "good": "g", "objective": "< 1"}
    change |= {"objective": objective} if phase is None else {phase: {"objective": objective}}
    assert instead in refusal(with_slo(**change))


@pytest.mark.parametrize(
    "queries",
    [
        {},
        {"total": "t"},
        {"bad": "b"},
        {"good": "g"},
        {"bad": "b", "good": "g"},
        {"total": "t", "bad": "b", "good": "g"},
        {"query": "q", "total": "t"},
        {"query": "q", "bad": "b"},
        {"query": "q", "total": "t", "bad": "b"},
    ],
)
def test_there_is_exactly_one_way_to_say_what_is_measured(queries: dict[str, str]) -> None:
    problem = refusal(with_slo(**{"query": None, **queries}))
    assert (
        "'query', or 'total' with 'bad', or 'total' with 'good'" in problem
        or "beside it" in problem
    )


def test_names_are_unique_once_variables_are_in() -> None:
    twice = [{**UP, "name": "${a}"}, {**UP, "name": "x"}]
    assert "the name 'x' is there twice" in refusal(
        experiment(slos=twice, configuration={"a": "x"})
    )


def test_a_guard_and_an_slo_may_share_a_name() -> None:
    assert load(experiment(**{"abort-when": [UP]})).guards[0].name == "up"


def test_a_guard_that_could_never_trip_is_refused() -> None:
    guard = {**UP, "objective": ["< 5", "<= baseline + 50%"]}
    assert "a guard rail knows no baseline" in refusal(experiment(**{"abort-when": [guard]}))


@pytest.mark.parametrize("key", ["target", "period"])
def test_half_an_error_budget_is_worth_a_warning(key: str) -> None:
    loaded = load(with_slo(**{key: {"target": "99%", "period": "30d"}[key]}))
    assert any("no error budget" in warning for warning in loaded.warnings)


def test_an_experiment_that_can_prove_nothing_says_so() -> None:
    loaded = load(experiment(slos=[]))
    assert "inconclusive" in loaded.warnings[0]


def test_a_list_of_slos_alone_is_enough_for_judging(tmp_path: Path) -> None:
    path = written(tmp_path, {"slos": [UP]}, "my-slos.json")
    experiment = parse_slos(path)
    assert [slo.name for slo in experiment.slos] == ["up"]
    assert (experiment.title, experiment.method) == ("my-slos", ())
    assert "sloguard judge" in refusal(path)
    assert parse_slos(with_slo()).slos == experiment.slos


def test_slos_beside_a_method_would_be_lost_and_are_refused() -> None:
    assert "'slos' belongs under" in refusal({**experiment(), "slos": [UP]})


def test_others_can_point_to_a_place() -> None:
    loaded = read_corpus("valid/contract.yaml")
    problem = loaded.problem("steady-state-hypothesis.slos[1].query", "it does not parse")
    assert problem.line == 17
    assert str(problem).endswith(
        "contract.yaml:17:12: steady-state-hypothesis.slos[1].query: it does not parse"
    )
    assert loaded.where("steady-state-hypothesis.slos[1].step") == loaded.where(
        "steady-state-hypothesis.slos[1]"
    )
    assert loaded.where("nowhere") == (1, 1)


def test_all_problems_come_at_once_and_in_order() -> None:
    with pytest.raises(SpecError) as caught:
        read_corpus("invalid/values.yaml")
    lines = [problem.line or 0 for problem in caught.value.problems]
    assert len(lines) == 23
    assert lines == sorted(lines)
