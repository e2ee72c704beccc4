"""Secrets never leave: one place that takes their values out of whatever is about to be shown or kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MASK = "*****"
#: Shorter values would blank out half of every text without protecting anything.
SHORTEST = 4


class Masker:
    """Replaces every known secret value inside texts and JSON data."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # Longest first, so that a secret that contains another one is not left half-shown.
        known = {s for s in secrets if len(s) >= SHORTEST}
        self._secrets = sorted(known, key=len, reverse=True)

    @classmethod
    def of(cls, *secrets: Any) -> Masker:
        """A masker for every text found anywhere inside ``secrets`` (nested mappings and lists)."""
        return cls(_texts(secrets))

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def data(self, value: Any) -> Any:
        """A copy of JSON-like data without the secrets, keys included."""
        if not self._secrets:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.data(k): self.data(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.data(v) for v in value]
        return value


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
