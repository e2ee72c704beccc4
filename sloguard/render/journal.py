"""A Chaos Toolkit journal of a run, so that whatever reads those can read ours.

The keys are those of chaoslib's journal. sloguard's own document stands beside them, whole, under
``sloguard`` (null until there is one); what people noted while it ran stands under ``sloguard-observations``,
where anything was. An outcome becomes the nearest status that the format knows:

============  ===========  ========  =====================================================
outcome       status       deviated  why
============  ===========  ========  =====================================================
met           completed    false
deviated      completed    true      as chaoslib does
inconclusive  failed       false     no evidence is no pass: nobody may read it as green
not-started   failed       *         the gate said no
aborted       aborted      *         by a guard rail
aborted       interrupted  *         by a signal or a person, or killed
not-restored  failed       *         something is left behind
============  ===========  ========  =====================================================

``*``: whether any SLO or probe deviated. Until the last event has come the file says ``interrupted``,
and ends with the last moment known: that is the truth of a file whose writer was killed. The state of
``before``, ``during`` and ``after`` counts SLOs as well as probes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from sloguard.core.events import Event
from sloguard.core.history import StoredEvent, StoredRun
from sloguard.core.model import Json
from sloguard.core.people import RunNote
from sloguard.ports import OutsideError
from sloguard.render.files import write_atomically
from sloguard.render.journal_build import Journal


class JournalError(OutsideError):
    """The journal could not be written; the run goes on without it."""


class JournalWriter:
    """Keeps a journal's file up to date: whole and valid JSON at every moment, also after a crash.

    ``record`` takes every event and rewrites the file whenever an activity begins or ends, and at the
    end; raises JournalError where that fails, and goes on with the next event.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._journal = Journal()

    def record(self, event: Event) -> None:
        """Note an event, and write what it changed."""
        if self._journal.take(event):
            write_journal(self.path, self._journal.build())


def write_journal(path: str, journal: Mapping[str, Json]) -> None:
    """Replace the file by this journal at once and for good; raises JournalError."""
    text = json.dumps(journal, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        write_atomically(path, text.encode("utf-8", "backslashreplace") + b"\n")
    except OSError as error:
        raise JournalError(
            f"the journal {path} cannot be written: {error.strerror or error}; "
            "choose another --journal-path, or make room"
        ) from error


def journal_of(
    run: StoredRun, events: Iterable[StoredEvent] = (), notes: Iterable[RunNote] = ()
) -> dict[str, Json]:
    """The journal of a run that the store has, however it ended, with what people noted."""
    journal = Journal()
    journal.stored(run, events)
    journal.noted(notes)
    return journal.build()
