"""What Alertmanager delivers, in whatever order and however often, makes the same episodes."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.deliveries import (
    LONGEST_ANNOTATION,
    MOST_LABELS,
    Delivered,
    NotTaken,
    by_key,
    fingerprint,
    joined,
    told_by,
)
from tests.support.alertmanager import CAPTURED_AT, NAMES, alert, captured, payload

NOW = 1_767_272_400.0


def told(*alerts: dict[str, Any], at: float = NOW) -> tuple[Delivered, ...]:
    return told_by(json.loads(payload(alerts)), at).episodes


@pytest.mark.parametrize("name", NAMES)
def test_every_captured_payload_is_understood(name: str) -> None:
    body = json.loads(captured(name))
    telling = told_by(body, CAPTURED_AT)
    assert telling.problems == ()
    assert telling.left_out == body["truncatedAlerts"]
    assert (telling.receiver, telling.group) == (body["receiver"], body["groupKey"])
    for episode, sent in zip(telling.episodes, body["alerts"], strict=True):
        assert episode.labels == sent["labels"]
        assert episode.fingerprint == sent["fingerprint"]
        assert (episode.ends_at is None) == (sent["status"] == "firing")


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_of_labels_is_alertmanagers_own(name: str) -> None:
    for sent in json.loads(captured(name))["alerts"]:
        assert fingerprint(sent["labels"]) == sent["fingerprint"]


def test_what_was_captured_in_any_order_is_the_same() -> None:
    names = ("firing_grouped_2", "repeat_firing", "resolved_grouped_2")
    tellings = [told_by(json.loads(captured(n)), CAPTURED_AT + i) for i, n in enumerate(names)]
    expected = by_key(e for t in tellings for e in t.episodes)
    assert [e.ends_at for e in expected.values()] == [1795219416.218, 1795219419.218]
    for order in itertools.permutations([*tellings, tellings[0]]):
        assert by_key(e for t in order for e in t.episodes) == expected


# Few of everything, so that they meet.
_deliveries = st.builds(
    Delivered,
    fingerprint=st.sampled_from(["a", "b"]),
    starts_at=st.sampled_from([100.0, 200.0]),
    ends_at=st.sampled_from([None, 210.0, 250.0]),
    labels=st.fixed_dictionaries({"alertname": st.sampled_from(["X", "Y"])}),
    annotations=st.fixed_dictionaries({"value": st.sampled_from(["1", "2"])}),
    generator_url=st.sampled_from(["u", "v"]),
    first_received=st.just(300.0),
    last_received=st.sampled_from([300.0, 301.0]),
)


@given(st.lists(_deliveries, max_size=8), st.data())
def test_any_order_and_any_repetition_makes_the_same_episodes(
    deliveries: list[Delivered], data: st.DataObject
) -> None:
    once = by_key(deliveries)
    shuffled = data.draw(st.permutations(deliveries))
    repeated = data.draw(st.lists(st.sampled_from(deliveries), max_size=5)) if deliveries else []
    assert by_key([*shuffled, *repeated]) == once
    # A part that was joined before counts as its members.
    cut = data.draw(st.integers(0, len(deliveries)))
    parts = [*by_key(shuffled[:cut]).values(), *by_key(shuffled[cut:]).values()]
    assert by_key(parts) == once


@given(_deliveries, _deliveries)
def test_what_has_ended_is_never_opened_again(one: Delivered, other: Delivered) -> None:
    other = replace(other, fingerprint=one.fingerprint, starts_at=one.starts_at)
    both = joined(one, other)
    ends = [e.ends_at for e in (one, other) if e.ends_at is not None]
    assert both.ends_at == (max(ends) if ends else None)
    assert both.first_received <= both.last_received


def test_a_new_start_is_a_new_episode() -> None:
    first, again = alert(NOW - 90, NOW - 60, service="a"), alert(NOW - 30, service="a")
    found = by_key([*told(first), *told(again), *told(first)])
    assert [(e.starts_at, e.ends_at) for e in found.values()] == [
        (NOW - 90, NOW - 60),
        (NOW - 30, None),
    ]


def test_a_clock_that_is_behind_ends_nothing_before_it_began() -> None:
    [episode] = told(alert(NOW - 10, NOW - 50, service="a"))
    assert (episode.starts_at, episode.ends_at) == (NOW - 10, NOW - 10)


def test_times_are_read_in_every_form_that_go_writes() -> None:
    for text, expected in {
        "2026-01-01T13:00:00Z": NOW,
        "2026-01-01T13:00:00.218Z": NOW + 0.218,
        "2026-01-01T13:00:00.123456789Z": NOW + 0.123456,
        "2026-01-01T14:00:00.5+01:00": NOW + 0.5,
        "2026-01-01T07:30:00-05:30": NOW,
    }.items():
        [episode] = told({**alert(NOW), "startsAt": text})
        assert episode.starts_at == pytest.approx(expected, abs=1e-6), text


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"startsAt": "0001-01-01T00:00:00Z"}, "cannot be when it was"),
        ({"startsAt": "9999-12-31T23:59:59Z"}, "cannot be when it was"),
        ({"startsAt": "9999-12-31T23:59:59-23:59"}, "cannot be when it was"),
        ({"startsAt": "2026-02-30T00:00:00Z"}, "expected a time"),
        ({"startsAt": "yesterday"}, "expected a time"),
        ({"startsAt": 1767272400}, "expected a time"),
        ({"startsAt": "2026-01-01T00:00:00"}, "expected a time"),
        ({"startsAt": "٢٠٢٦-01-01T00:00:00Z"}, "expected a time"),
        ({"status": "resolved"}, "endsAt: '0001-01-01T00:00:00Z' cannot be when it was"),
        ({"status": "suppressed"}, "status: expected 'firing' or 'resolved'"),
        ({"status": None}, "status"),
        ({"labels": None}, "labels: expected an object"),
        ({"labels": {}}, "labels: expected an object with at least one"),
        ({"labels": {"a": 1}}, "labels.a: expected a text, found a number"),
        ({"labels": {"a": "x" * 20_000}}, "labels: expected at most 16384 characters"),
        ({"labels": {str(n): "" for n in range(MOST_LABELS + 1)}}, "labels: expected at most 128"),
    ],
)
def test_an_alert_that_cannot_be_is_named_and_the_others_are_taken(
    change: dict[str, Any], problem: str
) -> None:
    good = alert(NOW - 60, service="a")
    telling = told_by(json.loads(payload([{**good, **change}, good])), NOW)
    assert len(telling.episodes) == 1
    [said] = telling.problems
    assert said.startswith("alerts[0].")
    assert problem in said


def test_what_only_people_read_is_cut_and_not_refused() -> None:
    one = alert(NOW, service="a")
    one["annotations"] = {
        "long": "x" * 100_000,
        "number": 7,
        **{f"a{n:03}": "v" for n in range(200)},
    }
    one["generatorURL"] = {"not": "a text"}
    one["fingerprint"] = "../../etc/passwd"
    [episode] = told(one)
    assert len(episode.annotations) <= 64
    assert all(len(v) <= LONGEST_ANNOTATION for v in episode.annotations.values())
    assert episode.generator_url == ""
    assert episode.fingerprint == fingerprint(one["labels"])


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_json)
def test_no_json_makes_it_fail_in_another_way(value: Any) -> None:
    good = alert(NOW, service="a")
    for body in (
        value,
        {"version": "4", "alerts": value},
        {"version": value, "alerts": []},
        {"version": "4", "alerts": [value], "truncatedAlerts": value, "groupKey": value},
        *(
            {"version": "4", "alerts": [{**good, name: value}]}
            for name in ("status", "labels", "annotations", "startsAt", "endsAt", "fingerprint")
        ),
    ):
        try:
            problems = told_by(body, NOW).problems
        except NotTaken as error:
            problems = (str(error),)
        assert all(problems)
