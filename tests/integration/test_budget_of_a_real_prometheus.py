"""The error budget as a real Prometheus knows it: by counters, by points, and by less than a period."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sloguard.adapters.clock import SystemClock
from sloguard.adapters.prometheus import Prometheus
from sloguard.adapters.prometheus_settings import PrometheusSettings
from sloguard.core.model import Outcome, Timeline
from sloguard.core.outcome import RunFacts, conclude
from sloguard.engine.options import Options
from sloguard.engine.window import judge_window
from sloguard.spec import load
from tests.support.command import sloguard
from tests.support.servers import PrometheusServer, write_openmetrics

pytestmark = pytest.mark.integration

FAULT = 1_767_268_800  # 2026-01-01T12:00:00Z
HOUR = 3600
#: 10 requests a second for six hours; one in a hundred fails for an hour, three hours before the fault,
#: and half of them for a minute from the fault on.
EARLY = (FAULT - 3 * HOUR, FAULT - 2 * HOUR)


def counters() -> dict[str, list[tuple[float, float]]]:
    total, bad = 0.0, 0.0
    all_of_them, failed = [], []
    for at in range(FAULT - 6 * HOUR, FAULT + 300, 15):
        all_of_them.append((float(at), total))
        failed.append((float(at), bad))
        total += 150
        if EARLY[0] <= at < EARLY[1]:
            bad += 1.5
        elif FAULT <= at < FAULT + 60:
            bad += 75
    return {
        'requests_total{code="200"}': [
            (at, t - b) for (at, t), (_, b) in zip(all_of_them, failed, strict=True)
        ],
        'requests_total{code="500"}': failed,
        "up": [(at, 1.0) for at, _ in all_of_them],
    }


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    directory = tmp_path_factory.mktemp("budget")
    samples = counters()
    files = []
    for name in ("requests_total", "up"):
        own = {series: points for series, points in samples.items() if series.startswith(name)}
        kind = "counter" if name.endswith("_total") else "gauge"
        files.append(write_openmetrics(directory / f"{name}.txt", own, kind))
    server = PrometheusServer(directory / "prometheus", openmetrics=files)
    server.start()
    yield server
    server.stop()


TOTAL = "sum(rate(requests_total[1m]))"
BAD = 'sum(rate(requests_total{code="500"}[1m]))'
PAIR = {"total": TOTAL, "bad": BAD}
RATIO = {"query": f"({BAD}) / ({TOTAL})"}
#: 360 of the 1440 failures that four hours allow.
FOUR_HOURS = 360 / (0.01 * 10 * 4 * HOUR)


def judge(prometheus: PrometheusServer, keys: dict[str, Any], budget: Any = None) -> RunFacts:
    """The window of the fault, judged from that Prometheus."""
    slo = {"name": "errors", "objective": "< 60%", "target": "99%", **keys}
    document = {
        "title": "t",
        "description": "d",
        "steady-state-hypothesis": {"title": "h", "slos": [slo]},
        "method": [],
        **({"budget": budget} if budget else {}),
    }
    timeline = Timeline(FAULT - 300, FAULT, FAULT + 120, FAULT + 240)
    metrics = Prometheus(PrometheusSettings(url=prometheus.url))
    return judge_window(load(document), timeline, metrics, SystemClock(), Options(step=15.0))


@pytest.mark.parametrize(
    ("keys", "basis", "spent", "known", "within"),
    [
        ({**PAIR, "period": "4h"}, "counters", FOUR_HOURS, 1.0, 0.01),
        ({**PAIR, "bad": f"max({BAD})", "period": "4h"}, "sampled", FOUR_HOURS, 1.0, 0.02),
        ({**RATIO, "period": "4h"}, "sampled", FOUR_HOURS, 1.0, 0.02),
        # Six hours of twelve are known: of the rest nothing is counted.
        ({**PAIR, "period": "12h"}, "counters", FOUR_HOURS / 3, 0.5, 0.03),
        ({**PAIR, "period": "4h", "budget_left": "vector(0.4)"}, "recorded", 0.6, 1.0, 0.001),
    ],
)
def test_what_was_left_and_what_is(prometheus, keys, basis, spent, known, within):
    facts = judge(prometheus, keys)
    assert conclude(facts).outcome is Outcome.MET, conclude(facts).reason
    entry = facts.budget[0]
    assert entry["basis"] == basis
    assert entry["known_share"] == pytest.approx(known, rel=0.1)
    assert 1 - entry["left_before"] == pytest.approx(spent, rel=within)
    period = float(entry["period_seconds"])
    # 300 requests fail for the fault: half of them for a minute.
    assert entry["spent_by_run"] == pytest.approx(300 / (0.01 * 10 * period), rel=0.35)
    assert entry["left_after"] == entry["left_before"] - entry["spent_by_run"]


@pytest.mark.parametrize(
    ("abort_when", "outcome"),
    [
        ({"spent": "10%"}, Outcome.DEVIATED),
        ({"spent": "90%", "burn_rate": 60}, Outcome.MET),
        ({"burn_rate": 30, "for": "30s"}, Outcome.DEVIATED),
    ],
)
def test_a_window_is_held_against_the_guard(prometheus, abort_when, outcome):
    facts = judge(prometheus, {**PAIR, "period": "4h"}, {"abort_when": abort_when})
    assert conclude(facts).outcome is outcome
    assert facts.budget[0]["guard"]["verdict"] == str(outcome)


def test_with_too_little_left_a_run_does_not_start(prometheus, tmp_path):
    slo = {
        "name": "calm",
        "query": "vector(0)",
        "objective": "< 1%",
        "target": "99%",
        "period": "4h",
        "budget_left": "vector(0.1)",
    }
    file = tmp_path / "x.json"
    document = {
        "title": "t",
        "description": "d",
        "phases": {"before": "2s", "during": "2s", "after": "2s"},
        "budget": {"keep_at_least": "20%"},
        "steady-state-hypothesis": {"title": "h", "slos": [slo]},
        "method": [],
    }
    file.write_text(json.dumps(document))
    ran = sloguard(
        "run", file, "--prometheus", prometheus.url, "--step", "1s", "--format", "json",
        home=tmp_path, env={"SLOGUARD_PROMETHEUS_SCRAPE_INTERVAL": "1s"},
    )  # fmt: skip
    assert ran.code == 12, (ran.out[-2000:], ran.err)
    entry = ran.json["budget"][0]
    assert entry["left_before"] == pytest.approx(0.1)
    assert entry["gate"]["verdict"] == "deviated"
