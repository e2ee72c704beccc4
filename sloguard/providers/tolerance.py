"""Whether what a probe gave is within its tolerance, with the comparison as the reason.

The forms and their results are the Chaos Toolkit's:

- a boolean, number or text: equal to it; a number also against the ``status`` of a process or HTTP output
- a list against the ``status`` of a process or HTTP output: one of its members, however many
- a list against any other value: of two, from the first to the second, both included; else one of its
  members
- ``{type: range, range: [low, high], target}``, ``{type: regex, pattern, target}``,
  ``{type: jsonpath, path, expect, count, target}``; ``target`` names the entry of the output to look at
- ``{type: probe, provider}``: called with the output as the argument ``value``, holds if it returns
  something true. Other than there a process that exits with anything but 0 and an HTTP answer of 400
  or more are no yes

NaN is within no tolerance, and nothing raises: what cannot be compared is not within it.
"""

from __future__ import annotations

import contextlib
import decimal
import functools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sloguard.core.model import Json
from sloguard.providers.calls import failed_action
from sloguard.providers.result import Result, one_line

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Tolerated:
    """The answer and its reason, a comparison: ``3 is not in [200, 201]``."""

    ok: bool
    reason: str


class Caller(Protocol):
    """Calls the provider of a probe tolerance; ``providers.calls.call`` with the rest bound."""

    def __call__(
        self,
        provider: Mapping[str, Any],
        *,
        configuration: Mapping[str, Json],
        secrets: Mapping[str, Json],
    ) -> Result: ...


def within(
    tolerance: Json,
    value: Json,
    *,
    configuration: Mapping[str, Json],
    secrets: Mapping[str, Json],
    call: Caller,
) -> Tolerated:
    """Hold the output of a probe against a tolerance, after substitution. Never raises."""
    if isinstance(tolerance, Mapping):
        if tolerance.get("type") == "probe":
            return _probe(tolerance, value, configuration, secrets, call)
        check = _TYPED.get(str(tolerance.get("type")))
        if check is None:
            kinds = ", ".join([*_TYPED, "probe"])
            return _no(f"tolerance type '{tolerance.get('type')}': expected one of {kinds}")
        return check(tolerance, value)
    if isinstance(tolerance, list | tuple):
        return _listed(list(tolerance), value)
    if isinstance(tolerance, bool | str):
        return _equal(tolerance, value)
    if isinstance(tolerance, int | float):
        return _equal(tolerance, _status(value))
    return _no(f"a tolerance of {_show(tolerance)} can never be met")


def _no(reason: str) -> Tolerated:
    return Tolerated(False, one_line(reason))


def _yes(reason: str) -> Tolerated:
    return Tolerated(True, one_line(reason))


def _status(value: Json) -> Json:
    """The status of a process or HTTP output, else the value itself."""
    return value["status"] if isinstance(value, Mapping) and "status" in value else value


def _is_nan(value: Json) -> bool:
    return value == "NaN" or (isinstance(value, float) and math.isnan(value))


def _equal(tolerance: Json, value: Json) -> Tolerated:
    if _is_nan(value) and tolerance != "NaN":
        return _no(f"NaN is not {_show(tolerance)}")
    if value == tolerance:
        return _yes(f"{_show(value)} is {_show(tolerance)}")
    return _no(f"{_show(value)} is not {_show(tolerance)}")


def _listed(tolerance: list[Json], value: Json) -> Tolerated:
    shown = _show(tolerance)
    has_status = isinstance(value, Mapping) and "status" in value
    value = _status(value)
    if _is_nan(value):
        return _no(f"NaN is not in {shown}")
    if has_status or len(tolerance) != 2:
        inside = value in tolerance
        return Tolerated(
            inside, one_line(f"{_show(value)} is {'' if inside else 'not '}in {shown}")
        )
    low, high = tolerance
    try:
        inside = bool(low <= value <= high)
    except TypeError:
        return _no(f"{_show(value)} cannot be compared with {shown}")
    between = f"between {_show(low)} and {_show(high)}"
    return Tolerated(inside, one_line(f"{_show(value)} is {'' if inside else 'not '}{between}"))


def _targeted(tolerance: Mapping[str, Json], value: Json) -> tuple[Json, str]:
    """The entry that ``target`` names (the whole value where there is none), and its name for reasons."""
    target = tolerance.get("target")
    if not target:
        return value, ""
    if not isinstance(value, Mapping):
        return value, ""
    return (value[target], f"{target} ") if target in value else (value, "")


def _range(tolerance: Mapping[str, Json], value: Json) -> Tolerated:
    bounds = tolerance.get("range")
    if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
        return _no(f"range: expected two numbers, found {_show(bounds)}")
    low, high = _decimal(bounds[0]), _decimal(bounds[1])
    if low is None or high is None:
        return _no(f"range: expected two numbers, found {_show(bounds)}")
    found, name = _targeted(tolerance, value)
    number = _decimal(found)
    shown = f"{name}{_show(found)}"
    if number is None:
        return _no(f"{shown} is not a number, so not in the range {_show(bounds)}")
    inside = low <= number <= high
    return Tolerated(
        inside, one_line(f"{shown} is {'' if inside else 'not '}in the range {_show(bounds)}")
    )


