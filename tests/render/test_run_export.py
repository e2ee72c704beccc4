"""Runs for other tools: CSV that pandas reads, JSON that is whole."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from sloguard.adapters.store import Store
from sloguard.core.series import Matrix
from sloguard.core.windows import Grid
from sloguard.render.export import run_json, samples_csv
from tests.support import runs as made
from tests.support.runs import FAULT, RUN


def test_samples_are_lines(tmp_path: Path) -> None:
    grid = Grid(FAULT, 0.5, 4)
    values = np.array([[0.1 + 0.2, np.nan, -0.0, np.inf], [1e-300, -np.inf, 5.0, 7.0]])
    present = np.array([[True, True, True, True], [True, True, False, False]])
    labels = ((("a", 'quote " and, comma'), ("b", "ü")), ())
    matrix = Matrix(grid, labels, values, present)
    one = replace(made.make_evidence('name, with "quotes"'), answers={"query": matrix})
    lines = list(csv.DictReader(io.StringIO("".join(samples_csv([one])))))
    assert [line["time"] for line in lines] == [
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00.500Z",
        "2026-01-01T12:00:01Z",
        "2026-01-01T12:00:01.500Z",
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00.500Z",
    ]
    assert [line["value"] for line in lines] == [
        "0.30000000000000004",
        "NaN",
        "-0.0",
        "+Inf",
        "1e-300",
        "-Inf",
    ]
    assert {line["slo"] for line in lines} == {'name, with "quotes"'}
    assert json.loads(lines[0]["labels"]) == {"a": 'quote " and, comma', "b": "ü"}
    assert lines[-1]["labels"] == "{}"


def test_pandas_reads_every_sample_back_exactly() -> None:
    evidence = made.make_evidence(series=5, points=50)
    frame = pd.read_csv(
        io.StringIO("".join(samples_csv([evidence]))),
        parse_dates=["time"],
        dtype={"value": str},
        keep_default_na=False,
    )
    for role, matrix in evidence.answers.items():
        mine = frame[frame.role == role]
        for labels, values, present in zip(
            matrix.labels, matrix.values, matrix.present, strict=True
        ):
            series = mine[mine.labels.map(json.loads).map(lambda x, want=dict(labels): x == want)]
            assert np.array_equal(
                series.value.map(float).to_numpy(), values[present], equal_nan=True
            )
            seconds = series.time.map(lambda t: t.timestamp()).to_numpy()
            assert np.array_equal(seconds, matrix.grid.times[present])


def test_no_evidence_is_a_header_alone() -> None:
    assert "".join(samples_csv([])) == "time,slo,role,labels,value\n"


def test_samples_come_a_series_at_a_time() -> None:
    pieces = samples_csv(made.make_evidence(str(n), series=3) for n in range(2))
    assert len(list(pieces)) == 1 + 2 * (3 + 2)


def test_a_run_is_one_json_object(tmp_path: Path) -> None:
    with Store(str(tmp_path / "runs.db")) as store:
        for event in made.whole():
            store.record(event)
        run = store.run(RUN)
        found = json.loads("".join(run_json(run, store.events(RUN))))
        assert found["run"] == RUN
        assert found["outcome"] == "deviated"
        assert found["document"] == run.document
        assert found["timeline"]["fault"] == "2026-01-01T12:00:00Z"
        assert [a["name"] for a in found["activities"]][1] == "lose-a-replica"
        assert found["faults"][0]["undone_at"] == "2026-01-01T12:01:00Z"
        assert [e["kind"] for e in found["events"]] == [e.kind for e in store.events(RUN)]
        assert found["events"][0]["at"] == "2026-01-01T11:59:00Z"
        assert found["experiment"]["secrets"] == {"shop": {"token": "*****", "other": "*****"}}
        assert json.loads("".join(run_json(run, [])))["events"] == []


def test_a_run_that_still_runs_can_be_exported(tmp_path: Path) -> None:
    with Store(str(tmp_path / "runs.db")) as store:
        store.record(made.opening()[0])
        found = json.loads("".join(run_json(store.run(RUN), store.events(RUN))))
    assert (found["outcome"], found["ended"], found["document"]) == ("running", None, None)
