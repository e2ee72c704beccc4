"""What a report of runs is about: stored runs, documents in files, journals of the Chaos Toolkit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sloguard.core.history import StoredRun
from sloguard.core.people import RunNote
from sloguard.render.observations import note_json
from sloguard.render.report import ReportError
from sloguard.render.report.journals import document_of, is_journal, masked
from sloguard.render.summary import OUTCOME_SENTENCES

Json = dict[str, Any]
_NOT_ENDED = (
    "it has no verdict yet; wait for its end, or look at it with 'sloguard runs show --events'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One run. ``origin``: where it comes from, in words; ``stored``: its id in the store, or empty;
    ``source``: the file of its experiment, where that is known.

    ``sentence``: what its outcome means, where that is not what it usually means.
    """

    document: Mapping[str, Any]
    origin: str
    sentence: str = ""
    stored: str = ""
    tags: tuple[str, ...] = ()
    source: str = ""
    definition: Mapping[str, Any] = field(default_factory=dict)
    #: What people noted, as JSON: see ``render.observations``.
    observations: tuple[Mapping[str, Any], ...] = ()


def of_stored(run: StoredRun, notes: Iterable[RunNote] = ()) -> Subject:
    """A run of the store; raises ReportError where it has no verdict."""
    if run.document is None:
        raise ReportError(f"run {run.id} ({run.title}) is {run.state}: {_NOT_ENDED}")
    return Subject(
        document=run.document,
        origin=f"run {run.id}",
        stored=run.id,
        tags=run.tags,
        source=run.source,
        definition=run.resolved or run.declared,
        observations=tuple(note_json(note) for note in notes),
    )


def of_file(text: str, name: str) -> Subject:
    """A verdict document (``--format json``) or a journal; raises ReportError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{name}: this is no JSON: {error}") from error
    if not isinstance(data, Mapping):
        raise ReportError(f"{name}: expected an object, found {type(data).__name__}")
    if is_journal(data):
        return _of_journal(data, name)
    if isinstance(data.get("document"), Mapping):
        # 'sloguard runs export' puts more around it.
        return Subject(
            document=_checked(data["document"], name),
            origin=name,
            definition=_definition(data),
            observations=_noted(data.get("observations")),
        )
    return Subject(document=_checked(data, name), origin=name)


def _of_journal(data: Mapping[str, Any], name: str) -> Subject:
    journal = masked(data)
    try:
        document, sentence = document_of(journal)
    except ReportError as error:
        raise ReportError(f"{name}: {error}") from error
    experiment = journal.get("experiment")
    return Subject(
        document=_checked(document, name),
        origin=f"{name}, a Chaos Toolkit journal",
        sentence=sentence,
        tags=tuple(map(str, experiment.get("tags") or ()))
        if isinstance(experiment, Mapping)
        else (),
        definition=experiment if isinstance(experiment, Mapping) else {},
        observations=_noted(journal.get("sloguard-observations")),
    )


def _noted(found: Any) -> tuple[Mapping[str, Any], ...]:
    """Notes of a file that anybody may have written: those that are such."""
    if not isinstance(found, list):
        return ()
    return tuple(one for one in found if isinstance(one, Mapping) and _is_time(one.get("at")))


def _is_time(at: Any) -> bool:
    try:
        datetime.fromisoformat(at)
    except (TypeError, ValueError):
        return False
    return True


def _definition(data: Mapping[str, Any]) -> Mapping[str, Any]:
    found = data.get("resolved") or data.get("declared")
    return found if isinstance(found, Mapping) else {}


def _checked(document: Mapping[str, Any], name: str) -> Json:
    """All that is taken for granted of a document; raises ReportError."""
    outcome = document.get("outcome")
    if outcome not in OUTCOME_SENTENCES:
        raise ReportError(
            f"{name}: this is neither a verdict ('sloguard run --format json') nor a journal of the Chaos "
            f"Toolkit: its outcome is {outcome!r}; expected one of {', '.join(OUTCOME_SENTENCES)}"
        )
    made: Json = {"experiment": "", "reason": "", "run": "", "timeline": None, **document}
    for key in ("slos", "probes", "alerts", "faults", "victims", "activities", "notes"):
        made[key] = document.get(key) or []
        if not isinstance(made[key], list):
            raise ReportError(f"{name}: {key}: expected a list, found {type(made[key]).__name__}")
    return made
