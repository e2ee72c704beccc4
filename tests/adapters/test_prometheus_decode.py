"""Answers into arrays: exact, in whatever shape they come, and never silently wrong."""

from __future__ import annotations

import json
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sloguard.adapters.prometheus_decode import Rows, decode_vector
from sloguard.adapters.prometheus_numbers import NumberParser, number_parser, parse_plainly
from sloguard.core.series import PARTIAL, Matrix
from sloguard.core.windows import Grid
from sloguard.ports import BadAnswer, BadQuery
from tests.support.prometheus_api import full, matrix, series, success, vector

GRID = Grid(1_767_225_600.123, 2.5, 4)
T = [float(at) for at in GRID.times]

Parsers = Callable[[], NumberParser]
PARSERS = [
    pytest.param(number_parser, id="fastest"),
    pytest.param(lambda: parse_plainly, id="plain"),
]


def decoded(body: bytes, grid: Grid = GRID, parser: Parsers = number_parser) -> Matrix:
    rows = Rows(grid, parser)
    rows.add(bytearray(body), 0, grid.count)
    return rows.matrix()


@pytest.mark.parametrize("parser", PARSERS)
class TestValues:
    def test_every_value_and_gap_has_its_place(self, parser: Parsers) -> None:
        body = matrix(
            full({"a": "1"}, GRID, "0.1"),
            series({"a": "2"}, [(T[1], "2"), (T[3], "-4.5e-07")]),
            series({"a": "3"}, []),
        )
        answer = decoded(body, parser=parser)
        assert answer.labels == ((("a", "1"),), (("a", "2"),), (("a", "3"),))
        assert answer.values[0].tolist() == [0.1] * 4
        assert answer.values[1][[1, 3]].tolist() == [2.0, -4.5e-07]
        assert answer.present.tolist() == [
            [True] * 4,
            [False, True, False, True],
            [False] * 4,
        ]
        assert np.isnan(answer.values[~answer.present]).all()

    def test_nan_and_infinities_are_values(self, parser: Parsers) -> None:
        points = list(zip(T, ("NaN", "+Inf", "-Inf", "0"), strict=True))
        answer = decoded(matrix(series({}, points), full({"b": "x"}, GRID, "7")), parser=parser)
        assert math.isnan(answer.values[0, 0])
        assert answer.values[0, 1:].tolist() == [math.inf, -math.inf, 0.0]
        assert answer.present.all()
        assert answer.values[1].tolist() == [7.0] * 4

    def test_numbers_are_the_nearest_that_there_are(self, parser: Parsers) -> None:
        texts = ["0.13436424411240122", "18446744073709551616", "5e-324", "1.7976931348623157e+308"]
        points = list(zip(T, texts, strict=True))
        answer = decoded(matrix(series({}, points)), parser=parser)
        assert answer.values[0].tolist() == [float(text) for text in texts]

    def test_labels_may_hold_what_an_answer_is_made_of(self, parser: Parsers) -> None:
        nasty = [
            '"]]}]',
            '},{"metric":{',
            ',"values":[[1,"2"]]}',
            '\\",\\"values\\":[[',
            "ü → 🙂",
            "\n\t\\",
            '"result":[{"metric":{',
        ]
        body = matrix(*(full({"path": text, text: "x"}, GRID) for text in nasty))
        answer = decoded(body, parser=parser)
        assert [dict(labels)["path"] for labels in answer.labels] == nasty
        assert answer.present.all()

    def test_many_series_of_different_lengths(self, parser: Parsers) -> None:
        grid = Grid(1_767_225_600, 15, 240)
        every = [(float(at), repr(0.1 + i)) for i, at in enumerate(grid.times)]
        kept = {str(n): every[n % 7 : 240 - n % 5] for n in range(100)}
        answer = decoded(
            matrix(*(series({"n": n}, points) for n, points in kept.items())), grid, parser
        )
        for row, points in enumerate(kept.values()):
            assert answer.values[row, answer.present[row]].tolist() == [float(v) for _, v in points]
            assert grid.times[answer.present[row]].tolist() == [at for at, _ in points]


names = st.text(min_size=1, max_size=8)
numbers = st.one_of(
    st.floats(width=64).map(lambda f: {"inf": "+Inf", "nan": "NaN"}.get(repr(f), repr(f))),
    st.integers(-(10**25), 10**25).map(str),
    st.just("-Inf"),
).map(lambda text: text.replace("-inf", "-Inf"))
answers = st.lists(
    st.tuples(
        st.dictionaries(names, names, max_size=3),
        st.lists(st.tuples(st.integers(0, GRID.count - 1), numbers), unique_by=lambda p: p[0]),
    ),
    unique_by=lambda one: tuple(sorted(one[0].items())),
    max_size=6,
)


