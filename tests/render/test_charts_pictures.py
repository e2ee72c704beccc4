"""The pictures, read back from their SVG: what stands where, in which words."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest

from sloguard.core.series import Surroundings
from sloguard.render.charts import chart
from sloguard.render.charts.model import AlertSpan
from tests.support.charting import NOON, Situation, ages, one, rule, situation, slo, timeline

SVG = "{http://www.w3.org/2000/svg}"
DECLARED = {"during": rule("< 5%", "20s"), "after": rule("< 1%", within=60.0)}


class Picture:
    """An SVG with its named parts and texts."""

    def __init__(self, made: Situation, **keywords: object) -> None:
        self.raw = chart(
            made.evidence, made.result, made.timeline, **{**made.keywords, **keywords}
        ).decode()
        self.root = ET.fromstring(self.raw)
        self.texts = [(t.text or "") for t in self.root.iter(f"{SVG}text")]
        self.timeline = made.timeline

    def parts(self, name: str) -> list[ET.Element]:
        return [g for g in self.root.iter(f"{SVG}g") if g.get("data-part") == name]

    def title(self, name: str) -> str:
        return self.parts(name)[0].findtext(f"{SVG}title") or ""

    def points(self, name: str, index: int = 0) -> np.ndarray:
        """The corners of a part's paths, as drawn."""
        paths = [p.get("d") or "" for p in self.parts(name)[index].iter(f"{SVG}path")]
        numbers = re.findall(r"-?\d+(?:\.\d+)?", " ".join(paths))
        return np.array(numbers, dtype=float).reshape(-1, 2)

    def places(self, name: str) -> np.ndarray:
        """Where a part's signs stand."""
        uses = [u for part in self.parts(name) for u in part.iter(f"{SVG}use")]
        return np.array([[float(u.get("x", 0)), float(u.get("y", 0))] for u in uses])

    @property
    def plot(self) -> tuple[float, float]:
        """The left and right edge: those of the grid."""
        xs = self.points("grid")[:, 0]
        return float(xs.min()), float(xs.max())

    def x(self, time: float) -> float:
        left, right = self.plot
        share = (time - self.timeline.start) / (self.timeline.end - self.timeline.start)
        return left + share * (right - left)

    def y(self, percent: float) -> float:
        """From two labelled ticks of the axis, in per cent."""
        ticks = {}
        for text in self.root.iter(f"{SVG}text"):
            found = re.fullmatch(r"([\d.]+)%", text.text or "")
            if found and "end" in (text.get("style") or ""):
                # A text stands on its baseline, 0.36 of its size below its tick.
                ticks[float(found[1])] = float(text.get("y", 0)) - 0.36 * 11
        (low, y0), *_, (high, y1) = sorted(ticks.items())
        return y0 + (percent - low) / (high - low) * (y1 - y0)

    def says(self, text: str) -> bool:
        return any(text in each for each in self.texts)


def deviating(**keywords: object) -> Situation:
    t = ages(timeline())
    values = np.where((t >= 20) & (t < 65), 0.124, 0.001)
    return situation(slo(**DECLARED), {one(service="checkout"): values}, lookback=0.0, **keywords)


def recovering(until: float) -> Situation:
    t = ages(timeline())
    values = np.where((t >= 20) & (t < until), 0.124, 0.001)
    return situation(slo(**DECLARED), {one(service="checkout"): values}, lookback=0.0)


@pytest.mark.parametrize(
    ("mark", "at"), [("fault", NOON), ("restored", NOON + 60), ("recovered", NOON + 90)]
)
def test_marks_stand_at_their_times(mark: str, at: float) -> None:
    picture = Picture(recovering(90))
    xs = picture.points(mark)[:, 0]
    assert xs == pytest.approx([picture.x(at)] * len(xs), abs=0.01)
    assert picture.title(mark).startswith(f"{mark} at 14:0")


