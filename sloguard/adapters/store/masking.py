"""A run as it may be kept: no secret's value, wherever it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sloguard.core.masking import MASK


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


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        if "type" in value:
            return {k: v if k in ("type", "key", "path") else MASK for k, v in value.items()}
        return {k: _masked(v) for k, v in value.items()}
    return MASK
