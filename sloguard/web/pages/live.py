"""A run while it runs. A script keeps the page up to date; without it the page is asked for again."""

from __future__ import annotations

from typing import Any

from flask import Response

from sloguard.core.history import StoredEvent, StoredRun
from sloguard.core.text import format_value
from sloguard.ports.service import Job
from sloguard.web.pages.rendering import page
from sloguard.web.pages.story import story
from sloguard.web.parts import Service
from sloguard.web.people import waits

_LINES = 40


def live_page(here: Service, run: StoredRun, job: Job | None) -> Response:
    """Phases, current values against objectives, what happened so far, and the button to stop."""
    told = here.store.story(run.id)
    picture = here.store.newest_picture(run.id)
    phases = {str(e.data.get("phase")): e for e in told if e.kind == "PhaseStarted"}
    asked = here.store.ask_of(run.id)
    newest = max([*told, *([picture] if picture else [])], key=lambda e: e.number, default=None)
    return page(
        "live",
        section="Runs",
        run=run,
        job=job,
        phases=[_phase(name, phases) for name in ("before", "during", "after")],
        readings=[reading(one) for one in (picture.data["readings"] if picture else ())],
        told=story(told, None, None)[::-1][:_LINES],
        after=0 if newest is None else newest.number,
        asked_to_stop=job.abort_reason if job else "",
        asked=asked if waits(asked) else None,
        notes=here.store.notes_of(run.id),
    )


def _phase(name: str, phases: dict[str, StoredEvent]) -> dict[str, Any]:
    event = phases.get(name)
    newest = max(phases.values(), key=lambda e: e.number, default=None)
    return {
        "name": name,
        "at": event.at if event else None,
        "until": event.data.get("until") if event else None,
        "is_now": event is not None and event is newest,
    }


def reading(one: dict[str, Any]) -> dict[str, Any]:
    """A row of the live picture, its value as people read it."""
    value = one.get("value")
    try:
        shown = format_value(None if value is None else float(value), str(one.get("unit", "")))
    except (TypeError, ValueError):
        shown = str(value)
    return {**one, "shown": shown}