def test_phases_cover_the_timeline_and_are_named_with_what_they_are_held_against() -> None:
    picture = Picture(deviating())
    spans = {
        "before": (NOON - 120, NOON),
        "during": (NOON, NOON + 60),
        "after": (NOON + 60, NOON + 180),
    }
    for phase, (start, end) in spans.items():
        xs = picture.points(f"phase-{phase}")[:, 0]
        assert (xs.min(), xs.max()) == pytest.approx((picture.x(start), picture.x(end)), abs=0.01)
    assert picture.says("✓ before 2m: < 1%")
    assert picture.says("✗ during 1m: < 5%")
    assert picture.says("after 2m: < 1%, back within 1m")


@pytest.mark.parametrize(
    ("phase", "percent", "start", "end"),
    [
        ("before", 1, NOON - 120, NOON),
        ("during", 5, NOON, NOON + 60),
        ("after", 1, NOON + 60, NOON + 180),
    ],
)
def test_each_phase_has_its_own_bound(phase: str, percent: float, start: float, end: float) -> None:
    picture = Picture(deviating())
    points = picture.points(f"objective-{phase}")
    assert points[:, 1] == pytest.approx([picture.y(percent)] * len(points), abs=0.02)
    assert points[:, 0] == pytest.approx([picture.x(start), picture.x(end)], abs=0.02)


def test_the_curve_goes_through_its_values() -> None:
    picture = Picture(deviating())
    points = picture.points("curve")
    expected = [picture.x(NOON + 30), picture.y(12.4)]
    assert np.abs(points - expected).sum(axis=1).min() < 0.1
    assert picture.title("curve") == 'error-ratio{service="checkout"}'


def test_breaches_are_filled_from_the_bound_to_the_curve_within_their_phase() -> None:
    picture = Picture(deviating())
    during, after = (picture.points("breach-area", i) for i in range(2))
    assert during[:, 1].max() == pytest.approx(picture.y(5), abs=0.02)
    assert during[:, 1].min() == pytest.approx(picture.y(12.4), abs=0.02)
    assert picture.x(NOON + 15) < during[:, 0].min() < picture.x(NOON + 20)
    assert during[:, 0].max() == pytest.approx(picture.x(NOON + 60), abs=0.01)
    assert after[:, 1].max() == pytest.approx(picture.y(1), abs=0.02)
    assert picture.x(NOON + 60) < after[:, 0].max() < picture.x(NOON + 65)


def test_a_line_that_rises_into_the_fault_puts_nothing_before_it_in_breach() -> None:
    t = ages(timeline())
    made = situation(slo(), {one(a="b"): np.where(t == 0, 0.2, 0.001)}, lookback=0.0)
    areas = Picture(made)
    for index in range(len(areas.parts("breach-area"))):
        assert areas.points("breach-area", index)[:, 0].min() >= areas.x(NOON) - 0.01


def test_the_deviation_is_told_with_length_worst_value_and_time() -> None:
    picture = Picture(deviating())
    assert picture.says("40s in breach (20s tolerated), worst 12.4% at 14:00:20Z")
    xs = picture.points("breach")[:, 0]
    assert (xs.min(), xs.max()) == pytest.approx(
        (picture.x(NOON + 20), picture.x(NOON + 65)), abs=0.01
    )
    assert picture.places("worst") == pytest.approx(
        np.array([[picture.x(NOON + 20), picture.y(12.4)]]), abs=0.05
    )


def test_what_the_lookback_excuses_is_another_area_and_explained() -> None:
    t = ages(timeline())
    values = np.where((t >= 20) & (t < 80), 0.124, 0.001)
    picture = Picture(situation(slo(**DECLARED), {one(a="b"): values}, lookback=30.0))
    xs = picture.points("excused-area")[:, 0]
    assert xs.min() == pytest.approx(picture.x(NOON + 60), abs=0.01)
    assert xs.max() <= picture.x(NOON + 90)
    assert picture.says("excused: the 30s lookback still averages the fault")
    assert picture.points("breach")[:, 0].max() == pytest.approx(picture.x(NOON + 60), abs=0.01)


