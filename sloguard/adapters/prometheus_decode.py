"""Prometheus's JSON into arrays: one series at a time, so that no big heap of objects ever exists.

What costs in decoding a large answer is objects, and the collector that walks them. An answer is cut into
its series without decoding it; then the numbers of each become one flat array, whose every other member
is a time. The times of a whole series are compared to the grid at once.
"""

from __future__ import annotations

import msgspec
import numpy as np
from msgspec import Raw
from numpy.typing import NDArray

from sloguard.adapters.prometheus_answers import (
    LAST_VALUE,
    METRIC,
    VALUES,
    Answer,
    answers,
    cut,
    decode,
    notes_of,
)
from sloguard.adapters.prometheus_numbers import Floats, NumberParser, number_parser
from sloguard.core.series import LabelSet, Matrix, Sample, Vector, label_set
from sloguard.core.windows import Grid
from sloguard.ports import BadAnswer, BadQuery

#: Grid and answer are whole milliseconds; less than this apart is the same time.
SAME_TIME = 0.0006
HISTOGRAMS = (
    "{count} of {total} series hold native histograms, which have no single value: their points count as "
    "NaN; wrap the query in histogram_quantile(), histogram_count() or histogram_avg()"
)


class _Series(msgspec.Struct, gc=False):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    histograms: list[tuple[float, Raw]] = []


class _Instant(msgspec.Struct, gc=False):
    metric: dict[str, str]
    value: tuple[float, str] | None = None
    histogram: tuple[float, Raw] | None = None


_series = msgspec.json.Decoder(_Series)
_instants = msgspec.json.Decoder(_Instant)
_metrics = msgspec.json.Decoder(dict[str, str])
_values = msgspec.json.Decoder(tuple[float, str])


