"""``alerts`` becomes the model, and what is wrong with it is said with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sloguard.core.alert_rules import Alerting, AlertPattern, ExpectedAlert, Matcher, Silence
from sloguard.spec import SpecError, load, parse_slos, schema
from tests.support.experiments import UP, experiment, written

VALIDATOR = jsonschema.Draft202012Validator(schema())

WHOLE = """
title: t
description: d
configuration: {place: shop, alert: HighErrorRate}
steady-state-hypothesis: {title: x, slos: [{name: a, query: up, objective: "> 0"}]}
method: []
alerts:
  expect:
  - {alertname: "${alert}", labels: {severity: "=~page|critical"}, within: 2m, resolved_within: 5m}
  - {labels: {tier: 1}}
  forbid: [{severity: critical}, {alertname: X, labels: {job: "!=batch"}}]
  abort_on: [EverythingIsDown]
  refuse_when_firing: true
  where: {namespace: "${place}"}
  silence: {matchers: {namespace: "${place}"}, at_most: 30m, comment: game day}
"""

BROKEN = """
title: t
description: d
steady-state-hypothesis: {title: x, slos: [{name: a, query: up, objective: "> 0"}]}
method: []
alerts:
  expct: []
  expect:
  - {alertname: A, withn: 2m}
  - {within: 2m}
  - {alertname: "=~(", within: 0s}
  - {alertname: "${nope}"}
  forbid: [{}, 3, {"a-b": c}]
  abort_on: [{x: "=~(?=a)"}]
  refuse_when_firing: yes please
  silence: {matchers: {}, comment: game day}
"""


def declared(**alerts: Any) -> Alerting:
    return load(experiment(alerts=alerts), environ={}).alerts


def refusal(**alerts: Any) -> str:
    with pytest.raises(SpecError) as caught:
        declared(**alerts)
    return str(caught.value)


def of(label: str, value: str, operator: Any = "=") -> Matcher:
    return Matcher(label, operator, value)


def test_every_key_arrives_with_variables_filled_in(tmp_path: Path) -> None:
    found = load(written(tmp_path, WHOLE, "x.yaml"), environ={}).alerts
    named = AlertPattern((of("alertname", "HighErrorRate"), of("severity", "page|critical", "=~")))
    assert found == Alerting(
        expect=(
            ExpectedAlert(named, 120.0, 300.0),
            ExpectedAlert(AlertPattern((of("tier", "1"),))),
        ),
        forbid=(
            AlertPattern((of("severity", "critical"),)),
            AlertPattern((of("alertname", "X"), of("job", "batch", "!="))),
        ),
        abort_on=(AlertPattern((of("alertname", "EverythingIsDown"),)),),
        refuse_when_firing=(AlertPattern(),),
        where=AlertPattern((of("namespace", "shop"),)),
        silence=Silence((of("namespace", "shop"),), 1800.0, "game day"),
    )
    assert str(named) == 'HighErrorRate{severity=~"page|critical"}'


def test_an_experiment_that_says_nothing_of_alerts_asks_nothing_of_them() -> None:
    assert load(experiment(), environ={}).alerts == Alerting()
    assert load(experiment(alerts=None), environ={}).alerts == Alerting()
    assert not load(experiment(), environ={}).alerts.declared
    assert declared(where={"namespace": "shop"}).declared


def test_a_list_of_slos_may_hold_alerts_too() -> None:
    found = parse_slos({"slos": [UP], "alerts": {"forbid": True}}, environ={}).alerts
    assert found.forbid == (AlertPattern(),)


def test_every_problem_is_told_with_its_line_and_what_was_meant(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(written(tmp_path, BROKEN, "x.yaml"), environ={})
    told = {(p.line, p.path): p for p in caught.value.problems}
    assert told[7, "alerts"].hint == "did you mean 'expect'?"
    assert told[9, "alerts.expect[0]"].hint == "did you mean 'within'?"
    assert told[10, "alerts.expect[1]"].message == "it names no alert"
    assert "is not a regular expression" in told[11, "alerts.expect[2].alertname"].message
    assert "above 0" in told[11, "alerts.expect[2].within"].expected
    assert told[12, "alerts.expect[3].alertname"].message == "${nope} has no value"
    assert told[13, "alerts.forbid[0]"].message == "there is no label"
    assert "found the number 3" in told[13, "alerts.forbid[1]"].message
    assert "no label's name" in told[13, "alerts.forbid[2]"].message
    assert "do not know" in told[14, "alerts.abort_on[0].x"].message
    assert "true for any alert" in told[15, "alerts.refuse_when_firing"].expected
    assert told[16, "alerts.silence"].message == "'at_most' is missing"
    assert told[16, "alerts.silence.matchers"].message == "there is no label"
    assert len(told) == 13


def test_what_contradicts_itself_is_refused() -> None:
    expected = {"expect": [{"alertname": "A"}]}
    assert "A is expected, and forbidden as well" in refusal(**expected, forbid=["A"])
    assert "the end of the run as well" in refusal(**expected, abort_on=[{"alertname": "A"}])
    inside = {"where": {"namespace": "shop"}, "forbid": [{"namespace": "prod"}]}
    assert "no alert is meant" in refusal(**inside)


def test_a_label_that_looks_like_the_alerts_name_is_a_warning() -> None:
    warnings = load(experiment(alerts={"forbid": [{"alert": "A"}]}), environ={}).warnings
    assert any("did you mean 'alertname'?" in warning for warning in warnings)


@pytest.mark.parametrize("key", ["alrts", "alerting"])
def test_a_near_miss_of_the_key_is_a_problem(key: str) -> None:
    with pytest.raises(SpecError, match="did you mean 'alerts'"):
        load(experiment(**{key: {}}), environ={})


FORMS: list[Any] = [
    None, {}, [], "x", {"expect": None}, {"expect": {}}, {"expect": [{}]}, {"expect": [{"alertname": "A"}]},
    {"expect": [{"labels": {}}]}, {"expect": [{"labels": {"a": "b"}, "within": 0.5}]},
    {"expect": [{"alertname": "A", "more": 1}]}, {"expect": [{"alertname": "A", "x-more": 1}]},
    {"forbid": True}, {"forbid": False}, {"forbid": ["A", {"b": "=c"}]}, {"forbid": [{"b": "=~c"}]},
    {"forbid": [{"labels": {"a": 1}}]}, {"forbid": [{"a": []}]}, {"abort_on": ["A"]},
    {"refuse_when_firing": "true"}, {"where": {"a b": "c"}}, {"where": {"a": "${x}"}},
    {"silence": {"matchers": {"a": "b"}}}, {"silence": {"matchers": {"a": "b"}, "at_most": "1m"}},
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(FORMS)))
def test_loader_and_schema_agree(index: int) -> None:
    document = experiment(alerts=FORMS[index], configuration={"x": "y"})
    try:
        load(document, environ={})
    except SpecError:
        read = False
    else:
        read = True
    assert VALIDATOR.is_valid(document) is read


def test_the_example_of_the_documentation_is_an_experiment(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "expecting-alerts.md").read_text("utf-8")
    example = text.partition("```yaml\n")[2].partition("```")[0]
    found = load(written(tmp_path, example, "x.yaml"), environ={})
    assert found.warnings == ()
    assert found.alerts.expect[0].within == 120
    assert found.alerts.silence is not None
