"""Charts for messages, from a store that has the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sloguard.adapters.store import Store
from sloguard.core import events
from sloguard.notifiers.base import Notice
from sloguard.notifiers.pictures import Pictures
from sloguard.notifiers.teams import message_of, smaller
from sloguard.service.announcing import Story, continued
from tests.support.notices import payload
from tests.support.runs import RUN, whole

SIZE = (640, 400)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(str(tmp_path_factory.mktemp("pictures") / "x.db")) as opened:
        for event in whole():
            opened.record(event)
        yield opened


def told(*, run: str = RUN) -> Notice:
    story, last = Story(run=""), None
    for event in whole():
        story, last = continued(story, event), event
    assert isinstance(last, events.RunEnded)
    return replace(Notice.of(payload(last, story)), run=run)


def test_the_worst_slo_is_drawn_in_the_size_asked_for(store):
    notice = told()
    assert notice.chart == "error-ratio"
    picture = Pictures(store)(notice, SIZE)
    assert picture is not None
    assert picture.png.startswith(b"\x89PNG")
    width, height = (int.from_bytes(picture.png[i : i + 4], "big") for i in (16, 20))
    assert (width, height) == SIZE
    assert picture.alt.startswith("error-ratio: ")
    assert set(picture.spark) <= set("▁▂▃▄▅▆▇█·")
    assert len(picture.spark) > 10


def test_in_few_colours_it_fits_into_a_card(store):
    picture = Pictures(store)(told(), SIZE)
    assert picture is not None
    small = smaller(picture.png)
    assert small.startswith(b"\x89PNG")
    assert len(small) < len(picture.png) / 2
    made = json.dumps(message_of(told(), replace(picture, png=small)))
    assert len(made) < 28_000
    assert "data:image/png;base64," in made
    assert smaller(b"no picture") == b"no picture"


@pytest.mark.parametrize(
    "notice",
    [
        replace(told(), chart=""),
        replace(told(), chart="another"),
        told(run="20200101T000000-000000"),
        replace(told(), payload={**told().payload, "timeline": None}),
        replace(told(), payload={**told().payload, "timeline": {"start": "soon"}}),
    ],
)
def test_without_samples_there_is_no_picture_and_no_error(store, notice):
    assert Pictures(store)(notice, SIZE) is None


def test_a_store_that_fails_costs_the_picture_alone(tmp_path: Path):
    class Broken:
        def evidence(self, run, slo=None):
            raise RuntimeError("a bug")

        def run(self, run):
            raise AssertionError("never asked")

    assert Pictures(Broken())(told(), SIZE) is None