class Rows:
    """The series of one range answer, put together from one or more pieces of its grid."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.times = grid.times
        self.notes: dict[str, None] = {}
        self._rows: dict[LabelSet, int] = {}
        self._values = np.empty((0, grid.count))
        self._present = np.empty((0, grid.count), dtype=bool)

    def add(self, body: bytes | bytearray, offset: int, count: int) -> None:
        """Take in the answer for ``count`` points of the grid from ``offset`` on.

        Raises BadAnswer for what is not a matrix of series with distinct labels, each in order of time and
        on the grid. A piece that failed leaves the rows unusable.
        """
        size, series, answer = cut(body)
        if answer.data is None or answer.data.resultType != "matrix":
            kind = answer.data.resultType if answer.data else "nothing"
            raise BadAnswer(f"the answer to a range query holds {kind or 'nothing'}, not a matrix")
        self.notes.update(dict.fromkeys(notes_of(answer)))
        if not self._rows:
            self._reserve(size)
        piece = _Piece(self.times[offset : offset + count], self.grid.step, offset)
        parse = number_parser()
        seen: set[LabelSet] = set()
        with_histograms = 0
        for one in series:
            labels, where, values, has_histograms = piece.quick(one, parse) or piece.slow(one)
            if labels in seen:
                raise BadAnswer(f"two series bear the labels {_shown(labels)}")
            seen.add(labels)
            with_histograms += has_histograms
            row = self._row(labels)
            self._values[row, where] = values
            self._present[row, where] = True
        if with_histograms:
            text = HISTOGRAMS.format(count=with_histograms, total=size)
            self.notes[text] = None

    def matrix(self) -> Matrix:
        """All that was taken in."""
        size = len(self._rows)
        return Matrix(
            self.grid,
            tuple(self._rows),
            self._values[:size],
            self._present[:size],
            tuple(self.notes),
        )

    def _row(self, labels: LabelSet) -> int:
        row = self._rows.setdefault(labels, len(self._rows))
        if row >= len(self._values):
            self._reserve(max(16, len(self._values) // 4))
        return row

    def _reserve(self, more: int) -> None:
        values = np.full((more, self.grid.count), np.nan)
        present = np.zeros((more, self.grid.count), dtype=bool)
        if len(self._values):
            values = np.concatenate((self._values, values))
            present = np.concatenate((self._present, present))
        self._values, self._present = values, present


Found = tuple[LabelSet, "slice | NDArray[np.intp]", Floats, bool]


class _Piece:
    """Reads single series against the part of the grid that was asked for."""

    def __init__(self, times: Floats, step: float, offset: int) -> None:
        self.times = times
        self.step = step
        self.offset = offset
        self.whole = slice(offset, offset + len(times))

    def quick(self, one: bytes, parse: NumberParser) -> Found | None:
        """A series as it is usually written, all numbers; None for any other."""
        at = one.find(VALUES)
        if at < 0 or not one.startswith(METRIC) or not one.endswith(LAST_VALUE):
            return None
        numbers = parse(one, at + len(VALUES))
        if numbers is None:
            return None
        labels = label_set(decode(_metrics, one[len(METRIC) : at]))
        times, values = numbers[::2], numbers[1::2]
        if len(times) == len(self.times) and (times == self.times).all():
            return labels, self.whole, values, False
        return labels, self._places(labels, times), values, False

    def slow(self, one: bytes) -> Found:
        """Any series: other spacing, other order of keys, histograms; says what is wrong with it."""
        series: _Series = decode(_series, one)
        labels = label_set(series.metric)
        points = [(at, _value(text)) for at, text in series.values]
        if series.histograms:
            points += [(at, np.nan) for at, _ in series.histograms]
            points.sort(key=lambda point: point[0])
        flat = np.array(points, dtype=np.float64).reshape(-1, 2)
        return labels, self._places(labels, flat[:, 0]), flat[:, 1], bool(series.histograms)

    def _places(self, labels: LabelSet, times: Floats) -> NDArray[np.intp]:
        if not len(times):
            return np.empty(0, dtype=np.intp)
        places = np.rint((times - self.times[0]) / self.step)
        off = (places < 0) | (places >= len(self.times))
        inside = np.where(off, 0, places).astype(np.intp)
        off |= np.abs(self.times[inside] - times) > SAME_TIME
        if off.any():
            raise BadAnswer(
                f"{_shown(labels)} has a sample at {float(times[off][0]):.3f}, which is not on the grid that was "
                f"asked for ({self.times[0]:.3f} and every {self.step:g} s up to {self.times[-1]:.3f}); something "
                "in front of the database aligns or caches queries: turn that off"
            )
        if (np.diff(inside) <= 0).any():
            raise BadAnswer(f"{_shown(labels)} has two samples at one time, or out of order")
        return inside + self.offset


def decode_vector(body: bytes | bytearray) -> Vector:
    """An instant answer: a vector, or a scalar as one sample without labels.

    Raises BadQuery for a range of samples or a string, BadAnswer for what is no answer.
    """
    answer: Answer = decode(answers, body)
    data = answer.data
    if data is not None and data.resultType == "scalar":
        at, text = decode(_values, b"[" + b",".join(bytes(part) for part in data.result) + b"]")
        return Vector((Sample((), at, _value(text)),), tuple(notes_of(answer)))
    if data is None or data.resultType != "vector":
        kind = {"matrix": "ranges of samples (leave out the '[…]')", "string": "a text"}
        found = data.resultType if data else ""
        if found in kind:
            raise BadQuery(f"the query gives {kind[found]} where one number a series is needed")
        raise BadAnswer(f"the answer to an instant query holds {found or 'nothing'}, not a vector")
    samples: list[Sample] = []
    histograms = 0
    for raw in data.result:
        one: _Instant = decode(_instants, raw)
        labels = label_set(one.metric)
        if one.value is not None:
            samples.append(Sample(labels, one.value[0], _value(one.value[1])))
        elif one.histogram is not None:
            samples.append(Sample(labels, one.histogram[0], float("nan")))
            histograms += 1
    notes = list(notes_of(answer))
    if histograms:
        notes.append(HISTOGRAMS.format(count=histograms, total=len(samples)))
    return Vector(tuple(samples), tuple(notes))


def _value(text: str) -> float:
    try:
        # float() takes more than the API writes.
        if "_" in text or text != text.strip():
            raise ValueError
        return float(text)
    except ValueError:
        raise BadAnswer(f"the answer holds a sample that is no number: '{text[:40]}'") from None


def _shown(labels: LabelSet) -> str:
    inner = ", ".join(f'{name}="{value}"' for name, value in labels)
    return "{" + (inner if len(inner) <= 200 else inner[:199] + "…") + "}"
