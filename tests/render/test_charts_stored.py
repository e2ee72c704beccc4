"""A stored answer gives the picture that the run gave."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sloguard.core.document import document
from sloguard.core.outcome import RunFacts
from sloguard.render.charts import chart, chart_document
from sloguard.render.charts.model import AlertSpan, ChartError
from sloguard.render.charts.stored import alerts_of, seconds_of
from tests.support.charting import NOON, Situation, ages, one, rule, situation, slo, timeline


def run() -> Situation:
    t = ages(timeline())
    declared = slo(
        during=rule("<= baseline + 10%", "20s"), after=rule("< 1%", within=60.0), pair=False
    )
    bad = np.where((t >= 20) & (t < 110), 0.124, 0.002)
    bad[30] = np.inf
    return situation(declared, {one(s="a"): bad, one(s="b"): [0.001] * t.size})


def stored(made: Situation) -> dict:
    facts = RunFacts(
        experiment="Lose a pod",
        run="r1",
        timeline=made.timeline,
        slos=(made.result,),
        probes=(),
        activities=(),
        faults=(),
        alerts=({"name": "Burn", "start": "2026-01-01T14:00:30Z", "end": None},),
    )
    return json.loads(json.dumps(document(facts)))


def test_the_document_gives_the_same_picture_as_the_run() -> None:
    made = run()
    live = chart(
        made.evidence,
        made.result,
        made.timeline,
        title="Lose a pod",
        alerts=[AlertSpan("Burn", NOON + 30)],
    )
    again = chart_document(stored(made), made.evidence)
    assert again == live
    assert b"recovered after" in again
    assert b"baseline (a)" in again


def test_an_slo_that_was_not_judged_is_drawn_as_such() -> None:
    made = run()
    answer = stored(made)
    answer["slos"] = []
    assert "– not-judged".encode() in chart_document(answer, made.evidence)


@pytest.mark.parametrize(
    ("marks", "problem"),
    [
        (None, "no timeline to draw: no start and no fault"),
        ({"start": "2026-01-01T14:00:00Z"}, "no fault and no restored and no end"),
        ({"start": "soon", "fault": 1, "restored": 2, "end": 3}, "timeline.start: 'soon' is not"),
        ({"start": 9, "fault": 1, "restored": 2, "end": 3}, "must be in order"),
    ],
)
def test_a_run_without_a_timeline_is_refused_with_what_is_missing(
    marks: object, problem: str
) -> None:
    answer = stored(run()) | {"timeline": marks}
    with pytest.raises(ChartError, match=problem):
        chart_document(answer, run().evidence)


def test_alerts_are_read_in_the_words_of_those_who_send_them() -> None:
    read = alerts_of(
        [
            {
                "labels": {"alertname": "A"},
                "startsAt": "2026-01-01T14:00:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
            },
            {"name": "B", "starts_at": NOON + 5, "ends_at": NOON + 9, "state": "pending"},
            {"name": "never fired"},
            AlertSpan("C", NOON - 1),
        ]
    )
    assert read == (
        AlertSpan("C", NOON - 1),
        AlertSpan("A", NOON),
        AlertSpan("B", NOON + 5, NOON + 9, firing=False),
    )


def test_times_without_a_zone_are_utc() -> None:
    assert seconds_of("2026-01-01T14:00:00") == NOON
    assert seconds_of("2026-01-01T15:00:00.250+01:00") == NOON + 0.25
