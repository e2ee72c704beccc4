"""The single values of an experiment: durations, shares, objectives, policies, names, numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from sloguard.core.model import Policy, Tolerance
from sloguard.core.objective import OPERATORS, UNITS, parse_duration, parse_objective, parse_share
from sloguard.documents.problems import did_you_mean
from sloguard.spec.errors import Misfit
from sloguard.spec.shapes import VARIABLE, Json, Scalar

_DURATION_PATTERN = r"^\s*(\d+(\.\d+)?|(\d+(\.\d+)?(us|ms|s|m|h|d|w))+)\s*$"
_SHARE_PATTERN = r"^\s*\+?(100(\.0*)?|\d{1,2}(\.\d*)?|\.\d+)\s*%\s*$"
_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_UNIT = "(" + "|".join(re.escape(u) for u in UNITS if u) + ")?"
_BOUND = rf"({_NUMBER}\s*{_UNIT}|baseline(\s*[+-]\s*{_NUMBER}\s*{_UNIT})?)"
_OPERATOR = "(" + "|".join(OPERATORS) + ")"
OBJECTIVE_PATTERN = rf"^\s*({_OPERATOR}\s*{_BOUND}|between\s+{_BOUND}\s+and\s+{_BOUND})\s*$"
#: Control characters that no name needs and that would break a table, a log line or a file's name.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def text(value: Any) -> str:
    """A text that says something."""
    if not isinstance(value, str):
        raise ValueError(_found(value))
    if not value.strip():
        raise ValueError("the text is empty")
    return value


def query(value: Any) -> str:
    """A PromQL query; whether it parses is the lint's business."""
    if isinstance(value, dict):
        raise ValueError("found a mapping: a query that begins with '{' needs quotes")
    return text(value).strip()


def name(value: Any) -> str:
    """A name in one line; a number is taken as its digits."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    given = text(value).strip()
    if _CONTROLS.search(given):
        raise ValueError("a line break or control character in a name")
    if len(given) > 200:
        raise ValueError(f"the name has {len(given)} characters; expected at most 200")
    return given


def loose_text(value: Any) -> str:
    """Text in the Chaos Toolkit's own places, where a number or a boolean passes as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return text(str(value) if isinstance(value, int | float) else value)


def arguments_text(value: Any) -> str:
    """Arguments for a shell: any text, an empty one too, or a number."""
    return value if value == "" else loose_text(value)


def number(
    least: float | None = None, above: float | None = None, most: float | None = None
) -> Callable[[Any], float]:
    """Reads a finite number within limits."""

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(_found(value))
        if not math.isfinite(value):
            raise ValueError(f"found {value}")
        if (
            (least is not None and value < least)
            or (above is not None and value <= above)
            or (most is not None and value > most)
        ):
            raise ValueError(f"found {value:g}")
        return value

    return convert