def test_the_way_back_is_a_span_and_never_coming_back_an_arrow_to_the_end() -> None:
    back = Picture(recovering(90))
    assert back.says("recovered after 30s (1m allowed)")
    assert back.points("recovery")[:, 0] == pytest.approx(
        [back.x(NOON + 60), back.x(NOON + 90)], abs=0.01
    )
    assert back.points("deadline")[:, 0] == pytest.approx([back.x(NOON + 120)] * 2, abs=0.01)
    never = Picture(recovering(999))
    assert never.says("not recovered in 2m (1m allowed)")
    assert never.points("recovery")[:, 0].max() == pytest.approx(never.x(NOON + 180), abs=0.01)
    assert not never.parts("recovered")


def test_the_verdict_and_the_reason_head_the_picture() -> None:
    made = deviating()
    picture = Picture(made, title="Checkout loses a pod")
    assert made.result is not None
    assert picture.says("✗ deviated")
    assert picture.says("Checkout loses a pod")
    assert picture.says(made.result.reason)
    assert picture.says("2026-01-01 13:58:00Z to 14:03:00Z")


def test_a_long_reason_is_wrapped_and_cut_but_whole_for_those_who_listen() -> None:
    made = deviating()
    assert made.result is not None
    reason = " ".join(f"word{i}" for i in range(400))
    picture = Picture(replace(made, result=replace(made.result, reason=reason)))
    lines = [t for t in picture.texts if "word" in t]
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert "word399" in (picture.root.findtext(f"{SVG}desc") or "")


def test_it_reads_aloud() -> None:
    picture = Picture(deviating())
    root = picture.root
    assert root.get("role") == "img"
    told, title = root.findtext(f"{SVG}desc") or "", root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "error-ratio: deviated"
    assert (root.get("aria-labelledby") or "").split()[0] == title.get("id")
    assert "during 14:00:00Z to 14:01:00Z: deviated, objective < 5%, 20s tolerated" in told


def test_time_has_both_scales() -> None:
    picture = Picture(deviating())
    assert {"14:00:00", "14:01:00", "+30s", "−1m", "UTC", "from fault"} <= set(picture.texts)
    at = {t.text: float(t.get("x", 0)) for t in picture.root.iter(f"{SVG}text")}
    assert at["14:01:00"] == pytest.approx(picture.x(NOON + 60), abs=0.01)
    assert at["+1m"] == pytest.approx(picture.x(NOON + 60), abs=0.01)


def test_a_gap_breaks_the_line_and_is_hatched() -> None:
    t = ages(timeline())
    values = [None if 10 <= a <= 25 else 0.001 for a in t]
    picture = Picture(situation(slo(**DECLARED), {one(a="b"): values}))
    assert picture.points("gap")[:, 0].min() == pytest.approx(picture.x(NOON + 5), abs=0.01)
    assert picture.points("gap")[:, 0].max() == pytest.approx(picture.x(NOON + 30), abs=0.01)
    xs = picture.points("curve")[:, 0]
    assert not ((xs > picture.x(NOON + 6)) & (xs < picture.x(NOON + 29))).any()
    assert picture.says("no data")


def test_a_gap_of_one_among_many_is_hatched_below_the_axis_only() -> None:
    t = ages(timeline())
    dark = [None if a >= 20 else 0.001 for a in t]
    picture = Picture(situation(slo(**DECLARED), {one(s="a"): dark, one(s="b"): [0.002] * t.size}))
    assert not picture.parts("gap")
    assert picture.points("lane-gap")[:, 0].min() == pytest.approx(picture.x(NOON + 15), abs=0.01)
    assert picture.says("no data since 14:00:15Z")


