"""Answers as Prometheus's API writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sloguard.core.windows import Grid

Points = Sequence[tuple[float, str]]


def series(labels: Mapping[str, str], points: Points, **more: Any) -> dict[str, Any]:
    """One series of a matrix."""
    return {"metric": dict(labels), "values": [[_time(at), value] for at, value in points], **more}


def full(labels: Mapping[str, str], grid: Grid, value: str = "1") -> dict[str, Any]:
    """A series with the same value at every point."""
    return series(labels, [(float(at), value) for at in grid.times])


def matrix(*result: Mapping[str, Any], **more: Any) -> bytes:
    """A range answer, in the API's order of keys and without spaces."""
    return success({"resultType": "matrix", "result": list(result)}, **more)


def vector(*result: Mapping[str, Any], **more: Any) -> bytes:
    """An instant answer."""
    return success({"resultType": "vector", "result": list(result)}, **more)


def success(data: Any, **more: Any) -> bytes:
    """Any answer."""
    text = json.dumps(
        {"status": "success", "data": data, **more}, separators=(",", ":"), ensure_ascii=False
    )
    return text.encode()


def failure(kind: str, text: str) -> dict[str, str]:
    """An error."""
    return {"status": "error", "errorType": kind, "error": text}


def _time(at: float) -> float | int:
    return int(at) if at == int(at) else round(at, 3)
