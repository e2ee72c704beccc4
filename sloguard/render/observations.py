"""What people noted during a run, as JSON and as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sloguard.core.model import Json
from sloguard.core.people import RunNote
from sloguard.core.text import iso_time


def note_json(note: RunNote) -> dict[str, Json]:
    """One note. Times ISO 8601 UTC."""
    return {
        "number": note.number,
        "at": iso_time(note.at),
        "text": note.text,
        "by": note.by,
        "written_at": iso_time(note.written_at),
        "origin": note.origin,
    }


def note_lines(notes: Iterable[RunNote]) -> Iterator[str]:
    """Lines for a terminal: the time and who, then the text, each of its lines on one of its own."""
    for note in notes:
        first, *rest = note.text.split("\n")
        yield f"{iso_time(note.at)} {note.by}: {first}"
        yield from (f"    {line}" for line in rest)
