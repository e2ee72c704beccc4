"""Chaos windows as messages for Grafana: begun, over, and judged, each with all that is known by then.

A message holds the whole annotation as it should be, so that any one of them is enough, whatever became of
those before it. Its payload, times in seconds since the epoch, UTC::

    {"id": "RUN.during", "dashboard": "UID" | null, "panel": 4 | null, "time": 1.0, "time_end": 2.0 | null,
     "tags": [the most important first], "text": HTML, "final": it is over,
     "late": with alerts that were told after the run}
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core import events
from sloguard.core.model import PhaseName
from sloguard.ports.outbox import Draft, Message
from sloguard.service.announcing import Story

CHANNEL = "grafana"
#: The tag by which sloguard knows its own annotation again.
ID_TAG = "sloguard-id"
_LONGEST_ID = 80
_LONGEST_REASON = 600
_MOST_TARGETS = 20
_BEGAN = {
    PhaseName.BEFORE: "is the steady state there?",
    PhaseName.DURING: "chaos is under way",
    PhaseName.AFTER: "restored, recovering",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an annotation stands: on one dashboard, or one panel of it; without, in the organisation."""

    dashboard: str | None = None
    panel: int | None = None


def place_named(text: str) -> Place:
    """``UID``, or ``UID/PANEL`` for one panel of a dashboard. Raises ValueError."""
    uid, slash, panel = text.strip().partition("/")
    if not uid or (slash and not (panel.isascii() and panel.isdigit())):
        raise ValueError(f"grafana.dashboards: found '{text}'; expected UID or UID/PANEL")
    return Place(uid, int(panel) if slash else None)


def phase_named(text: str) -> PhaseName:
    """``before``, ``during`` or ``after``. Raises ValueError."""
    try:
        return PhaseName(text.strip())
    except ValueError:
        raise ValueError(
            f"grafana.phases: found '{text}'; expected {', '.join(PhaseName)}"
        ) from None


class Marks:
    """A writer (see ``announcing``) of one annotation a phase, place and run.

    ``phases``: those of interest. ``places``: none is the organisation. ``base_url``: where people find
    the run, if anywhere. ``tags``: what every annotation gets besides its own.
    """

    def __init__(
        self,
        *,
        phases: Sequence[PhaseName] = (PhaseName.DURING,),
        places: Sequence[Place] = (),
        base_url: str = "",
        tags: Sequence[str] = (),
    ) -> None:
        self._phases, self._places = tuple(phases), tuple(places) or (Place(),)
        self._base_url, self._tags = base_url.rstrip("/"), tuple(tags)

    def __call__(self, event: events.Event, story: Story) -> Iterator[Draft]:
        """What this event changes."""
        if story.kind == "rejudge":
            # Nothing was broken: the window of the run that is judged again stands where it stood.
            return
        if isinstance(event, events.PhaseStarted):
            for phase in PhaseName:
                begun, over = _span(phase, story, None)
                if phase is event.phase and begun is not None:
                    yield from self._drafts(phase, "began", story, begun, None, event)
                elif over is not None and over == event.at and begun is not None:
                    yield from self._drafts(phase, "over", story, begun, over, event)
        elif isinstance(event, events.RunEnded):
            for phase in PhaseName:
                begun, over = _span(phase, story, event)
                empty = phase is PhaseName.AFTER and begun == over
                if begun is not None and not empty:
                    moment = f"ended:{event.outcome}"
                    yield from self._drafts(phase, moment, story, begun, over, event)

    def _drafts(
        self,
        phase: PhaseName,
        moment: str,
        story: Story,
        begun: float,
        over: float | None,
        event: events.Event,
    ) -> Iterator[Draft]:
        if phase not in self._phases:
            return
        ended = event if isinstance(event, events.RunEnded) else None
        outcome = str(ended.outcome) if ended else "running"
        for place in self._places:
            id = _id(story.run, phase, place)
            payload: dict[str, Any] = {
                "id": id,
                "dashboard": place.dashboard,
                "panel": place.panel,
                "time": begun,
                "time_end": over,
                "tags": self._tagged(id, phase, outcome, story),
                "text": self._text(phase, over is not None, story, ended),
                "final": ended is not None,
            }
            key = f"{id}:{moment}"
            yield Draft(
                channel=CHANNEL, key=key, kind="annotation", stream=story.run, payload=payload
            )

    def _tagged(self, id: str, phase: PhaseName, outcome: str, story: Story) -> list[str]:
        tags = [
            "sloguard",
            f"{ID_TAG}:{id}",
            f"experiment:{story.experiment}",
            f"phase:{phase}",
            f"outcome:{outcome}",
            f"run:{story.run}",
            *self._tags,
            *(["window"] if story.kind == "window" else []),
            *(f"target:{target}" for target in story.targets[:_MOST_TARGETS]),
            *story.tags,
        ]
        return list(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))

    def _text(
        self, phase: PhaseName, over: bool, story: Story, ended: events.RunEnded | None
    ) -> str:
        """Grafana shows HTML, so everything that is text is escaped."""
        title = html.escape(story.title or story.experiment or "chaos", quote=False)
        lines = [f"<b>{title}</b>: {_state(phase, over, ended)}"]
        if ended is not None and ended.reason:
            lines.append(html.escape(ended.reason[:_LONGEST_REASON], quote=False))
        if story.targets:
            shown = ", ".join(story.targets[:_MOST_TARGETS])
            more = len(story.targets) - _MOST_TARGETS
            lines.append(
                html.escape(
                    f"target: {shown}{f' and {more} more' if more > 0 else ''}", quote=False
                )
            )
        run = html.escape(story.run)
        link = f'<a href="{html.escape(self._base_url)}/runs/{run}">run {run}</a>'
        lines.append(link if self._base_url else f"run {run}")
        return "\n".join(lines)


