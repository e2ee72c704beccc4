"""Samples as they are kept: exact to the bit, small, and quick to read back.

``values`` as little-endian float64, ``present`` as a bitmap, labels as JSON, each through zlib at its
fastest level: measured on rates and ratios, shuffling bytes first makes them larger.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sloguard.core.jsonable import jsonable
from sloguard.core.model import PhaseRule, Slo, Tolerance
from sloguard.core.objective import Between, Bound, Comparison, Objective
from sloguard.core.series import LabelSet, Matrix, SloEvidence
from sloguard.core.windows import Grid

_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Packed:
    """A matrix in bytes, beside what its row says in columns."""

    labels: bytes
    present: bytes
    samples: bytes


def pack(matrix: Matrix) -> Packed:
    """A matrix in bytes."""
    shape = (len(matrix.labels), matrix.grid.count)
    if matrix.values.shape != shape or matrix.present.shape != shape:
        raise ValueError(
            f"expected {shape[0]} series x {shape[1]} points, found {matrix.values.shape} values "
            f"and {matrix.present.shape} marks"
        )
    values = np.ascontiguousarray(matrix.values, dtype="<f8")
    return Packed(
        zlib.compress(json.dumps(matrix.labels, separators=(",", ":")).encode(), _LEVEL),
        zlib.compress(np.packbits(matrix.present).tobytes(), _LEVEL),
        zlib.compress(values.tobytes(), _LEVEL),
    )


def unpack(packed: Packed, grid: Grid, notes: tuple[str, ...]) -> Matrix:
    """The matrix again; raises ValueError or zlib.error where the bytes are damaged."""
    labels: tuple[LabelSet, ...] = tuple(
        tuple((name, value) for name, value in series)
        for series in json.loads(zlib.decompress(packed.labels))
    )
    shape = (len(labels), grid.count)
    bits = np.frombuffer(zlib.decompress(packed.present), dtype=np.uint8)
    present = np.unpackbits(bits, count=shape[0] * shape[1]).astype(bool).reshape(shape)
    # A bytearray, so that the array may be written to like any other.
    raw = bytearray(zlib.decompress(packed.samples))
    values = np.frombuffer(raw, dtype="<f8").astype(np.float64, copy=False).reshape(shape)
    return Matrix(grid, labels, values, present, notes)


def evidence_json(evidence: SloEvidence) -> dict[str, Any]:
    """Everything of an SLO's evidence but the answers."""
    fields = dataclasses.fields(evidence)
    return {f.name: jsonable(getattr(evidence, f.name)) for f in fields if f.name != "answers"}


def evidence_of(data: Mapping[str, Any], answers: Mapping[str, Matrix]) -> SloEvidence:
    """The reverse of ``evidence_json``, with the answers."""
    return SloEvidence(
        slo=_slo(data["slo"]),
        grid=grid_of(data["grid"]),
        answers=answers,
        lookback=_float(data["lookback"]),
        lookback_problem=data["lookback_problem"],
        scrape_interval=_float(data["scrape_interval"]),
        same_metric=data["same_metric"],
        error=data["error"],
        notes=tuple(data["notes"]),
    )


def grid_of(data: dict[str, Any]) -> Grid:
    """A grid as it was written."""
    return Grid(float(data["first"]), float(data["step"]), int(data["count"]))


def _slo(data: dict[str, Any]) -> Slo:
    made = dict(data)
    made["objective"] = _objective(data["objective"])
    for phase in ("before", "during", "after"):
        made[phase] = _rule(data[phase])
    for name in ("min_coverage", "weight", "step", "lookback", "target", "period"):
        made[name] = _float(data[name])
    for name in ("no_data", "idle"):
        made[name] = _policy(data[name])
    return Slo(**made)


def _rule(data: dict[str, Any]) -> PhaseRule:
    tolerate = data["tolerate"]
    return PhaseRule(
        _objective(data["objective"]),
        None
        if tolerate is None
        else Tolerance(_float(tolerate["seconds"]), _float(tolerate["share"]), tolerate["text"]),
        _float(data["recover_within"]),
        _float(data["hold"]),
    )


def _objective(data: dict[str, Any]) -> Objective:
    return Objective(tuple(_member(m) for m in data["members"]), data["text"])


def _member(data: dict[str, Any]) -> Comparison | Between:
    if "op" in data:
        return Comparison(data["op"], _bound(data["bound"]), data["text"])
    return Between(_bound(data["low"]), _bound(data["high"]), data["text"])


def _bound(data: dict[str, Any]) -> Bound:
    return Bound(float(data["value"]), data["baseline"], float(data["relative"]), data["unit"])


def _float(value: float | str | None) -> float | None:
    # ±Inf and NaN are kept as texts, which float() reads.
    return None if value is None else float(value)


def _policy(value: Any) -> Any:
    if value in ("inconclusive", "breach", "met"):
        return value
    return float(value)
