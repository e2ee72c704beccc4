"""Findings: each code with queries that deserve it and queries that do not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sloguard.ports import RecordingRule
from sloguard.promql import lint as lint_module
from sloguard.promql.findings import CODES, Finding, Severity
from sloguard.promql.outline import outline
from sloguard.promql.parse import MAX_LEVELS
from tests.promql.test_promql_parse import KINDS, deep
from tests.support.promql_slos import codes, findings, guard, pair, slo


def rule(name: str, expr: str, interval: float = 60.0) -> RecordingRule:
    return RecordingRule(name, expr, interval, {})


def only(found: list[Finding]) -> Finding:
    assert len(found) == 1, found
    return found[0]


QUIET = [
    "sum by (service) (rate(http_requests_total[1m]))",
    "histogram_quantile(0.99, sum by (le, service) (rate(d_seconds_bucket[1m])))",
    "histogram_quantile(0.99, sum without (instance) (rate(d_seconds_bucket[1m])))",
    "histogram_quantile(0.99, sum(rate(native_seconds[1m])))",
    'sum(up{job="checkout"})',
    "up == bool 1",
    "rate(d_seconds_sum[1m]) / rate(d_seconds_count[1m])",
    "avg_over_time(temperature_celsius[5m])",
    "rate(envoy_cluster_upstream_rq[1m])",
    "rate(process_cpu_seconds_total[1m])",
    "count(http_requests_total)",
    "http_requests_total - http_requests_total offset 5m",
    "max_over_time(sum(rate(foo_total[1m]))[5m:30s])",
    "sum(rate(a_total[1m]) > bool 0)",
    "time() - max(last_success_timestamp_seconds)",
    "absent(up) or vector(0)",
    "rate(foo_total[1m]) / rate(foo_total[1h] offset 1w)",
    '(sum(rate(x_total{code="500"}[1m])) or vector(0)) / sum(rate(x_total[1m]))',
    'sum(rate(d_bucket{le="0.3"}[1m])) / sum(rate(d_bucket{le="+Inf"}[1m]))',
    "node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
    "vector(1)",
]


@pytest.mark.parametrize("query", QUIET)
def test_a_sound_query_raises_nothing(query: str) -> None:
    assert codes(query, scrape_interval=15.0, kills_pods=True) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        # what cannot be judged
        ("sum(", "syntax"),
        ("rate(foo_total[5m + 1m])", "unsupported"),
        ("foo[5m]", "not-a-vector"),
        ('"text"', "not-a-vector"),
        ("foo @ end()", "fixed-time"),
        ("foo + foo @ start()", "fixed-time"),
        ("foo offset 1w", "only-past"),
        ("job:x:rate5m", "lookback-unknown"),
        # counters
        ("rate(sum(foo_total)[5m:])", "rate-of-sum"),
        ("sum(increase(max by (a) (foo_total)[5m:30s]))", "rate-of-sum"),
        ("rate(up[5m])", "rate-of-gauge"),
        ("sum(rate(http_requests_in_flight[5m]))", "rate-of-gauge"),
        ("sum(http_requests_total)", "counter-without-rate"),
        (
            "histogram_quantile(0.9, sum by (le) (d_seconds_bucket))",
            "counter-without-rate",
        ),
        ("histogram_quantile(0.9, sum(rate(d_bucket[5m])))", "quantile-without-le"),
        ("histogram_quantile(0.9, sum by (a) (rate(d_bucket[5m])))", "quantile-without-le"),
        ("histogram_quantile(0.9, sum without (le) (rate(d_bucket[5m])))", "quantile-without-le"),
        # ratios
        (
            'sum(rate(x_total{code=~"5.."}[1m])) / sum(rate(x_total[1m]))',
            "ratio-not-a-pair",
        ),
        (
            '1 - sum(rate(x_total{code!~"5.."}[1m])) / sum(rate(x_total[1m]))',
            "ratio-not-a-pair",
        ),
        (
            'clamp_max(sum(rate(x_total{a="b",c="d"}[1m])) / sum(rate(x_total{a="b"}[1m])), 1)',
            "ratio-not-a-pair",
        ),
        ("sum(rate(x_errors_total[1m])) / sum(rate(x_requests_total[1m]))", "ratio-not-a-pair"),
        ("count(up == 0) / count(up)", "ratio-not-a-pair"),
        # series that come and go
        ("foo > 5", "filter"),
        ("5 < foo", "filter"),
        ("abs(foo > 5) * 100", "filter"),
        ("foo and on (a) bar", "filter"),
        ("foo unless bar", "filter"),
        ("topk(3, foo)", "ranking"),
        ("round(bottomk(3, foo))", "ranking"),
        ("limitk(3, foo)", "ranking"),
        ("absent(up)", "absent"),
        ("absent_over_time(up[5m]) * 2", "absent"),
        # the rest
        ('foo{job="pushgateway"}', "pushed"),
        ('foo{instance=~"push-gateway.*"}', "pushed"),
        ("push_time_seconds", "pushed"),
        ("foo offset -5m", "negative-offset"),
        ("max_over_time(foo[5m:] offset -5m)", "negative-offset"),
    ],
)
def test_a_query_that_misleads_is_told(query: str, code: str) -> None:
    assert codes(query) == [code]


@pytest.mark.parametrize(
    "query",
    [
        "sum(foo > 5)",
        "sum(topk(3, foo))",
        "(foo > 5) or vector(0)",
        "count(absent(foo)) or vector(0)",
        'time() - push_time_seconds{job="x"}',
        'rate(foo_total{job="pushgateway"}[5m])',
        'foo{job!="pushgateway"}',
        'sum(foo{code="500"}) / ignoring (code) fill (0) sum(foo)',
    ],
)
def test_what_only_looks_like_it_is_left_alone(query: str) -> None:
    assert codes(query) == []


def test_errors_and_warnings() -> None:
    severities = {
        f.code: f.severity
        for query in ("sum(", "foo[5m]", "foo @ end()", "foo offset 1w", "job:x", "foo > 5")
        for f in findings(query)
    }
    assert severities == {
        "promql/syntax": Severity.ERROR,
        "promql/not-a-vector": Severity.ERROR,
        "promql/fixed-time": Severity.ERROR,
        "promql/only-past": Severity.ERROR,
        "promql/lookback-unknown": Severity.WARNING,
        "promql/filter": Severity.WARNING,
    }


def test_a_finding_reads_as_a_line() -> None:
    (found,) = findings("sum(rat(foo[5m]))")
    assert str(found) == (
        "error: query, line 1, column 5: unknown function 'rat'; did you mean 'rate'? [promql/syntax]"
    )
    (found,) = findings(slo("rate(foo_total[1m])", lookback=30))
    assert str(found).startswith("warning: lookback 30s is declared")


def test_all_of_a_query_is_told_in_the_order_of_its_text() -> None:
    found = findings("rate(up[5m]) > sum(foo_total) offset 0 + topk(1, a)")
    assert [f.code for f in found] == ["promql/syntax"]
    found = findings("rate(up[5m]) > (sum(foo_total) + topk(1, a))")
    assert [f.code for f in found] == [
        "promql/rate-of-gauge",
        "promql/filter",
        "promql/ranking",
    ]
    places = [f.position.offset for f in found if f.position]
    assert places == sorted(places)


class TestLookback:
    """Lookback, step and hold against the phases."""

    def test_longer_than_the_fault(self) -> None:
        found = only(findings("rate(foo_total[5m])", during=60))
        assert found.code == "promql/lookback-over-during"
        assert "lookback 5m is longer than the 1m fault: it averages the fault away" in str(found)

    def test_as_long_as_the_fault(self) -> None:
        found = only(findings("rate(foo_total[1m])", during=60, scrape_interval=5))
        assert "lookback 1m is as long as the 1m fault" in found.message

    @pytest.mark.parametrize(
        ("lookback", "step", "during", "told"),
        [
            # The oldest point of a fault of 60 s is 55 s old at a step of 5 s.
            ("55s", 5, 60, False),
            ("56s", 5, 60, True),
            ("30s", 15, 60, False),
            ("50s", 15, 60, True),
            ("1s", 60, 60, True),
            ("1s", 30, 60, False),
            ("1s", 30, 30, True),
            ("1s", 30, 31, False),
        ],
    )
    def test_a_point_must_be_old_enough(
        self, lookback: str, step: float, during: float, told: bool
    ) -> None:
        made = slo(f"rate(foo_total[{lookback}])", step=step)
        assert codes(made, during=during) == (["lookback-over-during"] if told else [])

    def test_a_step_that_is_too_long(self) -> None:
        found = only(findings(slo("foo", step=60), during=60))
        assert "a step of 1m is too long for the 1m fault" in found.message

    def test_the_step_is_the_scrape_interval_or_the_default(self) -> None:
        assert codes("foo", during=20, scrape_interval=5) == []
        assert codes("foo", during=20, scrape_interval=60) == ["lookback-over-during"]
        assert codes("foo", during=15) == ["lookback-over-during"]
        assert codes("foo", during=15, default_step=5) == []

    def test_the_larger_query_of_a_pair_counts(self) -> None:
        made = pair("sum(rate(foo_total[30s]))", bad='sum(rate(foo_total{a="b"}[5m]))')
        assert "lookback-over-during" in codes(made, during=60)

    def test_a_phase_of_no_length_is_not_judged(self) -> None:
        assert codes("rate(foo_total[5m])", during=0, after=0) == []

    @pytest.mark.parametrize(
        ("after", "hold", "told"),
        [(60, 30, False), (59, 30, True), (44, None, True), (45, None, False)],
    )
    def test_after_holds_lookback_and_hold(
        self, after: float, hold: float | None, told: bool
    ) -> None:
        made = slo("rate(foo_total[30s])", hold=hold, step=5)
        assert codes(made, after=after) == (["after-too-short"] if told else [])

    def test_after_says_its_sum(self) -> None:
        found = only(findings(slo("rate(foo_total[30s])", step=5), after=40))
        assert "after is 40s, shorter than lookback 30s + hold 15s" in found.message
        assert found.hint == "let after be 45s or longer"

    def test_a_late_recovery_must_be_seen_to_hold(self) -> None:
        made = slo("rate(foo_total[30s])", recover_within=60, hold=15)
        found = only(findings(made, after=70))
        assert "recover_within 1m + hold 15s" in found.message
        assert codes(made, after=75) == []

    def test_an_unlisted_rule(self) -> None:
        unasked = only(findings("job:x"))
        assert unasked.severity is Severity.WARNING
        assert "check against Prometheus" in unasked.hint
        asked = only(findings("job:x", rules=[]))
        assert asked.severity is Severity.ERROR
        assert codes("job:x", rules=[rule("job:x", "rate(x_total[5m])")]) == []
        assert codes("job:x", rules=[rule("job:x", "rate(x[5m])")], during=120) == [
            "lookback-over-during"
        ]

    def test_a_declared_lookback(self) -> None:
        assert codes(slo("job:x", lookback=30), rules=[]) == []
        assert codes(slo("job:x", lookback=300), rules=[], during=60) == ["lookback-over-during"]
        assert codes(slo("rate(foo_total[1m])", lookback=60)) == []
        assert codes(slo("rate(foo_total[1m])", lookback=30)) == ["lookback-unused"]

    def test_a_declared_lookback_serves_a_query_beyond_the_parser(self) -> None:
        found = findings(slo("rate(foo_total[5m + 1m])", lookback=360), during=60)
        assert [(f.code, f.severity) for f in found] == [
            ("promql/unsupported", Severity.WARNING),
            ("promql/lookback-over-during", Severity.WARNING),
        ]

    def test_a_guard_has_no_phases(self) -> None:
        assert codes(guard("rate(foo_total[5m])"), during=60, after=1) == []
        assert codes(guard("job:x"), rules=[]) == []
        assert codes(guard("foo @ end()")) == ["fixed-time"]
        assert codes(guard("sum(")) == ["syntax"]
        assert codes(guard("foo > 5")) == ["filter"]


class TestScrapes:
    """A range against the scrape interval."""

    @pytest.mark.parametrize(
        ("query", "interval", "told"),
        [
            ("rate(foo_total[60s])", 15, False),
            ("rate(foo_total[59s])", 15, True),
            ("rate(foo_total[59s])", None, False),
            ("avg_over_time(foo[30s])", 15, True),
            ("last_over_time(foo[30s])", 15, False),
            ("count_over_time(foo[30s])", 15, False),
            ("foo", 15, False),
        ],
    )
    def test_four_samples(self, query: str, interval: float | None, told: bool) -> None:
        expected = ["lookback-under-scrapes"] if told else []
        assert codes(query, scrape_interval=interval) == expected

    def test_each_range_is_told_by_itself(self) -> None:
        query = "rate(a_total[10s]) + rate(b_total[5m]) + rate(c_total[20s])"
        found = findings(query, scrape_interval=15)
        assert [f.position.column for f in found if f.position] == [6, 47]

    def test_a_recorded_metric_is_sampled_by_its_group(self) -> None:
        rules = [rule("job:x", "sum by (job) (x)", 60)]
        query = "avg_over_time(job:x[2m])"
        found = only(findings(query, scrape_interval=5, rules=rules))
        assert "4 times the rule interval of 1m" in found.message
        assert found.hint == "write [4m] or more"


def test_a_rate_of_a_recorded_sum() -> None:
    rules = [rule("job:x:sum", "sum by (job) (x_total)"), rule("job:y", "y_total")]
    assert codes("rate(job:x:sum[5m])", rules=rules) == ["rate-of-sum"]
    assert codes("rate(job:y[5m])", rules=rules) == []


def test_by_what_the_method_kills() -> None:
    by_pod = 'sum by (service, pod) (rate(http_requests_total{a="b"}[1m]))'
    found = only(findings(by_pod, kills_pods=True))
    assert found.code == "promql/by-killed-label"
    assert "by (pod)" in found.message
    assert codes(by_pod, kills_pods=False) == []
    assert codes("sum by (instance) (up)", kills_pods=True) == ["by-killed-label"]
    assert codes("rate(http_requests_total[1m])", kills_pods=True) == []
    assert codes("sum(sum by (pod) (foo))", kills_pods=True) == []


def test_jobs_that_are_known_to_be_pushed() -> None:
    assert codes('foo{job="backup"}', pushed_jobs={"backup"}) == ["pushed"]
    assert codes('foo{job="shop"}', pushed_jobs={"backup"}) == []


class TestUnits:
    """Objectives against what the values are."""

    @pytest.mark.parametrize(
        ("query", "objective", "told"),
        [
            ("avg(latency_ms)", "<= 300ms", True),
            ("avg(latency_ms)", "<= 300", False),
            ("avg(latency_ms) / 1000", "<= 300ms", False),
            ("avg(latency_ms) * 0.001", "<= 300ms", False),
            ("avg(latency_ms) / 1e3", "<= 0.3s", False),
            ("avg(latency_seconds)", "<= 300ms", False),
            ("avg(latency_microseconds)", "between 1ms and 2ms", True),
            ("avg(latency_ms)", "<= baseline + 50ms", True),
            ("avg(latency_ms)", "<= baseline + 50%", False),
            ("sum(rate(latency_ms_count[5m]))", "<= 1s", False),
            ("avg(items)", "<= 1s", False),
            ("avg(rooms)", "<= 1s", False),
        ],
    )
    def test_time(self, query: str, objective: str, told: bool) -> None:
        assert codes(slo(query, objective)) == (["time-unit"] if told else [])

    @pytest.mark.parametrize(
        "metric",
        [
            "istio_request_duration_milliseconds_bucket",
            "envoy_cluster_upstream_rq_time_bucket",
            "http_ms_bucket",
        ],
    )
    def test_histograms_in_milliseconds(self, metric: str) -> None:
        query = f"histogram_quantile(0.99, sum by (le) (rate({metric}[5m])))"
        found = only(findings(slo(query, "<= 300ms")))
        assert found.message == f"'<= 300ms' is read in seconds, and {metric} is in milliseconds"
        assert found.hint == "divide the query by 1000"

    def test_the_objective_of_a_phase_counts_too(self) -> None:
        assert codes(slo("avg(latency_ms)", "<= 300", during="<= 1s")) == ["time-unit"]

    @pytest.mark.parametrize(
        ("query", "observed", "told"),
        [
            ("foo_ratio", None, False),
            ("foo_ratio", (0.0, 1.0), False),
            ("foo_ratio", (0.0, 37.5), True),
            ("100 * a / b", None, True),
            ("a / b * 100", None, True),
            ("a * 100 / b / 100", None, False),
            ("cpu_percent", None, True),
            ("cpu_percent / 100", None, False),
        ],
    )
    def test_percent(self, query: str, observed: tuple[float, float] | None, told: bool) -> None:
        expected = ["percent"] if told else []
        assert codes(slo(query, "< 5%"), observed=observed) == expected
        assert codes(slo(query, "< 5"), observed=observed) == []
        assert codes(slo(query, "<= baseline + 50%"), observed=observed) == []

    def test_percent_says_both_numbers(self) -> None:
        found = only(findings(slo("a / b", "< 5%"), observed=(0.1, 37.5)))
        assert found.message == "'< 5%' means 0.05 of 1, but the query answers values up to 37.5"

    @pytest.mark.parametrize(
        ("objective", "told"),
        [
            ("< 5%", False),
            ("< 0.05", False),
            ("<= 100%", True),
            ("< 100%", False),
            ("< 5", True),
            ("<= 300ms", True),
            ("< 1MB", True),
            ("<= baseline + 5%", False),
        ],
    )
    def test_shares_of_a_pair(self, objective: str, told: bool) -> None:
        made = pair("sum(rate(x_total[1m]))", objective, bad='sum(rate(x_total{a="b"}[1m]))')
        assert codes(made, observed=(0.0, 50.0)) == (["pair-unit"] if told else [])

    def test_a_forgotten_percent_is_suggested(self) -> None:
        made = pair("sum(rate(x_total[1m]))", "< 5", bad='sum(rate(x_total{a="b"}[1m]))')
        assert only(findings(made)).hint == "did you mean '< 5%'?"


class TestPairs:
    """Whether the series of a pair can meet."""

    @pytest.mark.parametrize(
        ("bad", "total", "severity"),
        [
            ("sum by (service, code) (b)", "sum by (service) (t)", Severity.ERROR),
            ("sum by (service) (b)", "sum(t)", Severity.ERROR),
            ("sum(b)", "sum by (service) (t)", Severity.ERROR),
            ("sum by (service) (b)", "t", Severity.WARNING),
            ("sum without (pod) (b)", "t", Severity.WARNING),
            ("sum by (a) (b) / on (b) c", "sum by (a) (t)", Severity.WARNING),
            ("sum by (service) (b)", "sum by (service) (t)", None),
            ("b", "t", None),
            ("sum(b)", "sum(t)", None),
            ("sum by (service) (b)", "sum without (pod) (t)", None),
            ("sum by (a) (b) or vector(0)", "sum by (a) (t)", None),
        ],
    )
    def test_grouping(self, bad: str, total: str, severity: Severity | None) -> None:
        found = findings(pair(total, bad=bad))
        if severity is None:
            assert found == []
            return
        told = only(found)
        assert (told.code, told.role, told.severity) == ("promql/pair-grouping", "bad", severity)

    def test_both_groupings_are_named(self) -> None:
        made = pair("sum by (service) (t)", good="sum by (service, code) (b)")
        assert (
            "'good' has by (code, service) and 'total' has by (service)"
            in only(findings(made)).message
        )

    def test_a_comparison_in_a_part_is_read_as_none(self) -> None:
        found = only(findings(pair("sum(t)", bad="sum(b) > 0")))
        assert found.code == "promql/filter"
        assert "counts as 0 bad" in found.message

    def test_a_ratio_within_a_pair_is_not_asked_to_be_a_pair(self) -> None:
        assert "ratio-not-a-pair" not in codes(pair("sum(t)", bad='sum(b{a="b"}) / sum(b)'))

    def test_good_is_suggested_for_a_lower_bound(self) -> None:
        query = 'sum(rate(x_total{a="b"}[1m])) / sum(rate(x_total[1m]))'
        assert "'good:' is the top" in only(findings(slo(query, ">= 99%"))).hint
        assert "'bad:' is the top" in only(findings(slo(query, "< 1%"))).hint


def test_a_guard_may_be_a_ratio_that_is_empty_while_all_is_well() -> None:
    query = 'sum(rate(x_total{code=~"5.."}[15s])) / sum(rate(x_total[15s]))'
    assert codes(guard(query, "< 50%")) == []
    assert codes(guard(query, "> 50%")) == ["ratio-not-a-pair"]


def test_what_the_manual_shows_is_sound() -> None:
    errors = pair(
        "sum by (service) (rate(http_requests_total[30s]))",
        "< 1%",
        during="< 5%",
        bad='sum by (service) (rate(http_requests_total{code=~"5.."}[30s]))',
        recover_within=60.0,
    )
    latency = slo(
        "histogram_quantile(0.99, sum by (le, service) (rate(http_request_duration_seconds_bucket[30s])))",
        "<= 300ms",
        during="<= baseline + 50%",
    )
    replicas = slo('sum(up{job="checkout"})', ">= 3", during=">= 2")
    for made in (errors, latency, replicas):
        found = codes(
            made,
            during=60,
            after=120,
            scrape_interval=5,
            kills_pods=True,
            rules=[],
            observed=(0, 1),
        )
        assert found == []


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "open"])
def test_the_deepest_query_that_is_read_is_checked_too(kind: str) -> None:
    levels = max(n for n in range(1, MAX_LEVELS + 2) if outline(deep(kind, n)).levels <= MAX_LEVELS)
    assert "syntax" not in codes(deep(kind, levels))
    assert codes(deep(kind, levels + 1)) == ["syntax"]


def test_every_code_is_in_the_table_and_used() -> None:
    room = Path(lint_module.__file__).parent
    used = set()
    for source in room.glob("*.py"):
        if source.name != "findings.py":
            used |= set(re.findall(r'"(promql/[a-z-]+)"', source.read_text()))
    assert used == set(CODES)
    assert all(text.endswith(".") and "\n" not in text for text in CODES.values())


def test_a_code_outside_of_the_table_cannot_be_told() -> None:
    with pytest.raises(ValueError, match="no code 'promql/new'"):
        Finding("promql/new", Severity.WARNING, "it")
