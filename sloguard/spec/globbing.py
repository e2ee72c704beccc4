"""``rules/slos/*.yaml`` -> files, within bounds: no ``**``, a few directories, never a wait."""

from __future__ import annotations

import fnmatch
import os
import re
from pathlib import Path

#: More files than this are no set of SLOs that anybody wrote by hand.
MOST_FILES = 200
#: How many names may be looked at to find them.
MOST_LOOKED_AT = 20_000
_MAGIC = re.compile(r"[*?[]")


class TooMany(ValueError):
    """A pattern that reaches too far; the text completes "the pattern …"."""


def matching(pattern: str, directory: Path) -> tuple[list[str], list[str]]:
    """Files that match, sorted, and the directories that were listed. Raises TooMany.

    ``*``, ``?`` and ``[…]`` match within one part of a path; hidden names only where the part begins with a dot.
    """
    if "**" in pattern:
        raise TooMany("reaches through all directories below: '**' is not taken")
    parts = Path(os.path.expanduser(pattern)).parts
    places = [os.fspath(directory)]
    listed: list[str] = []
    looked = 0
    for part in parts:
        if not _MAGIC.search(part):
            places = [os.path.normpath(os.path.join(place, part)) for place in places]
            continue
        found: list[str] = []
        for place in places:
            names = _names(place, MOST_LOOKED_AT - looked)
            looked += len(names)
            listed.append(place)
            hidden = part.startswith(".")
            kept = [n for n in fnmatch.filter(names, part) if hidden or not n.startswith(".")]
            found += [os.path.join(place, name) for name in sorted(kept)]
        places = found
    files = [place for place in places if not os.path.isdir(place) and os.path.lexists(place)]
    if len(files) > MOST_FILES:
        raise TooMany(f"matches {len(files)} files; at most {MOST_FILES} are read")
    return files, listed


def _names(directory: str, most: int) -> list[str]:
    """What is in a directory; nothing where it cannot be read."""
    names: list[str] = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) > most:
                    raise TooMany(f"would look at more than {MOST_LOOKED_AT} names")
    except OSError:
        return []
    return names
