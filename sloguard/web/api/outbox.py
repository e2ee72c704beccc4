"""Messages to others that are kept until they have arrived: Grafana's marks, notifications."""

from __future__ import annotations

from flask import Response
from pydantic import Field

from sloguard.ports.outbox import MessageState
from sloguard.ports.service import Scope
from sloguard.service.outbox import described
from sloguard.web.answers import json_answer
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.parts import service
from sloguard.web.problems import Problem
from sloguard.web.schemas import Shape, Time
from sloguard.web.shaping import API, page_answer

resource = Resource("outbox", API, about="What is to be told to others, kept until it has arrived.")
#: Numbers are never longer, and every database takes them.
LARGEST = 2**53 - 1


class OutboxQuery(Query):
    """Which messages."""

    state: MessageState | None = Field(None, description="Only those.")
    channel: str | None = Field(
        None, description="Only this channel's: grafana, slack:NAME.", min_length=1, max_length=128
    )
    stream: str | None = Field(
        None, description="Only those of this run or report.", min_length=1, max_length=128
    )
    limit: int = Field(50, ge=1, le=200, description="At most so many.")
    before: int | None = Field(
        None,
        ge=1,
        le=LARGEST,
        description="The number of the last message of the page before this one.",
    )


class MessageShape(Shape):
    """One message, without what it says."""

    number: int
    channel: str = Field(description="who delivers it")
    kind: str
    stream: str = Field(description="the run or report that it tells of")
    key: str
    state: MessageState
    attempts: int
    created: Time
    next_attempt: Time | None = Field(description="of one that waits, where it had to be put off")
    ended: Time | None = Field(description="when it was delivered, given up or dropped")
    error: str = Field(description="what went wrong last")


class OutboxList(Shape):
    """A page of messages."""

    messages: list[MessageShape]
    next: str | None = Field(description="the next page, also in the Link header")


@resource.get(
    "/outbox",
    scope=Scope.ADMIN,
    query=OutboxQuery,
    answers=[
        Answer(
            description="A page of messages, newest first.",
            model=OutboxList,
            headers={"Link": '`rel="next"`: the page after this one'},
        )
    ],
)
def outbox(query: OutboxQuery) -> Response:
    """Messages to others, newest first."""
    found = service().store.messages(
        states=[query.state] if query.state else (),
        channel=query.channel,
        stream=query.stream,
        limit=query.limit,
        before=query.before,
    )
    rows = [described(message) for message in found]
    last = str(found[-1].number) if len(found) == query.limit else None
    return page_answer("messages", rows, f"{API}/outbox", query, last)


@resource.post(
    "/outbox/<message>/retry",
    scope=Scope.ADMIN,
    answers=[Answer(description="It is due now.", model=MessageShape)],
    problems=["unknown-message", "conflict"],
)
def retry(message: str) -> Response:
    """Make a message due now, also one that was given up or dropped."""
    return json_answer(described_now(message, again=True))


@resource.post(
    "/outbox/<message>/drop",
    scope=Scope.ADMIN,
    answers=[Answer(description="It is not delivered any more.", model=MessageShape)],
    problems=["unknown-message", "conflict"],
)
def drop(message: str) -> Response:
    """Never deliver a message; what follows it in its stream goes on."""
    return json_answer(described_now(message, again=False))


def described_now(text: str, *, again: bool) -> dict[str, object]:
    """A message once it was made due (``again``), or dropped. Raises Problem."""
    store = service().store
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 0 < number <= LARGEST or store.message(number) is None:
        raise Problem("unknown-message", f"there is no message '{text}'")
    changed = store.retry_message(number) if again else store.drop_message(number)
    found = store.message(number)
    if not changed or found is None:
        what = "it has arrived" if found and found.ended_at else "it is being delivered right now"
        raise Problem("conflict", f"message {number} cannot be changed: {what}")
    return described(found)
