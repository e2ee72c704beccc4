"""Prometheus's JSON into arrays: a few series at a time, so that no big heap of objects ever exists.

What costs in decoding a large answer is objects, and the collector that walks them. An answer is cut into
its series without decoding it; then the numbers of a few of them become one flat array, whose every other
member is a time, and the times are compared to the grid at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

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
#: Bytes of text that are read at once: small beside a large answer, large beside a call.
BLOCK = 1 << 16
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

    def __init__(self, grid: Grid, parser: Callable[[], NumberParser] = number_parser) -> None:
        self.grid = grid
        self.times = grid.times
        self._parser = parser
        self._notes: dict[str, None] = {}
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
            kind = answer.data.resultType if answer.data else ""
            raise BadAnswer(f"the answer to a range query holds {kind or 'nothing'}, not a matrix")
        self._notes.update(dict.fromkeys(notes_of(answer)))
        if not self._rows:
            self._grow(size)
        piece = _Piece(self.times[offset : offset + count], self.grid.step, self._parser())
        seen: set[LabelSet] = set()
        for block in _blocks(series):
            for labels, where, values in piece.read(block):
                if labels in seen:
                    raise BadAnswer(f"two series bear the labels {_shown(labels)}")
                seen.add(labels)
                row = self._row(labels)
                self._values[row, offset : offset + count][where] = values
                self._present[row, offset : offset + count][where] = True
        if piece.histograms:
            self._notes[HISTOGRAMS.format(count=piece.histograms, total=size)] = None

    def matrix(self) -> Matrix:
        """All that was taken in."""
        size = len(self._rows)
        values, present = self._values[:size], self._present[:size]
        return Matrix(self.grid, tuple(self._rows), values, present, tuple(self._notes))

    def _row(self, labels: LabelSet) -> int:
        row = self._rows.setdefault(labels, len(self._rows))
        if row >= len(self._values):
            self._grow(max(16, len(self._values) // 4))
        return row

    def _grow(self, more: int) -> None:
        values = np.full((more, self.grid.count), np.nan)
        present = np.zeros((more, self.grid.count), dtype=bool)
        if len(self._values):
            values = np.concatenate((self._values, values))
            present = np.concatenate((self._present, present))
        self._values, self._present = values, present


#: Labels, the places of the samples among the points asked for, and their values.
Found = tuple[LabelSet, "slice | NDArray[np.intp]", Floats]


class _Piece:
    """Reads series against the part of the grid that was asked for."""

    def __init__(self, times: Floats, step: float, parse: NumberParser) -> None:
        self.times = times
        self.step = step
        self.histograms = 0
        self._parse = parse

    def read(self, block: Sequence[bytes]) -> Iterable[Found]:
        """Some series, read together where they are written as usual and hold nothing but numbers."""
        starts = [one.find(VALUES) for one in block]
        usual = all(
            start >= 0 and one.startswith(METRIC) and one.endswith(LAST_VALUE)
            for one, start in zip(block, starts, strict=True)
        )
        texts = [one[at + len(VALUES) :] for one, at in zip(block, starts, strict=True)]
        numbers = self._parse(texts) if usual else None
        if numbers is None:
            if len(block) > 1:
                return (found for one in block for found in self.read([one]))
            return [self._slow(block[0])]
        labels = [
            label_set(decode(_metrics, one[len(METRIC) : at]))
            for one, at in zip(block, starts, strict=True)
        ]
        return self._whole(labels, numbers) or self._partial(labels, numbers, texts)

    def _whole(self, labels: Sequence[LabelSet], numbers: Floats) -> Iterable[Found] | None:
        """Series that have a sample at every point, which most do; None if these have not."""
        points = len(self.times)
        if len(numbers) != len(labels) * points * 2:
            return None
        samples = numbers.reshape(len(labels), points, 2)
        if not (samples[:, :, 0] == self.times).all():
            return None
        return zip(labels, itertools.repeat(slice(None)), samples[:, :, 1], strict=False)

    def _partial(
        self, labels: Sequence[LabelSet], numbers: Floats, texts: Sequence[bytes]
    ) -> Iterator[Found]:
        end = 0
        for one, text in zip(labels, texts, strict=True):
            start, end = end, end + 2 * (text.count(b"[") + 1)
            yield one, self._places(one, numbers[start:end:2]), numbers[start + 1 : end : 2]

    def _slow(self, one: bytes) -> Found:
        """Any series: other spacing, other order of keys, histograms; says what is wrong with it."""
        series: _Series = decode(_series, one)
        labels = label_set(series.metric)
        points = [(at, _value(text)) for at, text in series.values]
        if series.histograms:
            self.histograms += 1
            points += [(at, np.nan) for at, _ in series.histograms]
            points.sort(key=lambda point: point[0])
        flat = np.array(points, dtype=np.float64).reshape(-1, 2)
        return labels, self._places(labels, flat[:, 0]), flat[:, 1]

    def _places(self, labels: LabelSet, times: Floats) -> NDArray[np.intp]:
        if not len(times):
            return np.empty(0, dtype=np.intp)
        places = np.rint((times - self.times[0]) / self.step)
        off = (places < 0) | (places >= len(self.times))
        inside = np.where(off, 0, places).astype(np.intp)
        off |= np.abs(self.times[inside] - times) > SAME_TIME
        if off.any():
            raise BadAnswer(
                f"{_shown(labels)} has a sample at {float(times[off][0]):.3f}, which is not on the grid that "
                f"was asked for ({self.times[0]:.3f} and every {self.step:g} s up to {self.times[-1]:.3f}); "
                "something in front of the database aligns or caches queries: turn that off"
            )
        if (np.diff(inside) <= 0).any():
            raise BadAnswer(f"{_shown(labels)} has two samples at one time, or out of order")
        return inside


def _blocks(series: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Series in turn, as many together as make reading them together worth while."""
    block: list[bytes] = []
    size = 0
    for one in series:
        block.append(one)
        size += len(one)
        if size >= BLOCK:
            yield block
            block, size = [], 0
    if block:
        yield block


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
