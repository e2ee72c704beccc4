"""Alerts as Prometheus recorded them: whose they are, and how long they took."""

import numpy as np

from sloguard.core.alerts import MOST, alerts_of
from sloguard.core.series import Matrix
from sloguard.core.windows import pinned_grid
from tests.support.evidence import FAULT, marks

TIMELINE = marks()
GRID = pinned_grid(TIMELINE, 5)


def answer(*spans: tuple[str, float, float]) -> Matrix:
    present = np.array([[low <= t - FAULT <= high for t in GRID.times] for _, low, high in spans])
    labels = tuple(
        (("alertname", name), ("alertstate", "firing"), ("service", "shop")) for name, _, _ in spans
    )
    return Matrix(GRID, labels, np.where(present, 1.0, np.nan), present)


def test_an_alert_of_the_fault():
    alerts, note = alerts_of(answer(("Errors", 15, 70)), TIMELINE)
    assert note == ""
    assert alerts == (
        {
            "name": "Errors",
            "labels": {"service": "shop"},
            "starts_at": "2026-01-01T12:00:15Z",
            "ends_at": "2026-01-01T12:01:15Z",
            "firing_before": False,
            "time_to_alert_seconds": 15,
        },
    )


def test_what_fired_before_is_not_the_faults_and_what_had_ended_is_not_named():
    alerts, _ = alerts_of(answer(("Old", -60, -20), ("Long", -20, 500)), TIMELINE)
    assert [(a["name"], a["firing_before"], a["ends_at"]) for a in alerts] == [("Long", True, None)]
    assert alerts[0]["time_to_alert_seconds"] is None


def test_the_first_ones_are_kept_of_very_many():
    alerts, note = alerts_of(answer(*[(f"A{i:03}", 10, 20) for i in range(MOST + 5)]), TIMELINE)
    assert len(alerts) == MOST
    assert note == f"{MOST + 5} alerts fired; the first {MOST} are kept"


def test_an_alert_that_flaps_is_two():
    both = answer(("Errors", 5, 10))
    both.present[0, GRID.count - 3 :] = True
    assert [a["time_to_alert_seconds"] for a in alerts_of(both, TIMELINE)[0]] == [5, 170]
