"""The lookback of queries, case by case. The window (end - fault) is 180 s where nothing else is said."""

from __future__ import annotations

import pytest

from sloguard.ports import RecordingRule
from sloguard.promql.errors import PromqlError
from sloguard.promql.lookback import Lookback, lookback, slo_lookback
from tests.support.promql_slos import guard, pair, slo

FAULT = 1_700_000_000.0


def seconds(
    query: str,
    *,
    window: float = 180.0,
    rules: tuple[RecordingRule, ...] = (),
    fault: float | None = FAULT,
) -> float | None:
    return lookback(query, window=window, rules=rules, fault=fault).seconds


def rule(name: str, expr: str, interval: float = 60.0, **labels: str) -> RecordingRule:
    return RecordingRule(name, expr, interval, labels)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # without a range
        ("foo", 0),
        ("foo > bool 5", 0),
        ("sum by (job) (up)", 0),
        ("vector(1)", 0),
        ("time()", 0),
        ("1 + 2", 0),
        ('"text"', 0),
        # ranges
        ("rate(foo[30s])", 30),
        ("rate(foo[1m30s])", 90),
        ("rate(foo[1h30m])", 5400),
        ("rate(foo[500ms])", 0.5),
        ("rate(foo[300])", 300),
        ("foo[5m]", 300),
        ("irate(foo[2m])", 120),
        ("rate(foo[1d])", 86400),
        # offsets
        ("foo offset 1m", 60),
        ("foo offset 2m59s", 179),
        ("foo offset -10m", 0),
        ("rate(foo[1m] offset 30s)", 90),
        ("rate(foo[1m] offset -30s)", 60),
        # the largest path
        ("rate(foo[30s]) / rate(bar[2m])", 120),
        ("rate(foo[2m]) / rate(bar[30s])", 120),
        ("sum(rate(a[1m])) + sum(rate(b[5m])) * sum(rate(c[2m]))", 300),
        ("foo and on (a) rate(bar[3m])", 180),
        ("topk(scalar(rate(a[9m])), rate(b[1m]))", 540),
        ("histogram_quantile(0.99, sum by (le) (rate(foo_bucket[45s])))", 45),
        ("-rate(foo[1m]) ^ 2", 60),
        ('label_replace(rate(foo[1m]), "a", "$1", "b", "(.*)")', 60),
        # subqueries
        ("max_over_time(foo[10m:1m])", 600),
        ("max_over_time(rate(foo[5m])[30m:1m])", 2100),
        ("max_over_time(rate(foo[5m] offset 59s)[30m:1m] offset 2m)", 2279),
        ("max_over_time(rate(foo[5m] offset -1m)[30m:1m] offset 2m)", 2220),
        ("max_over_time((rate(a[1m]) / rate(b[2m]))[10m:])", 720),
        ("max_over_time(min_over_time(rate(a[1m])[2m:])[4m:])", 420),
        ("max_over_time(vector(1)[10m:]) + foo", 0),
        # references: seen only before the fault
        ("foo / foo offset 3m", 0),
        ("foo / foo offset 1w", 0),
        ("rate(foo[1m]) / rate(foo[1h] offset 1w)", 60),
        ("rate(foo[1m]) - avg_over_time(rate(foo[5m])[1h:] offset 1d)", 60),
        ("foo / foo @ 1699999999", 0),
        ("foo / foo @ 1700000000", 0),
        ("rate(foo[1m]) / rate(foo[1h] @ 1600000000 offset 1h)", 60),
        ("rate(foo[1m]) / rate(foo[1h] @ 1700000100 offset 100)", 60),
        ("foo > bool foo @ -5", 0),
        ("foo + max_over_time((foo @ 1600000000)[1h:])", 0),
        ("foo + max_over_time(foo[1h:] @ 1600000000)", 0),
        # offsets add up on the way to a reference, or take it back
        ("foo + max_over_time(foo[1m:] offset 3m)", 0),
        ("foo + max_over_time((foo offset 2m)[1m:] offset 1m)", 0),
        ("foo + max_over_time((foo offset 1w)[1m:] offset -1w)", 604860),
        # the range of a path that sees the present is counted whole, however long it is
        ("rate(foo[1w])", 604800),
        # selectors
        ('{job="x"}', 0),
        ('rate({__name__=~"http_.*_total"}[1m])', 60),
        ('info(rate(foo[1m]), {version=~".+"})', 60),
        # text around it
        ("# about it\n sum( # more\n rate(foo[30s]) )", 30),
        ('rate(foo{path="[5m] offset 1h @ end()"}[30s])', 30),
        ('rate(foo{a="ü漢"}[30s])', 30),
    ],
)
def test_lookback_in_seconds(query: str, expected: float) -> None:
    assert seconds(query) == expected


def test_an_offset_is_a_reference_from_the_length_of_the_window_on() -> None:
    query = "foo / foo offset 3m"
    assert seconds(query, window=180) == 0
    assert seconds(query, window=180.001) == 180
    assert seconds(query, window=0) == 0


def test_a_window_of_nothing_makes_no_reference_of_what_is_now() -> None:
    assert seconds("rate(foo[1m])", window=0) == 60


