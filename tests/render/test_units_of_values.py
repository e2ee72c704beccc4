"""Which unit an SLO's values have, and how axes and long names are written in it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.render.units import (
    axis_unit,
    format_count,
    format_duration,
    format_time,
    format_value,
    nice_step,
    shorten_middle,
    unit_of,
)
from tests.support.charting import rule, slo


@pytest.mark.parametrize(
    ("objective", "query", "unit"),
    [
        ("< 1%", "x", "%"),
        ("<= 300ms", "x", "ms"),
        ("< 2GiB", "x", "GiB"),
        ("< 5", "histogram_quantile(0.9, sum by (le) (rate(a_seconds_bucket[1m])))", "s"),
        ("< 5", "rate(a_seconds_sum[1m]) / rate(a_seconds_count[1m])", "s"),
        ("< 5", "process_resident_memory_bytes{pod=~'a.*'}", "MiB"),
        ("< 5", "max by (pod) (process_resident_memory_bytes)", "MiB"),
        ("< 5", "job:errors:ratio", ""),
        ("< 5", "node_cpu_ratio", "%"),
        ("< 5", "kafka_lag_seconds", "s"),
        # A rate of seconds is cores; of bytes, bytes a second; a quotient has no unit.
        ("< 5", "rate(process_cpu_seconds_total[1m])", ""),
        ("< 5", "rate(received_bytes[1m])", ""),
        ("< 5", "a_bytes / b_bytes", ""),
        ("< 5", "count(up_seconds)", ""),
        # Names in label values, comments and groupings are nobody's unit.
        ("< 5", 'queue{metric="a_seconds"} # b_bytes', ""),
        ("< 5", "sum by (le_seconds) (queue)", ""),
    ],
)
def test_the_unit_comes_from_the_objective_else_from_the_query(
    objective: str, query: str, unit: str
) -> None:
    assert unit_of(slo(objective, pair=False, query=query)) == unit


def test_a_pair_is_a_share_and_a_phase_may_say_what_the_whole_does_not() -> None:
    assert unit_of(slo("< 0.01")) == "%"
    declared = slo("<= baseline + 10%", pair=False, query="x", during=rule("<= baseline + 50ms"))
    assert unit_of(declared) == "ms"


@pytest.mark.parametrize(
    ("unit", "ticks", "labels"),
    [
        ("%", [0.0, 0.05, 0.1], ["0%", "5%", "10%"]),
        ("%", [0.0, 0.0005, 0.001], ["0%", "0.05%", "0.10%"]),
        ("ms", [0.0, 0.1, 0.2], ["0", "100ms", "200ms"]),
        ("s", [0.0, 0.5, 1.0, 1.5], ["0", "0.5s", "1.0s", "1.5s"]),
        ("s", [0.0, 0.0002, 0.0004], ["0", "200µs", "400µs"]),
        ("s", [0.0, 600.0, 1200.0], ["0", "10m", "20m"]),
        ("s", [0.0, 60.0, 120.0], ["0", "60s", "120s"]),
        ("MB", [0.0, 5e8, 1e9], ["0", "0.5GB", "1.0GB"]),
        ("GiB", [0.0, 512.0 * 2**20], ["0", "512MiB"]),
        ("", [0.0, 5000.0], ["0", "5,000"]),
        ("", [0.0, 50_000.0], ["0", "50k"]),
        ("", [0.0, 2_500_000.0, 5_000_000.0], ["0", "2.5M", "5.0M"]),
        ("", [-1.0, 0.0, 1.0], ["-1", "0", "1"]),
        ("", [0.0, 1e-7], ["0", "1e-07"]),
    ],
)
def test_ticks_share_a_unit_and_their_decimals(
    unit: str, ticks: list[float], labels: list[str]
) -> None:
    assert axis_unit(unit, max(abs(t) for t in ticks)).write(ticks) == labels


@given(
    largest=st.floats(1e-12, 1e14),
    unit=st.sampled_from(["", "%", "ms", "MB", "MiB"]),
    count=st.integers(2, 12),
)
def test_no_two_ticks_have_the_same_label(largest: float, unit: str, count: int) -> None:
    written = axis_unit(unit, largest)
    step = nice_step(largest, count, written)
    assert largest / step <= count * (1 + 1e-6)
    labels = written.write([k * step for k in range(count + 1)])
    assert len(set(labels)) == len(labels)


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_shortened_name_keeps_both_ends(text: str, longest: int) -> None:
    short = shorten_middle(text, longest)
    assert len(short) <= max(longest, 2)
    if len(text) <= longest:
        assert short == text
    elif longest > 3:
        assert short.startswith(text[0])
        assert short.endswith(text[-1])
        assert "…" in short


def test_values_and_times_are_those_of_the_reasons() -> None:
    assert format_value(0.124, "%") == "12.4%"
    assert format_value(0.31, "ms") == "310ms"
    assert format_value(float("inf"), "%") == "+Inf"
    assert format_duration(90) == "1m30s"
    assert format_time(1767276155.0) == "14:02:35Z"
    assert format_count(1990) == "1,990"
