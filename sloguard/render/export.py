"""A run for other tools: its samples as CSV, all of it as JSON. Written piece by piece."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator

import numpy as np

from sloguard.core.document import activity_json, fault_json, timeline_json
from sloguard.core.history import StoredEvent, StoredRun
from sloguard.core.jsonable import jsonable
from sloguard.core.people import RunNote
from sloguard.core.series import Matrix, SloEvidence
from sloguard.core.text import iso_time
from sloguard.render.observations import note_json

CSV_COLUMNS = ("time", "slo", "role", "labels", "value")


def samples_csv(evidence: Iterable[SloEvidence]) -> Iterator[str]:
    """Lines of CSV, a series at a time, the header first.

    ``time`` ISO 8601 UTC; ``role`` query, total, bad or good; ``labels`` a JSON object; ``value`` with
    every digit, or NaN, +Inf, -Inf. A point without a sample has no line.
    """
    yield _row(CSV_COLUMNS)
    for item in evidence:
        for role, matrix in item.answers.items():
            yield from _matrix_csv(item.slo.name, role, matrix)


def run_json(
    run: StoredRun, events: Iterable[StoredEvent], notes: Iterable[RunNote] = ()
) -> Iterator[str]:
    """One JSON object in pieces: the run, its document, timeline, activities, faults, notes and events.

    Times ISO 8601 UTC. The events come last, one a line.
    """
    head = {
        "run": run.id,
        "title": run.title,
        "tags": run.tags,
        "source": run.source,
        "version": run.version,
        "host": run.host,
        "started": iso_time(run.started_at),
        "ended": None if run.ended_at is None else iso_time(run.ended_at),
        "outcome": run.state,
        "reason": run.reason,
        "score": run.score,
        "timeline": timeline_json(run.timeline),
        "variables": run.variables,
        "experiment": run.resolved or run.declared,
        "document": run.document,
        "activities": [activity_json(record) for record in run.activities],
        "faults": [fault_json(fault) for fault in run.faults],
        "observations": [note_json(note) for note in notes],
    }
    text = json.dumps(jsonable(head), indent=2, ensure_ascii=False, allow_nan=False)
    yield text.removesuffix("\n}") + ',\n  "events": ['
    separator = "\n    "
    for event in events:
        line = {"at": iso_time(event.at), "kind": event.kind, **event.data}
        yield separator + json.dumps(jsonable(line), ensure_ascii=False, allow_nan=False)
        separator = ",\n    "
    yield "\n  ]\n}\n"


def _matrix_csv(slo: str, role: str, matrix: Matrix) -> Iterator[str]:
    times = [iso_time(at) for at in matrix.grid.times]
    for labels, values, present in zip(matrix.labels, matrix.values, matrix.present, strict=True):
        # What is the same in every line of a series is written out, and quoted, once.
        text = json.dumps(dict(labels), ensure_ascii=False, separators=(",", ":"))
        middle = _row((slo, role, text)).removesuffix("\n")
        points = np.flatnonzero(present).tolist()
        numbers = values[present].tolist()
        yield "".join(
            f"{times[i]},{middle},{_value(v)}\n" for i, v in zip(points, numbers, strict=True)
        )


def _row(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _value(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"