def test_without_the_time_of_the_fault_a_fixed_time_lies_before_it() -> None:
    assert seconds("foo - foo @ 1900000000", fault=None) == 0
    assert seconds("foo - foo @ 1900000000", fault=FAULT) is None


@pytest.mark.parametrize(
    ("query", "code", "words"),
    [
        ("foo @ end()", "promql/fixed-time", "'@ end()' fixes foo @ end()"),
        ("foo + rate(bar[5m] @ start())", "promql/fixed-time", "bar[5m] @ start()"),
        ("max_over_time(foo[5m:] @ end())", "promql/fixed-time", "the subquery @ end()"),
        ("foo / foo @ 1700000001", "promql/fixed-time", "not before the fault"),
        ("foo / foo @ 1699999999 offset -2", "promql/fixed-time", "@ 1699999999 offset -2s"),
        ("foo offset 1w", "promql/only-past", "foo offset 1w sees only time before the fault"),
        ("foo @ 1600000000", "promql/only-past", "compare the present with it"),
        ("sum(foo offset 3m) > bool 5", "promql/only-past", "foo offset 3m"),
        ("max_over_time(foo[1m:] offset 1h) / (foo @ 5)", "promql/only-past", "foo"),
    ],
)
def test_what_cannot_be_judged_is_refused(query: str, code: str, words: str) -> None:
    found = lookback(query, window=180, fault=FAULT)
    assert found.seconds is None
    assert found.refused
    assert found.code == code
    assert words in found.problem
    assert found.position is not None


def test_a_declared_lookback_does_not_save_a_refused_query() -> None:
    found = slo_lookback(slo("foo @ end()", lookback=30), window=180)
    assert found.refused
    assert found.seconds is None


@pytest.mark.parametrize(
    ("query", "expected", "rules"),
    [
        ("job:x", 60 + 300, [rule("job:x", "sum by (job) (rate(x[5m]))")]),
        ("plain", 30 + 300, [rule("plain", "sum(rate(x[5m]))", 30)]),
        ("job:x", 60, [rule("job:x", "sum(x)")]),
        ("job:x", 60, [rule("job:x", "vector(1)")]),
        ("job:x offset 1m", 60 + 60 + 300, [rule("job:x", "rate(x[5m])")]),
        ("max_over_time(job:x[10m])", 600 + 60 + 300, [rule("job:x", "rate(x[5m])")]),
        ("max_over_time(job:x[10m:])", 600 + 60 + 300, [rule("job:x", "rate(x[5m])")]),
        ('job:x{job="a"}', 60 + 300, [rule("job:x", "rate(x[5m])")]),
        ('{__name__="job:x"}', 60 + 300, [rule("job:x", "rate(x[5m])")]),
        # several rules of one name: the largest, interval and all
        ("job:x", 120 + 290, [rule("job:x", "rate(x[5m])"), rule("job:x", "rate(y[290])", 120)]),
        # rules of rules
        ("a:b", 30 + 60 + 300, [rule("a:b", "sum(job:x)", 30), rule("job:x", "rate(x[5m])")]),
        (
            "a:b",
            30 + 600 + 60 + 300,
            [rule("a:b", "max_over_time(job:x[10m])", 30), rule("job:x", "rate(x[5m])")],
        ),
        ("a:b + foo", 60 + 60 + 60, [rule("a:b", "a:c + a:d"), rule("a:c", "a:d"), rule("a:d", "x")]),
        # references, outside and inside of rules
        ("foo / job:x offset 1h", 0, [rule("job:x", "rate(x[5m])")]),
        ("foo + job:x", 0, [rule("job:x", "x offset 1w")]),
        ("foo + job:x offset 1m", 0, [rule("job:x", "x offset 2m")]),
        ("job:x", 60 + 30, [rule("job:x", "rate(x[30s]) / rate(x[1h] offset 1w)")]),
        # a rule is evaluated at one instant, its start and its end
        ("job:x", 60 + 300, [rule("job:x", "rate(x[5m] @ end())")]),
        ("job:x", 60 + 300, [rule("job:x", "max_over_time(rate(x[5m] @ start())[1h:1m])")]),
        ("job:x offset 1m", 60 + 60 + 300, [rule("job:x", "rate(x[5m] @ end())")]),
        ("foo + job:x offset 3m", 0, [rule("job:x", "rate(x[5m] @ end())")]),
        # names by expression
        ('{__name__=~"job:.*"}', 60 + 600, [rule("job:x", "rate(x[5m])"), rule("job:y", "rate(y[10m])")]),
        ('{__name__=~"job:.*", __name__!="job:y"}', 60 + 300, [rule("job:x", "rate(x[5m])"), rule("job:y", "rate(y[10m])")]),
        ('{__name__=~"http_.*"}', 0, [rule("job:x", "rate(x[5m])")]),
        ('{__name__=~"http_.*|job:x"}', 60 + 300, [rule("job:x", "rate(x[5m])")]),
        ('{__name__!~"job:.*", a="b"}', 0, [rule("job:x", "rate(x[5m])")]),
        # without a name: what the labels leave
        ('{job="a"}', 60 + 300, [rule("all", "sum by (job) (rate(x[5m]))")]),
        ('{job="a"}', 0, [rule("all", "sum by (service) (rate(x[5m]))")]),
        ('{env="dev"}', 0, [rule("all", "sum by (service) (rate(x[5m]))", env="prod")]),
        ('{env="prod"}', 60 + 300, [rule("all", "sum by (service) (rate(x[5m]))", env="prod")]),
        ('{env=~"p.*"}', 60 + 300, [rule("all", "sum(rate(x[5m]))", env="prod")]),
        # what the server's expressions have and Python's have not counts as hit
        ('{__name__=~"[[:alpha:]]+"}', 60 + 300, [rule("all", "sum(rate(x[5m]))")]),
        ('{__name__=~"(?:http|grpc)_.*"}', 0, []),
    ],
)  # fmt: skip
def test_recorded_metrics(query: str, expected: float, rules: list[RecordingRule]) -> None:
    assert seconds(query, rules=tuple(rules)) == expected


