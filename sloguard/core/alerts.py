"""Alerts as Prometheus itself recorded them, in ``ALERTS`` and ``ALERTS_FOR_STATE``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sloguard.core.arrays import Floats
from sloguard.core.episodes import AlertEpisode
from sloguard.core.series import LabelSet, Matrix

#: What is asked for, on a grid of its own. The value is when the sample at a point was evaluated: at the
#: first point of an alert that is when it began to fire.
QUERY = 'timestamp(ALERTS{alertstate="firing"})'
#: The value is when the condition of an alert became true, in whole seconds.
SINCE_QUERY = "ALERTS_FOR_STATE"
#: Who fires right now.
NOW_QUERY = 'ALERTS{alertstate="firing"}'
_OWN_LABELS = ("__name__", "alertstate")


def episodes_of(
    answer: Matrix,
    since: Matrix | None = None,
    away: Floats | None = None,
    away_step: float = 0.0,
) -> tuple[AlertEpisode, ...]:
    """The alerts of an answer to QUERY, by start; ``since``: the answer to SINCE_QUERY on the same grid.

    Starts are exact where an alert began between two points, ends to a step: they are the first point
    without it. ``ends_at`` None: it still fired at the last point. ``away``: times at which Prometheus
    saw nothing, ``away_step`` seconds apart: an alert that is there before and after them fired meanwhile.
    """
    unknown = _at(answer.grid.times, away, away_step)
    pending = {} if since is None else {label_key(s): i for i, s in enumerate(since.labels)}
    found = []
    for row, labels in enumerate(answer.labels):
        key = label_key(labels)
        active = None if since is None or key not in pending else since.values[pending[key]]
        found += [
            _episode(answer, row, first, beyond, dict(key), active)
            for first, beyond in _runs(answer.present[row], unknown, active)
        ]
    return tuple(sorted(found, key=lambda e: (e.starts_at, sorted(e.labels.items()))))


def label_key(labels: LabelSet) -> LabelSet:
    """The labels of the alert itself."""
    return tuple(pair for pair in labels if pair[0] not in _OWN_LABELS)


def _at(
    times: Floats, away: Floats | None, step: float
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if away is None or not len(away):
        return np.zeros(len(times), dtype=bool)
    distance = np.abs(times[:, None] - away[None, :]).min(axis=1)
    return np.asarray(distance <= step / 2 + 0.0005)


def _runs(present: Floats, unknown: Floats, active: Floats | None) -> list[tuple[int, int]]:
    """(First point, first point beyond) of each alert."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], present, [False])).astype(np.int8)))
    runs: list[tuple[int, int]] = []
    for first, beyond in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if runs and _goes_on(runs[-1][1], first, unknown, active):
            runs[-1] = (runs[-1][0], beyond)
        else:
            runs.append((first, beyond))
    if runs and runs[-1][1] < len(present) and bool(np.all(unknown[runs[-1][1] :])):
        # What was there when Prometheus went away is not known to have ended.
        runs[-1] = (runs[-1][0], len(present))
    return runs


def _goes_on(beyond: int, first: int, unknown: Floats, active: Floats | None) -> bool:
    """Whether two runs are one alert: nobody looked in between, or its condition has held since."""
    if bool(np.all(unknown[beyond:first])):
        return True
    return active is not None and bool(active[beyond - 1] == active[first])


def _episode(
    answer: Matrix, row: int, first: int, beyond: int, labels: dict[str, str], active: Floats | None
) -> AlertEpisode:
    times = answer.grid.times
    at, told = float(times[first]), float(answer.values[row, first])
    # Whatever else a server makes of timestamp(), it began within the step before the first point.
    start = told if at - max(answer.grid.step, 1.0) <= told <= at else at
    pending = None if active is None else float(active[first])
    return AlertEpisode(
        labels=labels,
        starts_at=round(start, 3),
        ends_at=float(times[beyond]) if beyond < len(times) else None,
        pending_since=None if pending is None or np.isnan(pending) else pending,
    )


def spans_of(away: Floats, step: float) -> tuple[tuple[float, float], ...]:
    """Points at which Prometheus was away -> the spans of time in which it evaluated nothing."""
    spans: list[tuple[float, float]] = []
    for at in away.tolist():
        if spans and at - spans[-1][1] < 1.5 * step:
            spans[-1] = (spans[-1][0], at)
        else:
            spans.append((at - step, at))
    return tuple(spans)


def firing_now(labels: Sequence[LabelSet], at: float) -> tuple[AlertEpisode, ...]:
    """The alerts of an answer to NOW_QUERY: they fire at ``at``, and since when nobody has asked."""
    return tuple(AlertEpisode(labels=dict(label_key(found)), starts_at=at) for found in labels)
