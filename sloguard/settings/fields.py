"""How one setting is declared: its default, what it means, and what it may be."""

from __future__ import annotations

from dataclasses import field
from typing import Any, Literal

Kind = Literal["text", "flag", "whole", "number", "duration", "path", "choice", "mapping", "list"]


def setting(
    default: Any,
    doc: str,
    kind: Kind = "text",
    *,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    secret: bool = False,
    shown: str = "",
) -> Any:
    """A field with all that reading and documenting it needs. ``shown``: the default in words."""
    about = {
        "doc": doc,
        "kind": kind,
        "choices": choices,
        "least": least,
        "above": above,
        "most": most,
        "secret": secret,
        "shown": shown,
    }
    # A secret stays out of every repr, and so out of logs and tracebacks.
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=about, repr=not secret)
    return field(default=default, metadata=about, repr=not secret)
