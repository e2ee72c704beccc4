"""The pictures that belong to a model, by the names under which the templates look for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

#: The chart of one SLO of one run in this size, as SVG; None where its samples are gone.
Draw = Callable[[str, str, tuple[int, int]], str | None]
#: As wide as the text of a sheet of A4; two weaknesses with their charts fit on one.
CHART_SIZE, EVIDENCE_SIZE = (760, 430), (760, 352)


def pictures_of(model: Mapping[str, Any], draw: Draw) -> dict[str, str]:
    """Pictures by name, as SVG. One that cannot be drawn is missing, and nothing else."""
    made: dict[str, str] = {}
    if model["kind"] == "weekly":
        made |= _sums(model)
    size = EVIDENCE_SIZE if model["kind"] == "weekly" else CHART_SIZE
    for chart in model["charts"]:
        try:
            picture = draw(chart["run"], chart["slo"], size)
        except Exception as error:  # noqa: BLE001 - a report without one of its pictures is still one
            log.warning("no chart of %s in run %s: %s", chart["slo"], chart["run"], error)
            continue
        if picture is not None:
            made[f"{chart['run']} {chart['slo']}"] = picture
    return made


def _sums(model: Mapping[str, Any]) -> dict[str, str]:
    from sloguard.render.report.pictures import bars_picture, lines_picture, outcomes_picture

    periods = model["runs"]["periods"]
    made = {}
    if any(period["total"] for period in periods):
        made["outcomes"] = outcomes_picture(periods)
    recovered = [row for row in model["recovery"]["services"] if any(row["periods"])]
    if recovered:
        title = "Median time to recover"
        made["recovery"] = lines_picture(periods, recovered, title, unit="s")
    if model["budget"]["services"]:
        made["budget"] = bars_picture(model["budget"]["services"])
    return made