@given(answers, st.booleans(), st.lists(st.text(), max_size=2), st.sampled_from(["fast", "plain"]))
def test_any_answer_reads_as_plain_json_does(
    answer: list[tuple[dict[str, str], list[tuple[int, str]]]],
    spaced: bool,
    warnings: list[str],
    parser: str,
) -> None:
    body = matrix(
        *(series(labels, [(T[i], v) for i, v in sorted(points)]) for labels, points in answer),
        warnings=warnings,
    )
    if spaced:
        body = json.dumps(json.loads(body), indent=1).encode()
    found = decoded(body, parser=number_parser if parser == "fast" else lambda: parse_plainly)
    assert [dict(labels) for labels in found.labels] == [labels for labels, _ in answer]
    assert list(found.notes) == [PARTIAL + w for w in dict.fromkeys(warnings)]
    for row, (_, points) in enumerate(answer):
        assert {i for i, _ in points} == set(np.flatnonzero(found.present[row]).tolist())
        for i, text in points:
            np.testing.assert_equal(found.values[row, i], float(text))


class TestJoining:
    def test_pieces_become_one_answer(self) -> None:
        grid = Grid(1_767_225_600, 1, 6)
        rows = Rows(grid)
        at = [float(t) for t in grid.times]
        early = series({"s": "early"}, [(at[0], "1"), (at[1], "2")])
        both = [series({"s": "both"}, [(t, str(int(t - at[0])))]) for t in (at[2], at[4])]
        late = [series({"s": f"late-{n}"}, [(at[3], "3"), (at[5], "5")]) for n in range(40)]
        rows.add(matrix(early, both[0], warnings=["slow"]), 0, 3)
        rows.add(matrix(*late, both[1], warnings=["slow"], infos=["odd"]), 3, 3)
        answer = rows.matrix()
        assert [dict(labels)["s"] for labels in answer.labels] == [
            "early",
            "both",
            *(f"late-{n}" for n in range(40)),
        ]
        assert answer.present[0].tolist() == [True, True, False, False, False, False]
        assert answer.values[1][answer.present[1]].tolist() == [2.0, 4.0]
        assert grid.times[answer.present[41]].tolist() == [at[3], at[5]]
        assert answer.notes == (f"{PARTIAL}slow", "odd")
        assert answer.values.shape == (42, 6)

    def test_a_sample_of_another_piece_is_not_taken(self) -> None:
        grid = Grid(1_767_225_600, 1, 6)
        rows = Rows(grid)
        with pytest.raises(BadAnswer, match="not on the grid"):
            rows.add(matrix(series({}, [(grid.first + 3, "1")])), 0, 3)


class TestRefusals:
    @pytest.mark.parametrize(
        ("body", "said"),
        [
            (matrix(full({"a": "b"}, GRID), full({"a": "b"}, GRID)), 'two series bear .*{a="b"}'),
            (
                matrix(series({"x": "y"}, [(T[0] + 1, "1")])),
                r"x=\"y\".*1767225601\.123.*not on the grid",
            ),
            (matrix(series({}, [(T[0] + 0.001, "1")])), "not on the grid"),
            (matrix(series({}, [(T[-1] + 2.5, "1")])), "not on the grid"),
            (matrix(series({}, [(T[0] - 2.5, "1")])), "not on the grid"),
            (matrix(series({}, [(T[0], "1"), (T[0], "2")])), "two samples at one time"),
            (matrix(series({}, [(T[2], "1"), (T[1], "2")])), "out of order"),
            (matrix(series({}, [(T[0], "many")])), "no number: 'many'"),
            (matrix(series({}, [(T[0], "1_0")])), "no number"),
            (matrix(series({}, [(T[0], "")])), "no number"),
            (matrix({"metric": {}, "values": [[T[0], 1.0]]}), "Expected `str`"),
            (matrix({"metric": {}, "values": [[T[0], "1", "2"]]}), "length 2"),
            (
                matrix({"metric": {}, "values": [[T[0], 1.0], [T[1], "2"], [T[2], "3"]]}),
                "Expected `str`",
            ),
            (
                matrix(series({}, [(T[0], "1"), (T[1], "2"), (T[2] + 1, "3"), (T[3], "4")])),
                "not on the grid",
            ),
            (matrix({"metric": {"a": 1}, "values": []}), "Expected `str`"),
            (matrix({"values": []}), "missing required field `metric`"),
            (vector(), "holds vector, not a matrix"),
            (success(None), "holds nothing"),
            (b"{}", "missing required field `status`"),
            (b'{"status":"success","data":', "Input data was truncated"),
            (matrix(full({}, GRID))[:-3], "truncated"),
            (matrix(full({}, GRID))[:-30], 'it begins: \'{"status":"success"'),
            (matrix(full({}, GRID)) + b"x", "malformed"),
            (b"", "truncated.*an empty answer"),
            (matrix(full({"a": "AAAA"}, GRID)).replace(b"AAAA", b"\xff\xfe"), "utf-8"),
            (
                b'{"status":"error","errorType":"x","error":"y","data":{"resultType":"matrix"}}',
                "'error'",
            ),
        ],
    )
    def test_what_is_no_answer_is_refused_and_named(self, body: bytes, said: str) -> None:
        with pytest.raises(BadAnswer, match=said):
            decoded(body)

    def test_half_a_millisecond_is_the_same_time(self) -> None:
        assert decoded(matrix(series({}, [(T[0], "1")]))).present[0, 0]


