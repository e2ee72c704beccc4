"""Observations that people attach to a run, while it goes on and afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable

from sloguard.core.masking import Masker
from sloguard.core.people import NoteError, RunNote, name_text, note_text
from sloguard.ports.people import RunNotes

#: A clock may be ahead by so much, seconds.
_AHEAD = 60.0


class NoteDesk:
    """Where notes are written. ``masker``: knows the secrets of a run's experiment, as far as anybody does."""

    def __init__(
        self,
        notes: RunNotes,
        *,
        masker: Callable[[str], Masker] = lambda _run: Masker(),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._notes, self._masker, self._now = notes, masker, now

    def add(
        self,
        run: str,
        text: str,
        *,
        by: str,
        origin: str,
        at: float | None = None,
        where: str = "",
    ) -> RunNote:
        """Keep a note about ``at`` (now, if left out). Raises NoteError, and OutsideError."""
        now = self._now()
        about = now if at is None else at
        if about > now + _AHEAD:
            raise NoteError("a note is about what has happened: its time has not come yet")
        masker = self._masker(run)
        return self._notes.add_note(
            RunNote(
                run=run,
                text=note_text(masker.text(text)),
                at=about,
                by=name_text(masker.text(by)) or "somebody",
                written_at=now,
                origin=origin,
                where=where,
            )
        )
