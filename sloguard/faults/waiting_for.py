"""What is waited for of an object, as ``kubectl wait --for`` takes it. Pure.

``condition=Ready`` (status True), ``condition=Ready=False``, ``jsonpath={.status.phase}=Running``,
``jsonpath={.status.address}`` (there is one).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sloguard.faults.base import FaultError
from sloguard.ports import Object

_CONDITION = re.compile(r"condition=([^=\s]+)(?:=(\S+))?")
_JSONPATH = re.compile(r"jsonpath=(.+?\}|'.+?'|[^={}]+)(?:=(.*))?", re.DOTALL)
_MOST_SHOWN = 120


def texts_of(value: Any, kind: str, kinds: frozenset[str]) -> list[str]:
    """What is waited for of an object of this kind: of all alike, or by kind. Raises FaultError."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        unknown = [str(key) for key in value if key not in kinds]
        if unknown:
            raise FaultError(
                f"wait_for: no manifest is of the kind {unknown[0]}, but {', '.join(sorted(kinds))}"
            )
        return texts_of(value.get(kind), kind, kinds)
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list | tuple) or not all(isinstance(text, str) for text in found):
        raise FaultError(
            f"wait_for: expected a text such as condition=Ready, or a list of them, found {value!r}"
        )
    for text in found:
        missing({}, text)
    return list(found)


def missing(obj: Object, text: str) -> str:
    """Why what is waited for does not hold of an object; empty where it does. Raises FaultError."""
    found = _CONDITION.fullmatch(text.strip())
    if found:
        return _condition(obj, found[1], found[2] or "True")
    found = _JSONPATH.fullmatch(text.strip())
    if found:
        return _path(obj, found[1].strip("'"), found[2])
    raise FaultError(
        "wait_for: expected condition=TYPE, condition=TYPE=STATUS or jsonpath={.path}=VALUE, "
        f"found {text!r}"
    )


def _condition(obj: Object, kind: str, wanted: str) -> str:
    status = obj.get("status") or {}
    conditions = status.get("conditions") or []
    found = next((c for c in conditions if str(c.get("type")).lower() == kind.lower()), None)
    if found is None:
        return f"it has no condition {kind} yet"
    seen = found.get("observedGeneration", status.get("observedGeneration"))
    if isinstance(seen, int) and seen < int(obj["metadata"].get("generation") or 0):
        return f"its condition {kind} is of an older generation"
    if str(found.get("status")).lower() == wanted.lower():
        return ""
    said = ": ".join(str(found[key]) for key in ("reason", "message") if found.get(key))
    text = f"its condition {kind} is {found.get('status')}, not {wanted}"
    return f"{text} ({said[:_MOST_SHOWN]})" if said else text


def _path(obj: Object, path: str, wanted: str | None) -> str:
    # Slow to import, and seldom needed.
    from jsonpath2.path import Path

    inner = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    whole = f"${inner}" if inner.startswith((".", "[")) else f"$.{inner}"
    try:
        found = [match.current_value for match in Path.parse_str(whole).match(obj)]
    except ValueError as error:
        raise FaultError(f"wait_for: {path} is not a JSON path: {error}") from None
    if not found:
        return f"it has no {whole} yet"
    if wanted is None or all(_text(value) == wanted.strip("'\"") for value in found):
        return ""
    shown = ", ".join(map(_text, found))
    return f"its {whole} is {shown[:_MOST_SHOWN]}, not {wanted}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
