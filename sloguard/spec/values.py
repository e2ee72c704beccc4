"""Single values as the model wants them; each raises ValueError with what it found."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

from sloguard.core.model import Policy, Tolerance
from sloguard.core.objective import parse_duration, parse_share
from sloguard.documents.problems import did_you_mean
from sloguard.spec.errors import Misfit

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
        if abs(value) > sys.float_info.max or math.isnan(value):
            raise ValueError(_found(value))
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


def count(value: Any) -> int:
    """A whole number of 1 or more."""
    if whole(value) < 1:
        raise ValueError(_found(value))
    return int(value)


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
            raise Misfit(_found(value), percent)
        found = float(value)
    return found


def positive_share(value: Any) -> float:
    """A share above 0."""
    found = share(value)
    if found <= 0:
        raise ValueError(f"found {value}")
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
    seconds = parse_duration(value)
    shown = f"{seconds:g}s" if isinstance(value, int | float) else str(value).strip()
    return Tolerance(seconds=seconds, text=shown)


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


def flag_or_path(value: Any) -> bool | str:
    """true, false or a path."""
    return text(value) if isinstance(value, str) else flag(value)


def seconds(value: Any) -> float:
    """A number of seconds of 0 or more."""
    return number(least=0)(value)


def nothing(value: Any) -> Any:
    """Fits nothing."""
    raise ValueError(_found(value))
