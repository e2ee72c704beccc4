"""One query over many windows: placeholders are filled, counters wrapped, the rest stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.promql.errors import PromqlError
from sloguard.promql.inspection import inspect
from sloguard.promql.tree import selectors
from sloguard.promql.windowed import one_line, over, quoted, window_text, windowing

COUNTERS = [
    ("x", "rate(x[5m])"),
    ('sum by (a) (x{b=~"5.."})', 'sum by (a) (rate(x{b=~"5.."}[5m]))'),
    ("sum(a) by (b) + sum(c)", "sum(rate(a[5m])) by (b) + sum(rate(c[5m]))"),
    ('a{b="}"} offset 5m', 'rate(a{b="}"}[5m] offset 5m)'),
    ("a offset -5m @ 12", "rate(a[5m] offset -5m @ 12)"),
    ("a @ end() / on () b", "rate(a[5m] @ end()) / on () rate(b[5m])"),
    ('{__name__="a"}', 'rate({__name__="a"}[5m])'),
    ("a # the first\n+ b", "rate(a[5m]) # the first\n+ rate(b[5m])"),
]
FILLED = [
    ("sum(rate(a[{{.window}}]))", "sum(rate(a[5m]))"),
    ("rate(a[{{- .window -}}]) + rate(b[{{ .window }}])", "rate(a[5m]) + rate(b[5m])"),
    ("rate(a[$__rate_interval])", "rate(a[5m])"),
    ("rate(a[${__rate_interval}])", "rate(a[5m])"),
]
KEPT = ["rate(a[1m])", "avg_over_time(a[10m])", "max_over_time(a[1h:1m])", "sum(up)", "vector(1)"]


@pytest.mark.parametrize(("query", "expected"), COUNTERS)
def test_a_counter_is_rated_before_it_is_summed(query: str, expected: str) -> None:
    assert windowing(query, counter=True) == "counter"
    assert over(query, "5m", counter=True) == expected
    assert over(query, "5m", counter=False) == query


@pytest.mark.parametrize(("query", "expected"), FILLED)
def test_a_placeholder_is_filled_whatever_is_counted(query: str, expected: str) -> None:
    for counter in (True, False):
        assert windowing(query, counter=counter) == "placeholder"
        assert over(query, "5m", counter=counter) == expected


@pytest.mark.parametrize("query", KEPT)
def test_a_query_with_its_own_range_or_no_counter_stays(query: str) -> None:
    assert over(query, "5m", counter="up" not in query) == query


@pytest.mark.parametrize(
    "query", ["sum(", "rate(a[{{.windw}}])", "rate(a[$window])", "rate(a[{{.window}}m])"]
)
def test_what_is_no_promql_is_refused(query: str) -> None:
    with pytest.raises(PromqlError):
        over(query, "5m", counter=True)


@given(st.sampled_from([q for q, _ in COUNTERS]), st.integers(1, 40_000))
def test_every_selector_gets_the_window(query: str, minutes: int) -> None:
    found = selectors(inspect(over(query, f"{minutes}m", counter=True)).tree)
    assert {selector.range for selector in found} == {minutes * 60}
    assert len(found) == len(selectors(inspect(query).tree))


@pytest.mark.parametrize("query", [q for q, _ in COUNTERS])
def test_one_line_says_the_same(query: str) -> None:
    line = one_line(query)
    assert "\n" not in line
    assert "#" not in line
    assert inspect(f"({line}) * 1").selections == inspect(query).selections


@given(st.text())
def test_a_quoted_text_is_read_back(text: str) -> None:
    (selection,) = inspect(f"x{{a={quoted(text)}}}").selections
    assert selection.matchers == (("a", "=", text),)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(300, "5m"), (5400, "90m"), (86400, "1d"), (28 * 86400, "28d"), (90, "90s"), (0.5, "500ms")],
)
def test_windows_are_named_as_people_do(seconds: float, text: str) -> None:
    assert window_text(seconds) == text
