"""Samples as Parquet, a row group a series at most: for pandas, DuckDB, Spark and their like."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from sloguard.core.series import SloEvidence
from sloguard.ports import OutsideError

#: Rows that are kept in memory before they are written.
_GROUP = 50_000


class NotInstalled(OutsideError):
    """The package that writes this format is not there."""


def samples_parquet(evidence: Iterable[SloEvidence]) -> Iterator[bytes]:
    """One file in pieces, as ``render.export.samples_csv`` in columns. Raises NotInstalled at once.

    ``time`` a timestamp in UTC, ``slo``, ``role`` and ``labels`` (a JSON object) dictionary-encoded,
    ``value`` a double with NaN and infinities. A point without a sample has no row.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ModuleNotFoundError as error:
        raise NotInstalled(
            "Parquet needs the package pyarrow: install sloguard with its extra, sloguard[parquet]"
        ) from error
    return _written(evidence, arrow, parquet)


class _Sink:
    """Takes what the writer writes, and gives it away in between."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._position = 0

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """What was written stays to be taken."""

    def taken(self) -> bytes:
        found = b"".join(self._pieces)
        self._pieces.clear()
        return found


def _written(evidence: Iterable[SloEvidence], arrow: Any, parquet: Any) -> Iterator[bytes]:
    text = arrow.dictionary(arrow.int32(), arrow.string())
    schema = arrow.schema(
        [
            ("time", arrow.timestamp("ms", tz="UTC")),
            ("slo", text),
            ("role", text),
            ("labels", text),
            ("value", arrow.float64()),
        ]
    )
    sink = _Sink()
    writer = parquet.ParquetWriter(arrow.PythonFile(sink, mode="w"), schema, compression="zstd")
    tables: list[Any] = []
    rows = 0
    for table in _tables(evidence, arrow, schema):
        tables.append(table)
        rows += table.num_rows
        if rows >= _GROUP:
            writer.write_table(arrow.concat_tables(tables))
            tables, rows = [], 0
            yield sink.taken()
    if tables:
        writer.write_table(arrow.concat_tables(tables))
    writer.close()
    yield sink.taken()


def _tables(evidence: Iterable[SloEvidence], arrow: Any, schema: Any) -> Iterator[Any]:
    """One a series."""
    for item in evidence:
        for role, matrix in item.answers.items():
            times = np.round(matrix.grid.times * 1000).astype("datetime64[ms]")
            for labels, values, present in zip(
                matrix.labels, matrix.values, matrix.present, strict=True
            ):
                shown = json.dumps(dict(labels), ensure_ascii=False, separators=(",", ":"))
                count = int(present.sum())
                fixed = [_same(arrow, name, count) for name in (item.slo.name, role, shown)]
                columns = [
                    arrow.array(times[present]).cast(schema.field("time").type),
                    *fixed,
                    arrow.array(values[present]),
                ]
                yield arrow.Table.from_arrays(columns, schema=schema)


def _same(arrow: Any, text: str, count: int) -> Any:
    indices = arrow.array(np.zeros(count, dtype=np.int32))
    return arrow.DictionaryArray.from_arrays(indices, arrow.array([text]))
