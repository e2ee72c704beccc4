"""Alerts as Prometheus recorded them: when each began, whether two stretches are one, what nobody saw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from sloguard.core.alerts import episodes_of, spans_of
from sloguard.core.series import Matrix
from sloguard.core.windows import pinned_grid
from tests.support.evidence import FAULT, marks

TIMELINE = marks()
GRID = pinned_grid(TIMELINE, 5)


def answer(
    *spans: tuple[str, float, float],
    evaluated: float = 0.0,
    values: Mapping[str, float] | None = None,
) -> Matrix:
    """Alerts that fire at the points of [low, high]; the value: ``evaluated`` seconds before each point."""
    present = np.array([[low <= t - FAULT <= high for t in GRID.times] for _, low, high in spans])
    labels = tuple(
        (("alertname", n), ("alertstate", "firing"), ("service", "shop")) for n, _, _ in spans
    )
    told = np.tile(GRID.times - evaluated, (len(spans), 1))
    if values is not None:
        told = np.array([[values[n]] * GRID.count for n, _, _ in spans])
        labels = tuple(
            (("__name__", "ALERTS_FOR_STATE"), *(p for p in row if p[0] != "alertstate"))
            for row in labels
        )
    return Matrix(GRID, labels, np.where(present, told, np.nan), present)


def spans(*args: object, **more: object) -> list[tuple[float, float | None]]:
    found = episodes_of(*args, **more)  # type: ignore[arg-type]  # whatever episodes_of takes
    return [(e.starts_at - FAULT, None if e.ends_at is None else e.ends_at - FAULT) for e in found]


def test_it_begins_when_it_was_evaluated_and_ends_at_the_first_point_without_it():
    (alert,) = episodes_of(answer(("Errors", 15, 70), evaluated=3.2))
    assert dict(alert.labels) == {"alertname": "Errors", "service": "shop"}
    assert alert.starts_at == pytest.approx(FAULT + 11.8)
    assert alert.origin == "prometheus"
    assert alert.ends_at == FAULT + 75
    assert alert.pending_since is None


def test_a_server_that_tells_no_time_of_a_sample_is_believed_to_a_step():
    late = answer(("Errors", 15, 70), evaluated=-1e9)
    assert spans(late) == [(15, 75)]
    assert spans(answer(("Errors", 15, 70), evaluated=40)) == [(15, 75)]


def test_what_fires_at_the_last_point_has_not_ended():
    assert spans(answer(("Errors", 100, 1e6))) == [(100, None)]


def test_since_when_its_condition_holds():
    since = answer(("Errors", 0, 70), values={"Errors": FAULT + 2})
    (alert,) = episodes_of(answer(("Errors", 15, 70)), since)
    assert alert.pending_since == FAULT + 2


def test_an_alert_that_flaps_is_two_and_one_whose_condition_held_on_is_one():
    both = answer(("Errors", 5, 10))
    both.present[0, GRID.count - 3 :] = True
    both.values[0, GRID.count - 3 :] = GRID.times[-3:]
    assert spans(both) == [(5, 15), (170, None)]
    since = answer(("Errors", -1e6, 1e6), values={"Errors": FAULT})
    assert spans(both, since) == [(5, None)]
    since.values[0, GRID.count - 3 :] = FAULT + 160
    assert spans(both, since) == [(5, 15), (170, None)]


def test_while_prometheus_was_away_nothing_is_known_to_have_ended():
    both = answer(("Errors", 5, 10))
    both.present[0, GRID.count - 3 :] = True
    gap = GRID.times[(GRID.times > FAULT + 10) & (GRID.times < GRID.times[-3])]
    assert len(spans(both, None, gap)) == 1
    assert len(spans(both, None, gap[1:])) == 2
    tail = GRID.times[GRID.times > FAULT + 10]
    assert spans(answer(("Errors", 5, 10)), None, tail) == [(5, None)]
    assert spans(answer(("Errors", 5, 10)), None, tail[:-1]) == [(5, 15)]


def test_the_spans_in_which_it_was_away():
    assert spans_of(np.array([10.0, 15.0, 20.0, 50.0]), 5.0) == ((5.0, 20.0), (45.0, 50.0))
    assert spans_of(np.empty(0), 5.0) == ()
