"""What is read, what is refused, where it goes wrong, and that nothing takes the process with it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.promql import parse as parse_module
from sloguard.promql.errors import PromqlError, position_at
from sloguard.promql.outline import outline
from sloguard.promql.parse import MAX_LEVELS, parse
from sloguard.promql.tree import (
    Aggregate,
    Binary,
    Call,
    Number,
    Selector,
    Subquery,
    Text,
    selectors,
    walk,
)

ACCEPTED = [
    "foo",
    'foo{a="b", c!="d", e=~"f.*", g!~"h"}',
    '{__name__="foo"}',
    '{__name__=~"foo|bar", job="x"}',
    '{"foo.bar", "a.b"="c"}',
    "foo{a='b'}",
    "foo{a=`b`,}",
    'foo{a="ü – 漢字"}',
    'foo{a="# no comment"} # a comment',
    "foo # a comment\n  + # another\n bar",
    'foo{a="b\\"}c"}',
    "rate(foo[1m30s])",
    "rate(foo[90])",
    "rate(foo[500ms])",
    "rate(foo[5m] offset 1h)",
    "rate(foo[5m] offset -1h)",
    "rate(foo[5m] OFFSET 1w)",
    "foo offset 1h @ 1609746000",
    "foo @ 1609746000.123 offset 1h",
    "foo @ -100",
    "foo @ 1.6e9",
    "foo @ start()",
    "rate(foo[5m] @ end())",
    "max_over_time(rate(foo[5m])[30m:1m])",
    "max_over_time(rate(foo[5m])[30m:] offset 1h)",
    "max_over_time(foo[30m : 1m] @ 5)",
    "max_over_time((foo + bar)[30m:30s] @ start() offset -5m)",
    "sum by (a, b) (foo)",
    "sum(foo) by (a,)",
    "SUM WITHOUT (a) (foo)",
    'sum by ("a.b", c) (foo)',
    "sum by () (foo)",
    "sum by (on, by, bool) (foo)",
    "topk(5, foo)",
    "limitk(5, foo)",
    "limit_ratio(0.5, foo)",
    "quantile by (a) (0.9, foo)",
    'count_values("v", foo)',
    "foo > 5",
    "foo > bool bar",
    "foo > on (a) group_left (b) bar",
    "foo * on () group_left bar",
    "foo / ignoring (a) group_right (b) bar",
    "foo + on (a) fill (0) bar",
    "foo and bar or baz unless qux",
    "foo atan2 bar",
    "-foo ^ 2 ^ 3 % 4",
    "foo - - bar + +baz",
    "sum(a) / (sum(b) * 100)",
    "1 > bool 2",
    "5m + 1_000 + 0x1F + 1e3 + .5 + Inf + nan",
    '"text"',
    "vector(1)",
    "time() - timestamp(foo)",
    "hour()",
    "absent_over_time(foo[5m])",
    "histogram_quantile(0.99, sum by (le) (rate(foo_bucket[5m])))",
    "histogram_avg(rate(foo[5m]))",
    "histogram_fraction(0, 0.2, rate(foo[5m]))",
    'histogram_quantiles(foo, "q", 0.5, 0.9)',
    "holt_winters(foo[5m], 0.1, 0.2)",
    "double_exponential_smoothing(foo[5m], 0.1, 0.2)",
    "xincrease(foo[5m])",
    "ts_of_max_over_time(foo[5m])",
    'label_replace(foo, "a", "$1", "b", "(.*)")',
    'sort_by_label(foo, "a", "b")',
    'info(rate(foo[5m]), {version=~".+"})',
    "sum + count + offset",
    "sum{a='b'}",
    "by + without",
    ":odd:name",
    "rate(count[5m])",
]


@pytest.mark.parametrize("query", ACCEPTED)
def test_what_servers_accept_is_read_with_every_position(query: str) -> None:
    tree = parse(query)
    assert outline(query).trouble is None
    placed = (Selector, Call, Aggregate, Binary, Subquery)
    assert all(n.position is not None for n in walk(tree) if isinstance(n, placed))


@pytest.mark.parametrize(
    ("query", "line", "column", "words"),
    [
        ("", 1, 1, "empty"),
        ("   # just a comment", 1, 20, "empty"),
        ("sum(rate(foo[5m])", 1, 4, "never closed"),
        ("sum(foo))", 1, 9, "never opened"),
        ("foo[5m", 1, 4, "never closed"),
        ('foo{a="b"', 1, 4, "never closed"),
        ('foo{a="b}', 1, 7, "string is never closed"),
        ("foo bar", 1, 5, "found 'bar'"),
        ("foo +\n  * bar", 2, 3, "found '*'"),
        ("foo +", 1, 6, "a value is missing"),
        ("ü", 1, 1, "found 'ü'"),
        ("foo{ü='x'}", 1, 5, "a label name"),
        ("rate(foo[$__rate_interval])", 1, 10, "variables of a dashboard"),
        ("rate(foo[{{ window }}])", 1, 10, "variables of a template"),
        ("rate(foo[5x])", 1, 10, "neither a number nor a duration"),
        ("rate(foo[])", 1, 10, "such as [1m]"),
        ("foo{a}", 1, 6, 'label="value"'),
        ("foo{a=b}", 1, 7, 'write "b"'),
        ('foo{a=="b"}', 1, 6, "write '='"),
        ("foo = 5", 1, 5, "'=='"),
        ("foo && bar", 1, 5, "'and'"),
        ("foo || bar", 1, 5, "'or'"),
        ("foo;", 1, 4, "one expression"),
        ("foo, bar", 1, 4, "one expression"),
        ("foo\u00a0+ bar", 1, 4, "no-break space"),
        ("sum by a (foo)", 1, 8, "parentheses: by (service)"),
        ("foo offset", 1, 5, "such as offset 1h"),
        ("foo @ tomorrow", 1, 7, "seconds since 1970"),
        ("sum(\n  rat(foo[5m]))", 2, 3, "did you mean 'rate'"),
        ("rate(foo)", 1, 1, "rate(metric[1m])"),
        ("rate(sum(foo))", 1, 1, "sum(rate(metric[1m]))"),
        ("rate(foo[5m], 3)", 1, 1, "1 argument(s)"),
        ('foo{a=~"["}', 1, 8, "not a regular expression"),
    ],
)
def test_an_error_says_where_and_what_instead(
    query: str, line: int, column: int, words: str
) -> None:
    with pytest.raises(PromqlError) as caught:
        parse(query)
    error = caught.value
    assert error.position is not None, error
    assert (error.position.line, error.position.column) == (line, column), error
    assert error.position == position_at(query, error.position.offset)
    assert words in str(error)
    assert f"line {line}, column {column}" in str(error)


@pytest.mark.parametrize(
    "query",
    [
        "{}",
        '{a=""}',
        "sum(foo[5m])",
        "foo[5m] + 1",
        "1 > 2",
        "foo or 1",
        "rate(foo[0s])",
        "rate(foo[99999999999999y])",
        "rate(foo[400000000y])",
        "foo @ Inf",
        "foo offset 1m offset 2m",
        "foo[5m:1m][5m:1m]",
        "bool",
    ],
)
def test_what_the_parser_refuses_is_an_error_without_a_guessed_place(query: str) -> None:
    with pytest.raises(PromqlError) as caught:
        parse(query)
    assert caught.value.message


@pytest.mark.parametrize(
    "query",
    [
        "rate(foo[5m + 1m])",
        "rate(foo[step()])",
        "foo offset (2 * 5m)",
        "rate(foo_total[5m] anchored)",
        "rate(foo_total[5m] smoothed)",
        "foo </ 5",
        "quite_new_function(foo[5m])",
    ],
)
def test_what_is_newer_than_the_parser_is_told_apart(query: str) -> None:
    with pytest.raises(PromqlError) as caught:
        parse(query)
    assert caught.value.unsupported
    assert caught.value.position is not None


def test_a_typo_is_not_taken_for_something_new() -> None:
    with pytest.raises(PromqlError) as caught:
        parse("increas(foo[5m])")
    assert not caught.value.unsupported
    assert caught.value.hint == "did you mean 'increase'?"


@pytest.mark.parametrize("value", [None, 5, ["foo"], b"foo"])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(PromqlError, match="expected a query as text"):
        parse(value)  # type: ignore[arg-type] # what a file may hold


def test_values_arrive_in_seconds() -> None:
    node = parse("max_over_time(rate(foo[1m30s] offset -500ms)[30m:15s] @ 1609746000.25 offset 1h)")
    assert isinstance(node, Call)
    outer = node.arguments[0]
    assert isinstance(outer, Subquery)
    assert (outer.range, outer.step, outer.offset, outer.at) == (1800, 15, 3600, 1609746000.25)
    inner = selectors(node)[0]
    assert (inner.range, inner.offset, inner.at) == (90, -0.5, None)


def test_a_time_before_1970_does_not_panic() -> None:
    (selector,) = selectors(parse("foo @ -100"))
    assert isinstance(selector.at, float)
    assert selector.at <= 0


def test_the_name_in_matchers_is_the_metric() -> None:
    for query in ("foo", '{__name__="foo"}', '{"foo"}', "foo{}"):
        (selector,) = selectors(parse(query))
        assert selector.metric == "foo"
        assert selector.alternatives[0].matchers == ()
    (selector,) = selectors(parse('{__name__=~"foo.*"}'))
    assert selector.metric is None
    assert selector.alternatives[0].matchers == (("__name__", "=~", "foo.*"),)


def test_or_between_matchers_gives_alternatives() -> None:
    (selector,) = selectors(parse('foo{a="b" or c="d"}'))
    assert [s.matchers for s in selector.alternatives] == [
        (("a", "=", "b"),),
        (("c", "=", "d"),),
    ]


def test_the_labels_of_info_select_nothing() -> None:
    tree = parse('info(rate(foo[5m]), {version=~".+"}) + bar')
    assert [s.metric for s in selectors(tree)] == ["foo", "bar"]
    bar = selectors(tree)[1]
    assert bar.position is not None
    assert bar.position.column == 40


def test_literals_and_parameters() -> None:
    tree = parse('count_values("v", foo) + 1_000')
    assert isinstance(tree, Binary)
    assert tree.right == Number(1000.0)
    assert isinstance(tree.left, Aggregate)
    assert tree.left.parameter == Text("v")


def deep(kind: str, levels: int) -> str:
    """A query whose tree is about as deep as this."""
    return {
        "brackets": "(" * levels + "foo" + ")" * levels,
        "calls": "abs(" * levels + "foo" + ")" * levels,
        "sums": "sum(" * levels + "foo" + ")" * levels,
        "left": " + ".join(["foo"] * levels),
        "right": " ^ ".join(["foo"] * levels),
        "sets": " or ".join(["foo"] * levels),
        "signs": "- " * levels + "foo",
        "subqueries": "max_over_time(" * levels + "foo" + "[5m:1m])" * levels,
        "open": "(" * levels,
    }[kind]


def in_a_process(script: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=root)


KINDS = ["brackets", "calls", "sums", "left", "right", "sets", "signs", "subqueries", "open"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_query_beyond_all_measure_is_an_error(kind: str) -> None:
    with pytest.raises(PromqlError):
        parse(deep(kind, 100_000))


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "open"])
def test_the_deepest_query_that_is_read_fits_a_small_thread(kind: str) -> None:
    # Twice as deep for brackets as for the rest would be too kind: count what the guard counts.
    levels = MAX_LEVELS // 4
    results: list[object] = []
    before = threading.stack_size(1024 * 1024)
    try:
        thread = threading.Thread(target=lambda: results.append(parse(deep(kind, levels))))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert len(results) == 1


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "open"])
def test_the_limit_itself_holds_on_the_main_thread(kind: str) -> None:
    # In a process of its own: where the guard fails, the process dies.
    script = (
        "import sys; from sloguard.promql.parse import parse, MAX_LEVELS\n"
        "from sloguard.promql.outline import outline\n"
        "from tests.promql.test_promql_parse import deep\n"
        f"n = max(n for n in range(1, MAX_LEVELS + 2) if outline(deep({kind!r}, n)).levels <= MAX_LEVELS)\n"
        f"parse(deep({kind!r}, n)); print(n)"
    )
    done = in_a_process(script)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= MAX_LEVELS // 4


class _Panicking:
    """A library whose parser panics, as a Rust one does."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def parse(self, query: str) -> object:
        raise self.error


