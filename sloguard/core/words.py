"""Words of a text, as search knows them."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: Longer words are known by their beginning; of one thing so many words are known.
LONGEST, MOST = 60, 60
_WORD = re.compile(r"[^\W_]+")


def words(*texts: str) -> tuple[str, ...]:
    """Every word once, in small letters: runs of letters and digits of any script, in their order.

    ``checkout-7f`` is ``checkout`` and ``7f``.
    """
    return tuple(_unique(found for text in texts for found in _WORD.findall(text.casefold())))


def _unique(found: Iterable[str]) -> Iterable[str]:
    known: dict[str, None] = {}
    for one in found:
        known.setdefault(one[:LONGEST])
        if len(known) == MOST:
            break
    return known