def _decimal(value: Json) -> decimal.Decimal | None:
    """A number, or a text that is one; None for anything else and for NaN."""
    if not isinstance(value, int | float | str):
        return None
    try:
        number = decimal.Decimal(value)
    except (decimal.InvalidOperation, ValueError):
        return None
    return None if number.is_nan() else number


def _regex(tolerance: Mapping[str, Json], value: Json) -> Tolerated:
    pattern = tolerance.get("pattern")
    try:
        if not isinstance(pattern, str):
            raise TypeError("expected a text")
        compiled = re.compile(pattern)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        return _no(f"pattern: {_show(pattern)} is not a regular expression: {error}")
    found, name = _targeted(tolerance, value)
    if isinstance(found, str):
        texts = [found]
    elif isinstance(found, Mapping | list):
        # Decoded JSON has lost its blanks: looked at with and without.
        texts = [json.dumps(found, ensure_ascii=False), _compact(found)]
    else:
        return _no(f"{name}{_show(found)} is not a text, so it cannot match /{pattern}/")
    matches = any(compiled.search(text) for text in texts)
    verb = "matches" if matches else "does not match"
    return Tolerated(matches, one_line(f"{name}{_show(found)} {verb} /{pattern}/"))


def _jsonpath(tolerance: Mapping[str, Json], value: Json) -> Tolerated:
    path = tolerance.get("path")
    try:
        matcher = _path(str(path).strip())
    except ValueError as error:
        return _no(f"path: '{path}' is not a JSON path: {error}")
    found, name = _targeted(tolerance, value)
    if isinstance(found, str):
        with contextlib.suppress(ValueError):
            found = json.loads(found)
    try:
        values = [match.current_value for match in matcher.match(found)]
    except Exception as error:  # noqa: BLE001 - a filter that compares a text with a number, say
        return _no(f"{name}{path}: {type(error).__name__}: {error}")
    return _matched(tolerance, values, f"{name}{path}")


def _matched(tolerance: Mapping[str, Json], values: list[Json], where: str) -> Tolerated:
    if "expect" in tolerance:
        expect = tolerance["expect"]
        wanted = expect if isinstance(expect, list) else [expect]
        same = values == wanted and not any(_is_nan(v) for v in values)
        return Tolerated(
            same,
            one_line(f"{where} gave {_show(values)}, {'as' if same else 'not'} {_show(wanted)}"),
        )
    count = tolerance.get("count")
    if count is not None:
        same = len(values) == count
        return Tolerated(
            same,
            one_line(
                f"{where} gave {len(values)} values, {'as' if same else 'not'} {_show(count)}"
            ),
        )
    if values:
        return _yes(f"{where} gave {_show(values)}")
    return _no(f"{where} found nothing")


@functools.lru_cache(maxsize=256)
def _path(text: str) -> Any:
    """A parsed path, in the dialect of the Chaos Toolkit. Raises ValueError with what was expected."""
    outside = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    if not text.startswith("$"):
        raise ValueError("it must begin with '$', as in $.items[*].name")
    if "'" in outside:
        raise ValueError('names and texts stand in double quotes, as in $["name"]')
    if "==" in outside:
        raise ValueError('a filter compares with one "=", as in $.items[*][?(@.name="a")]')
    # Slow to import, and seldom needed.
    from jsonpath2.path import Path

    return Path.parse_str(text)


def _probe(
    tolerance: Mapping[str, Json],
    value: Json,
    configuration: Mapping[str, Json],
    secrets: Mapping[str, Json],
    call: Caller,
) -> Tolerated:
    provider = tolerance.get("provider")
    if not isinstance(provider, Mapping):
        return _no("a probe tolerance needs a provider")
    arguments = provider.get("arguments")
    given = dict(arguments) if isinstance(arguments, Mapping) else {}
    result = call(
        {**provider, "arguments": {**given, "value": value}},
        configuration=configuration,
        secrets=secrets,
    )
    name = tolerance.get("name") or provider.get("func") or provider.get("path") or "the probe"
    failed = result.error or failed_action(provider, result.output)
    if failed:
        return _no(f"{name} could not judge {_show(value)}: {failed}")
    held = bool(result.output) and not _is_nan(result.output)
    return Tolerated(held, one_line(f"{name} said {_show(result.output)} of {_show(value)}"))


def _compact(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _show(value: Json) -> str:
    """A value as it stands in a reason: JSON, cut where it gets long."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


_TYPED = {"range": _range, "regex": _regex, "jsonpath": _jsonpath}
