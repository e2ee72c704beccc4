"""What reports are made of, and how they are kept. Times are seconds since the epoch, UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sloguard.core.model import Json


class RunSource(NamedTuple):
    """An ended run as reports read it. ``document``: its JSON document as text, or None.

    ``experiment``: its name in the catalogue, else its file's; ``kind``: run or window.
    """

    run: str
    experiment: str
    title: str
    tags: tuple[str, ...]
    kind: str
    started_at: float
    ended_at: float | None
    outcome: str
    reason: str
    score: float | None
    document: str | None

    @property
    def name(self) -> str:
        """By which runs of one experiment are known as such."""
        return self.experiment or self.title


class VerdictSource(NamedTuple):
    """What one run (with its ``outcome``) said of one series. ``labels`` None: of the SLO as a whole."""

    run: str
    started_at: float
    labels: Mapping[str, str] | None
    verdict: str
    outcome: str


class ExperimentPast(NamedTuple):
    """What is known of an experiment up to some moment: its newest run, and when it was last met."""

    experiment: str
    title: str
    runs: int
    last_run: str
    last_at: float
    last_outcome: str
    last_reason: str
    last_met_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLine:
    """One line of a list of reports. ``kind``: weekly or run; ``name``: 2026-W47, say.

    ``start`` and ``end``: what it covers. ``created_by``: who asked for it, empty for the schedule.
    ``announced_at`` None: nobody was told yet that it is there.
    """

    id: str
    kind: str
    name: str
    title: str
    summary: str
    start: float
    end: float
    created_at: float
    created_by: str = ""
    announced_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReport(ReportLine):
    """A report as it is kept. ``model``: all that it says; ``body``: its HTML without head and style.

    ``key``: what there may be only one of, such as the report of a week that a schedule makes; or None.
    """

    model: Mapping[str, Any] = field(default_factory=dict)
    body: str = ""
    key: str | None = None


def file_name(report: ReportLine, ending: str) -> str:
    """A name for its file that every system takes."""
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", report.name).strip("-.")[:60]
    return f"sloguard-{name or report.id}.{ending}"


def ready(report: ReportLine, link: str) -> dict[str, Json]:
    """What is told when a report is there; JSON. ``link``: its page, or empty where no address is known."""
    return {
        "event": "report-ready",
        "report": report.id,
        "kind": report.kind,
        "title": report.title,
        "summary": report.summary,
        "link": link,
    }
