"""Samples come back exactly, whatever they are."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sloguard.adapters.store import Store
from sloguard.adapters.store.samples import evidence_json, evidence_of, pack, unpack
from sloguard.core import events
from sloguard.core.model import PhaseRule, Slo, Tolerance
from sloguard.core.objective import parse_objective
from sloguard.core.series import Matrix, SloEvidence, Surroundings
from sloguard.core.windows import Grid
from tests.support import runs as made
from tests.support.runs import FAULT

NAN_OF_PROMETHEUS = np.frombuffer(b"\x02\x00\x00\x00\x00\x00\xf0\x7f", "<f8")[0]
FINITE = st.floats(allow_nan=False, allow_infinity=False)
#: Everything that a JSON text or a label may hold, half characters and NUL among it.
TEXT = st.text(st.characters(), max_size=12)
OBJECTIVES = st.sampled_from(
    ["< 1%", ">= 3", "!= 0", "between 1ms and 2h", "<= baseline + 50%", ">= baseline - 3MiB"]
) | st.just(["< 5%", "> 0", "between baseline and baseline + 1"])


@st.composite
def rules(draw: st.DrawFn) -> PhaseRule:
    tolerance = st.builds(Tolerance, st.none() | FINITE, st.none() | FINITE, TEXT)
    return PhaseRule(
        parse_objective(draw(OBJECTIVES)),
        draw(st.none() | tolerance),
        draw(st.none() | FINITE),
        draw(st.none() | FINITE),
    )


POLICIES = st.sampled_from(["inconclusive", "breach", "met"]) | st.floats(allow_nan=False)


@st.composite
def slos(draw: st.DrawFn) -> Slo:
    objective = parse_objective(draw(OBJECTIVES))
    rule = rules()
    numbers = {n: draw(st.none() | FINITE) for n in ("step", "lookback", "target", "period")}
    queries = draw(st.sampled_from([("query",), ("total", "bad"), ("total", "good")]))
    return Slo(
        draw(TEXT.filter(lambda t: "\0" not in t and t.isprintable())),
        objective,
        draw(rule),
        draw(rule),
        draw(rule),
        **{role: draw(TEXT) for role in queries},
        no_data=draw(POLICIES),
        idle=draw(POLICIES),
        weight=draw(FINITE),
        **numbers,
    )


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    shape = (draw(st.integers(0, 4)), draw(st.integers(0, 9)))
    floats = st.floats(width=64, allow_subnormal=True) | st.sampled_from(
        [-0.0, float("inf"), float("-inf"), float("nan"), 5e-324, 1.7976931348623157e308]
    )
    values = draw(hnp.arrays(np.float64, shape, elements=floats))
    if values.size and draw(st.booleans()):
        values.flat[0] = NAN_OF_PROMETHEUS
    labels = st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple)
    return Matrix(
        Grid(draw(FINITE), draw(FINITE), shape[1]),
        tuple(draw(st.lists(labels, min_size=shape[0], max_size=shape[0]))),
        values,
        draw(hnp.arrays(bool, shape)),
        tuple(draw(st.lists(TEXT, max_size=2))),
    )


@st.composite
def evidences(draw: st.DrawFn) -> SloEvidence:
    slo = draw(slos())
    return SloEvidence(
        slo,
        Grid(draw(FINITE), draw(FINITE), draw(st.integers(0, 10**9))),
        {role: draw(matrices()) for role in slo.queries},
        draw(st.none() | st.floats(allow_nan=False)),
        draw(TEXT),
        draw(st.none() | FINITE),
        draw(st.booleans()),
        draw(TEXT),
        tuple(draw(st.lists(TEXT, max_size=2))),
    )


def assert_same(kept: SloEvidence, given: SloEvidence) -> None:
    assert replace(kept, answers={}) == replace(given, answers={})
    assert list(kept.answers) == list(given.answers)
    for role, matrix in given.answers.items():
        assert_same_matrix(kept.answers[role], matrix)


def assert_same_matrix(kept: Matrix, given: Matrix) -> None:
    assert (kept.grid, kept.labels, kept.notes) == (given.grid, given.labels, given.notes)
    # Bit by bit: neither the sign of a zero nor what a NaN carries may change.
    assert np.array_equal(kept.values.view(np.uint64), given.values.view(np.uint64))
    assert np.array_equal(kept.present, given.present)
    assert (kept.values.dtype, kept.present.dtype) == (np.float64, np.bool_)
    assert kept.values.flags.writeable


@given(matrices())
def test_a_matrix_survives_packing(matrix: Matrix) -> None:
    assert_same_matrix(unpack(pack(matrix), matrix.grid, matrix.notes), matrix)


@given(matrices())
def test_the_layout_in_memory_does_not_matter(matrix: Matrix) -> None:
    turned = replace(
        matrix,
        values=np.asfortranarray(matrix.values),
        present=np.asfortranarray(matrix.present),
    )
    assert pack(turned) == pack(matrix)


@given(evidences())
def test_all_that_the_judge_needs_survives(evidence: SloEvidence) -> None:
    assert_same(evidence_of(evidence_json(evidence), evidence.answers), evidence)


@pytest.fixture(scope="module")
def shared() -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as directory, Store(f"{directory}/runs.db") as store:
        store.record(made.opening()[0])
        yield store


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(evidence=evidences())
def test_evidence_survives_the_database(shared: Store, evidence: SloEvidence) -> None:
    shared.record(events.EvidenceCollected(FAULT, evidence))
    (kept,) = shared.evidence("latest", evidence.slo.name)
    assert_same(kept, evidence)


@pytest.mark.parametrize("series", [0, 1, 3])
def test_evidence_survives_both_databases(store: Store, series: int) -> None:
    given = made.make_evidence(series=series)
    store.record(made.opening()[0])
    store.record(events.EvidenceCollected(FAULT, given))
    assert_same(store.evidence("latest")[0], given)


def test_what_all_slos_share_survives(store: Store) -> None:
    store.record(made.opening()[0])
    away = np.array([FAULT + 0.1, FAULT + 1 / 3])
    given = Surroundings(away, 2.5, {"pod": frozenset({"a", "ü"}), "node": frozenset()})
    store.record(events.SurroundingsCollected(FAULT, given))
    kept = store.run("latest").surroundings
    assert np.array_equal(kept.away, away)
    assert (kept.away_step, kept.removed) == (2.5, given.removed)


def test_an_ordinary_answer_of_2000_series_is_small(tmp_path: Path) -> None:
    """3.84 MB of numbers and 2,000 label sets: per-second rates of whole requests."""
    random = np.random.default_rng(3)
    grid = Grid(FAULT, 5.0, 240)
    values = random.integers(0, 50, (2000, 240)) / 30
    labels = tuple(
        (("instance", f"10.0.{i // 250}.{i % 250}:8080"), ("job", "checkout")) for i in range(2000)
    )
    packed = pack(Matrix(grid, labels, values, np.ones(values.shape, bool)))
    assert len(packed.samples) + len(packed.labels) + len(packed.present) < 1_000_000
