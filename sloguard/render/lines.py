"""What a run announces, as single lines: for logs, and for terminals that cannot be redrawn."""

from __future__ import annotations

from sloguard.core import events as ev
from sloguard.core.model import ActivityStatus, PhaseName
from sloguard.core.text import format_duration, format_time, format_value
from sloguard.core.visible import visible

_PHASES = {
    PhaseName.BEFORE: "before: is the steady state there at all?",
    PhaseName.DURING: "during: the fault is on",
    PhaseName.AFTER: "after: does it recover?",
}


def line(event: ev.Event) -> str | None:
    """One line for people, or None for what is not worth one."""
    text = _text(event)
    return None if text is None else f"{format_time(event.at)} {visible(text)}"


def _text(event: ev.Event) -> str | None:
    match event:
        case ev.RunStarted():
            return f"run {event.run}: {event.experiment.title}"
        case ev.Preflight():
            return None if event.ok else f"preflight: {event.name}: {event.message}"
        case ev.PhaseStarted():
            return _PHASES[event.phase] + _until(event)
        case ev.Waiting():
            return f"waiting {format_duration(max(event.until - event.at, 0))}: {event.reason}"
        case ev.ActivityStarted():
            return f"{event.section}: {event.activity.name}"
        case ev.ActivityEnded():
            return _ended(event)
        case ev.FaultPlanned():
            summary = f" ({event.summary})" if event.summary else ""
            return f"{event.fault} will hit: {', '.join(event.targets) or 'nothing'}{summary}"
        case ev.FaultChanged():
            detail = f" ({event.fault.detail})" if event.fault.detail else ""
            return f"{event.fault.fault} on {event.fault.target}: {event.fault.status}{detail}"
        case ev.Observed():
            return "; ".join(reading(r) for r in event.readings) or None
        case ev.GuardTripped():
            return f"stopping: {event.reason}"
        case ev.Interrupted():
            return f"stopping: {event.reason}"
        case ev.ApprovalAsked():
            return "waits for an approval; nothing was injected yet"
        case ev.ApprovalDecided():
            return _approval(event)
        case ev.StepDecided():
            what = event.step.name or "the undo"
            why = f": {event.answer.text}" if event.answer.text else ""
            return f"{what}: {event.answer.choice} by {event.answer.by or 'a person'}{why}"
        case ev.NoteTaken():
            return f"noted by {event.by or 'somebody'}: {event.text}"
        case ev.Note():
            return f"{event.level}: {event.message}"
        case ev.Judged():
            return f"judged: {event.outcome}"
    return None


def _approval(event: ev.ApprovalDecided) -> str:
    decision = event.decision
    if not decision.answer:
        return "nobody has approved it" + (f": {decision.reason}" if decision.reason else "")
    why = f": {decision.reason}" if decision.reason else ""
    return f"{decision.answer} by {', '.join(decision.names)}{why}"


def _until(event: ev.PhaseStarted) -> str:
    if event.until is None or event.until <= event.at:
        return ""
    return f" ({format_duration(round(event.until - event.at))})"


def _ended(event: ev.ActivityEnded) -> str | None:
    record = event.record
    if record.status is ActivityStatus.SUCCEEDED and record.tolerance_met is not False:
        return None
    why = record.error or ("out of tolerance" if record.tolerance_met is False else "")
    return f"{record.section}: {record.activity.name} {record.status}" + (f": {why}" if why else "")


def reading(one: ev.SloReading) -> str:
    """``error-ratio 0.2% (< 1%)``."""
    value = "no data" if one.value is None else format_value(one.value, one.unit)
    return f"{one.slo} {value} ({one.objective})"
