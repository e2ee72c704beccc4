"""Which alert was expected, and came; which must not have come; what cannot be told."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.alert_rules import Alerting, AlertPattern, ExpectedAlert, Matcher, pattern_of
from sloguard.core.alerting import (
    MOST,
    AlertsRead,
    expectations,
    fired,
    judge_alerts,
    undecided_until,
)
from sloguard.core.episodes import AlertEpisode
from sloguard.core.model import Verdict
from tests.support.evidence import FAULT, marks

#: The fault at 12:00:00, undone a minute later, watched for two more.
TIMELINE = marks()


def of(label: str, value: str, operator: Any = "=") -> Matcher:
    return Matcher(label, operator, value)


HIGH = AlertPattern((of("alertname", "High"),))
CRITICAL = AlertPattern((of("severity", "critical"),))


def alert(
    start: float, end: float | None = None, name: str = "High", **labels: Any
) -> AlertEpisode:
    more = {k: labels.pop(k) for k in ("pending_since", "origin") if k in labels}
    return AlertEpisode(
        labels={"alertname": name, **labels},
        starts_at=FAULT + start,
        ends_at=None if end is None else FAULT + end,
        **more,
    )


def judged(
    *episodes: AlertEpisode, read: AlertsRead | None = None, **alerting: Any
) -> tuple[str, str]:
    """The verdict and reason of the only expectation."""
    whole = replace(read or AlertsRead(), episodes=episodes)
    entries = judge_alerts(whole, Alerting(**alerting), TIMELINE).entries
    (entry,) = expectations(entries)
    return entry["verdict"], entry["reason"]


def expect(within: float | None = None, resolved: float | None = None) -> Any:
    return {"expect": (ExpectedAlert(HIGH, within, resolved),)}


CASES = [
    ([alert(41, 123)], expect(120, 300), "met",
     "High fired 41s after the fault, within 2m; resolved 1m3s after restored, within 5m"),
    ([alert(41, 123)], expect(), "met", "High fired 41s after the fault; resolved 1m3s after restored"),
    ([alert(41)], expect(120), "met", "High fired 41s after the fault, within 2m; still firing at the end"),
    ([alert(10, 50)], expect(20, 60), "met",
     "High fired 10s after the fault, within 20s; resolved 10s before the fault was undone, within 1m"),
    ([alert(41)], expect(30), "deviated", "High fired 41s after the fault, 30s allowed"),
    ([], expect(60), "deviated", "High did not fire within 1m of the fault: the alerting is the weakness"),
    ([], expect(), "deviated", "High did not fire within 3m of the fault: the alerting is the weakness"),
    ([alert(41, 170)], expect(60, 60), "deviated",
     "High fired 41s after the fault, within 1m; resolved 1m50s after restored, 1m allowed"),
    ([alert(41)], expect(60, 60), "deviated",
     "High fired 41s after the fault, within 1m; still firing 2m after restored, 1m allowed"),
    ([alert(41)], expect(60, 300), "inconclusive",
     "High fired 41s after the fault, within 1m; still firing 2m after restored, 5m allowed: the window ended "
     "before that"),
    ([], expect(600), "inconclusive",
     "High had not fired when the window ended, 3m after the fault; 10m allowed"),
    ([alert(-20)], expect(60), "inconclusive",
     "High fired already 20s before the fault: whether the fault would have set it off cannot be told"),
    ([alert(-20, 5), alert(9)], expect(60), "inconclusive",
     "High fired already 20s before the fault: whether the fault would have set it off cannot be told"),
    ([alert(10, pending_since=FAULT - 50)], expect(60), "inconclusive",
     "High had its condition met 50s before the fault: whether the fault would have set it off cannot be told"),
    ([alert(10, pending_since=FAULT)], expect(60), "met",
     "High fired 10s after the fault, within 1m; still firing at the end"),
    ([alert(-20, at="a"), alert(9, 60, at="b")], expect(60), "met",
     "High fired 9s after the fault, within 1m; resolved 0s after restored"),
    ([alert(-50, -10)], expect(60), "deviated",
     "High did not fire within 1m of the fault: the alerting is the weakness"),
    ([alert(10, name="Other")], expect(60), "deviated",
     "High did not fire within 1m of the fault: the alerting is the weakness"),
]  # fmt: skip


@pytest.mark.parametrize(("episodes", "alerting", "verdict", "reason"), CASES)
def test_an_expected_alert(episodes: Any, alerting: Any, verdict: str, reason: str) -> None:
    assert judged(*episodes, **alerting) == (verdict, reason)


def test_what_was_not_seen_is_not_absent_where_somebody_could_not_be_asked() -> None:
    read = AlertsRead(unread=("Alertmanager is away",))
    assert judged(read=read, **expect(60)) == (
        "inconclusive",
        "High was not seen to fire, but Alertmanager is away",
    )
    assert judged(read=read, forbid=(CRITICAL,))[0] == "inconclusive"
    assert judged(read=read, abort_on=(CRITICAL,))[0] == "inconclusive"
    # What was seen was seen.
    assert judged(alert(9), read=read, **expect(60))[0] == "met"
    assert judged(alert(9, severity="critical"), read=read, forbid=(CRITICAL,))[0] == "deviated"
    assert judged(alert(9), read=read, **expect(60, 60))[0] == "inconclusive"


def test_nor_where_prometheus_was_away_when_it_could_have_begun() -> None:
    away = AlertsRead(away=((FAULT + 20, FAULT + 35),))
    verdict, reason = judged(read=away, **expect(60))
    assert (verdict, reason) == (
        "inconclusive",
        "High was not seen to fire, but Prometheus was away for 15s from 12:00:20Z",
    )
    assert judged(read=away, **expect(15))[0] == "deviated"
    assert judged(read=away, forbid=(HIGH,))[0] == "inconclusive"
    before = AlertsRead(away=((FAULT - 20, FAULT - 5),))
    assert judged(read=before, forbid=(HIGH,))[0] == "met"


def test_a_forbidden_alert() -> None:
    verdict, reason = judged(
        alert(12, name="Down", severity="critical", at="a"),
        alert(13, name="Down", severity="critical", at="b"),
        forbid=(CRITICAL,),
    )
    shown = 'Down{at="a", severity="critical"}'
    assert (verdict, reason) == (
        "deviated",
        f"{shown} fired 12s after the fault, and must not (and 1 more)",
    )
    assert judged(alert(12, severity="page"), forbid=(CRITICAL,)) == (
        "met",
        'no {severity="critical"} fired in the 3m after the fault',
    )
    assert judged(alert(-12, severity="critical"), forbid=(CRITICAL,)) == (
        "met",
        'no {severity="critical"} fired in the 3m after the fault (1 fired already before it)',
    )
    assert judged(alert(12), forbid=(AlertPattern(),))[0] == "deviated"
    pending = alert(12, severity="critical", pending_since=FAULT - 30)
    assert judged(pending, forbid=(CRITICAL,))[0] == "inconclusive"


def test_only_alerts_with_these_labels_concern_the_run() -> None:
    where = AlertPattern((of("namespace", "shop"),))
    elsewhere = alert(9, severity="critical", namespace="other")
    assert judged(elsewhere, forbid=(CRITICAL,), where=where)[0] == "met"
    assert judged(elsewhere, **expect(60), where=where)[0] == "deviated"
    assert judged(alert(9, namespace="shop"), **expect(60), where=where)[0] == "met"


def test_the_entries_of_a_document() -> None:
    read = AlertsRead(
        episodes=(alert(-5), alert(41, 123, severity="page"), alert(20, name="Other"))
    )
    alerting = Alerting(
        expect=(ExpectedAlert(AlertPattern((*HIGH.matchers, of("severity", "page"))), 60),)
    )
    held = judge_alerts(read, alerting, TIMELINE)
    old, other, new = fired(held.entries)
    assert (old["firing_before"], old["time_to_alert_seconds"], old["counts"]) == (
        True,
        None,
        False,
    )
    assert (other["time_to_alert_seconds"], other["counts"], other["expected"]) == (
        20,
        False,
        False,
    )
    assert new == {
        "name": "High",
        "labels": {"severity": "page"},
        "starts_at": "2026-01-01T12:00:41Z",
        "ends_at": "2026-01-01T12:02:03Z",
        "firing_before": False,
        "time_to_alert_seconds": 41,
        "time_to_resolve_seconds": 63,
        "origin": "prometheus",
        "counts": True,
        "expected": True,
    }
    (entry,) = expectations(held.entries)
    assert held.entries[entry["alert"]] == new
    assert (entry["within_seconds"], entry["resolved_within_seconds"]) == (60, None)
    assert pattern_of(entry["matchers"]) == alerting.expect[0].pattern


def test_of_very_many_the_ones_that_a_verdict_stands_on_are_kept() -> None:
    many = [alert(i / 10, name=f"A{i:03}") for i in range(MOST + 50)]
    read = AlertsRead(episodes=(*many, alert(41)))
    held = judge_alerts(read, Alerting(**expect(60)), TIMELINE)
    (entry,) = expectations(held.entries)
    assert held.entries[entry["alert"]]["name"] == "High"
    assert len(list(fired(held.entries))) == MOST
    assert held.notes == (f"{MOST + 51} alerts fired; {MOST} of them are kept",)


def until(*episodes: AlertEpisode, end: float, **alerting: Any) -> tuple[float, str] | None:
    now = replace(TIMELINE, end=FAULT + end)
    read = AlertsRead(episodes=episodes)
    found = undecided_until(read, Alerting(**alerting), now, TIMELINE.end)
    return None if found is None else (found[0] - FAULT, found[1])


def test_how_long_a_run_looks_on() -> None:
    assert until(end=70, **expect(120)) == (120, "High may still fire")
    assert until(end=121, **expect(120)) is None
    assert until(alert(41), end=70, **expect(120)) is None
    assert until(alert(41), end=70, **expect(120, 300)) == (360, "High may still resolve")
    assert until(alert(41, 65), end=70, **expect(120, 300)) is None
    assert until(alert(-5), end=70, **expect(120)) is None
    # Without a time of its own it may come until the declared end.
    assert until(end=70, **expect()) == (180, "High may still fire")
    assert until(end=180, **expect()) is None
    assert until(end=70, forbid=(HIGH,)) is None


@pytest.mark.parametrize(
    ("matcher", "labels", "holds"),
    [
        (of("a", "b"), {"a": "b"}, True),
        (of("a", "b"), {}, False),
        (of("a", "b", "!="), {}, True),
        (of("a", "", "="), {}, True),
        (of("a", "b|c", "=~"), {"a": "c"}, True),
        (of("a", "b|c", "=~"), {"a": "cd"}, False),
        (of("a", ".+", "!~"), {}, True),
        (of("a", "b.c", "=~"), {"a": "b\nc"}, True),
    ],
)
def test_matchers_are_those_of_prometheus(
    matcher: Matcher, labels: dict[str, str], holds: bool
) -> None:
    assert matcher.holds(labels) is holds


starts = st.integers(-40, 200)
firing = st.builds(
    lambda start, length, name: alert(start, None if length is None else start + length, name=name),
    starts,
    st.none() | st.integers(1, 100),
    st.sampled_from(["High", "Other"]),
)


@given(st.lists(firing, max_size=5))
def test_more_alerts_never_make_a_forbidden_one_better(found: list[AlertEpisode]) -> None:
    less = Verdict(judged(*found[1:], forbid=(HIGH,))[0])
    more = Verdict(judged(*found, forbid=(HIGH,))[0])
    if not any(e.name == "High" and e.starts_at < FAULT for e in found):
        assert more.rank >= less.rank


@given(st.lists(firing, max_size=5), st.integers(1, 400), st.none() | st.integers(1, 400))
def test_what_is_unknown_is_never_a_pass_for_what_was_not_seen(
    found: list[AlertEpisode], within: int, resolved: int | None
) -> None:
    unread = AlertsRead(unread=("away",))
    assert judged(*found, read=unread, forbid=(HIGH,))[0] != "met"
    assert judged(read=unread, **expect(within, resolved))[0] == "inconclusive"
    known = judged(*found, **expect(within, resolved))[0]
    blind = judged(*found, read=unread, **expect(within, resolved))[0]
    assert blind in (known, "inconclusive")


@given(st.lists(firing, max_size=4), st.integers(1, 300), st.integers(1, 300))
def test_whoever_looks_on_long_enough_decides(
    found: list[AlertEpisode], within: int, resolved: int
) -> None:
    """What is open at any time is open until a time, after which it is not."""
    for end in (60, 120, 180, 400):
        wait = until(*found, end=end, **expect(within, resolved))
        if wait is not None:
            assert wait[0] > end
            assert not math.isinf(wait[0])
    assert until(*found, end=700, **expect(within, resolved)) is None
