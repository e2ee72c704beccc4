"""People in the loop: what a run asks them, what they decide, and what they note."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response, request
from pydantic import Field

from sloguard.core.people import LONGEST_NOTE, LONGEST_REASON
from sloguard.core.people import Answer as Said
from sloguard.core.text import iso_time
from sloguard.ports.people import AskState, StoredAsk
from sloguard.ports.service import Scope
from sloguard.render.observations import note_json
from sloguard.web.answers import json_answer
from sloguard.web.api.finding import stored_run, unknown_run, whole_id
from sloguard.web.api.timing import Moment, seconds
from sloguard.web.endpoints import Answer, Body, Resource
from sloguard.web.identity import who
from sloguard.web.parts import Service, service
from sloguard.web.people import add_note, approvals, deciding
from sloguard.web.problems import Problem
from sloguard.web.schemas import Shape, Time
from sloguard.web.shaping import API

resource = Resource(
    "people", API, about="What runs ask people, what they decide, and what they note."
)

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class VoiceShape(Shape):
    """What one person said."""

    by: str
    answer: Said
    at: Time
    reason: str


class ApprovalShape(Shape):
    """What a run asks people before it injects anything."""

    run: str
    state: AskState
    digest: str = Field(description="a hash of what will be done and to what")
    plan: dict[str, Any]
    asked: Time
    until: Time
    minimum: int = Field(description="so many different people have to agree")
    by: list[str] = Field(description="only these may; empty: whoever may start runs")
    again: str = Field(description="why it is asked once more")
    voices: list[VoiceShape]
    detail: str


class NoteShape(Shape):
    """An observation."""

    number: int
    at: Time
    text: str
    by: str
    written_at: Time
    origin: str


class NoteList(Shape):
    """Those of one run, by the time that they are about."""

    notes: list[NoteShape]


class Choice(Body):
    """Why, and about what."""

    reason: str = Field(
        default="", max_length=LONGEST_REASON, description="it stands in the record"
    )
    plan: Digest | None = Field(
        default=None,
        description="the `digest` that was looked at: refused where something else would be hit by now",
    )


class Observation(Body):
    """What somebody saw."""

    text: str = Field(min_length=1, max_length=LONGEST_NOTE)
    at: Moment | None = Field(default=None, description="when it was seen; now, if left out")
    by: str = Field(default="", max_length=80, description="who saw it, beside who sends it")


_DECIDED = Answer(description="What came of it so far.", model=ApprovalShape)
_PROBLEMS = ["unknown-run", "no-approval", "conflict"]


@resource.get(
    "/runs/<run>/approval",
    scope=Scope.READ,
    answers=[Answer(description="The newest question.", model=ApprovalShape)],
    problems=["unknown-run", "no-approval"],
)
def approval(run: str) -> Response:
    """What a run asks people before the first fault, and what they said."""
    here = service()
    return json_answer(_shape(_asked(here, _known(here, run))))


@resource.post(
    "/runs/<run>/approve",
    scope=Scope.RUN,
    body=Choice,
    answers=[_DECIDED],
    problems=_PROBLEMS,
)
def approve(run: str, body: Choice) -> Response:
    """Approve what a waiting run is about to inject.

    Once as many different people have agreed as it wants, it looks once more at what it would hit and begins.
    """
    return _decided(run, "approved", body)


@resource.post(
    "/runs/<run>/refuse",
    scope=Scope.RUN,
    body=Choice,
    answers=[_DECIDED],
    problems=_PROBLEMS,
)
def refuse(run: str, body: Choice) -> Response:
    """Refuse it: the outcome is `not-started`, and nothing is injected. One refusal is enough."""
    return _decided(run, "refused", body)


@resource.get(
    "/runs/<run>/notes",
    scope=Scope.READ,
    answers=[Answer(description="The notes.", model=NoteList)],
    problems=["unknown-run"],
)
def notes(run: str) -> Response:
    """What people observed during a run or a window, and afterwards.

    They are no part of the verdict, which stays as it was.
    """
    here = service()
    found = _known(here, run)
    return json_answer({"notes": [note_json(note) for note in here.store.notes_of(found)]})


@resource.post(
    "/runs/<run>/notes",
    scope=Scope.RUN,
    body=Observation,
    answers=[Answer(status=201, description="It is kept.", model=NoteShape)],
    problems=["unknown-run", "conflict"],
)
def note(run: str, body: Observation) -> Response:
    """Attach an observation to a run or a window, while it goes on or afterwards."""
    here = service()
    kept = add_note(here, run, body.text, origin="api", at=seconds(body.at), name=body.by)
    return json_answer(note_json(kept), 201)


def _decided(run: str, answer: Said, body: Choice) -> Response:
    here = service()
    found = _known(here, run)
    with deciding():
        decided = approvals(here).decide(
            found,
            answer,
            by=who().name,
            from_=request.remote_addr or "",
            reason=body.reason,
            plan=body.plan or "",
        )
    return json_answer(_shape(decided))


def _asked(here: Service, run: str) -> StoredAsk:
    asked = here.store.ask_of(run)
    if asked is None:
        raise Problem("no-approval", f"run '{run}' has asked for no approval")
    return asked


def _known(here: Service, run: str) -> str:
    """The whole id of a run, a job or a window that there is."""
    found = whole_id(here, run)
    if stored_run(here, found) or here.store.job(found) or here.store.window(found):
        return found
    raise unknown_run(found)


def _shape(asked: StoredAsk) -> dict[str, Any]:
    ask = asked.ask
    return {
        "run": ask.run,
        "state": str(asked.state),
        "digest": ask.digest,
        "plan": dict(ask.plan),
        "asked": iso_time(ask.asked_at),
        "until": iso_time(ask.until),
        "minimum": ask.minimum,
        "by": list(ask.by),
        "again": ask.again,
        "voices": [
            {"by": v.by, "answer": v.answer, "at": iso_time(v.at), "reason": v.reason}
            for v in asked.voices
        ],
        "detail": asked.detail,
    }