@pytest.mark.parametrize(
    ("query", "rules", "problem"),
    [
        (
            "job:x:rate5m",
            [],
            "job:x:rate5m looks like a recording rule that Prometheus does not list; "
            "give the SLO a lookback",
        ),
        ("foo + job:x", [rule("job:y", "x")], "job:x looks like a recording rule"),
        ('{__name__=~"job:.*"}', [], "looks like a recording rule"),
        ("a:b", [rule("a:b", "job:x")], "job:x looks like a recording rule"),
        ("a:b", [rule("a:b", "sum(")], "the recording rule a:b cannot be read: a value is missing"),
        ("a:b", [rule("a:b", "a:b + x")], "the recording rule a:b records itself"),
        ("a:b", [rule("a:b", "a:c"), rule("a:c", "rate(a:b[5m])")], "a:b records itself"),
        ("ALERTS{alertname='x'}", [], "ALERTS comes from alert rules"),
        ("a:b", [rule("a:b", "x @ 1800000000")], "not before the fault"),
    ],
)
def test_what_cannot_be_read_is_left_to_the_slo(
    query: str, rules: list[RecordingRule], problem: str
) -> None:
    found = lookback(query, window=180, rules=rules, fault=FAULT)
    assert found.seconds is None
    assert not found.refused
    assert found.code == "promql/lookback-unknown"
    assert problem in found.problem
    declared = slo_lookback(slo(query, lookback=42), window=180, rules=rules, fault=FAULT)
    assert declared.seconds == 42


def test_an_unlisted_rule_that_is_only_a_reference_does_no_harm() -> None:
    assert seconds("rate(foo[1m]) / job:x offset 1w") == 60


def test_many_rules_on_one_another_are_read_once_each() -> None:
    # Each asks the one before it twice: without memory that is 2^60 paths.
    rules = [rule("r:0", "rate(x[1m])")]
    rules += [rule(f"r:{n}", f"r:{n - 1} + max_over_time(r:{n - 1}[1m])") for n in range(1, 60)]
    assert seconds("r:59", rules=tuple(rules)) == 60 * 60 + 59 * 60 + 60


def test_the_path_that_decides_is_told() -> None:
    rules = [rule("job:x", "rate(x[5m] offset 1m)", 30)]
    found = lookback("rate(foo[1m]) + on () job:x", window=180, rules=rules)
    assert found.through == "job:x (recorded every 30s) of x[5m] offset 1m"
    assert found.position is not None
    assert found.position.column == 23


def test_of_a_pair_the_larger_one_counts() -> None:
    made = pair("sum(rate(x[1m]))", bad='sum(rate(x{code="500"}[2m]))')
    assert slo_lookback(made, window=180).seconds == 120
    swapped = pair("sum(rate(x[2m]))", good='sum(rate(x{code="200"}[1m]))')
    assert slo_lookback(swapped, window=180).seconds == 120


def test_a_declared_lookback_is_for_what_cannot_be_read() -> None:
    assert slo_lookback(slo("rate(x[1m])", lookback=300), window=180).seconds == 60
    assert slo_lookback(guard("rate(x[1m])"), window=180).seconds == 60
    newer = slo("rate(x[5m + 1m])", lookback=300)
    assert slo_lookback(newer, window=180) == Lookback(300.0, through="as declared")
    with pytest.raises(PromqlError, match="cannot be calculated"):
        slo_lookback(slo("rate(x[5m + 1m])"), window=180)
    with pytest.raises(PromqlError, match="never closed"):
        slo_lookback(slo("rate(x[5m]", lookback=300), window=180)


def test_a_query_that_is_wrong_raises() -> None:
    with pytest.raises(PromqlError, match=r"line 1, column 5"):
        lookback("rate(foo[5m]", window=180)


@pytest.mark.parametrize("window", [-1.0, float("nan")])
def test_a_window_must_be_a_length(window: float) -> None:
    with pytest.raises(ValueError, match="a window must be 0 or more seconds"):
        lookback("foo", window=window)
