"""What a query selects and which labels its answer bears."""

from __future__ import annotations

import pytest

from sloguard.ports import Selection
from sloguard.promql.durations import format_duration
from sloguard.promql.errors import PromqlError, position_at
from sloguard.promql.inspection import inspect, same_metrics


def test_every_selection_once_in_the_order_of_the_text() -> None:
    read = inspect('sum(rate(b{x="1"}[1m])) / (sum(rate(b{x="1"}[5m])) + a > bool scalar(c))')
    assert read.selections == (
        Selection("b", (("x", "=", "1"),)),
        Selection("a"),
        Selection("c"),
    )
    assert read.metrics == {"a", "b", "c"}
    assert read.type == "vector"


def test_selections_by_matchers_alone() -> None:
    read = inspect('count({__name__=~"http_.*", job!~"x|y"})')
    assert read.selections == (
        Selection(None, (("__name__", "=~", "http_.*"), ("job", "!~", "x|y"))),
    )
    assert read.metrics == frozenset()


@pytest.mark.parametrize(
    "selection",
    [
        Selection("up"),
        Selection("up", (("path", "=", 'C:\\dir\n"quoted"'), ("job", "!~", r"a\.b|c"))),
        Selection(None, (("__name__", "=~", "http_.*"),)),
    ],
)
def test_a_selection_is_shown_as_promql_that_means_the_same(selection: Selection) -> None:
    assert inspect(str(selection)).selections == (selection,)


def test_a_name_that_needs_quotes_is_shown_as_a_matcher() -> None:
    assert str(Selection("my.metric")) == '{__name__="my.metric"}'


def test_an_inspection_is_kept() -> None:
    assert inspect("sum(kept)") is inspect("sum(kept)")


def test_an_error_is_raised_each_time() -> None:
    for _ in range(2):
        with pytest.raises(PromqlError):
            inspect("sum(")


def test_a_rate_of_an_aggregate_is_seen_where_it_stands() -> None:
    read = inspect("foo + rate(sum(bar)[5m:1m])")
    assert read.rates_of_aggregates == (("rate", position_at("foo + rate(sum(bar)[5m:1m])", 6)),)
    assert inspect("sum(rate(bar[5m]))").rates_of_aggregates == ()
    assert inspect("max_over_time(sum(rate(bar[5m]))[5m:1m])").rates_of_aggregates == ()


def test_start_and_end_are_seen() -> None:
    assert inspect("foo @ end()").pins_to_ends
    assert inspect("max_over_time(foo[5m:] @ start())").pins_to_ends
    assert not inspect("foo @ 1600000000").pins_to_ends


@pytest.mark.parametrize(
    ("query", "filters", "rankings"),
    [
        ("foo > 5", (">",), ()),
        ("(foo == 5) * 2", ("==",), ()),
        ("foo > bool 5", (), ()),
        ("foo and bar", ("and",), ()),
        ("(foo > 5) or vector(0)", (), ()),
        ("sum(foo > 5)", (), ()),
        ("1 > bool 2", (), ()),
        ("topk(3, foo)", (), ("topk",)),
        ("abs(bottomk(3, foo)) > 1", (">",), ("bottomk",)),
        ("limitk(3, foo)", (), ("limitk",)),
        ("max(topk(3, foo))", (), ()),
    ],
)
def test_what_drops_series_of_the_answer(
    query: str, filters: tuple[str, ...], rankings: tuple[str, ...]
) -> None:
    read = inspect(query)
    assert (read.filters, read.rankings) == (filters, rankings)


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("foo", "vector"),
        ("foo[5m]", "matrix"),
        ("foo[5m:1m]", "matrix"),
        ("1 + 2", "scalar"),
        ("-time()", "scalar"),
        ("scalar(foo)", "scalar"),
        ("1 > bool 2", "scalar"),
        ("vector(1)", "vector"),
        ("1 + foo", "vector"),
        ("rate(foo[5m])", "vector"),
        ('"text"', "string"),
    ],
)
def test_what_a_query_answers(query: str, kind: str) -> None:
    assert inspect(query).type == kind


@pytest.mark.parametrize(
    ("query", "grouping"),
    [
        ("foo", "all labels"),
        ("rate(foo[5m])", "all labels"),
        ("sum(foo)", "no labels"),
        ("sum by () (foo)", "no labels"),
        ("sum by (b, a) (foo)", "by (a, b)"),
        ("sum without (b, a) (foo)", "without (a, b)"),
        ("sum without (a) (sum by (a, b) (foo))", "by (b)"),
        ("sum by (a) (foo) * 100", "by (a)"),
        ("1 - sum by (a) (foo)", "by (a)"),
        ("-sum by (a) (foo)", "by (a)"),
        ("topk by (a) (3, sum by (a, b) (foo))", "by (a, b)"),
        ('count_values by (a) ("v", foo)', "by (a, v)"),
        ("histogram_quantile(0.9, sum by (le, a) (rate(foo_bucket[5m])))", "by (a)"),
        ("histogram_quantile(0.9, rate(foo_bucket[5m]))", "without (le)"),
        ('label_replace(sum by (a) (foo), "b", "$1", "a", "(.*)")', "by (a, b)"),
        ('label_join(sum without (b) (foo), "b", "-", "a")', "all labels"),
        ("sum by (a) (foo) / sum by (a) (bar)", "by (a)"),
        ("foo / on (a, b) bar", "by (a, b)"),
        ("foo / ignoring (a) bar", "without (a)"),
        ("foo * on (a) group_left (v) bar", "all labels"),
        ("sum by (a) (foo) * on (a) group_left (v) bar", "by (a, v)"),
        ("bar * on (a) group_right () sum by (a) (foo)", "by (a)"),
        ("sum by (a) (foo) and on (a) bar", "by (a)"),
        ("sum by (a) (foo) or sum by (a) (bar)", "by (a)"),
        ("sum by (a) (foo) or vector(0)", "unknown labels"),
        ("sum(foo) or vector(0)", "no labels"),
        ("max_over_time(sum by (a) (foo)[5m:])", "by (a)"),
        ("absent(foo)", "unknown labels"),
        ("info(foo)", "unknown labels"),
        ("hour()", "no labels"),
        ("vector(time())", "no labels"),
        ("quantile by (a) (0.9, foo)", "by (a)"),
    ],
)
def test_which_labels_an_answer_bears(query: str, grouping: str) -> None:
    assert str(inspect(query).grouping) == grouping


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ('sum(rate(foo{code="500"}[1m]))', "sum(rate(foo[1m]))", True),
        ("foo + bar", "bar - foo", True),
        ('{__name__="foo"}', "foo", True),
        ("foo", "bar", False),
        ("foo + bar", "foo", False),
        ('{__name__=~"foo"}', '{__name__=~"foo"}', False),
        ("vector(1)", "vector(1)", False),
        ("foo", '{job="x"}', False),
    ],
)
def test_whether_two_queries_select_the_same_metrics(a: str, b: str, same: bool) -> None:
    assert same_metrics(a, b) is same
    assert same_metrics(b, a) is same


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.5, "500ms"),
        (30, "30s"),
        (90, "1m30s"),
        (3600, "1h"),
        (86400 * 8, "1w1d"),
        (-90, "-1m30s"),
        (1.25, "1s250ms"),
    ],
)
def test_durations_as_people_read_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
