"""What happened in a run, line by line, from its document alone: so that stored runs, documents and journals
tell it alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sloguard.core.text import format_duration, format_series, iso_time

Document = Mapping[str, Any]
Line = dict[str, Any]
#: More lines are no story.
MOST_LINES = 120
_MARKS = {
    "start": "The steady state is watched",
    "fault": "The fault begins",
    "restored": "Everything is undone; the recovery is watched",
    "end": "The end",
}
_SECTIONS = {"method": "Action", "rollbacks": "Rollback", "hypothesis": "Probe"}


def lines_of(document: Document) -> list[Line]:
    """``at`` ISO 8601 UTC, ``offset`` from the fault in words, ``text``, ``detail``, ``tone``."""
    found = sorted(_all(document), key=lambda line: (_time(line["at"]), line["rank"]))
    fault = (document.get("timeline") or {}).get("fault")
    for line in found:
        line["offset"] = _offset(line["at"], fault)
        del line["rank"]
    return found[:MOST_LINES]


def _time(at: str) -> datetime:
    read = datetime.fromisoformat(at)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _line(at: str, text: str, detail: str = "", tone: str = "", rank: int = 1) -> Line:
    return {"at": at, "text": text, "detail": detail, "tone": tone, "rank": rank}


def _offset(at: str, fault: str | None) -> str:
    if not fault:
        return ""
    seconds = (_time(at) - _time(fault)).total_seconds()
    if abs(seconds) < 0.05:
        return "0"
    rounded = round(seconds, 1) if abs(seconds) < 10 else round(seconds)
    return ("+" if seconds > 0 else "−") + format_duration(abs(rounded))


def _all(document: Document) -> Iterator[Line]:
    timeline = document.get("timeline") or {}
    for mark, text in _MARKS.items():
        if timeline.get(mark):
            yield _line(timeline[mark], text, tone="strong", rank=2 if mark == "end" else 0)
    for activity in document.get("activities") or ():
        yield _activity(activity)
    for fault in document.get("faults") or ():
        yield from _fault(fault)
    if timeline.get("fault"):
        for slo in document.get("slos") or ():
            yield from _slo(slo, timeline)
    for alert in document.get("alerts") or ():
        yield from _alert(alert)
    yield from _decided(document)


def _decided(document: Document) -> Iterator[Line]:
    """What people decided."""
    approval = document.get("approval") or {}
    for voice in approval.get("voices") or ():
        word = str(voice.get("answer", "")).capitalize()
        yield _line(voice["at"], f"{word} by {voice.get('by')}", str(voice.get("reason") or ""))
    for step in document.get("steps") or ():
        text = f"Before {step.get('step')}: {step.get('choice')}"
        detail = "; ".join(str(step[key]) for key in ("text", "by") if step.get(key))
        yield _line(step["at"], text, detail)


def _activity(activity: Document) -> Line:
    took = (_time(activity["end"]) - _time(activity["start"])).total_seconds()
    missed = activity.get("tolerance_met") is False
    bad = activity["status"] != "succeeded" or missed
    word = _SECTIONS.get(str(activity.get("section")), str(activity.get("section") or "Activity"))
    text = f"{word}: {activity['name']}"
    if bad:
        text += " is out of tolerance" if missed else f" {activity['status']}"
    parts = [str(activity["error"])] if activity.get("error") else []
    if took >= 0.01:
        parts.append(f"took {format_duration(round(took, 2))}")
    return _line(activity["start"], text, "; ".join(parts), "bad" if bad else "")


def _fault(fault: Document) -> Iterator[Line]:
    what = f"{fault['fault']} on {fault['target']}"
    if fault.get("injected_at"):
        yield _line(fault["injected_at"], f"Fault injected: {what}", tone="strong")
    if fault.get("undone_at"):
        yield _line(fault["undone_at"], f"Fault undone: {what}", str(fault.get("detail") or ""))


def _slo(slo: Document, timeline: Document) -> Iterator[Line]:
    hit = []
    back = []
    for series in slo.get("series") or ():
        phases = series.get("phases") or {}
        first = (phases.get("during") or {}).get("first_breach_seconds")
        if first is not None:
            hit.append((float(first), series))
        span = (phases.get("after") or {}).get("recovered_seconds")
        if span:
            back.append(float(span))
    if hit:
        seconds, series = min(hit, key=lambda pair: pair[0])
        name = format_series(slo["name"], tuple((series.get("labels") or {}).items()))
        more = f"and {len(hit) - 1} more series" if len(hit) > 1 else ""
        tone = str(series["phases"]["during"].get("verdict", ""))
        yield _line(_after(timeline["fault"], seconds), f"{name} is outside its objective", more, tone)  # fmt: skip
    if back:
        text = f"{slo['name']} is back within its objective"
        yield _line(_after(timeline["restored"], max(back)), text, tone="met")


def _after(mark: str, seconds: float) -> str:
    return iso_time((_time(mark) + timedelta(seconds=seconds)).timestamp())


def _alert(alert: Document) -> Iterator[Line]:
    if alert.get("firing_before") or not alert.get("starts_at"):
        return
    yield _line(alert["starts_at"], f"Alert {alert.get('name', '')} fires")
    if alert.get("ends_at"):
        yield _line(alert["ends_at"], f"Alert {alert.get('name', '')} is over")
