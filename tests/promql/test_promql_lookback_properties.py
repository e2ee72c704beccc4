"""Random nested queries against a second model of lookback, which enumerates paths as plain lists."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from sloguard.ports import RecordingRule
from sloguard.promql.inspection import inspect
from sloguard.promql.lookback import lookback
from sloguard.promql.outline import outline
from sloguard.promql.tree import selectors

FAULT = 1_700_000_000


@dataclass(frozen=True)
class Step:
    """What a selector or a subquery adds to a path."""

    range: int
    offset: int
    at: int | None = None


@dataclass(frozen=True)
class Query:
    """A text, and the paths to its selectors, the outermost step first."""

    text: str
    paths: tuple[tuple[Step, ...], ...]


def written(seconds: int) -> str:
    """60 -> ``60s`` or ``1m``: whole minutes in minutes, the rest in seconds with minutes before."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes and rest else f"{minutes}m" if minutes else f"{rest}s"


def modifiers(step: Step) -> str:
    at = "" if step.at is None else f" @ {step.at}"
    offset = ""
    if step.offset:
        sign = "-" if step.offset < 0 else ""
        offset = f" offset {sign}{written(abs(step.offset))}"
    return at + offset


def steps(ranges: st.SearchStrategy[int], *, pins: bool) -> st.SearchStrategy[Step]:
    offsets = st.one_of(st.just(0), st.integers(-400, 400))
    times = st.one_of(st.none(), st.none(), st.integers(FAULT - 900, FAULT + 300))
    return st.builds(Step, ranges, offsets, times if pins else st.none())


def selector(step: Step) -> Query:
    if step.range:
        return Query(f"rate(foo[{written(step.range)}]{modifiers(step)})", ((step,),))
    return Query(f'bar{{a="[5m] @ ("}}{modifiers(step)}', ((step,),))


def subquery(inner: Query, step: Step) -> Query:
    text = f"max_over_time(({inner.text})[{written(step.range)}:15s]{modifiers(step)})"
    return Query(text, tuple((step, *path) for path in inner.paths))


def joined(left: Query, op: str, right: Query) -> Query:
    return Query(f"{left.text}\n{op} # why\n({right.text})", left.paths + right.paths)


def wrapped(inner: Query, shape: str) -> Query:
    return Query(shape.format(inner.text), inner.paths)


def queries(*, pins: bool = True) -> st.SearchStrategy[Query]:
    leaf = st.one_of(
        steps(st.integers(0, 600), pins=pins).map(selector),
        st.just(Query("vector(1)", ())),
    )
    shapes = [
        "({})",
        "sum by (a) ({})",
        "-({})",
        "abs({})",
        "topk(3, {})",
        "({}) * 2",
        "({}) > bool 5",
    ]
    operators = ["+", "/", "and", "or on (a)", "> bool", "* ignoring (b) group_left (c)"]
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.builds(subquery, inner, steps(st.integers(1, 900), pins=pins)),
            st.builds(joined, inner.map(lambda q: wrapped(q, "({})")), st.sampled_from(operators), inner),
            st.builds(wrapped, inner, st.sampled_from(shapes)),
        ),
        max_leaves=8,
    )  # fmt: skip


def sees(path: tuple[Step, ...], end: int) -> tuple[int, bool]:
    """The newest instant that a path sees at ``end``, and whether ``@`` fixed it."""
    fixed = [index for index, step in enumerate(path) if step.at is not None]
    start = fixed[-1] if fixed else 0
    instant = path[start].at if fixed else end
    assert instant is not None
    return instant - sum(step.offset for step in path[start:]), bool(fixed)


def expected(query: Query, window: int) -> float | str | None:
    """Seconds, or why there are none."""
    live = []
    for path in query.paths:
        newest, fixed = sees(path, FAULT + window)
        if fixed and newest > FAULT:
            return "fixed"
        if newest <= FAULT and (fixed or newest < FAULT + window):
            continue
        live.append(sum(step.range + max(step.offset, 0) for step in path))
    if query.paths and not live:
        return "past"
    return max(live, default=0)


@settings(max_examples=500, deadline=None)
@given(queries(), st.integers(0, 900))
def test_lookback_is_what_the_paths_add_up_to(query: Query, window: int) -> None:
    found = lookback(query.text, window=window, fault=FAULT)
    wanted = expected(query, window)
    codes = {"fixed": "promql/fixed-time", "past": "promql/only-past"}
    if isinstance(wanted, str):
        assert (found.seconds, found.code) == (None, codes[wanted])
    else:
        assert found.seconds == wanted


@settings(max_examples=200, deadline=None)
@given(queries())
def test_every_part_is_found_where_it_stands(query: Query) -> None:
    assert outline(query.text).trouble is None
    for node in selectors(inspect(query.text).tree):
        assert node.position is not None
        assert query.text.startswith(("foo", "bar"), node.position.offset)


@settings(max_examples=200, deadline=None)
@given(queries(pins=False), queries(pins=False))
def test_of_two_queries_the_larger_lookback_counts(one: Query, other: Query) -> None:
    # In so long a window nothing is a reference.
    alone = [lookback(q.text, window=1e9).seconds for q in (one, other)]
    both = lookback(joined(wrapped(one, "({})"), "+", other).text, window=1e9).seconds
    assert both == max(s for s in alone if s is not None)


@settings(max_examples=200, deadline=None)
@given(queries(pins=False), st.integers(1, 600), st.integers(0, 900))
def test_recording_a_query_adds_the_interval_and_nothing_else(
    query: Query, interval: int, window: int
) -> None:
    direct = lookback(query.text, window=window)
    rules = [RecordingRule("job:it", query.text, float(interval), {})]
    recorded = lookback("job:it", window=window, rules=rules)
    if direct.seconds is None:
        assert (recorded.seconds, recorded.code) == (None, direct.code)
    else:
        assert recorded.seconds == direct.seconds + interval


@settings(max_examples=200, deadline=None)
@given(queries(pins=False), st.integers(0, 900), st.integers(0, 900))
def test_a_longer_window_never_shortens_a_lookback(query: Query, one: int, other: int) -> None:
    shorter, longer = sorted((one, other))
    before, after = (lookback(query.text, window=w).seconds for w in (shorter, longer))
    if before is not None:
        assert after is not None
        assert after >= before
