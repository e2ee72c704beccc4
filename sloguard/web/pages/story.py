"""What happened in a run, in the order in which it happened, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sloguard.core.alerting import fired
from sloguard.core.history import StoredEvent
from sloguard.core.model import Timeline
from sloguard.core.people import RunNote
from sloguard.core.text import format_duration, format_series
from sloguard.web.pages.rendering import moment

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """One line. ``offset``: seconds from the fault; ``tone``: how it is meant (a verdict, strong, bad)."""

    at: float
    text: str
    detail: str = ""
    tone: str = ""
    offset: float | None = None
    phase: str = ""


def story(
    events: Sequence[StoredEvent],
    document: Data | None,
    timeline: Timeline | None,
    notes: Sequence[RunNote] = (),
) -> list[Told]:
    """Every line of a run: what it announced, what people noted (``notes`` in place of those announced, where
    there are any), and what the verdict found out afterwards."""
    told = [event for event in events if not notes or event.kind != "NoteTaken"]
    lines = [*_announced(told), *map(_noted, notes), *_found_out(document or {}, timeline)]
    lines.sort(key=lambda line: line.at)
    return [_placed(line, timeline) for line in lines]


def _placed(line: Told, timeline: Timeline | None) -> Told:
    if timeline is None:
        return line
    phase = "before"
    if line.at >= timeline.fault:
        phase = "during" if line.at < timeline.restored else "after"
    offset = line.at - timeline.fault
    return Told(line.at, line.text, line.detail, line.tone, offset, phase)


def offset_text(seconds: float | None) -> str:
    """``+12s``, ``-1m`` from the fault."""
    if seconds is None:
        return ""
    if abs(seconds) < 0.05:
        return "fault"
    rounded = round(seconds, 1) if abs(seconds) < 10 else round(seconds)
    return ("+" if seconds > 0 else "−") + format_duration(abs(rounded))


def _announced(events: Sequence[StoredEvent]) -> Iterator[Told]:
    checks = [event for event in events if event.kind == "Preflight"]
    if checks:
        yield from _preflight(checks)
    ended = {event.data.get("key") for event in events if event.kind == "ActivityEnded"}
    for event in events:
        if event.kind == "ActivityStarted" and event.data.get("key") in ended:
            continue
        tell = _WORDS.get(event.kind)
        if tell is not None:
            yield from tell(event)


def _preflight(checks: Sequence[StoredEvent]) -> Iterator[Told]:
    bad = [c for c in checks if c.data.get("ok") is False]
    passed = sum(c.data.get("ok") is True for c in checks)
    warned = [c for c in checks if c.data.get("ok") is None]
    if passed:
        yield Told(
            checks[0].at, f"Checked before anything is broken: {_count(passed, 'check')} passed"
        )
    for check in (*warned, *bad):
        text = f"{check.data.get('name', '')}: {check.data.get('message', '')}"
        yield Told(check.at, text, tone="bad" if check in bad else "")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _began(event: StoredEvent) -> Iterator[Told]:
    yield Told(event.at, "The run begins")


_PHASES = {
    "before": "Before: the steady state is watched",
    "during": "During: the fault begins",
    "after": "After: all is undone; the recovery is watched",
}


def _phase(event: StoredEvent) -> Iterator[Told]:
    name = str(event.data.get("phase", ""))
    yield Told(event.at, _PHASES.get(name, name), tone="strong")


def _waiting(event: StoredEvent) -> Iterator[Told]:
    yield Told(event.at, f"Waits for {event.data.get('reason', '')}")


def _planned(event: StoredEvent) -> Iterator[Told]:
    targets = ", ".join(map(str, event.data.get("targets") or ()))
    summary = event.data.get("summary") or event.data.get("fault", "")
    yield Told(event.at, f"Planned: {summary}", targets)


def _activity_began(event: StoredEvent) -> Iterator[Told]:
    data = event.data
    behind = ", in the background" if data.get("background") else ""
    yield Told(event.at, f"{_section(data)}: {data.get('name')} begins{behind}")


def _activity(event: StoredEvent) -> Iterator[Told]:
    data = event.data
    took = float(data.get("end") or 0) - float(data.get("start") or 0)
    status = data.get("status")
    words = f"{_section(data)}: {data.get('name')}"
    missed = data.get("tolerance_met") is False
    if status != "succeeded" or missed:
        words += " is out of tolerance" if missed else f" {status}"
    detail = f"took {format_duration(round(took, 2))}" if took >= 0.01 else ""
    if data.get("error"):
        detail = "; ".join(part for part in (str(data["error"]), detail) if part)
    at = float(data.get("start") or event.at)
    yield Told(at, words, detail, "bad" if status != "succeeded" or missed else "")


_SECTIONS = {"method": "Action", "rollbacks": "Rollback", "hypothesis": "Probe"}


def _section(data: Data) -> str:
    return _SECTIONS.get(str(data.get("section")), str(data.get("section", "")))


_FAULTS = {
    "injected": ("Fault injected", "strong"),
    "undone": ("Fault undone", "met"),
    "nothing-to-undo": ("Nothing to undo", ""),
    "left": ("Fault could not be undone", "bad"),
}


def _fault(event: StoredEvent) -> Iterator[Told]:
    fault = event.data.get("fault") or {}
    words, tone = _FAULTS.get(str(fault.get("status")), (f"Fault {fault.get('status')}", ""))
    text = f"{words}: {fault.get('fault')} on {fault.get('target')}"
    detail = str(fault.get("detail") or "")
    if fault.get("status") == "left" and fault.get("by_hand"):
        detail = f"{detail}; by hand: {fault['by_hand']}".lstrip("; ")
    yield Told(event.at, text, detail, tone)


def _guard(event: StoredEvent) -> Iterator[Told]:
    words = "cannot be read" if event.data.get("blind") else "stops the run"
    text = f"Guard rail {event.data.get('guard')} {words}"
    yield Told(event.at, text, str(event.data.get("reason", "")), "bad")


def _interrupted(event: StoredEvent) -> Iterator[Told]:
    yield Told(event.at, f"Stopped: {event.data.get('reason', '')}", tone="bad")


def _noted(note: RunNote) -> Told:
    return Told(note.at, f"Noted: {note.text}", note.by, "noted")


def _note_taken(event: StoredEvent) -> Iterator[Told]:
    text = f"Noted: {event.data.get('text', '')}"
    yield Told(event.at, text, str(event.data.get("by", "")), "noted")


def _approval_asked(event: StoredEvent) -> Iterator[Told]:
    ask: Any = event.data.get("ask") or {}
    detail = str(ask.get("again") or "")
    yield Told(event.at, "People are asked to approve; nothing was injected yet", detail, "strong")


def _approval_decided(event: StoredEvent) -> Iterator[Told]:
    decision: Any = event.data.get("decision") or {}
    answer = str(decision.get("answer") or "")
    reason = str(decision.get("reason") or "")
    if not answer:
        yield Told(event.at, "Nobody has approved it", reason, "bad")
        return
    said = [voice for voice in decision.get("voices") or () if voice.get("answer") == answer]
    names = ", ".join(str(voice.get("by")) for voice in said)
    places = ", ".join(str(voice["from_"]) for voice in said if voice.get("from_"))
    detail = "; ".join(part for part in (reason, f"from {places}" if places else "") if part)
    tone = "met" if answer == "approved" else "bad"
    yield Told(event.at, f"{answer.capitalize()} by {names}", detail, tone)


_CHOICES = {
    "go": "go on with",
    "skip": "leave out",
    "abort": "stop before",
    "continue": "ask no more, from",
}


def _step(event: StoredEvent) -> Iterator[Told]:
    step: Any = event.data.get("step") or {}
    answer: Any = event.data.get("answer") or {}
    choice = str(answer.get("choice", ""))
    what = step.get("name") or "the undo"
    text = f"Step {step.get('number')}: {_CHOICES.get(choice, choice)} {what}"
    thought = event.at - float(event.data.get("asked") or event.at)
    after = f"after {format_duration(round(max(thought, 0.0), 1))}"
    detail = "; ".join(p for p in (str(answer.get("text") or ""), answer.get("by"), after) if p)
    yield Told(event.at, text, detail, "bad" if choice in ("skip", "abort") else "")


def _note(event: StoredEvent) -> Iterator[Told]:
    tone = "bad" if event.data.get("level") == "error" else ""
    yield Told(event.at, str(event.data.get("message", "")), tone=tone)


def _judged(event: StoredEvent) -> Iterator[Told]:
    outcome = str(event.data.get("outcome", ""))
    tone = "bad" if outcome == "not-restored" else "strong"
    yield Told(event.at, f"Judged: {outcome}", str(event.data.get("reason") or ""), tone)


def _ended(event: StoredEvent) -> Iterator[Told]:
    yield Told(event.at, "The run has ended")


_WORDS: Mapping[str, Callable[[StoredEvent], Iterable[Told]]] = {
    "RunStarted": _began,
    "PhaseStarted": _phase,
    "Waiting": _waiting,
    "FaultPlanned": _planned,
    "ActivityStarted": _activity_began,
    "ActivityEnded": _activity,
    "FaultChanged": _fault,
    "GuardTripped": _guard,
    "Interrupted": _interrupted,
    "NoteTaken": _note_taken,
    "ApprovalAsked": _approval_asked,
    "ApprovalDecided": _approval_decided,
    "StepDecided": _step,
    "Note": _note,
    "Judged": _judged,
    "RunEnded": _ended,
}


def _found_out(document: Data, timeline: Timeline | None) -> Iterator[Told]:
    """The first breach and the recovery of each SLO, and the alerts that the fault set off."""
    if timeline is None:
        return
    for slo in document.get("slos") or ():
        yield from _breaches(slo, timeline)
    for alert in fired(document.get("alerts") or ()):
        if not alert.get("firing_before"):
            yield Told(moment(alert["starts_at"]).timestamp(), f"Alert {alert['name']} fires")
            if alert.get("ends_at"):
                at = moment(alert["ends_at"]).timestamp()
                yield Told(at, f"Alert {alert['name']} is over")


def _breaches(slo: Data, timeline: Timeline) -> Iterator[Told]:
    during = [
        (s["phases"]["during"].get("first_breach_seconds"), s)
        for s in slo.get("series") or ()
        if "during" in s.get("phases", {})
    ]
    hit = [(first, s) for first, s in during if first is not None]
    if hit:
        first, series = min(hit, key=lambda pair: float(pair[0]))
        name = format_series(slo["name"], tuple(series["labels"].items()))
        more = len(hit) - 1
        detail = f"and {more} more series" if more else ""
        tone = str(series["phases"]["during"]["verdict"])
        yield Told(timeline.fault + float(first), f"{name} is outside its objective", detail, tone)
    spans = [
        float(s["phases"]["after"]["recovered_seconds"])
        for s in slo.get("series") or ()
        if s.get("phases", {}).get("after", {}).get("recovered_seconds")
    ]
    if spans:
        text = f"{slo['name']} is back within its objective"
        yield Told(timeline.restored + max(spans), text, tone="met")
