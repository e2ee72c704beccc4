"""Which series suffered from which victim, by time."""

from __future__ import annotations

from typing import Any

import pytest

from sloguard.core.model import FaultRecord, Timeline
from sloguard.core.victims import victims
from sloguard.render.summary import victim_lines

LINE = Timeline(0.0, 100.0, 200.0, 300.0)


def fault(name: str, at: float | None) -> FaultRecord:
    return FaultRecord(name, "pods.terminate_pods", name, "nothing-to-undo", injected_at=at)


def series(
    service: str, first: float | None, during: str = "deviated", after: str = "met", whole: str = ""
) -> dict[str, Any]:
    breached = 0 if first is None else 5
    phases = {
        "before": {"verdict": "met", "breach_seconds": 0, "first_breach_seconds": None},
        "during": {"verdict": during, "breach_seconds": breached, "first_breach_seconds": first},
        "after": {"verdict": after, "breach_seconds": 0, "first_breach_seconds": None},
    }
    worst = whole or (during if during != "met" else after)
    return {"labels": {"service": service}, "verdict": worst, "reason": "why", "phases": phases}


def slo(*found: dict[str, Any], lookback: float | None = 10) -> dict[str, Any]:
    return {"name": "errors", "step_seconds": 5, "lookback_seconds": lookback, "series": [*found]}


def told(*args: Any) -> dict[str, list[str]]:
    return {v["target"]: [s["labels"]["service"] for s in v["suffered"]] for v in victims(*args)}


def test_each_series_stands_beside_what_was_hit_last_before_its_breach():
    faults = [fault("b", 140.0), fault("a", 100.0), fault("c", 180.0)]
    slos = [slo(series("front", 5), series("cart", 45), series("pay", None, "met"))]
    assert told(faults, slos, LINE) == {"a": ["front"], "b": ["cart"], "c": []}


def test_what_was_hit_within_the_lookback_counts_together():
    faults = [fault("a", 100.0), fault("b", 105.0), fault("c", 140.0)]
    assert told(faults, [slo(series("front", 10))], LINE) == {"a": ["front"], "b": ["front"], "c": []}  # fmt: skip
    # A point may hold what happens within its step.
    assert told(faults, [slo(series("front", 38), lookback=None)], LINE)["c"] == ["front"]


def test_what_breaches_long_after_the_last_hit_is_the_last_ones():
    faults = [fault("a", 100.0), fault("b", 110.0)]
    assert told(faults, [slo(series("front", 80))], LINE) == {"a": [], "b": ["front"]}


def test_what_went_dark_or_broke_only_later_is_everybodys():
    faults = [fault("a", 100.0), fault("b", 150.0)]
    dark, late = series("dark", None), series("late", None, "met", "deviated")
    assert told(faults, [slo(dark, late)], LINE) == {"a": ["dark", "late"], "b": ["dark", "late"]}


def test_a_breach_within_what_is_tolerated_is_told_as_such():
    (one,) = victims([fault("a", 100.0)], [slo(series("front", 5, "met"))], LINE)
    assert [(s["verdict"], s["after_seconds"]) for s in one["suffered"]] == [("met", 5)]


def test_what_was_in_breach_before_only_has_not_suffered():
    found = series("front", None, "met", "met", whole="deviated")
    assert told([fault("a", 100.0)], [slo(found)], LINE) == {"a": []}


def test_what_was_never_hit_is_no_victim():
    assert victims([fault("a", None)], [slo(series("front", 5))], LINE) == []
    assert victims([], [slo(series("front", 5))], LINE) == []
    (alone,) = victims([fault("a", 1.0)], [], None)
    assert alone["suffered"] == []


@pytest.mark.parametrize("count", [1, 7])
def test_lines_for_people(count):
    slos = [slo(*(series(f"s{index}", 5) for index in range(count)))]
    document = {
        "victims": victims([fault("a", 100.0), fault("b", 150.0)], slos, LINE),
        "slos": slos,
    }
    more = " and 2 more" if count == 7 else ""
    shown = ", ".join(f"s{index} (errors, 5s later)" for index in range(min(count, 5)))
    assert victim_lines(document) == [
        f"pods.terminate_pods on a → {shown}{more}",
        "pods.terminate_pods on b → nobody suffered",
    ]


def test_without_a_judged_series_nobody_knows_who_suffered():
    made = victims([fault("a", 100.0), fault("b", 150.0)], [], LINE)
    lines = victim_lines({"victims": made, "slos": [{"series": []}]})
    assert lines[0] == "pods.terminate_pods on a → unknown who suffered: no series was judged"
    assert "nobody suffered" not in str(lines)


def test_one_victim_from_which_nobody_suffered_is_not_worth_a_line():
    assert victim_lines({"victims": victims([fault("a", 100.0)], [], LINE)}) == []
    assert victim_lines({}) == []
    tolerated = victims([fault("a", 100.0)], [slo(series("x", 5, "met"))], LINE)
    (text,) = victim_lines({"victims": tolerated})
    assert text.endswith("x (errors, 5s later, within what is tolerated)")


def test_many_victims_are_cut_short():
    document = {"victims": victims([fault(f"v{i}", 100.0 + i) for i in range(23)], [], LINE)}
    lines = victim_lines(document)
    assert len(lines) == 21
    assert lines[-1] == "and 3 more victims"
