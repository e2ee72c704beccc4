"""An SLO's value right now, for those who look on. No verdict follows from it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from sloguard.core.comparing import assess
from sloguard.core.events import SloReading
from sloguard.core.model import PhaseName, Slo, Verdict
from sloguard.core.series import LabelSet
from sloguard.core.text import format_series
from sloguard.engine.guard import Answers, Unreadable, Values, shown


def reading(
    slo: Slo,
    phase: PhaseName,
    answers: Answers,
    live: Values,
    baselines: Mapping[LabelSet, float],
) -> SloReading:
    """The worst series against the objective of the phase; without a value: inconclusive."""
    objective = slo.rule(phase).objective
    unit = "%" if slo.is_pair else objective.unit
    try:
        values = live.of(answers)
    except Unreadable:
        values = {}
    found = {labels: value for labels, value in values.items() if not math.isnan(value)}
    if not found:
        return SloReading(slo.name, Verdict.INCONCLUSIVE, None, objective.text, "", 0, unit)
    baseline = np.array([baselines.get(labels, math.nan) for labels in found])
    assessed = assess(objective, np.array(list(found.values()))[:, None], baseline)
    margins = np.where(np.isnan(assessed.margin[:, 0]), np.inf, assessed.margin[:, 0])
    row = int(np.argmin(margins))
    labels = list(found)[row]
    verdict = Verdict.DEVIATED if assessed.breach[row, 0] else Verdict.MET
    if assessed.undecided[row, 0]:
        verdict = Verdict.INCONCLUSIVE
    name = format_series("", shown(labels))
    return SloReading(slo.name, verdict, found[labels], objective.text, name, len(found), unit)
