"""Alerts that fired around a fault, as Prometheus itself recorded them in ``ALERTS``."""

from __future__ import annotations

from typing import Any

import numpy as np

from sloguard.core.model import Timeline
from sloguard.core.series import LabelSet, Matrix
from sloguard.core.text import iso_time

#: What is asked for, on a grid of its own.
QUERY = 'ALERTS{alertstate="firing"}'
#: More than these are an outage of the alerting, and no help in a verdict.
MOST = 100
_OWN_LABELS = ("__name__", "alertname", "alertstate")


def alerts_of(answer: Matrix, timeline: Timeline) -> tuple[tuple[dict[str, Any], ...], str]:
    """Alerts that fired in ``during`` or ``after``, by their start, and a note where some were left out.

    ``firing_before``: it fired already when the fault began, so it is not the fault's, and has no
    ``time_to_alert_seconds`` (from the fault). ``ends_at`` None: it still fired at the last point. Times
    are exact to a step of the grid.
    """
    spans = [
        (start, end, answer.labels[row])
        for row in range(len(answer.labels))
        for start, end in _runs(answer, row)
        if end is None or end > timeline.fault
    ]
    spans.sort(key=lambda span: (span[0], span[2]))
    note = f"{len(spans)} alerts fired; the first {MOST} are kept" if len(spans) > MOST else ""
    return tuple(_alert(*span, timeline) for span in spans[:MOST]), note


def _runs(answer: Matrix, row: int) -> list[tuple[float, float | None]]:
    """(First point, first point without it or None) of each run of points."""
    present = np.concatenate(([False], answer.present[row], [False]))
    edges = np.flatnonzero(np.diff(present.astype(np.int8)))
    times = answer.grid.times
    return [
        (float(times[first]), float(times[beyond]) if beyond < len(times) else None)
        for first, beyond in zip(edges[::2], edges[1::2], strict=True)
    ]


def _alert(start: float, end: float | None, labels: LabelSet, timeline: Timeline) -> dict[str, Any]:
    before = start < timeline.fault
    return {
        "name": dict(labels).get("alertname", ""),
        "labels": {k: v for k, v in labels if k not in _OWN_LABELS},
        "starts_at": iso_time(start),
        "ends_at": None if end is None else iso_time(end),
        "firing_before": before,
        "time_to_alert_seconds": None if before else round(start - timeline.fault, 3),
    }
