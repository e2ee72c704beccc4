"""The fake Prometheus behaves as the port says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sloguard.core.windows import Grid
from sloguard.ports import BadQuery, Metrics, MetricsUnreachable
from tests.fakes.metrics import FakeMetrics, sampled

GRID = Grid(1000.0, 5, 4)


def test_curves_become_series_with_gaps_and_nan() -> None:
    metrics: Metrics = (
        FakeMetrics()
        .add("q", lambda at: None if at == 1005 else at, {"a": "function"})
        .add("q", sampled([1000, 1010], [math.nan, 2.5]), {"a": "array"})
        .add("q", 7, {"a": "constant"})
        .add("q", lambda at: None, {"a": "never there"})
    )
    answer = metrics.range("q", GRID)
    assert [dict(labels)["a"] for labels in answer.labels] == ["function", "array", "constant"]
    assert answer.present.tolist() == [
        [True, False, True, True],
        [True, False, True, False],
        [True] * 4,
    ]
    assert np.isnan(answer.values[1, 0])
    assert answer.values[2].tolist() == [7.0] * 4
    assert metrics.instant("q", 1010).samples[1].value == 2.5


def test_what_is_not_yet_has_no_sample() -> None:
    metrics = FakeMetrics(now=lambda: 1007.0).add("q", 1)
    assert metrics.range("q", GRID).present.tolist() == [[True, True, False, False]]
    assert metrics.instant("q").samples[0].at == 1007.0


def test_an_empty_answer_and_an_unknown_query() -> None:
    metrics = FakeMetrics().add("q")
    assert metrics.range("q", GRID).values.shape == (0, 4)
    with pytest.raises(BadQuery):
        metrics.range("other", GRID)


def test_failures_are_scripted() -> None:
    metrics = FakeMetrics().add("q", 1).add("r", 1)
    metrics.fail(MetricsUnreachable("away"), times=2, query="q")
    for _ in range(2):
        with pytest.raises(MetricsUnreachable):
            metrics.range("q", GRID)
    assert metrics.range("q", GRID).present.all()
    metrics.fail(MetricsUnreachable("away"), times=9)
    with pytest.raises(MetricsUnreachable):
        metrics.clock_offset()
    metrics.heal()
    assert metrics.scrape_interval([]) == 5.0
    assert [asked.method for asked in metrics.asked] == [
        *["range"] * 3,
        "clock_offset",
        "scrape_interval",
    ]
