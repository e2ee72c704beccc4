"""The first page: what runs, what was found, what was left behind."""

from __future__ import annotations

from typing import Any

from flask import Response

from sloguard.ports.service import JobState, Scope, WindowState
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.pages.rendering import page
from sloguard.web.parts import Service, service

resource = Resource("overview", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]

UNDER_WAY = (JobState.QUEUED, JobState.STARTING, JobState.RUNNING)
#: The worst first: that is what somebody opens this page for.
_ORDER = ("not-restored", "interrupted", "deviated", "inconclusive", "aborted", "not-started")
_MOST = 200


@resource.get("/", scope=Scope.READ, answers=HTML)
def overview() -> Response:
    """What is running, the last verdicts, weaknesses, faults left behind."""
    here = service()
    store = here.store
    unfinished = store.runs(50, outcome="running")
    running = {run.id: run for run in unfinished if run.alive}
    waiting = [
        job for job in store.jobs(UNDER_WAY, limit=50) if job.id not in running and not job.dry_run
    ]
    not_restored = store.runs(50, outcome="not-restored")
    suspects = [run.id for run in not_restored] + [r.id for r in unfinished if not r.alive]
    every = _experiments(here)
    rows = [row for row in every if row["runs"]]
    return page(
        "overview",
        section="Overview",
        running=list(running.values()),
        waiting=waiting,
        asks=store.waiting_asks(),
        interrupted=[run for run in unfinished if not run.alive],
        left=store.faults_left_by(suspects),
        windows=store.windows(WindowState.OPEN, limit=20),
        experiments=rows,
        weaknesses=[row for row in rows if row["last"] and row["last"].state == "deviated"],
        never=len(every) - len(rows),
    )


def _experiments(here: Service) -> list[dict[str, Any]]:
    """Every experiment that has run or can be run, the worst first."""
    entries = {entry.name: entry for entry in here.parts.catalogue.entries()}
    latest = {run.experiment: run for run in here.store.latest_runs()}
    # Those that ran last, and those that are offered.
    ran = sorted(latest, key=lambda name: latest[name].run, reverse=True)
    names = list(dict.fromkeys((*ran, *entries)))[:_MOST]
    recent = here.store.recent_runs(names, 8)
    rows = []
    for name in names:
        ended = [run for run in recent[name] if run.ended_at is not None or not run.alive]
        entry = entries.get(name)
        title = entry.title if entry else (latest[name].title if name in latest else name)
        rows.append(
            {
                "name": name,
                "title": title,
                "offered": entry is not None,
                "valid": entry is None or entry.valid,
                "last": ended[0] if ended else None,
                "runs": ended,
            }
        )
    return sorted(rows, key=_weight)


def _weight(row: dict[str, Any]) -> int:
    state = row["last"].state if row["last"] else ""
    if state in _ORDER:
        return _ORDER.index(state)
    return len(_ORDER) if state else len(_ORDER) + 1
