"""The single values of an experiment: durations, shares, objectives, policies, names, numbers."""

from __future__ import annotations

import re

from sloguard.core.objective import OPERATORS, UNITS, parse_objective
from sloguard.spec import values as v
from sloguard.spec.shapes import VARIABLE, Json, Scalar

_DURATION_PATTERN = r"^\s*(\d+(\.\d+)?|(\d+(\.\d+)?(us|ms|s|m|h|d|w))+)\s*$"
_SHARE_PATTERN = r"^\s*\+?(100(\.0*)?|\d{1,2}(\.\d*)?|\.\d+)\s*%\s*$"
_NUMBER = r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?"
_UNIT = "(" + "|".join(re.escape(u) for u in UNITS if u) + ")?"
_BOUND = rf"({_NUMBER}\s*{_UNIT}|baseline(\s*[+-]\s*{_NUMBER}\s*{_UNIT})?)"
_OPERATOR = "(" + "|".join(OPERATORS) + ")"
OBJECTIVE_PATTERN = rf"^\s*({_OPERATOR}\s*{_BOUND}|between\s+{_BOUND}\s+and\s+{_BOUND})\s*$"

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

TEXT = Scalar("text", v.text, {"type": "string", "minLength": 1})
LOOSE_TEXT = Scalar(
    "text", v.loose_text, {"type": ["string", "number", "boolean"], "minLength": 1}, texts=True
)
NAME = Scalar(
    "a name in one line",
    v.name,
    {
        "type": ["string", "number"],
        "minLength": 1,
        "maxLength": 200,
        "pattern": r"^\s*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*\s*$",
    },
)
ARGUMENTS_TEXT = Scalar(
    "text", v.arguments_text, {"type": ["string", "number", "boolean"]}, texts=True, late=True
)
QUERY = Scalar("a PromQL query", v.query, {"type": "string", "minLength": 1}, texts=True)
FLAG = Scalar("true or false", v.flag, {"type": "boolean"})
NUMBER = Scalar("a number", v.number(), {"type": "number"})
WHOLE = Scalar("a whole number of 0 or more", v.whole, {"type": "integer", "minimum": 0})
COUNT = Scalar("a whole number of 1 or more", v.count, {"type": "integer", "minimum": 1})
WEIGHT = Scalar("a number of 0 or more", v.number(least=0), {"type": "number", "minimum": 0})
DURATION = Scalar(_A_DURATION, v.duration(), _DURATION_FORM)
PERIOD = Scalar(f"{_A_DURATION}, above 0", v.duration(above=0), _DURATION_FORM)
STEP = Scalar(
    f"{_A_DURATION}, of at least 1s",
    v.duration(least=1),
    {
        "anyOf": [
            {"type": "number", "minimum": 1},
            {"type": "string", "pattern": _DURATION_PATTERN},
        ]
    },
)
SHARE = Scalar("a percentage or a share from 0 to 1", v.share, _SHARE_FORM)
POSITIVE_SHARE = Scalar(
    "a percentage or a share above 0, up to 1",
    v.positive_share,
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            {"type": "string", "pattern": _SHARE_PATTERN},
        ]
    },
)
BURN_RATE = Scalar("a number above 0", v.number(above=0), {"type": "number", "exclusiveMinimum": 0})
TARGET = Scalar(
    "a percentage or a share between 0 and 1, such as 99.9% or 0.999",
    v.target,
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            {"type": "string", "pattern": _SHARE_PATTERN},
        ]
    },
)
TOLERATE = Scalar(
    f"{_A_DURATION}, or a percentage of the points",
    v.tolerance,
    {
        "anyOf": [
            {"type": "number", "minimum": 0},
            {"type": "string", "pattern": f"{_DURATION_PATTERN}|{_SHARE_PATTERN}"},
        ]
    },
)
POLICY = Scalar(
    "inconclusive, breach, met or a number",
    v.policy,
    {"anyOf": [{"enum": ["inconclusive", "breach", "met"]}, {"type": "number"}]},
)
_ONE_OBJECTIVE: Json = {"type": "string", "pattern": OBJECTIVE_PATTERN}
_MEMBER: Json = {"anyOf": [_ONE_OBJECTIVE, VARIABLE]}
OBJECTIVE = Scalar(
    "a comparison such as '< 1%', '<= 300ms', '<= baseline + 50%' or 'between 2 and 4'",
    parse_objective,
    {"anyOf": [_ONE_OBJECTIVE, {"type": "array", "minItems": 1, "items": _MEMBER}]},
)


def _words(*choices: str) -> Scalar:
    return Scalar("one of " + ", ".join(choices), v.one_of(choices), {"enum": list(choices)})


def variable_for(expected: str) -> Scalar:
    """No value but a variable that has none yet: what it brings in has to be as expected."""
    return Scalar(expected, v.nothing, {"not": {}}, late=True)


DURATION_NUMBER = Scalar("a number of seconds", v.seconds, {"type": "number", "minimum": 0})
FLAG_OR_PATH = Scalar(
    "true, false or the path of a CA bundle", v.flag_or_path, {"type": ["boolean", "string"]}
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
TAG = Scalar("a text that is not empty", v.text, {"type": "string", "minLength": 1}, texts=True)
