"""The store's own objects as the API's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import Response
from pydantic import BaseModel

from sloguard.core.document import activity_json, fault_json, timeline_json
from sloguard.core.history import RunSummary, StoredRun
from sloguard.core.jsonable import jsonable
from sloguard.core.tallies import LatestRun, RunLine
from sloguard.core.text import iso_time
from sloguard.ports.service import Job, Window
from sloguard.web.answers import json_answer

API = "/api/v1"
_EPOCH = date(1970, 1, 1)
Json = dict[str, Any]


def run_href(run: str) -> str:
    """Where a run is."""
    return f"{API}/runs/{run}"


def time_or_none(at: float | None) -> str | None:
    """ISO 8601, or None."""
    return None if at is None else iso_time(at)


def line_row(run: RunLine) -> Json | msgspec.Raw:
    """One line of a list, from the store's own row: there are many of them, and they are asked for often.

    Of an ended run it is finished JSON.
    """
    return _line(run) if run.ended_at is None else _ended_line(run)


@lru_cache(2048)
def _ended_line(run: RunLine) -> msgspec.Raw:
    """Found by everything that is shown of it: where any of that changes, it is made anew."""
    return msgspec.Raw(msgspec.json.encode(_line(run)))


def _line(run: RunLine) -> Json:
    name, kind, experiment, title, tags, began, end, outcome, score, reason, origin, alive = run
    ended = end is not None
    return {
        "run": name,
        "kind": kind,
        "experiment": experiment,
        "title": title,
        "tags": msgspec.Raw(tags.encode()),
        "state": "ended" if ended else "running" if alive else "interrupted",
        "outcome": outcome if ended else None,
        "score": score if ended else None,
        "reason": reason,
        "started": _quick_time(began),
        "ended": None if end is None else _quick_time(end),
        "origin": origin or None,
        "href": f"{API}/runs/{name}",
    }


@lru_cache(512)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()


def _quick_time(at: float) -> str:
    """``iso_time``, with the date looked up: most of a page's runs are of a few days."""
    seconds, milliseconds = divmod(round(round(at, 3) * 1000), 1000)
    day, rest = divmod(seconds, 86400)
    minutes, second = divmod(rest, 60)
    hour, minute = divmod(minutes, 60)
    fraction = f".{milliseconds:03d}" if milliseconds else ""
    return f"{_date(day)}T{hour:02d}:{minute:02d}:{second:02d}{fraction}Z"


def run_row(run: RunSummary) -> Json:
    """The same of a run that was read whole, or by its tag or time."""
    ended = run.ended_at is not None
    return {
        "run": run.id,
        "kind": run.kind,
        "experiment": run.experiment,
        "title": run.title,
        "tags": run.tags,
        "state": "ended" if ended else "running" if run.alive else "interrupted",
        "outcome": run.outcome if ended else None,
        "score": run.score if ended else None,
        "reason": run.reason,
        "started": iso_time(run.started_at),
        "ended": time_or_none(run.ended_at),
        "origin": run.origin or None,
        "href": run_href(run.id),
    }


def job_row(job: Job) -> Json:
    """A job that has no run (yet) as a line of the same list."""
    state = str(job.state)
    return {
        "run": job.id,
        "kind": job.kind,
        "experiment": job.experiment,
        "title": "",
        "tags": job.tags,
        # The worker ended and left no run: a dry run, or nothing came of it.
        "state": state,
        "outcome": None,
        "score": None,
        "reason": job.detail or job.abort_reason,
        "started": time_or_none(job.started_at),
        "ended": time_or_none(job.ended_at),
        "origin": str(job.payload.get("run") or "") or None,
        "href": run_href(job.id),
    }


def job_shape(job: Job) -> Json:
    """What was asked for, and what became of it."""
    return {
        "state": str(job.state),
        "kind": job.kind,
        "experiment": job.experiment,
        "variables": jsonable(job.variables),
        "dry_run": job.dry_run,
        "tags": job.tags,
        "seed": job.seed,
        "requested": iso_time(job.requested_at),
        "requested_by": job.requested_by,
        "started": time_or_none(job.started_at),
        "ended": time_or_none(job.ended_at),
        "worker": job.worker,
        "exit_code": job.exit_code,
        "detail": job.detail,
        "abort_reason": job.abort_reason,
        "result": jsonable(job.result),
    }


def run_shape(run: StoredRun, job: Job | None, slos: Sequence[str]) -> Json:
    """A run, whole but for what has addresses of its own."""
    return {
        **run_row(run),
        "source": run.source,
        "version": run.version,
        "host": run.host,
        "timeline": timeline_json(run.timeline),
        "variables": run.variables,
        "definition": run.resolved or run.declared,
        "faults": [fault_json(fault) for fault in run.faults],
        "activities": [activity_json(record) for record in run.activities],
        "slos": slos,
        "job": None if job is None else job_shape(job),
        "links": links(run.id),
    }


def waiting_shape(job: Job) -> Json:
    """A job without a run, in the shape of a run."""
    return {
        **job_row(job),
        "source": job.source,
        "version": "",
        "host": "",
        "timeline": None,
        "variables": jsonable(job.variables),
        "definition": {},
        "faults": [],
        "activities": [],
        "slos": [],
        "job": job_shape(job),
        "links": links(job.id),
    }


def links(run: str) -> dict[str, str]:
    """Where the rest of a run is."""
    here = run_href(run)
    parts = ("verdict", "journal", "events", "notes", "chart.svg", "chart.png", "samples.csv")
    return {part: f"{here}/{part}" for part in (*parts, "samples.parquet")}


def latest_shape(run: LatestRun) -> Json:
    """The newest verdict of an experiment."""
    return {
        "run": run.run,
        "experiment": run.experiment,
        "title": run.title,
        "outcome": run.outcome,
        "score": run.score,
        "reason": run.reason,
        "ended": time_or_none(run.ended_at),
        "href": f"{run_href(run.run)}/verdict",
    }


def window_shape(window: Window) -> Json:
    """A window of another tool."""
    return {
        "window": window.id,
        "title": window.title,
        "slos": window.slos,
        "tool": window.tool,
        "tags": window.tags,
        "removed": {label: list(names) for label, names in window.removed.items()},
        "before": window.before,
        "after": window.after,
        "state": str(window.state),
        "opened": iso_time(window.opened_at),
        "opened_by": window.opened_by,
        "fault": iso_time(window.fault_at),
        "restored": time_or_none(window.restored_at),
        "closed": time_or_none(window.closed_at),
        "closed_by": window.closed_by,
        "expires": iso_time(window.expires_at),
        "detail": window.detail,
        "href": f"{API}/windows/{window.id}",
        "run_href": run_href(window.id),
    }


def problem_shape(problem: Any) -> Json:
    """A problem of a file. Its own name is enough: the directories of the service are nobody's business."""
    return {
        "message": problem.message,
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "expected": problem.expected,
        "hint": problem.hint,
    }


def page_answer(
    name: str, rows: Sequence[Json | msgspec.Raw], path: str, query: BaseModel, last: str | None
) -> Response:
    """A page of a list; ``last``: the id of its last one, where there may be more."""
    if last is None:
        return json_answer({name: rows, "next": None})
    given = query.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    address = f"{path}?{urlencode({**given, 'before': last})}"
    return json_answer({name: rows, "next": address}, headers={"Link": f'<{address}>; rel="next"'})
