"""Charts, journals and samples over HTTP."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from sloguard.web.problems import URN
from tests.support import runs as stored
from tests.support.service import World, body_of

RUN = stored.RUN
CHART = f"/api/v1/runs/{RUN}/chart"


def test_a_chart_is_drawn_once_and_asked_for_by_its_tag(world: World) -> None:
    world.keep(RUN)
    svg = world.client.get(f"{CHART}.svg")
    assert svg.mimetype == "image/svg+xml"
    assert ElementTree.fromstring(svg.data).tag.endswith("svg")
    tag = svg.headers["ETag"]
    again = world.client.get(f"{CHART}.svg", headers={"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    assert world.client.get(f"{CHART}.svg").data == svg.data
    assert world.app.extensions["sloguard"].pictures.get(tag) == svg.data


def test_every_choice_is_another_picture(world: World) -> None:
    world.keep(RUN)
    tags = {
        world.client.get(CHART + rest).headers["ETag"]
        for rest in (".svg", ".svg?theme=dark", ".png", ".png?scale=2")
    }
    assert len(tags) == 4
    png = world.client.get(f"{CHART}.png")
    assert png.mimetype == "image/png"
    assert png.data.startswith(b"\x89PNG")
    assert len(world.client.get(f"{CHART}.png?scale=2").data) > len(png.data)
    # The size of an SVG is the reader's.
    assert (
        world.client.get(f"{CHART}.svg?scale=2").headers["ETag"]
        == world.client.get(f"{CHART}.svg").headers["ETag"]
    )


def test_the_slo_can_be_chosen(world: World) -> None:
    world.keep(RUN, evidence=[stored.make_evidence("error-ratio"), stored.make_evidence("other")])
    chosen = world.client.get(f"{CHART}.svg?slo=other")
    assert chosen.status_code == 200
    assert chosen.data != world.client.get(f"{CHART}.svg").data
    unknown = world.client.get(f"{CHART}.svg?slo=nobody")
    assert (unknown.status_code, body_of(unknown)["type"]) == (404, URN + "no-evidence")
    assert "error-ratio, other" in body_of(unknown)["detail"]


@pytest.mark.parametrize("rest", ["chart.svg", "samples.csv", "samples.parquet"])
def test_what_there_is_not_cannot_be_shown(world: World, rest: str) -> None:
    world.begin(RUN)
    answer = world.client.get(f"/api/v1/runs/{RUN}/{rest}")
    assert (answer.status_code, body_of(answer)["type"]) == (404, URN + "no-evidence")
    job = body_of(world.client.post("/api/v1/runs", json={"experiment": "checkout"}))["run"]
    waiting = world.client.get(f"/api/v1/runs/{job}/{rest}")
    assert (waiting.status_code, body_of(waiting)["state"]) == (404, "queued")
    unknown = world.client.get(f"/api/v1/runs/nobody/{rest}")
    assert body_of(unknown)["type"] == URN + "unknown-run"


def test_there_are_pictures_of_two_kinds(world: World) -> None:
    world.keep(RUN)
    assert world.client.get(f"{CHART}.pdf").status_code == 404
    assert world.client.get(f"{CHART}.svg?theme=blue").status_code == 422


def test_the_journal_is_the_chaos_toolkits(world: World) -> None:
    world.keep(RUN)
    path = f"/api/v1/runs/{RUN}/journal"
    answer = world.client.get(path)
    body = body_of(answer)
    assert (body["status"], body["deviated"]) == ("completed", True)
    assert body["sloguard"]["run"] == RUN
    same = world.client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304


def test_the_journal_of_a_run_under_way_is_not_kept(world: World) -> None:
    world.begin(RUN)
    answer = world.client.get(f"/api/v1/runs/{RUN}/journal")
    assert body_of(answer)["status"] == "interrupted"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers


def test_the_samples_are_those_that_were_judged(world: World) -> None:
    import pandas

    evidence = [stored.make_evidence("error-ratio", seed=3), stored.make_evidence("b", seed=4)]
    world.keep(RUN, evidence=evidence)
    text = world.client.get(f"/api/v1/runs/{RUN}/samples.csv")
    assert text.headers["Content-Disposition"] == f'attachment; filename="{RUN}.csv"'
    rows = list(csv.DictReader(io.StringIO(text.get_data(as_text=True))))
    expected = sum(int(m.present.sum()) for e in evidence for m in e.answers.values())
    assert len(rows) == expected
    packed = world.client.get(f"/api/v1/runs/{RUN}/samples.parquet")
    assert packed.mimetype == "application/vnd.apache.parquet"
    frame = pandas.read_parquet(io.BytesIO(packed.data))
    assert list(frame.columns) == list(rows[0])
    assert list(frame["slo"]) == [row["slo"] for row in rows]
    assert list(frame["role"]) == [row["role"] for row in rows]
    assert list(frame["labels"]) == [row["labels"] for row in rows]
    np.testing.assert_array_equal(frame["value"], [float(row["value"]) for row in rows])
    times = pandas.to_datetime([row["time"] for row in rows], format="ISO8601")
    assert (frame["time"].to_numpy() == times.to_numpy()).all()
