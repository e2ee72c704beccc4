"""Messages to others: what waits, what was given up and why, and a word on each."""

from __future__ import annotations

from flask import Response
from pydantic import Field

from sloguard.ports.outbox import MessageState
from sloguard.ports.service import Scope
from sloguard.web.api.outbox import LARGEST, described_now
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.pages.addressing import with_query
from sloguard.web.pages.forms import FORM, PageQuery, see, sent
from sloguard.web.pages.rendering import page
from sloguard.web.parts import service

resource = Resource("outbox-pages", "/outbox", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
GONE_ON = [Answer(description="Go on there.", status=303, media=())]
_PAGE = 50


class Wanted(PageQuery):
    """Which messages."""

    state: MessageState | None = Field(None, description="Only those.")
    channel: str | None = Field(None, max_length=128, description="Only this channel's.")
    before: int | None = Field(None, ge=1, le=LARGEST, description="Older than this one.")


@resource.get("", scope=Scope.ADMIN, query=Wanted, answers=HTML)
def outbox(query: Wanted) -> Response:
    """Messages, newest first."""
    store = service().store
    states = [query.state] if query.state else []
    found = store.messages(
        states=states, channel=query.channel, limit=_PAGE + 1, before=query.before
    )
    shown = found[:_PAGE]
    kept = {"state": query.state.value if query.state else "", "channel": query.channel or ""}
    counts = store.message_counts()
    older = {**kept, "before": str(shown[-1].number)} if len(found) > _PAGE else None
    return page(
        "outbox",
        section="",
        messages=shown,
        wanted=query,
        states=list(MessageState),
        channels=sorted({channel for channel, _ in counts}),
        counts=sorted(counts.items()),
        older=with_query("/outbox", older) if older else "",
        newest=with_query("/outbox", kept) if query.before else "",
    )


@resource.post("/<message>/retry", scope=Scope.ADMIN, raw=(FORM,), answers=GONE_ON)
def retry(message: str) -> Response:
    """Make a message due now."""
    sent()
    described_now(message, again=True)
    return see("/outbox")


@resource.post("/<message>/drop", scope=Scope.ADMIN, raw=(FORM,), answers=GONE_ON)
def drop(message: str) -> Response:
    """Never deliver a message."""
    sent()
    described_now(message, again=False)
    return see("/outbox")
