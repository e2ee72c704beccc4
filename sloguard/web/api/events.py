"""What happens in a run while it happens: server-sent events, resumable."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from flask import Response, stream_with_context
from pydantic import Field

from sloguard.core.history import StoredEvent
from sloguard.core.text import iso_time
from sloguard.ports.service import Scope
from sloguard.web.api.finding import LATEST, unknown_run, whole_id
from sloguard.web.endpoints import Answer, Query, Resource
from sloguard.web.parts import Service, service
from sloguard.web.shaping import API

resource = Resource("events", API, about="What happens in a run, as it happens.")

#: How long a client waits before it connects again, milliseconds.
_RETRY = 2000


class LastSeen(Query):
    """Where a client was cut off."""

    last: int | None = Field(
        None, alias="Last-Event-ID", description="Go on after this event.", ge=0, le=2**53
    )


class EventsQuery(Query):
    """Where to begin."""

    after: int = Field(0, ge=0, le=2**53, description="Only events after this one (its id).")
    follow: bool = Field(True, description="Go on while the run does; else only what there is.")


@resource.get(
    "/runs/<run>/events",
    scope=Scope.READ,
    query=EventsQuery,
    headers=LastSeen,
    answers=[
        Answer(
            description="Events, each with its number as `id` and its kind as `event`.",
            media=("text/event-stream",),
        ),
        Answer(status=204, description="The run is over and you have all: do not ask again."),
    ],
    problems=["unknown-run", "too-many-waiting"],
)
def events(run: str, query: EventsQuery, headers: LastSeen) -> Response:
    """Everything that happens in a run, as server-sent events (`EventSource` in a browser).

    A client that was cut off goes on where it was (Last-Event-ID). The stream ends with an event `end` once
    the run has; a comment comes at least every 15 seconds. A queued job's stream begins when it starts.
    """
    here = service()
    found = whole_id(here, run) if run == LATEST else run
    after = headers.last if headers.last is not None else query.after
    ended = _ended(here, found)
    if ended is None and here.store.job(found) is None:
        raise unknown_run(found)
    first = here.store.events_page(found, after)
    if ended and not first and after:
        return Response(status=204)
    follow = query.follow and not ended
    place = here.watcher.place()
    if follow:
        # Taken before the answer begins: afterwards it could no longer be a refusal.
        place.__enter__()
    stream = _stream(here, found, after, follow=follow)
    made = Response(stream_with_context(stream), mimetype="text/event-stream")
    if follow:
        made.call_on_close(lambda: place.__exit__(None, None, None))
    made.headers["Cache-Control"] = "no-store"
    # nginx would hold the events back.
    made.headers["X-Accel-Buffering"] = "no"
    return made


def _ended(here: Service, run: str) -> bool | None:
    """Whether the run has ended; None: there is none (yet)."""
    found = here.store.answer(run)
    return None if found is None else found.ended_at is not None


def _stream(here: Service, run: str, after: int, *, follow: bool) -> Iterator[bytes]:
    yield b"retry: %d\n\n" % _RETRY
    spoken, heartbeat = time.monotonic(), here.parts.heartbeat
    while True:
        turn = here.watcher.turn
        # Asked before reading: what was written until the end is then among what is read.
        over = not follow or _over(here, run)
        while page := here.store.events_page(run, after):
            yield b"".join(map(_written, page))
            after, spoken = page[-1].number, time.monotonic()
        if over:
            yield b"event: end\ndata: {}\n\n"
            return
        if here.watcher.stopping:
            return
        here.watcher.wait(turn, max(heartbeat - (time.monotonic() - spoken), 0.1))
        if time.monotonic() - spoken >= heartbeat:
            yield b": still here\n\n"
            spoken = time.monotonic()


def _over(here: Service, run: str) -> bool:
    ended = _ended(here, run)
    if ended is not None:
        return ended
    job = here.store.job(run)
    return job is None or job.state.is_over


def _written(event: StoredEvent) -> bytes:
    data = msgspec.json.encode({"at": iso_time(event.at), "kind": event.kind, **event.data})
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.number, event.kind.encode(), data)
