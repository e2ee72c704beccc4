"""A run as it may be kept: no secret's value, wherever it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sloguard.core.jsonable import dump, jsonable
from sloguard.core.masking import MASK, Masker
from sloguard.core.model import Json


def masked_secrets(declared: Mapping[str, Any]) -> dict[str, Any]:
    """The document as written with the values under ``secrets`` masked.

    Where a secret comes from (``type: env``, ``key``) stays, so that recovery can look there again.
    """
    kept = dict(declared)
    secrets = kept.get("secrets")
    if isinstance(secrets, Mapping):
        kept["secrets"] = {scope: _masked(inner) for scope, inner in secrets.items()}
    elif secrets is not None:
        kept["secrets"] = MASK
    return kept


def masked_json(value: Any, masker: Masker) -> Json:
    """JSON of anything with the values masked.

    Keys stay: they are the names of fields, by which all this is read back, and a secret that happens
    to be such a word may not make a run unreadable.
    """
    return _values(jsonable(value), masker)


def masked_text(value: Any, masker: Masker) -> str:
    """``masked_json`` as one line."""
    return dump(masked_json(value, masker))


def _values(value: Json, masker: Masker) -> Json:
    if isinstance(value, str):
        return masker.text(value)
    if isinstance(value, dict):
        return {k: _values(v, masker) for k, v in value.items()}
    if isinstance(value, list):
        return [_values(v, masker) for v in value]
    return value


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "type" in value:
            return {k: v if k in ("type", "key", "path") else MASK for k, v in value.items()}
        return {k: _masked(v) for k, v in value.items()}
    return MASK