def test_times_without_prometheus_are_told_from_gaps() -> None:
    t = ages(timeline())
    values = [None if 10 <= a <= 25 else 0.001 for a in t]
    away = Surroundings(away=NOON + np.array([10.0, 15.0, 20.0, 25.0]), away_step=5.0)
    picture = Picture(situation(slo(**DECLARED), {one(a="b"): values}, surroundings=away))
    assert not picture.parts("gap")
    xs = picture.points("away")[:, 0]
    assert (xs.min(), xs.max()) == pytest.approx(
        (picture.x(NOON + 10), picture.x(NOON + 30)), abs=0.01
    )
    assert picture.says("Prometheus was away (20s)")


def test_idle_points_are_marked_below_the_axis() -> None:
    t = ages(timeline())
    totals = {one(a="b"): [0.0 if 20 <= a < 40 else 50.0 for a in t]}
    picture = Picture(situation(slo(**DECLARED), {one(a="b"): [0.0] * t.size}, totals=totals))
    places = picture.places("idle")
    expected = [picture.x(NOON + s) for s in (20, 25, 30, 35)]
    assert places[:, 0] == pytest.approx(expected, abs=0.01)
    assert picture.says("idle: nothing happened")


@pytest.mark.parametrize(
    ("series", "words"),
    [
        ({}, "no data in this window"),
        ({(): [np.nan] * 61}, "nothing happened in this window: every point is idle"),
        ({(): [None] * 61}, "no data in this window"),
    ],
)
def test_nothing_to_draw_is_said(series: dict, words: str) -> None:
    picture = Picture(situation(slo("< 1%", pair=False), series))
    assert words in [t.text for p in picture.parts("empty") for t in p.iter(f"{SVG}text")]
    assert picture.parts("objective-during")
    assert picture.says("? inconclusive")


def test_a_failed_query_is_said() -> None:
    made = deviating()
    failed = replace(made.evidence, answers={}, error="Prometheus did not answer in 10s")
    picture = Picture(replace(made, evidence=failed, result=None))
    assert picture.says("no data: the query failed")
    assert picture.says("Prometheus did not answer in 10s")


def test_infinity_lies_on_the_edge_with_a_sign() -> None:
    values = np.full(61, 0.2)
    values[30], values[10] = np.inf, -np.inf
    picture = Picture(situation(slo("<= 300ms", pair=False), {(): values}))
    places = picture.places("beyond")
    assert sorted(places[:, 0]) == pytest.approx(
        [picture.x(NOON - 70), picture.x(NOON + 30)], abs=0.01
    )
    assert places[:, 1].max() - places[:, 1].min() > 250
    assert picture.says("infinite")
    assert picture.says("worst +Inf")


def test_a_single_point_is_a_dot() -> None:
    values = [None] * 30 + [0.25] + [None] * 30
    picture = Picture(situation(slo("<= 300ms", pair=False), {(): values}))
    assert len(picture.places("curve")) == 1


def test_the_baseline_is_dotted_and_named_and_its_bound_follows_it() -> None:
    t = ages(timeline())
    values = np.where((t >= 0) & (t < 60), 0.31, 0.2)
    declared = slo("<= 300ms", pair=False, name="p99", during=rule("<= baseline + 50%"))
    picture = Picture(situation(declared, {(): values}))
    assert picture.title("baseline") == "baseline"
    assert "stroke-dasharray" in ET.tostring(picture.parts("baseline")[0]).decode()
    at = {t.text: float(t.get("y", 0)) - 0.36 * 11 for t in picture.root.iter(f"{SVG}text")}
    assert picture.points("baseline")[0, 1] == pytest.approx(at["200ms"], abs=0.02)
    assert picture.points("objective-during")[0, 1] == pytest.approx(at["300ms"], abs=0.02)


def test_a_range_has_both_bounds_and_a_list_all_of_them() -> None:
    picture = Picture(
        situation(
            slo(["between 40 and 60", "!= 50"], pair=False), {(): np.full(61, 45.0)}, lookback=0.0
        )
    )
    heights = {round(float(picture.points("objective-during", i)[0, 1]), 1) for i in range(3)}
    assert len(heights) == 3


