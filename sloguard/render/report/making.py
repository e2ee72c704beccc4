"""The model of a periodic report: everything that it says, as JSON, once for all forms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sloguard import __version__
from sloguard.core.people import RunNote
from sloguard.core.text import iso_time
from sloguard.core.visible import visible
from sloguard.render.report.advice import next_steps, times
from sloguard.render.report.hypotheses import hypothesis_sums
from sloguard.render.report.known import Known, KnownBacklog, Past
from sloguard.render.report.period import Period
from sloguard.render.report.radius import radius_sums
from sloguard.render.report.rows import Rows
from sloguard.render.report.tables import Frames, Json
from sloguard.render.report.weaknesses import weakness_sums
from sloguard.render.report.weekly import (
    alert_sums,
    budget_sums,
    recovery_sums,
    run_sums,
)

#: So many evidence charts are drawn, of the gravest weaknesses.
MOST_CHARTS = 6


def weekly_model(
    rows: Rows,
    periods: Sequence[Period],
    past: Past,
    known: Known,
    *,
    now: float,
    backlog: KnownBacklog | None = None,
    observations: Sequence[tuple[RunNote, str]] = (),
) -> Json:
    """All sums of the last of ``periods`` (the others are its trend); every text is harmless to show."""
    frames = Frames.of(rows, periods)
    period = periods[-1]
    model: Json = {
        "kind": "weekly",
        "format": 1,
        "title": "SLO chaos report",
        "name": period.name,
        "label": period.label,
        "start": iso_time(period.start),
        "end": iso_time(period.end),
        "time_zone": period.zone,
        "is_week": period.is_week,
        "over": period.end <= now,
        "created": iso_time(now),
        "version": __version__,
        "runs": run_sums(frames, now),
        "weaknesses": weakness_sums(frames, past),
        "recovery": recovery_sums(frames),
        "budget": budget_sums(frames),
        "alerts": alert_sums(frames),
        "radius": radius_sums(frames, past, known),
        "backlog": hypothesis_sums(backlog, period),
        "observations": [_observed(note, title) for note, title in observations],
    }
    model["next"] = next_steps(frames, model)
    model["headline"] = headline(model)
    model["summary"] = summary(model)
    model["charts"] = _charts(model)
    shown: Json = harmless(model)
    return shown


def _observed(note: RunNote, title: str) -> Json:
    text = " ".join(note.text.split())
    return {
        "at": iso_time(note.at),
        "by": note.by,
        "run": note.run,
        "title": title,
        "text": text if len(text) <= _LONGEST_NOTE else f"{text[: _LONGEST_NOTE - 1]}…",
    }


#: Characters of a note among many.
_LONGEST_NOTE = 400
#: Texts of several lines.
_BLOCKS = ("rule", "definition")


def harmless(value: Any, key: str = "") -> Any:
    """JSON data whose texts hide nothing: no control characters, none that turn the direction of a text."""
    if isinstance(value, str):
        if key in _BLOCKS:
            return "\n".join(visible(line) for line in value.replace("\t", "    ").split("\n"))
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(k)): harmless(item, k) for k, item in value.items()}
    if isinstance(value, list | tuple):
        return [harmless(item, key) for item in value]
    return value


def headline(model: Json) -> str:
    """What is in the period, in one sentence or two."""
    runs, weak = model["runs"], model["weaknesses"]["counts"]
    if not runs["total"]:
        return "Nothing was run, so nothing was learned."
    told = [f"{count} {name}" for name, count in runs["outcomes"].items() if count]
    first = f"{times(runs['total'], 'run')}: {', '.join(told)}."
    parts = []
    if weak["open"]:
        new = f", {weak['new']} of them new" if weak["new"] else ""
        if weak["new"] == weak["open"]:
            new = ", and new" if weak["open"] == 1 else ", all of them new"
        word = "weakness is" if weak["open"] == 1 else "weaknesses are"
        parts.append(f"{weak['open']} {word} open{new}")
    if weak["fixed"]:
        parts.append(f"{weak['fixed']} {'was' if weak['fixed'] == 1 else 'were'} fixed")
    return f"{first} {'; '.join(parts)}." if parts else f"{first} No weakness is open."


def summary(model: Json) -> str:
    """The headline and the first thing to do, for a message."""
    first = model["next"][0]["do"] if model["next"] else ""
    return f"{model['headline']} Next: {first}" if first else str(model["headline"])


def _charts(model: Json) -> list[Any]:
    """Whose picture is evidence: (run, SLO), each once, of the gravest open weaknesses."""
    seen: dict[tuple[str, str], None] = {}
    for row in model["weaknesses"]["open"]:
        seen.setdefault((row["run"], row["slo"]), None)
    return [{"run": run, "slo": slo} for run, slo in list(seen)[:MOST_CHARTS]]
