"""``budget``: what is read, and every mistake with its place and what was meant."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sloguard.core.model import Budget
from sloguard.spec import SpecError, load, schema
from tests.support.experiments import UP, experiment

BUDGETED = {**UP, "target": "99.9%", "period": "30d"}
VALIDATOR = Draft202012Validator(schema())


def with_budget(budget: Any, *slos: dict[str, Any]) -> dict[str, Any]:
    return experiment(slos=list(slos or (BUDGETED,)), budget=budget)


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"keep_at_least": "20%"}, Budget(keep_at_least=0.2)),
        ({"keep_at_least": 0, "min_history": "50%"}, Budget(keep_at_least=0, min_history=0.5)),
        ({"abort_when": {"spent": "5%"}}, Budget(abort_spent=0.05)),
        (
            {"abort_when": {"burn_rate": 10, "for": "30s"}, "slos": ["up"]},
            Budget(slos=("up",), abort_burn_rate=10, hold_for=30),
        ),
        (
            {"keep_at_least": 0.2, "abort_when": {"spent": 0.05, "burn_rate": 14.4}},
            Budget(keep_at_least=0.2, abort_spent=0.05, abort_burn_rate=14.4),
        ),
    ],
)
def test_what_is_declared_is_read(given, read):
    document = with_budget(given)
    assert load(document).budget == read
    assert VALIDATOR.is_valid(document)


def test_without_it_there_is_none():
    assert load(experiment()).budget is None


@pytest.mark.parametrize(
    ("given", "where", "message"),
    [
        ({}, "budget", "'keep_at_least' or 'abort_when'"),
        ({"slos": ["up"]}, "budget", "it says nothing as it stands"),
        ({"keep_at_least": "120%"}, "budget.keep_at_least", "a percentage or a share from 0 to 1"),
        ({"keep_at_least": 20}, "budget.keep_at_least", "did you mean '20%'?"),
        ({"keep_at_leest": "20%"}, "budget", "did you mean 'keep_at_least'?"),
        ({"keep": "20%"}, "budget", "did you mean 'keep_at_least'?"),
        ({"abort_when": {}}, "budget.abort_when", "'spent' or 'burn_rate'"),
        ({"abort_when": {"spent": 0}}, "budget.abort_when.spent", "above 0"),
        ({"abort_when": {"burn_rate": 0}}, "budget.abort_when.burn_rate", "a number above 0"),
        ({"abort_when": {"burn": 3}}, "budget.abort_when", "did you mean 'burn_rate'?"),
        (
            {"abort_when": {"burn_rate": 3, "for": "soon"}},
            "budget.abort_when.for",
            "'soon' is not a duration",
        ),
        ("20%", "budget", "a mapping with keep_at_least"),
    ],
)
def test_mistakes_are_told(given, where, message):
    document = with_budget(given)
    with pytest.raises(SpecError) as caught:
        load(document)
    assert len(caught.value.problems) == 1
    problem = caught.value.problems[0]
    assert problem.path == where
    assert message in str(problem)
    assert not VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    ("slos", "named", "where", "message"),
    [
        ([UP], None, "budget", "no SLO has an error budget"),
        (
            [BUDGETED],
            ["upp"],
            "budget.slos[0]",
            "there is no SLO 'upp'; expected up; did you mean 'up'?",
        ),
        (
            [UP, {**BUDGETED, "name": "b"}],
            ["b", "up"],
            "budget.slos[1]",
            "the SLO 'up' has no error budget",
        ),
    ],
)
def test_it_is_about_slos_that_have_a_budget(slos, named, where, message):
    budget = {"keep_at_least": "20%", **({"slos": named} if named else {})}
    with pytest.raises(SpecError) as caught:
        load(with_budget(budget, *slos))
    assert [problem.path for problem in caught.value.problems] == [where]
    assert message in str(caught.value)


def test_an_slo_with_a_problem_of_its_own_is_not_blamed_twice():
    wrong = {**BUDGETED, "objective": "lots"}
    with pytest.raises(SpecError) as caught:
        load(with_budget({"keep_at_least": "20%", "slos": ["up"]}, wrong))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("key", ["error-budget", "budgets", "buget"])
def test_a_near_miss_at_the_top_is_a_problem(key):
    with pytest.raises(SpecError, match="did you mean 'budget'"):
        load(experiment(slos=[BUDGETED], **{key: {"keep_at_least": "20%"}}))


def test_a_recorded_budget_belongs_to_a_promise():
    recorded = {**BUDGETED, "budget_left": "slo:left"}
    assert load(experiment(slos=[recorded])).slos[0].budget_left == "slo:left"
    warned = load(experiment(slos=[{**UP, "budget_left": "slo:left"}])).warnings
    assert any("no error budget can be told" in warning for warning in warned)


def test_a_query_of_what_is_left_is_read_before_anything_is_sent():
    with pytest.raises(SpecError) as caught:
        load(experiment(slos=[{**BUDGETED, "budget_left": "sum(rate(x[5m])"}]))
    (problem,) = caught.value.problems
    assert problem.path == "steady-state-hypothesis.slos[0].budget_left"
    assert "never closed" in str(problem)


def test_variables_stand_in_it():
    document = with_budget({"keep_at_least": "${keep}", "abort_when": {"spent": "${most}"}})
    document["configuration"] = {"keep": "30%", "most": 0.01}
    assert load(document).budget == Budget(keep_at_least=0.3, abort_spent=0.01)


@pytest.mark.parametrize("named", [None, ["of-the-file"]])
def test_an_slo_file_that_is_not_there_is_not_blamed_twice(named):
    budget = {"keep_at_least": "20%", **({"slos": named} if named else {})}
    with pytest.raises(SpecError) as caught:
        load(with_budget(budget, {"from": "nosuch.yaml"}, UP))
    paths = [problem.path for problem in caught.value.problems]
    assert paths == ["steady-state-hypothesis.slos[0].from"]