def test_alerts_are_spans_below_the_axis() -> None:
    alerts = [
        AlertSpan("ErrorsHigh", NOON + 20, NOON + 35, firing=False),
        AlertSpan("ErrorsHigh", NOON + 35, NOON + 110),
        {
            "labels": {"alertname": "Burn"},
            "startsAt": "2026-01-01T14:00:50Z",
            "endsAt": "0001-01-01T00:00:00Z",
        },
        AlertSpan("Elsewhere", NOON - 9000, NOON - 8000),
    ]
    picture = Picture(deviating(), alerts=alerts)
    spans = [(p[:, 0].min(), p[:, 0].max()) for p in (picture.points("alert", i) for i in range(3))]
    expected = [(20, 35), (35, 110), (50, 180)]
    assert spans == [
        pytest.approx((picture.x(NOON + a), picture.x(NOON + b)), abs=0.01) for a, b in expected
    ]
    assert picture.points("alert", 0)[:, 1].min() > picture.points("grid")[:, 1].max()
    assert picture.says("ErrorsHigh")
    assert not picture.says("Elsewhere")


def test_many_series_the_worst_ten_are_named_and_the_rest_counted() -> None:
    t = ages(timeline())
    bump = (t >= 10) & (t < 50)
    series = {one(pod=f"p{i:04}"): np.where(bump, i / 2000, 0.001) for i in range(2000)}
    picture = Picture(situation(slo(**DECLARED), series, lookback=0.0))
    names = [t.text for p in picture.parts("name-of-curve") for t in p.iter(f"{SVG}text")]
    assert names == [f"✗ p{i:04}" for i in range(1999, 1989, -1)]
    assert picture.says("+1,990 more")
    assert picture.says("2,000 series")
    assert len(picture.raw) < 600_000


def test_names_whose_curves_end_together_stand_in_order_of_rank() -> None:
    t = ages(timeline())
    during = (t >= 10) & (t < 50)
    # The worst one ends lowest: its name comes first all the same.
    series = {
        one(s=f"s{i}"): np.where(during, 0.5 - 0.02 * i, 0.001 + 0.0001 * i) for i in range(5)
    }
    picture = Picture(situation(slo(**DECLARED), series, lookback=0.0))
    heights = {
        t.text: float(t.get("y", 0))
        for p in picture.parts("name-of-curve")
        for t in p.iter(f"{SVG}text")
    }
    assert sorted(heights, key=heights.__getitem__) == [f"✗ s{i}" for i in range(5)]


def test_what_is_excused_is_nobodys_worst_value() -> None:
    t = ages(timeline())
    values = np.where((t >= 60) & (t < 80), 0.5, 0.002)
    series = {one(s="a"): values, one(s="b"): [0.001] * t.size}
    picture = Picture(situation(slo(), series, lookback=30.0))
    assert picture.says("0.2%")
    # The axis reaches to 50%, as the curve does; the name does not say so.
    assert picture.texts.count("50%") == 1


def test_only_labels_that_differ_are_shown() -> None:
    series = {one(job="shop", service=s): [0.001] * 61 for s in ("front", "stock")}
    picture = Picture(situation(slo(**DECLARED), series))
    assert picture.says("service, worst")
    assert "front" in picture.texts


def test_two_pictures_can_stand_in_one_page() -> None:
    ids = [
        set(re.findall(r'id="([^"]+)"', Picture(made).raw))
        for made in (deviating(), recovering(90), recovering(999))
    ]
    for a, b in itertools.combinations(ids, 2):
        # What they share is named by its content: the same sign, drawn the same way.
        assert all(re.fullmatch(r"[mhCp][0-9a-f_]+", shared) for shared in a & b)
    assert "<style" not in Picture(deviating()).raw