def late_marks(kept: Sequence[Message], document: Mapping[str, Any]) -> list[Draft]:
    """Annotations of a run that has ended, with the alerts that were told of only since then.

    ``kept``: the run's messages to Grafana, in any order; without one nothing is marked, and nothing is added.
    The same alerts again are the same messages again.
    """
    late = _late_lines(document)
    newest: dict[str, Message] = {}
    for message in sorted(kept, key=lambda message: message.number):
        if message.payload.get("final") and not message.payload.get("late"):
            newest[str(message.payload["id"])] = message
    if not late:
        return []
    told = hashlib.sha256("\n".join(late).encode()).hexdigest()[:16]
    return [
        Draft(
            channel=CHANNEL,
            key=f"{id}:late:{told}",
            kind="annotation",
            stream=message.stream,
            payload={
                **message.payload,
                "text": "\n".join([str(message.payload["text"]), *late]),
                "late": True,
            },
        )
        for id, message in newest.items()
    ]


def _late_lines(document: Mapping[str, Any]) -> list[str]:
    alerts = document.get("alerts") or ()
    names = dict.fromkeys(str(a.get("name") or "an alert") for a in alerts if a.get("late"))
    lines = []
    if names:
        shown = ", ".join(list(names)[:_MOST_TARGETS])
        lines.append(f"alerts that were told only after the run: {shown}")
    lines += [
        f"with what came later {a.get('name')} would be {a['late_verdict']}: {a.get('late_reason')}"
        for a in alerts
        if a.get("late_verdict")
    ]
    return [html.escape(line[:_LONGEST_REASON], quote=False) for line in lines]


def _state(phase: PhaseName, over: bool, ended: events.RunEnded | None) -> str:
    if ended is not None:
        return f"{ended.outcome} ({phase})"
    return f"{phase} is over" if over else _BEGAN[phase]


def _span(
    phase: PhaseName, story: Story, ended: events.RunEnded | None
) -> tuple[float | None, float | None]:
    """When a phase began and was over; None: not yet, or never."""
    timeline = ended.timeline if ended else None
    end = ended.at if ended else None
    if timeline is not None:
        marks = {
            PhaseName.BEFORE: (timeline.start, timeline.fault),
            PhaseName.DURING: (timeline.fault, timeline.restored),
            PhaseName.AFTER: (timeline.restored, timeline.end),
        }
        return marks[phase]
    begins = {
        PhaseName.BEFORE: story.before_at,
        PhaseName.DURING: story.fault_at,
        PhaseName.AFTER: story.restored_at,
    }
    ends = {
        PhaseName.BEFORE: story.fault_at,
        PhaseName.DURING: story.restored_at,
        PhaseName.AFTER: None,
    }
    begun, over = begins[phase], ends[phase]
    if begun is None:
        return None, None
    return begun, max(begun, end) if over is None and end is not None else over


def _id(run: str, phase: PhaseName, place: Place) -> str:
    parts = [run, str(phase), *([place.dashboard] if place.dashboard else [])]
    parts += [str(place.panel)] if place.panel is not None else []
    whole = ".".join(parts)
    if len(whole) <= _LONGEST_ID:
        return whole
    return hashlib.sha256(whole.encode()).hexdigest()[:40]
