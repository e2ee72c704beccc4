"""One alert, told by several sources, is one; no order and no repetition changes that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sloguard.core.episodes import ORIGINS, AlertEpisode, merged, same_alert

LABELS = (
    {"alertname": "A"},
    {"alertname": "A", "service": "x"},
    {"alertname": "A", "service": "y"},
    {"alertname": "B"},
)


def told(
    start: float, end: float | None = None, origin: Any = "prometheus", **labels: str
) -> AlertEpisode:
    return AlertEpisode(
        labels={"alertname": "A", **labels}, starts_at=start, ends_at=end, origin=origin
    )


episodes = st.builds(
    lambda labels, start, length, origin, fingerprint: AlertEpisode(
        labels=labels,
        starts_at=float(start),
        ends_at=None if length is None else float(start + length),
        origin=origin,
        fingerprint=fingerprint,
    ),
    st.sampled_from(LABELS),
    st.integers(0, 60),
    st.none() | st.integers(0, 30),
    st.sampled_from(ORIGINS),
    st.sampled_from(["", "f1"]),
)  # fmt: skip


@given(st.lists(episodes, max_size=8), st.randoms(use_true_random=False))
def test_order_and_repetition_are_irrelevant(found: list[AlertEpisode], random: Any) -> None:
    whole = merged(found)
    again = [*found, *found[:3]]
    random.shuffle(again)
    assert merged(again) == whole


@given(st.lists(episodes, max_size=8))
def test_merging_what_is_merged_changes_nothing(found: list[AlertEpisode]) -> None:
    assert merged(merged(found)) == merged(found)


@given(st.lists(episodes, max_size=8))
def test_no_alert_is_lost_and_none_is_invented(found: list[AlertEpisode]) -> None:
    whole = merged(found)
    for origin in ORIGINS:
        alone = [one for one in found if one.origin == origin]
        assert all(any(same_alert(one, made) for made in merged(alone)) for one in alone)
    assert {one.name for one in whole} == {one.name for one in found}
    starts = {(one.starts_at, one.name) for one in found}
    assert all((made.starts_at, made.name) in starts for made in whole)


@given(st.lists(episodes, max_size=8))
def test_of_one_source_the_same_labels_never_overlap(found: list[AlertEpisode]) -> None:
    whole = merged(found)
    for index, one in enumerate(whole):
        for other in whole[index + 1 :]:
            if dict(one.labels) == dict(other.labels) and one.origin == other.origin:
                assert one.ends_at is not None
                assert one.ends_at < other.starts_at


def test_the_more_exact_times_win() -> None:
    recorded = replace(told(11.0, 60.0, service="shop"), pending_since=2.0)
    heard = replace(told(10.4, 58.2, "webhook", service="shop", cluster="eu"), fingerprint="f")
    asked = told(10.4, None, "alertmanager", service="shop", cluster="eu")
    (alert,) = merged([recorded, asked, heard])
    assert (alert.starts_at, alert.ends_at, alert.origin) == (10.4, 58.2, "webhook")
    assert (alert.fingerprint, alert.pending_since) == ("f", 2.0)
    assert alert.labels["cluster"] == "eu"


def test_an_end_that_only_prometheus_knows_is_taken() -> None:
    (alert,) = merged([told(10.0, 60.0), told(10.2, None, "webhook")])
    assert (alert.starts_at, alert.ends_at) == (10.2, 60.0)


def test_two_exact_stretches_are_not_one_because_a_coarse_one_spans_both() -> None:
    whole = merged([told(10, 50), told(10, 20, "webhook"), told(40, 50, "webhook")])
    assert [(e.starts_at, e.ends_at) for e in whole] == [(10, 20), (40, 50)]


def test_the_newer_word_of_one_source_counts() -> None:
    assert merged([told(10, None, "webhook"), told(10, 30, "webhook")])[0].ends_at == 30
    assert merged([told(10, 30, "webhook"), told(20, None, "webhook")])[0].ends_at is None


def test_other_labels_are_another_alert() -> None:
    assert len(merged([told(10, 20, service="x"), told(10, 20, service="y")])) == 2
    assert len(merged([told(10, 20, "webhook", service="x"), told(10, 20, service="y")])) == 2
