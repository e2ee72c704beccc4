"""An experiment as it may be kept and shown: resolved, and without any secret."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from sloguard.core.masking import MASK, Masker
from sloguard.core.model import Experiment
from sloguard.spec.substitution import Scope

_CREDENTIALS = re.compile(r"([a-z][a-z0-9+.-]*://)[^/\s@]*@", re.IGNORECASE)
_SECRET_HEADER = re.compile(
    r"authorization|proxy-authorization|cookie|.*(token|secret|password|api-?key).*", re.IGNORECASE
)
_REFERENCE = re.compile(r"(\w+\s+)?\$\{\w+\}")


def masked(experiment: Experiment) -> dict[str, Any]:
    """The document as resolved, as JSON data: what the store and the journal keep.

    ``configuration`` holds the values of this run, and they are filled in everywhere. Secrets stay
    references: a declaration (``type: env``) is kept as written, a literal becomes a mask, and
    ``${name}`` of a secret is not filled in, so that the document can be read again where its secrets can
    be found again. Wherever the value of a secret shows up, in any text, it is masked; so are credentials
    in URLs and literal headers such as Authorization.
    """
    scope = Scope(experiment.configuration)
    masker = Masker.of(experiment.secrets)
    document: dict[str, Any] = {}
    for key, value in experiment.declared.items():
        if key == "secrets":
            document[key] = _secrets(value)
        elif key == "configuration":
            document[key] = _clean(experiment.configuration, masker)
        else:
            document[key] = _clean(scope.fill(value), masker)
    return document


def _secrets(declared: Any) -> Any:
    """Where secrets come from, and no value, however short."""
    if isinstance(declared, Mapping):
        if declared.get("type") in ("env", "vault"):
            return dict(declared)
        return {key: _secrets(value) for key, value in declared.items()}
    return declared if declared is None else MASK


def _clean(value: Any, masker: Masker) -> Any:
    """JSON data without secrets. Bytes become text, numbers that JSON has not become text."""
    if isinstance(value, Mapping):
        return {
            masker.text(str(key)): _clean(_headers(item) if key == "headers" else item, masker)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(item, masker) for item in value]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, str):
        return masker.text(_CREDENTIALS.sub(rf"\1{MASK}@", value))
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
        return value if masker.text(text) == text else MASK
    return value


def _headers(headers: Any) -> Any:
    if not isinstance(headers, Mapping):
        return headers
    return {
        name: MASK
        if _SECRET_HEADER.fullmatch(str(name)) and not _REFERENCE.fullmatch(str(value))
        else value
        for name, value in headers.items()
    }
