"""Objectives: what is read, what is refused with which hint, and how numbers stand to bounds."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.comparing import assess
from sloguard.core.objective import (
    EQUAL_WITHIN,
    ObjectiveError,
    pair_problem,
    parse_duration,
    parse_objective,
    parse_quantity,
    parse_share,
)

NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=True, width=64),
    st.sampled_from([0.0, -0.0, 0.3, 0.1 + 0.2, 1.0, math.inf, -math.inf]),
)


def breached(text: str | list[str], value: float, baseline: float = math.nan) -> bool | None:
    """Whether one value breaches; None where it is undecided."""
    found = assess(parse_objective(text), np.array([[value]]), np.array([baseline]))
    return None if found.undecided[0, 0] else bool(found.breach[0, 0])


def plainly(op: str, value: float, bound: float) -> bool:
    """The contract's words: within 1e-9 (relative) of a bound a value equals it."""
    equal = value == bound or abs(value - bound) <= EQUAL_WITHIN * abs(bound)
    holds = {
        "<": value < bound and not equal,
        "<=": value < bound or equal,
        ">": value > bound and not equal,
        ">=": value > bound or equal,
        "==": equal,
        "!=": not equal,
    }
    return not holds[op]


@given(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS, st.floats(-1e300, 1e300))
def test_a_comparison_is_what_the_contract_says(op: str, value: float, bound: float) -> None:
    assert breached(f"{op} {bound!r}", value) == plainly(op, value, bound)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), NUMBERS)
def test_between_is_inclusive(a: float, b: float, value: float) -> None:
    low, high = sorted((a, b))
    expected = plainly(">=", value, low) or plainly("<=", value, high)
    assert breached(f"between {low!r} and {high!r}", value) == expected


@given(st.sampled_from(["< 5", "<= 5", "> 5", ">= 5", "== 5", "between 2 and 5"]), NUMBERS)
def test_a_margin_is_negative_only_in_breach(text: str, value: float) -> None:
    found = assess(parse_objective(text), np.array([[value]]), np.array([math.nan]))
    if found.margin[0, 0] > 5 * EQUAL_WITHIN:
        assert not found.breach[0, 0]
    if found.margin[0, 0] < -5 * EQUAL_WITHIN:
        assert found.breach[0, 0]


@pytest.mark.parametrize(
    ("text", "value", "baseline", "expected"),
    [
        ("<= baseline + 50%", 0.3, 0.2, False), ("<= baseline + 50%", 0.31, 0.2, True),
        (">= baseline - 10%", -1.05, -1.0, False), (">= baseline - 10%", -1.2, -1.0, True),
        ("<= baseline + 50%", 0.0, 0.0, False), ("<= baseline + 50%", 0.01, 0.0, None),
        ("<= baseline", 0.01, 0.0, True), ("<= baseline + 50ms", 0.04, 0.0, False),
        ("<= baseline", 1.0, math.nan, None), ("between baseline - 1 and baseline + 1", 3.0, 1.0, True),
        (["< 5", "<= baseline + 50%"], 7.0, math.nan, True),
        (["< 5", "<= baseline + 50%"], 3.0, math.nan, None),
    ],
)  # fmt: skip
def test_baselines(text, value, baseline, expected) -> None:
    assert breached(text, value, baseline) is expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1%", 0.01), ("300ms", 0.3), ("55%", 0.55), ("250us", 0.00025), ("1.5m", 90), ("2h", 7200),
        ("1d", 86400), ("1KB", 1000), ("1KiB", 1024), ("2GiB", 2 * 1024**3), ("1e3", 1000), ("-5", -5),
        (".5", 0.5),
    ],
)  # fmt: skip
def test_quantities_are_exact(text: str, value: float) -> None:
    assert parse_quantity(text)[0] == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("5", "did you mean '<= 5'?"), ("= 5", "equality is '=='"), ("< 5 percent", "unknown unit"),
        ("< 5MS", "did you mean 'ms'?"), ("between 5 and 1", "above the upper one"), ("< ", "not a bound"),
        ("< 1e999", "too large"), (5, "expected text"), ([], "expected text"), (["< 1", 2], "expected text"),
        ("<= baseline * 2", "not a bound"), ("< nan", "not a bound"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(text: object, says: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        parse_objective(text)
    assert says in str(caught.value)


@given(st.text(max_size=20))
def test_any_text_is_an_objective_or_an_error_for_people(text: str) -> None:
    for read in (parse_objective, parse_duration, parse_share):
        with contextlib.suppress(ObjectiveError):
            read(text)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("30s", 30), ("1m30s", 90), ("500ms", 0.5), (5, 5), ("2", 2), ("1w", 604800)],
)
def test_durations(value: object, seconds: float) -> None:
    assert parse_duration(value) == seconds


@pytest.mark.parametrize(
    "value", ["-5s", "5 parsecs", "1:30", -1, True, None, "", "1m 30s", math.inf]
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ObjectiveError):
        parse_duration(value)


def test_a_pair_takes_upper_bounds_only_and_names_the_complement() -> None:
    assert "write '<= 0.5%'" in str(pair_problem(parse_objective(">= 99.5%")))
    assert "upper bound" in str(pair_problem(parse_objective("> baseline - 1%")))
    assert pair_problem(parse_objective(["< 1%", "<= baseline + 1%"])) is None
