"""Objectives: ``"<= baseline + 50%"`` -> comparisons that values are held against.

Grammar: ``OP bound`` with OP one of ``< <= > >= == !=``; ``between A and B`` (inclusive); a list of
these, all of which must hold. A bound is a number with an optional unit or names the baseline.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sloguard.core.arrays import Floats

#: A value this close to a bound, relative to the bound, equals it.
EQUAL_WITHIN = 1e-9

OPERATORS = ("<=", ">=", "==", "!=", "<", ">")
_COMPLEMENT = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}

TIME_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZE_UNITS = {
    "B": 1.0,
    "KB": 1e3,
    "MB": 1e6,
    "GB": 1e9,
    "KiB": 1024.0,
    "MiB": 1024.0**2,
    "GiB": 1024.0**3,
}
UNITS = {"": 1.0, "%": 0.01, **TIME_UNITS, **SIZE_UNITS}

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"^\s*({_NUMBER})\s*([A-Za-z%]*)\s*$")
_BASELINE = re.compile(rf"^\s*baseline\s*(?:([+-])\s*({_NUMBER})\s*([A-Za-z%]*))?\s*$")
_BETWEEN = re.compile(r"^\s*between\s+(.+?)\s+and\s+(.+?)\s*$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)")


#: The longest duration that anybody can mean, seconds: 100 years. What is longer no calendar can hold.
LONGEST = 100 * 365.25 * 86400.0
_IN_REACH = "a duration of 0 or more seconds, at most 100 years"


class ObjectiveError(ValueError):
    """An objective, bound or duration that cannot be read; the text says what was expected."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A number, or the baseline with an allowance: ``value`` absolute or ``relative`` of |baseline|.

    For a plain number ``value`` is the bound itself, in base units (shares, seconds, bytes).
    """

    value: float = 0.0
    baseline: bool = False
    relative: float = 0.0
    unit: str = ""

    def resolve(self, baseline: Floats) -> Floats:
        """The bound of each series; NaN where it is undecided. ``baseline``: one number a series."""
        if not self.baseline:
            return np.full(baseline.shape, self.value)
        return baseline + self.value + self.relative * np.abs(baseline)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One ``OP bound``."""

    op: str
    bound: Bound
    text: str


@dataclass(frozen=True, slots=True)
class Between:
    """An inclusive range."""

    low: Bound
    high: Bound
    text: str


Member = Comparison | Between


@dataclass(frozen=True, slots=True)
class Objective:
    """All members must hold. ``text`` is what the author wrote, for reasons and charts."""

    members: tuple[Member, ...]
    text: str

    @property
    def names_baseline(self) -> bool:
        """Whether any member needs a baseline."""
        return any(member_names_baseline(m) for m in self.members)

    @property
    def unit(self) -> str:
        """The first unit an author wrote: how people read this objective's values."""
        return next((b.unit for m in self.members for b in _bounds(m) if b.unit), "")

    def without_baseline(self) -> Objective | None:
        """The members that do not name the baseline; None if none is left."""
        left = tuple(m for m in self.members if not member_names_baseline(m))
        return Objective(left, " and ".join(m.text for m in left)) if left else None


def _bounds(member: Member) -> tuple[Bound, ...]:
    return (member.bound,) if isinstance(member, Comparison) else (member.low, member.high)


def member_names_baseline(member: Member) -> bool:
    """Whether a bound of this member is the baseline."""
    return any(b.baseline for b in _bounds(member))


def comparisons(objective: Objective) -> Iterator[tuple[str, Bound]]:
    """Every comparison that must hold. Of a range one bound may be decided where the other is not."""
    for member in objective.members:
        if isinstance(member, Comparison):
            yield member.op, member.bound
        else:
            yield ">=", member.low
            yield "<=", member.high


def parse_objective(text: Any) -> Objective:
    """Read one objective or a list of them; raises ObjectiveError with what was expected."""
    if isinstance(text, str):
        return _objective_of([text])
    if isinstance(text, Sequence) and text and all(isinstance(t, str) for t in text):
        return _objective_of(list(text))
    raise ObjectiveError(
        f"expected text such as '< 1%' or a list of such texts, found {_shown(text)}"
    )


def _objective_of(texts: list[str]) -> Objective:
    return Objective(tuple(_member(t) for t in texts), " and ".join(t.strip() for t in texts))


