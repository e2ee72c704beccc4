"""Rates over seconds as increases over a period: what is sound, and what is not."""

from __future__ import annotations

import pytest

from sloguard.promql.over_period import over_period

MONTH = 30 * 86400.0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("rate(a[30s])", "increase(a[4w2d])"),
        (
            'sum by (service) (rate(http_requests_total{code=~"5.."}[30s]))',
            'sum by (service) (increase(http_requests_total{code=~"5.."}[4w2d]))',
        ),
        ("sum without (pod) (rate(a[1m]))", "sum without (pod) (increase(a[4w2d]))"),
        (
            "sum(rate(a[1m])) + sum(rate(b[5m]))",
            "(sum(increase(a[4w2d])) + sum(increase(b[4w2d])))",
        ),
        (
            "sum(rate(a[1m])) - on (job) sum(rate(b[1m]))",
            "(sum(increase(a[4w2d])) - on (job) sum(increase(b[4w2d])))",
        ),
        ("sum(rate(a[1m])) or vector(0)", "(sum(increase(a[4w2d])) or vector(0))"),
        ("sum(rate(a[1m])) or on() vector(0)", "(sum(increase(a[4w2d])) or on () vector(0))"),
        ("60 * sum(rate(a[1m]))", "(60.0 * sum(increase(a[4w2d])))"),
        ("sum(rate(a[1m])) / 2", "(sum(increase(a[4w2d])) / 2.0)"),
        ("sum(sum by (le) (rate(a[1m])))", "sum(sum by (le) (increase(a[4w2d])))"),
    ],
)
def test_sums_of_counters_count_the_same_events(query, expected):
    assert over_period({"total": query}, MONTH) == {"total": expected}
    # What was written is PromQL, and the same again.
    again = over_period({"total": expected}, MONTH)
    assert again is not None


@pytest.mark.parametrize(
    "query",
    [
        "a",
        "up == 1",
        "irate(a[1m])",
        "max(rate(a[1m]))",
        "avg by (pod) (rate(a[1m]))",
        "sum(rate(a[1m])) / sum(rate(b[1m]))",
        "sum(rate(a[1m])) * sum(rate(b[1m]))",
        "rate(a[1m] offset 5m)",
        "rate(a[1m] @ 0)",
        "rate(sum(a)[5m:1m])",
        "clamp_max(rate(a[1m]), 1)",
        "rate(a[1m]) > 0",
        "sum(rate(a[1m])) or vector(1)",
        "sum(rate(a[1m])) or sum(rate(b[1m]))",
        "1 / sum(rate(a[1m]))",
        "histogram_quantile(0.9, sum by (le) (rate(a[1m])))",
        "topk(3, rate(a[1m]))",
        "sum(service:requests:rate5m)",
        "sum(rate(a[1m])) + sum(increase(b[1m]))",
        "rate(a[1m]",
    ],
)
def test_what_would_say_something_else_is_left_alone(query):
    assert over_period({"total": query}, MONTH) is None


def test_both_halves_of_a_pair_count_in_the_same_unit():
    both = over_period({"total": "increase(a[1m])", "bad": "increase(b[1m])"}, 60)
    assert both == {"total": "increase(a[1m])", "bad": "increase(b[1m])"}
    assert over_period({"total": "rate(a[1m])", "bad": "increase(b[1m])"}, 60) is None
    assert over_period({"total": "increase(a[1m])", "bad": "increase(b[2m])"}, 60) is None
    assert over_period({"total": "rate(a[1m])", "bad": "b"}, 60) is None
