"""One value of one setting: from a file, the environment or a flag into its type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sloguard.settings.table import Setting

_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


class Unfit(ValueError):
    """A value that does not fit; the text says how it was found, without the value of a secret."""


def convert(setting: Setting, value: Any) -> Any:
    """The value in the setting's type; raises Unfit."""
    converted = _CONVERTERS[setting.kind](setting, value)
    if isinstance(converted, int | float) and not isinstance(converted, bool):
        _within(setting, converted)
    return converted


def _found(setting: Setting, value: Any) -> Unfit:
    if setting.secret:
        return Unfit("its value does not fit")
    shown = repr(value)
    return Unfit(f"found {shown if len(shown) <= 60 else shown[:57] + '...'}")


def _within(setting: Setting, number: float) -> None:
    fits = (
        math.isfinite(number)
        and (setting.least is None or number >= setting.least)
        and (setting.above is None or number > setting.above)
        and (setting.most is None or number <= setting.most)
    )
    if not fits:
        raise Unfit(f"found {number:g}")


def _text(setting: Setting, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _found(setting, value)
    return str(value).strip()


def _flag(setting: Setting, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise _found(setting, value)


def _whole(setting: Setting, value: Any) -> int:
    try:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise _found(setting, value) from None


def _number(setting: Setting, value: Any) -> float:
    try:
        if isinstance(value, bool):
            raise ValueError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise _found(setting, value) from None


def _duration(setting: Setting, value: Any) -> float:
    # numpy comes with it: not before a duration is really there to be read.
    from sloguard.core.objective import ObjectiveError, parse_duration

    try:
        return parse_duration(value)
    except ObjectiveError:
        raise _found(setting, value) from None


def _path(setting: Setting, value: Any) -> Path:
    if not isinstance(value, str | Path) or "\0" in str(value) or not str(value).strip():
        raise _found(setting, value)
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise Unfit(f"found {str(value)!r}, and no such home directory") from None


def _choice(setting: Setting, value: Any) -> str:
    # YAML makes booleans of these two words.
    word = {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)
    word = word.strip().lower()
    if word not in setting.choices:
        raise _found(setting, value)
    return word


def _mapping(setting: Setting, value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        if not all(
            isinstance(v, str | int | float) and not isinstance(v, bool) for v in value.values()
        ):
            raise _found(setting, value)
        return {str(key): str(item) for key, item in value.items()}
    if not isinstance(value, str):
        raise _found(setting, value)
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(sign and name.strip() for name, sign, _ in pairs):
        raise _found(setting, value)
    return {name.strip(): text.strip() for name, _, text in pairs}


def _list(setting: Setting, value: Any) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise _found(setting, value)
    texts = [_text(setting, part) for part in parts]
    return tuple(text for text in texts if text)


_CONVERTERS: Mapping[str, Callable[[Setting, Any], Any]] = {
    "text": _text,
    "flag": _flag,
    "whole": _whole,
    "number": _number,
    "duration": _duration,
    "path": _path,
    "choice": _choice,
    "mapping": _mapping,
    "list": _list,
}