def _member(text: str) -> Member:
    stripped = text.strip()
    between = _BETWEEN.match(stripped)
    if between:
        low, high = _bound(between[1]), _bound(between[2])
        if not (low.baseline or high.baseline) and low.value > high.value:
            raise ObjectiveError(f"'{stripped}': the lower bound is above the upper one")
        return Between(low, high, stripped)
    for op in OPERATORS:
        if stripped.startswith(op):
            return Comparison(op, _bound(stripped[len(op) :]), stripped)
    hint = ""
    if stripped.startswith("="):
        hint = " (equality is '==')"
    elif _QUANTITY.match(stripped):
        hint = f" (did you mean '<= {stripped}'?)"
    raise ObjectiveError(
        f"'{stripped}' is not an objective{hint}; expected one of {' '.join(OPERATORS)} and a bound, "
        "or 'between A and B'"
    )


def _bound(text: str) -> Bound:
    stripped = text.strip()
    found = _BASELINE.match(stripped)
    if found:
        return _baseline_bound(found)
    value, unit = parse_quantity(stripped)
    return Bound(value=value, unit=unit)


def _baseline_bound(found: re.Match[str]) -> Bound:
    sign, number, unit = found.groups()
    if sign is None:
        return Bound(baseline=True)
    factor = (1.0 if sign == "+" else -1.0) * float(number)
    if unit == "%":
        return Bound(baseline=True, relative=factor / 100)
    return Bound(baseline=True, value=factor * _factor(unit, found[0]), unit=unit)


def _factor(unit: str, text: str) -> float:
    if unit not in UNITS:
        near = next((u for u in UNITS if u.lower() == unit.lower()), None)
        hint = f"; did you mean '{near}'?" if near else "."
        known = " ".join(u for u in UNITS if u)
        raise ObjectiveError(f"'{text.strip()}': unknown unit '{unit}'{hint} Known units: {known}")
    return UNITS[unit]


def parse_quantity(text: str) -> tuple[float, str]:
    """``"300ms"`` -> (0.3, "ms"); raises ObjectiveError."""
    found = _QUANTITY.match(text)
    if not found:
        raise ObjectiveError(
            f"'{text.strip()}' is not a bound; expected a number with an optional unit "
            f"({' '.join(u for u in UNITS if u)}), or baseline, baseline + X, baseline - X"
        )
    number, unit = found.groups()
    factor = _factor(unit, text)
    # Dividing keeps the shares and milliseconds that people write exact: 55% is 55/100.
    value = float(number) / round(1 / factor) if factor < 1 else float(number) * factor
    if not np.isfinite(value):
        raise ObjectiveError(f"'{text.strip()}' is too large to be a bound")
    return value, unit


def parse_duration(value: Any) -> float:
    """``"1m30s"``, ``"300ms"`` or a number of seconds -> seconds >= 0; raises ObjectiveError."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ObjectiveError(f"expected a duration such as '30s' or '1m30s', found {_shown(value)}")
    if isinstance(value, int | float):
        if not 0 <= value <= LONGEST:
            raise ObjectiveError(f"expected {_IN_REACH}, found {_shown(value)}")
        return float(value)
    stripped = value.strip()
    if re.fullmatch(r"\d+(\.\d+)?", stripped):
        return _within_reach(float(stripped), stripped)
    parts = _DURATION.findall(stripped)
    if not parts or "".join(n + u for n, u in parts) != stripped:
        raise ObjectiveError(f"'{stripped}' is not a duration; expected e.g. 500ms, 30s, 1m30s, 2h")
    units = {**TIME_UNITS, "w": 7 * 86400.0}
    return _within_reach(float(sum(float(n) * units[u] for n, u in parts)), stripped)


def _within_reach(seconds: float, text: str) -> float:
    if not seconds <= LONGEST:
        raise ObjectiveError(f"expected {_IN_REACH}, found '{text[:40]}'")
    return seconds


def parse_share(value: Any) -> float | None:
    """``"60%"`` -> 0.6; None if it is not a percentage; raises ObjectiveError if out of 0..100%."""
    if not isinstance(value, str) or not value.strip().endswith("%"):
        return None
    share, _ = parse_quantity(value)
    if not 0 <= share <= 1:
        raise ObjectiveError(f"'{value.strip()}' is not between 0% and 100%")
    return share


def complement(op: str) -> str:
    """The operator that says the opposite."""
    return _COMPLEMENT[op]


def pair_problem(objective: Objective) -> str | None:
    """Why an objective does not fit a pair (a share of bad events), with the way out; or None."""
    for member in objective.members:
        if isinstance(member, Comparison) and member.op in (">", ">="):
            bound = member.bound
            if bound.baseline:
                instead = "an upper bound such as '<= baseline + 10%'"
            else:
                flipped = {">": "<", ">=": "<="}[member.op]
                instead = f"'{flipped} {format_share(1 - bound.value)}'"
            return (
                f"'{member.text}' on a pair: its value is the share of bad events, so objectives are "
                f"upper bounds; write {instead}"
            )
    return None


def format_share(share: float) -> str:
    """0.005 -> '0.5%'."""
    return f"{share * 100:.10g}%"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