POINT = {"count": "4", "sum": "1", "buckets": [[0, "0.5", "1", "4"], [0, "-1", "1", "2"]]}


class TestHistograms:
    def test_a_native_histogram_proves_nothing_and_is_noted(self) -> None:
        one: dict[str, Any] = series({"le": "none"}, [(T[0], "1")])
        one["histograms"] = [[T[2], POINT], [T[1], POINT]]
        only = {"metric": {"only": "x"}, "histograms": [[T[3], POINT]]}
        for body in (matrix(one, full({}, GRID), only), matrix(only, full({}, GRID), one)):
            answer = decoded(body)
            row = answer.labels.index((("le", "none"),))
            assert answer.present[row].tolist() == [True, True, True, False]
            assert np.isnan(answer.values[row, 1:3]).all()
            assert answer.present[answer.labels.index((("only", "x"),))].tolist() == [False] * 3 + [
                True
            ]
            assert answer.values[answer.labels.index(())].tolist() == [1.0] * 4
            assert "2 of 3 series hold native histograms" in answer.notes[0]

    def test_of_an_instant_too(self) -> None:
        found = decode_vector(vector({"metric": {"a": "b"}, "histogram": [T[0], POINT]}))
        assert math.isnan(found.samples[0].value)
        assert "1 of 1 series hold native histograms" in found.notes[0]


class TestVectors:
    def test_samples_with_their_time(self) -> None:
        body = vector({"metric": {"b": "1", "a": "2"}, "value": [T[0], "+Inf"]}, infos=["counter?"])
        found = decode_vector(body)
        assert found.samples[0].labels == (("a", "2"), ("b", "1"))
        assert (found.samples[0].at, found.samples[0].value) == (T[0], math.inf)
        assert found.notes == ("counter?",)

    def test_a_scalar_is_one_sample_without_labels(self) -> None:
        found = decode_vector(success({"resultType": "scalar", "result": [T[0], "3.5"]}))
        assert [(one.labels, one.at, one.value) for one in found.samples] == [((), T[0], 3.5)]

    @pytest.mark.parametrize(("kind", "said"), [("matrix", "leave out"), ("string", "a text")])
    def test_what_is_no_number_is_a_bad_query(self, kind: str, said: str) -> None:
        with pytest.raises(BadQuery, match=said):
            decode_vector(success({"resultType": kind, "result": []}))

    def test_a_partial_answer_is_noted(self) -> None:
        assert decode_vector(vector(isPartial=True)).notes[0].startswith(PARTIAL)

    def test_what_is_said_of_the_query_is_not_about_the_storage(self) -> None:
        said = ["PromQL warning: bucket label", "receive series from Addr: store-2: timeout"]
        assert decode_vector(vector(warnings=said)).notes == (said[0], PARTIAL + said[1])


def test_an_answer_of_1_mb_needs_less_than_as_much_again() -> None:
    grid = Grid(1_767_225_600, 15, 240)
    body = bytearray(
        matrix(*(full({"n": str(n)}, grid, "0.13436424411240122") for n in range(150)))
    )
    decoded(bytes(body), grid)
    tracemalloc.start()
    rows = Rows(grid)
    rows.add(body, 0, grid.count)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(body)
