"""The shared vocabulary as JSON: what events, stores and journals write of it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Set
from enum import Enum
from typing import Any

import numpy as np

from sloguard.core.masking import Masker
from sloguard.core.model import Json


def jsonable(value: Any) -> Json:
    """A JSON value: dataclasses and mappings as objects, NaN and ±Inf as texts, the unknown as text.

    Never raises for what is inside; the value must not contain itself.
    """
    if value is None or (isinstance(value, bool | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Enum):
        return jsonable(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, Mapping):
        return {_key(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if isinstance(value, Set):
        return sorted((jsonable(v) for v in value), key=repr)
    if isinstance(value, np.generic | np.ndarray):
        return jsonable(value.tolist())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return str(value)


def dump(value: Any) -> str:
    """One line of JSON in ASCII, which no file encoding and no database refuses."""
    return json.dumps(jsonable(value), separators=(",", ":"), allow_nan=False)


def masked(value: Any, masker: Masker) -> Json:
    """JSON of anything, with the secrets taken out of its values.

    Keys stay: they are the names of fields, by which it is read back, and a secret that happens to be
    such a word may not make a record unreadable.
    """
    return _masked(jsonable(value), masker)


def _masked(value: Json, masker: Masker) -> Json:
    if isinstance(value, str):
        return masker.text(value)
    if isinstance(value, dict):
        return {k: _masked(v, masker) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v, masker) for v in value]
    return value


def _key(key: Any) -> str:
    converted = jsonable(key)
    return converted if isinstance(converted, str) else json.dumps(converted)


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"
