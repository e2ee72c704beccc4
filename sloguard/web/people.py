"""People in the loop, as pages and API need them: desks over the store, and what they refuse as problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from flask import request

from sloguard.core.masking import Masker
from sloguard.core.people import Answer, NoteError, RunNote, name_text
from sloguard.ports.people import AskOver, AskState, MayNot, NothingAsked, StoredAsk, TooManyNotes
from sloguard.service.approvals import ApprovalDesk
from sloguard.service.catalogue import UnknownExperiment
from sloguard.service.noting import NoteDesk
from sloguard.web.api.finding import stored_run, unknown_run, whole_id
from sloguard.web.identity import who
from sloguard.web.problems import Problem

if TYPE_CHECKING:
    from sloguard.web.parts import Service


#: The values of the two buttons.
ANSWERS: Mapping[str, Answer] = {"approve": "approved", "refuse": "refused"}


def approvals(here: Service) -> ApprovalDesk:
    """Where people decide."""
    four_eyes = here.parts.settings.approvals.four_eyes
    return ApprovalDesk(here.store, four_eyes=four_eyes, now=here.parts.now)


def add_note(
    here: Service,
    run: str,
    text: str,
    *,
    origin: str,
    at: float | None = None,
    name: str = "",
) -> RunNote:
    """Attach what whoever asks has observed to a run, a job or a window. Raises a Problem."""
    found = whole_id(here, run)
    known = stored_run(here, found) or here.store.job(found) or here.store.window(found)
    if known is None:
        raise unknown_run(found)
    desk = NoteDesk(here.store, masker=lambda id: _masker(here, id), now=here.parts.now)
    given, identity = name_text(name), who().name
    # What somebody calls themselves proves nothing; who has sent it stays beside it.
    by = f"{given} ({identity})" if given else identity
    try:
        return desk.add(found, text, by=by, origin=origin, at=at, where=request.remote_addr or "")
    except NoteError as error:
        raise Problem("invalid", f"the note cannot be kept: {error}") from None
    except TooManyNotes as error:
        raise Problem("conflict", str(error)) from None


def _masker(here: Service, run: str) -> Masker:
    """Knows the secrets of the run's experiment, where the catalogue still has it."""
    stored = stored_run(here, run)
    job = here.store.job(run)
    name = stored.experiment if stored is not None else job.experiment if job is not None else ""
    try:
        entry = here.parts.catalogue.get(name)
    except UnknownExperiment:
        return Masker()
    return Masker() if entry.experiment is None else Masker.of(entry.experiment.secrets)


@contextmanager
def deciding() -> Iterator[None]:
    """Around a call into the desk of approvals."""
    try:
        yield
    except NothingAsked as error:
        raise Problem("no-approval", str(error)) from None
    except AskOver as error:
        raise Problem("conflict", str(error)) from None
    except MayNot as error:
        raise Problem("forbidden", str(error)) from None
    except NoteError as error:
        raise Problem("invalid", f"the reason does not fit: {error}") from None


def waits(asked: StoredAsk | None) -> bool:
    """Whether somebody can still decide."""
    return asked is not None and asked.state is AskState.WAITING
