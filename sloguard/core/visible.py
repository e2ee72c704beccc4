"""Texts of others on a terminal: nothing in them may move the cursor, break the line or hide what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def visible(text: str) -> str:
    """The text in one line; line breaks, control and direction characters as ``\\n``, ``\\x1b``, ``\\u202e``."""
    if text.isprintable():
        return text
    return "".join(c if _harmless(c) else c.encode("unicode_escape").decode() for c in text)


def _harmless(character: str) -> bool:
    # Joiners make one sign of several in many scripts, and a space of any width is a space.
    return character.isprintable() or character in "\u200c\u200d\u00a0\u2007\u202f\u3000"


#: Keys of documents whose texts have lines: what breaks them there is sloguard's own.
_OF_LINES = frozenset({"proposed_rule"})


def visible_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def visible_data(value: Any) -> Any:
    """JSON data with every text visible."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {
            visible(str(key)): visible_lines(item)
            if key in _OF_LINES and isinstance(item, str)
            else visible_data(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [visible_data(item) for item in value]
    return value