class PanicException(BaseException):
    """Named as PyO3 names it."""


def test_a_panic_of_the_library_is_an_error_of_the_query() -> None:
    with pytest.raises(PromqlError, match="the parser failed on this query: called"):
        parse_module.read("foo", _Panicking(PanicException("called `unwrap`")))


def test_a_person_who_interrupts_is_heard() -> None:
    with pytest.raises(KeyboardInterrupt):
        parse_module.read("foo", _Panicking(KeyboardInterrupt()))


def test_a_tree_of_unknown_parts_is_an_error_of_the_query() -> None:
    class Library:
        def parse(self, query: str) -> object:
            return object()

    with pytest.raises(PromqlError, match="cannot be read here"):
        parse_module.read("foo", Library())


WORDS = "foo sum rate by on offset 5m 1_0 bool == =~ or and start() inf 0x [5m] [5m:1m]"
PIECES = st.sampled_from(
    [*"(){}[],@+-*/^%<>=!~:.\"'`#$&|;ü \n\t_", *WORDS.split()],
)


@settings(max_examples=600)
@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    refused = None
    try:
        tree = parse(text)
    except PromqlError as error:
        refused = error
    if refused is None:
        assert tree.type in ("scalar", "vector", "matrix", "string")
        assert outline(text).trouble is None
    else:
        assert refused.message
        assert refused.position is None or 0 <= refused.position.offset <= len(text)


def test_the_parser_is_loaded_only_when_it_is_needed() -> None:
    script = (
        "import sys, sloguard.promql.inspection, sloguard.promql.lint, sloguard.promql.lookback\n"
        "assert 'promql_parser' not in sys.modules\n"
        "sloguard.promql.inspection.inspect('foo')\n"
        "assert 'promql_parser' in sys.modules\n"
    )
    done = in_a_process(script)
    assert done.returncode == 0, done.stderr
