"""Rules of service levels as data: names, windows, thresholds, and what is refused. promtool reads them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.burning import DAY
from sloguard.core.service_levels import Budgeting, Indicator, ServiceLevel
from sloguard.promql.inspection import inspect
from sloguard.render.rules.expectation import expected
from sloguard.render.rules.files import all_rules, prometheus_rule, rule_file
from sloguard.render.rules.groups import LevelRules, RulesError, rules_of
from sloguard.render.rules.simulation import simulated, stood_in
from sloguard.render.rules.unit_tests import scenarios, unit_test_files

PAIR = Indicator(total="sum by (job) (all)", bad="sum by (job) (bad)", counter=True)
GOOD = Indicator(total="sum(all)", good='sum(all{code!~"5.."})', counter=True)
FIXED = Indicator(total="sum(rate(all[2m]))", bad="sum(rate(bad[2m]))")
RAW = Indicator(raw="avg(up)", raw_is_failure=False)
RAW_WINDOWED = Indicator(raw="sum(rate(a[{{.window}}])) / sum(rate(b[{{.window}}]))")
THRESHOLD = Indicator(threshold="max(delay)")
QUANTILE = Indicator(threshold="histogram_quantile(0.9, sum by (le) (rate(x_bucket[{{.window}}])))")
INDICATORS = [PAIR, GOOD, FIXED, RAW, RAW_WINDOWED, THRESHOLD, QUANTILE]


def level(indicator: Indicator = PAIR, **more: Any) -> ServiceLevel:
    given = {
        "name": "a",
        "slo": "a",
        "target": 0.999,
        "period": 30 * DAY,
        "service": "shop",
        "source": "x.yaml",
    }
    bound = {"op": "<=", "value": 0.25} if indicator.threshold else {}
    return ServiceLevel(indicator=indicator, **{**given, **bound, **more})


def sliced(
    indicator: Indicator, method: Budgeting, window: float = 60.0, **more: Any
) -> ServiceLevel:
    return level(indicator, budgeting=method, slice_window=window, slice_target=0.9, **more)


ALL = [
    *(level(one) for one in INDICATORS),
    *(sliced(one, Budgeting.TIMESLICES, target=0.99) for one in INDICATORS),
    *(sliced(one, Budgeting.RATIO_TIMESLICES, 300, target=0.99) for one in INDICATORS),
]


def named(one: ServiceLevel) -> str:
    kind = next(iter(one.indicator.queries.values()))
    return f"{one.budgeting} of {kind}"


def rules(of: LevelRules) -> Iterator[dict[str, Any]]:
    for group in of.groups:
        yield from group["rules"]


def recorded(of: LevelRules) -> dict[str, str]:
    return {rule["record"]: rule["expr"] for rule in rules(of) if "record" in rule}


def alerts(of: LevelRules) -> dict[str, dict[str, Any]]:
    return {rule["labels"]["severity"]: rule for rule in rules(of) if "alert" in rule}


@pytest.mark.parametrize("one", ALL, ids=named)
def test_whatever_is_asked_for_is_recorded_once_and_can_be_read(one: ServiceLevel) -> None:
    made = rules_of(one)
    names = [rule["record"] for rule in rules(made) if "record" in rule]
    assert len(names) == len(set(names))
    for rule in rules(made):
        for selection in inspect(rule["expr"]).selections:
            if (selection.metric or "").startswith("slo:"):
                assert selection.metric in names
                assert selection.matchers == (("slo", "=", "a"),)
    assert {"slo:sli_error:ratio_rate5m", "slo:sli_error:ratio_rate30d"} <= set(names)
    assert set(alerts(made)) == {"page", "ticket"}


@pytest.mark.parametrize("one", ALL, ids=named)
def test_groups_have_names_of_their_own_and_a_rhythm_that_keeps_values_fresh(
    one: ServiceLevel,
) -> None:
    groups = rules_of(one).groups
    assert len({group["name"] for group in groups}) == len(groups)
    assert {group["interval"] for group in groups} <= {"15s", "30s", "1m", "2m", "5m"}
    for group in groups:
        # Every 5 minutes only what is asked for over ranges.
        assert group["interval"] != "5m" or group["name"].endswith("-slices")


def test_counters_are_asked_over_short_windows_and_added_up_over_long_ones() -> None:
    found = recorded(rules_of(level(GOOD)))
    assert found["slo:sli_errors:rate5m"] == (
        'clamp_min((sum(rate(all[5m]))) - ((sum(rate(all{code!~"5.."}[5m]))) or (sum(rate(all[5m]))) * 0), 0)'
    )
    assert "rate(all[6h])" in found["slo:sli_error:ratio_rate6h"]
    assert found["slo:sli_error:ratio_rate1d"] == (
        'sum_over_time(slo:sli_errors:rate5m{slo="a"}[1d]) / (sum_over_time(slo:sli_events:rate5m{slo="a"}[1d]) > 0)'
    )
    assert found["slo:period_burn_rate:ratio"] == 'slo:sli_error:ratio_rate30d{slo="a"} / 0.001'


def test_a_threshold_counts_moments_and_no_value_is_none() -> None:
    found = recorded(rules_of(level(THRESHOLD)))
    assert found["slo:sli_error:value"] == "((max(delay)) >= -Inf) > bool 0.25"
    assert found["slo:sli_error:ratio_rate1h"] == 'avg_over_time(slo:sli_error:value{slo="a"}[1h])'


@pytest.mark.parametrize(("op", "broken"), [("<=", ">"), ("<", ">="), (">=", "<"), (">", "<=")])
def test_what_breaks_a_threshold_is_the_complement(op: str, broken: str) -> None:
    found = recorded(rules_of(level(THRESHOLD, op=op)))
    assert f"{broken} bool 0.25" in found["slo:sli_error:value"]


def test_slices_are_as_long_as_they_say_and_no_window_is_shorter() -> None:
    made = rules_of(sliced(PAIR, Budgeting.TIMESLICES, 600))
    found = recorded(made)
    assert found["slo:sli_error:slice"].endswith("> bool 0.1")
    assert "[10m]" in found["slo:sli_error:slice"]
    assert "slo:sli_error:ratio_rate5m" not in found
    assert "slo:sli_error:ratio_rate10m" in found
    assert 'ratio_rate10m{slo="a"} > 14.4 * 0.001' in alerts(made)["page"]["expr"]


@given(st.sampled_from(ALL), st.integers(1, 365), st.floats(0.5, 0.9999))
def test_thresholds_are_the_burn_rates_for_any_promise(
    one: ServiceLevel, days: int, target: float
) -> None:
    made = rules_of(replace(one, period=days * DAY, target=round(target, 4)))
    text = "\n".join(rule["expr"] for rule in rules(made) if "alert" in rule)
    budget = made.level.budget
    for burn in made.burns.alerts:
        assert f"> {burn.factor:.12g} * {budget:.12g}" in text
    assert text.count(" > ") == 2 * len(made.burns.alerts)


def test_labels_and_annotations_are_no_templates() -> None:
    one = level(
        display_name='{{ $labels.x }} "quoted" ünï',
        description="{{{ end }}",
        labels={"team": "{{ . }}", "a.b/c-d": "x", "severity": "loud", "9lives": "cat"},
        annotations={
            "sloguard.io/runbook_url": "http://x/{{y}}",
            "other.io/z": "no",
            "summary": "no",
        },
    )
    made = rules_of(one)
    page = alerts(made)["page"]
    assert page["labels"]["team"] == '{{ "{{" }} . }}'
    assert (page["labels"]["a_b_c_d"], page["labels"]["_9lives"]) == ("x", "cat")
    assert page["labels"]["severity"] == "page"
    assert "label 'severity': taken for something else, left out" in made.notes
    assert page["annotations"]["runbook_url"] == 'http://x/{{ "{{" }}y}}'
    assert "z" not in page["annotations"]
    assert page["annotations"]["summary"].startswith('{{ "{{" }} $labels.x }}')


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (level(period=3600), "the period 1h is too short"),
        (sliced(PAIR, Budgeting.TIMESLICES, 20 * DAY), "a slice is longer than half"),
        (
            level(Indicator(total="sum by (slo) (a)", bad="sum by (slo) (b)", counter=True)),
            "groups by slo",
        ),
        (level(labels={"job": "x"}), "groups by job"),
    ],
)
def test_what_cannot_be_rules_is_refused(one: ServiceLevel, words: str) -> None:
    with pytest.raises(RulesError, match=words):
        rules_of(one)


def test_all_that_is_refused_is_told_at_once() -> None:
    with pytest.raises(RulesError) as caught:
        all_rules([level(period=60), level(), level(labels={"job": "x"}, name="b")])
    assert len(caught.value.problems) == 3  # 'bad' and 'total' group by it, both


def test_files_are_the_same_every_time_and_two_formats_hold_the_same_groups() -> None:
    made = all_rules(ALL[:3])
    text = rule_file(made, "x.yaml")
    assert text == rule_file(all_rules(ALL[:3]), "x.yaml")
    assert text.startswith("# Made by 'sloguard rules generate' from x.yaml")
    manifest = yaml.safe_load(prometheus_rule(made, "x.yaml", "Shop & Söhne"))
    assert (manifest["kind"], manifest["metadata"]["name"]) == ("PrometheusRule", "slo-shop-s-hne")
    assert manifest["spec"]["groups"] == yaml.safe_load(text)["groups"]


def test_what_cannot_fire_is_left_out_and_told() -> None:
    made = rules_of(level(target=0.7))
    assert set(alerts(made)) == {"page", "ticket"} - {"page"}
    assert "# a: no page over 1h: even if all fails" in rule_file([made], "x.yaml")


@pytest.mark.parametrize("one", ALL, ids=named)
def test_each_level_has_stories_that_raise_alerts_and_stories_that_do_not(
    one: ServiceLevel,
) -> None:
    made = rules_of(one)
    target = one if simulated(one, (0.0, 1.0)) else stood_in(one)
    fast, allowed, *slow = scenarios(target, made)
    quiet, _, burning, _, after = [
        expected(target, made.burns.alerts, fast.shares, at) for at in fast.at
    ]
    assert quiet == {"page": False, "ticket": False}
    assert burning == {"page": True, "ticket": True}
    assert after["page"] is False
    assert all(
        True not in expected(target, made.burns.alerts, allowed.shares, at).values()
        for at in allowed.at
    )
    for story in slow:
        told = [expected(target, made.burns.alerts, story.shares, at) for at in story.at]
        assert {"page": False, "ticket": True} in told
    # Where moments are bad for minutes, and the budget is small, it would take days.
    assert slow or one.indicator is QUANTILE
    (file,) = unit_test_files([made], "r.yaml", "s.yaml")
    assert len(yaml.safe_load(file.text)["tests"]) == 3 + len(slow)


@pytest.mark.parametrize(
    ("indicator", "simulable"),
    [(PAIR, True), (GOOD, True), (FIXED, True), (RAW, True), (THRESHOLD, True), (QUANTILE, True), (RAW_WINDOWED, False),
     (Indicator(threshold="rate(a[5m]) / rate(b[5m])"), False),
     (Indicator(total="sum(a) + sum(b)", bad="sum(c)", counter=True), False),
     (Indicator(total='sum({__name__=~"a|b"})', bad="sum(c)", counter=True), False),
     (Indicator(total='sum(a{b=~"x(?:y)+z"})', bad='sum(a{b=~"x(?:y)+z",c="1"})', counter=True), False),
     (Indicator(total="sum(a)", bad='sum(a{b=~"x|y",c!=""})', counter=True), True)],
)  # fmt: skip
def test_queries_that_are_too_much_are_stood_in_for(indicator: Indicator, simulable: bool) -> None:
    one = level(indicator)
    assert (simulated(one, (0.0, 1.0)) is not None) is simulable
    assert simulated(stood_in(one), (0.0, 1.0)) is not None
