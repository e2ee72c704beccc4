"""``sloguard judge`` over windows that a real Prometheus holds: the contract's examples, end to end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Ran, sloguard
from tests.support.servers import PrometheusServer, write_openmetrics

pytestmark = pytest.mark.integration

FAULT = 1_767_268_800  # 2026-01-01T12:00:00Z
NAN, INF = float("nan"), float("inf")
Curve = Callable[[float], float | None]


def steady(value: float) -> Curve:
    return lambda t: value


def only(low: float, high: float, value: float | None, otherwise: float | None = 0.0) -> Curve:
    return lambda t: value if low <= t <= high else otherwise


@dataclass(frozen=True)
class Case:
    """Series by metric suffix and service; the SLO's keys; the marks; what must come out."""

    name: str
    series: dict[str, Curve]
    keys: dict[str, Any]
    verdict: str
    marks: tuple[float, float, float] = (-60, 60, 180)
    reason: str = ""
    extra: tuple[str, ...] = ()
    checks: dict[str, Any] = field(default_factory=dict)


def value(metric: str = "v") -> str:
    # Samples stand at the points themselves: a window of a second holds one or none.
    return f"last_over_time(NAME_{metric}[1s])"


V = {"query": value(), "objective": "< 1%"}
PAIR = {"bad": value("bad"), "total": value("total"), "objective": "< 1%"}
CASES = [
    Case(
        "tolerated", {"v": only(10, 20, 0.08)}, {**V, "during": {"tolerate": "20s"}}, "met",
        checks={"during.longest_breach_seconds": 15, "during.first_breach_seconds": 10},
    ),
    Case(
        "too_long", {"v": only(10, 20, 0.08)}, {**V, "during": {"tolerate": "10s"}}, "deviated",
        reason="8% at 12:00:10Z, not < 1% (during); 15s in breach, 10s tolerated",
    ),
    Case(
        "gap_in_run",
        {"v": lambda t: None if t == 20 else (0.08 if 10 <= t <= 25 else 0.0)},
        {**V, "during": {"tolerate": "10s"}}, "deviated",
        checks={"during.longest_breach_seconds": 15, "during.gaps": 1},
    ),
    Case(
        "recovered", {"v": only(60, 105, 0.08)},
        {**V, "during": {"objective": "< 10%"}, "after": {"recover_within": "60s"}},
        "met", checks={"after.recovered_seconds": 50},
    ),
    Case(
        "recovered_late", {"v": only(60, 105, 0.08)},
        {**V, "during": {"objective": "< 10%"}, "after": {"recover_within": "45s"}}, "deviated",
    ),
    Case("averaged_away", {"v": steady(0.0)}, {**V, "query": "max_over_time(NAME_v[5m])"}, "inconclusive",
         marks=(-60, 11, 131 + 300),
         reason="lookback 5m is longer than the 11s fault: it averages the fault away"),
    Case("no_bad_at_all", {"total": steady(50.0)}, PAIR, "met"),
    Case("no_traffic", {"total": steady(0.0)}, PAIR, "inconclusive"),
    Case("total_gone", {"total": lambda t: 50.0 if t < 5 else None}, PAIR, "deviated", reason="gone dark"),
    Case("total_away", {"total": only(10, 25, None, 50.0)}, PAIR, "inconclusive",
         reason="no data for 20s from 12:00:10Z, 10s after the fault; the series was there before"),
    Case("total_away_tolerated", {"total": only(10, 25, None, 50.0)},
         {**PAIR, "during": {"tolerate": "20s"}}, "met"),
    Case("other_exporter", {"total": steady(50.0), "bad": lambda t: 0.0 if t < 20 else None}, PAIR, "deviated"),
    Case("good_absent", {"total": steady(50.0)},
         {"good": value("good"), "total": value("total"), "objective": "< 1%"}, "deviated"),
    Case("baseline_over", {"v": only(0, 59, 0.31, 0.2)},
         {**V, "objective": "< 1", "during": {"objective": "<= baseline + 50%"}}, "deviated",
         checks={"baseline": 0.2}),
    Case("baseline_zero", {"v": only(0, 59, 0.01)},
         {**V, "objective": "< 1", "during": {"objective": "<= baseline + 50%"}}, "inconclusive",
         reason="the baseline is 0: give an absolute allowance"),
    Case("baseline_absolute", {"v": only(0, 59, 0.04)},
         {**V, "objective": "< 1", "during": {"objective": "<= baseline + 50ms"}}, "met"),
    Case("not_held", {"v": only(150, 170, 0.08)},
         {**V, "after": {"recover_within": "120s", "hold": "15s"}}, "inconclusive",
         checks={"after.recovered_seconds": 115}),
    Case("nan_all_through", {"v": steady(NAN)}, V, "inconclusive"),
    Case("nan_during", {"v": only(0, 59, NAN)}, {**V, "objective": "!= 1"}, "inconclusive"),
    Case("infinite", {"v": only(10, 10, INF)}, V, "deviated", checks={"during.worst": "+Inf"}),
    Case("nothing", {}, V, "inconclusive"),
    Case("nothing_is_a_breach", {}, {**V, "no_data": "breach"}, "deviated"),
    Case("nothing_is_fine", {}, {**V, "no_data": "met"}, "inconclusive"),
    Case("gone_dark", {"v": lambda t: 0.0 if t <= 165 else None}, V, "deviated", reason="gone dark"),
    Case("removed", {"v|a": lambda t: 0.0 if t < 10 else None, "v|b": steady(0.0)}, V, "met",
         extra=("--removed", "service=a")),
    Case("one_of_three", {"v|a": steady(0.0), "v|b": only(10, 30, None), "v|c": only(10, 10, 0.5)}, V, "deviated"),
    Case("one_of_two", {"v|a": steady(0.0), "v|b": only(10, 30, None)}, V, "inconclusive"),
    Case("ended_before", {"v|old": lambda t: 0.5 if t < -30 else None, "v|new": steady(0.0)}, V, "met"),
]  # fmt: skip
EXIT = {"met": 0, "deviated": 10, "inconclusive": 11}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    directory = tmp_path_factory.mktemp("windows")
    samples: dict[str, list[tuple[float, float]]] = {}
    for case in CASES:
        for key, curve in sorted(case.series.items()):
            metric, _, service = key.partition("|")
            points = [
                (float(FAULT + t), v) for t in range(-60, 440, 5) if (v := curve(t)) is not None
            ]
            samples[f'{case.name}_{metric}{{service="{service or "shop"}"}}'] = points
    file = write_openmetrics(directory / "samples.txt", samples)
    server = PrometheusServer(directory / "prometheus", openmetrics=[file])
    server.start()
    yield server
    server.stop()


def judge(case: Case, prometheus: PrometheusServer, home: Path) -> Ran:
    keys = json.loads(json.dumps(case.keys).replace("NAME", case.name))
    file = home / "slos.yaml"
    file.write_text(json.dumps({"slos": [{"name": "slo", **keys}]}))
    start, restored, end = (f"{FAULT + t}" for t in case.marks)
    return sloguard(
        "judge", file, "--prometheus", prometheus.url, "--start", start, "--fault", str(FAULT),
        "--restored", restored, "--end", end, "--step", "5s", "--format", "json", *case.extra,
        home=home,
    )  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_judge(case: Case, prometheus: PrometheusServer, tmp_path: Path) -> None:
    ran = judge(case, prometheus, tmp_path)
    assert ran.code == EXIT[case.verdict], (ran.out[-3000:], ran.err)
    document = ran.json
    assert document["outcome"] == case.verdict
    slo = document["slos"][0]
    assert case.reason in slo["reason"]
    for path, expected in case.checks.items():
        found = slo["series"][0]
        for key in (["phases"] if "." in path else []) + path.split("."):
            found = found[key]
        assert found == expected, path