def whole(value: Any) -> int:
    """A whole number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(_found(value))
    return value


def flag(value: Any) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise ValueError(_found(value))
    return value


def duration(least: float = 0.0, above: float | None = None) -> Callable[[Any], float]:
    """Reads a duration within limits, in seconds."""

    def convert(value: Any) -> float:
        seconds = parse_duration(value)
        if seconds < least or (above is not None and seconds <= above):
            raise ValueError(f"found {value}")
        return seconds

    return convert


def share(value: Any) -> float:
    """``60%`` or 0.6 -> 0.6."""
    found = parse_share(value)
    if found is None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(_found(value))
        if not 0 <= value <= 1:
            percent = f"did you mean '{value:g}%'?" if 1 < value <= 100 else ""
            raise Misfit(f"found {value:g}", percent)
        found = float(value)
    return found


def target(value: Any) -> float:
    """A share strictly between 0 and 1: a target of 100% leaves no budget at all."""
    found = share(value)
    if not 0 < found < 1:
        raise ValueError(f"found {value}: a target of {found:.0%} has no error budget to divide by")
    return found


def tolerance(value: Any) -> Tolerance:
    """``20s`` -> seconds, ``5%`` -> a share."""
    part = parse_share(value)
    if part is not None:
        return Tolerance(share=part, text=str(value).strip())
    shown = f"{value:g}s" if isinstance(value, int | float) else str(value).strip()
    return Tolerance(seconds=parse_duration(value), text=shown)


def policy(value: Any) -> Policy:
    """A verdict on gaps or idle points, or the number that stands in for them."""
    if value in ("inconclusive", "breach", "met"):
        found: Policy = value
        return found
    if isinstance(value, str):
        raise Misfit(_found(value), did_you_mean(value, ["inconclusive", "breach", "met"]))
    return float(number()(value))


def one_of(choices: Sequence[str]) -> Callable[[Any], str]:
    """Reads one of several words."""

    def convert(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Misfit(_found(value), did_you_mean(str(value), choices))
        return value

    return convert


def _found(value: Any) -> str:
    if value is None:
        return "found nothing"
    if isinstance(value, bool):
        return f"found {str(value).lower()}"
    if isinstance(value, dict):
        return "found a mapping"
    if isinstance(value, list):
        return "found a list"
    shown = repr(value)
    return f"found {shown if len(shown) <= 60 else shown[:57] + '...'}"


_DURATION_FORM: Json = {
    "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DURATION_PATTERN}]
}
_SHARE_FORM: Json = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": _SHARE_PATTERN},
    ]
}
_A_DURATION = "a duration such as 30s, 1m30s or 500ms, or a number of seconds"

TEXT = Scalar("text", text, {"type": "string", "minLength": 1})
LOOSE_TEXT = Scalar(
    "text", loose_text, {"type": ["string", "number", "boolean"], "minLength": 1}, texts=True
)
NAME = Scalar(
    "a name in one line",
    name,
    {
        "type": ["string", "number"],
        "minLength": 1,
        "maxLength": 200,
        "pattern": r"^\s*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*\s*$",
    },
)
ARGUMENTS_TEXT = Scalar(
    "text", arguments_text, {"type": ["string", "number", "boolean"]}, texts=True, late=True
)
QUERY = Scalar("a PromQL query", query, {"type": "string", "minLength": 1}, texts=True)
FLAG = Scalar("true or false", flag, {"type": "boolean"})
NUMBER = Scalar("a number", number(), {"type": "number"})
WHOLE = Scalar("a whole number of 0 or more", whole, {"type": "integer", "minimum": 0})
WEIGHT = Scalar("a number of 0 or more", number(least=0), {"type": "number", "minimum": 0})
DURATION = Scalar(_A_DURATION, duration(), _DURATION_FORM)
PERIOD = Scalar(f"{_A_DURATION}, above 0", duration(above=0), _DURATION_FORM)
STEP = Scalar(
    f"{_A_DURATION}, of at least 1s",
    duration(least=1),
    {
        "anyOf": [
            {"type": "number", "minimum": 1},
            {"type": "string", "pattern": _DURATION_PATTERN},
        ]
    },
)
SHARE = Scalar("a percentage or a share from 0 to 1", share, _SHARE_FORM)
TARGET = Scalar(
    "a percentage or a share between 0 and 1, such as 99.9% or 0.999",
    target,
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {"type": "string", "pattern": _SHARE_PATTERN},
        ]
    },
)
TOLERATE = Scalar(
    f"{_A_DURATION}, or a percentage of the points",
    tolerance,
    {
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": f"{_DURATION_PATTERN}|{_SHARE_PATTERN}"},
        ]
    },
)
POLICY = Scalar(
    "inconclusive, breach, met or a number",
    policy,
    {"anyOf": [{"enum": ["inconclusive", "breach", "met"]}, {"type": "number"}]},
)
_ONE_OBJECTIVE: Json = {"type": "string", "pattern": OBJECTIVE_PATTERN}
_MEMBER: Json = {"anyOf": [_ONE_OBJECTIVE, VARIABLE]}
OBJECTIVE = Scalar(
    "a comparison such as '< 1%', '<= 300ms', '<= baseline + 50%' or 'between 2 and 4'",
    parse_objective,
    {"anyOf": [_ONE_OBJECTIVE, {"type": "array", "minItems": 1, "items": _MEMBER}]},
)


def _flag_or_path(value: Any) -> bool | str:
    return text(value) if isinstance(value, str) else flag(value)


def _seconds(value: Any) -> float:
    return number(least=0)(value)


def _words(*choices: str) -> Scalar:
    return Scalar("one of " + ", ".join(choices), one_of(choices), {"enum": list(choices)})


def _nothing(value: Any) -> Any:
    raise ValueError(_found(value))


def variable_for(expected: str) -> Scalar:
    """No value but a variable that has none yet: what it brings in has to be as expected."""
    return Scalar(expected, _nothing, {"not": {}}, late=True)


DURATION_NUMBER = Scalar("a number of seconds", _seconds, {"type": "number", "minimum": 0})
FLAG_OR_PATH = Scalar(
    "true, false or the path of a CA bundle", _flag_or_path, {"type": ["boolean", "string"]}
)
ACTIVITY_TYPE = _words("action", "probe")
SCOPE = _words("before", "after")
CONTROL_TYPE = _words("python")
HYPOTHESIS_STRATEGY = _words(
    "default",
    "before-method-only",
    "after-method-only",
    "during-method-only",
    "continuously",
    "continously",  # the Chaos Toolkit's own old misspelling still passes there
    "skip",
)
ROLLBACK_STRATEGY = _words("default", "always", "never", "deviated")
ENV_TYPE = _words("str", "string", "int", "integer", "float", "number", "bytes", "bool", "json")
TAG = Scalar("a text that is not empty", text, {"type": "string", "minLength": 1}, texts=True)
