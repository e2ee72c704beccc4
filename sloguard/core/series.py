"""Answers of Prometheus as arrays on a grid, gaps kept as gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sloguard.core.model import Slo
from sloguard.core.windows import Grid

#: How the note of an answer begins that lacks some of the data (Thanos without one of its stores, say).
PARTIAL = "the answer is partial: "

LabelSet = tuple[tuple[str, str], ...]


def label_set(labels: Mapping[str, str]) -> LabelSet:
    """Labels in the one order by which series are matched and shown."""
    return tuple(sorted(labels.items()))


@dataclass(frozen=True, slots=True)
class Matrix:
    """A range answer on a grid.

    ``values`` (series x points, float64) holds NaN both for a sample that is NaN and for no sample;
    ``present`` (same shape, bool) tells them apart. ``labels``: one label set a series.
    ``notes``: Prometheus's warnings and infos, word for word, after PARTIAL where data is missing.
    """

    grid: Grid
    labels: tuple[LabelSet, ...]
    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    @classmethod
    def empty(cls, grid: Grid, notes: tuple[str, ...] = ()) -> Matrix:
        """An answer without a series."""
        shape = (0, grid.count)
        return cls(grid, (), np.empty(shape), np.empty(shape, dtype=bool), notes)


@dataclass(frozen=True, slots=True)
class Sample:
    """One series of an instant answer: its value at ``at``."""

    labels: LabelSet
    at: float
    value: float


@dataclass(frozen=True, slots=True)
class Vector:
    """An instant answer; a scalar answer is one sample without labels."""

    samples: tuple[Sample, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SloEvidence:
    """All that the judge needs of one SLO, and all that is kept of it.

    ``answers`` by role (``query`` | ``total`` with ``bad`` or ``good``). ``lookback`` None: it could not
    be read, ``lookback_problem`` says why. ``same_metric``: both queries of a pair select the same
    metrics. ``scrape_interval`` None: unknown. ``error``: a query that failed, as a sentence.
    """

    slo: Slo
    grid: Grid
    answers: Mapping[str, Matrix]
    lookback: float | None
    lookback_problem: str = ""
    scrape_interval: float | None = None
    same_metric: bool = True
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def partial(self) -> str:
        """What says that some of the data was missing from the answers; empty where nothing does."""
        return next((note for note in self.notes if note.startswith(PARTIAL)), "")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all SLOs of a run share.

    ``away``: times (seconds, UTC) at which ``up`` was absent for all targets although it existed in
    ``before``, sampled every ``away_step`` seconds. ``removed``: names of objects that the fault itself
    removed, by label name (``pod``, ``instance``, ``node`` …).
    """

    away: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    away_step: float = 0.0
    removed: Mapping[str, frozenset[str]] = field(default_factory=dict)
