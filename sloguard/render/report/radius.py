"""What was tried and what never was: services, faults, experiments; and which of these did not succeed for long.

A fault hits a service where the name of the service stands as a word of its own in the name of its target
(``checkout`` in ``shop/checkout-7d4f``), or of what suffers with it (the pods that leave a node). Where none of
these names a service, it hits those that the run names by tags (``service:checkout``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from sloguard.core.reporting import ExperimentPast
from sloguard.core.text import iso_time
from sloguard.render.report.known import Known, Past
from sloguard.render.report.tables import Frames, Json

#: Without a success for so long an experiment is told of, in seconds.
STALE_SECONDS = 30 * 86400.0
MOST = {"services": 40, "targets": 4, "stale": 40}
#: These bring back what another one broke.
_REPAIRS = re.compile(r"\.(?:un|remove_)")


def radius_sums(frames: Frames, past: Past, known: Known) -> Json:
    """Services with what hit them, faults and experiments that were never tried, and stale experiments."""
    services = _services(frames, known)
    hits = _hits(frames, services)
    rows = [_service(frames, name, hits) for name in services]
    # What nobody hit comes first: that is the news.
    rows.sort(key=lambda r: (r["runs"] > 0, r["runs_now"] > 0, r["service"]))
    tried = {*past.faults, *frames.faults["fault"]}
    now = frames.now(frames.faults)
    return {
        "services": rows[: MOST["services"]],
        "services_more": max(0, len(rows) - MOST["services"]),
        "services_count": len(rows),
        "services_hit": sum(r["runs"] > 0 for r in rows),
        "services_never": [r["service"] for r in rows if not r["runs"]],
        "faults": _faults(now),
        "faults_known": len(known.faults),
        "faults_tried": len([f for f in known.faults if f in tried]),
        "faults_never": [
            {"fault": name, "does": does}
            for name, does in sorted(known.faults.items())
            if name not in tried and not _REPAIRS.search(name)
        ],
        "targets": _targets(now),
        **_experiments(frames, past, known),
    }


def _services(frames: Frames, known: Known) -> list[str]:
    """All that are known: from labels, from tags, from the experiments of the catalogue."""
    seen = {str(name) for name in frames.slos["service"] if name}
    seen.update(name for names in frames.faults["tagged"] for name in names)
    for experiment in known.experiments:
        seen.update(experiment.services)
    return sorted(seen)


def _hits(frames: Frames, services: Sequence[str]) -> dict[str, list[tuple[str, str, int]]]:
    """Service -> (run, fault, period) of everything that hit it."""
    made: dict[str, list[tuple[str, str, int]]] = {name: [] for name in services}
    finder = _Finder(services)
    faults = frames.faults[frames.faults["status"] != "planned"]
    known: dict[str, str] = {}
    columns = (faults[c] for c in ("run", "fault", "target", "hit", "tagged", "period"))
    for run, fault, target, beside, tagged, period in zip(*columns, strict=True):
        found: dict[str, None] = {}
        for name in (target, *beside):
            if name not in known:
                known[name] = finder.find(name)
            if known[name]:
                found[known[name]] = None
        for service in found or dict.fromkeys(tagged):
            made[service].append((run, fault, int(period)))
    return made


class _Finder:
    """The longest name of a service that stands in a text as a word of its own."""

    def __init__(self, services: Iterable[str]) -> None:
        names = sorted((name for name in services if name), key=len, reverse=True)
        words = "|".join(re.escape(name) for name in names)
        self._pattern = (
            re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])") if names else None
        )

    def find(self, text: str) -> str:
        found = self._pattern.findall(text) if self._pattern else []
        return max(found, key=len, default="")


def _service(
    frames: Frames, name: str, hits: dict[str, list[tuple[str, str, int]]]
) -> Json:  # fmt: skip
    mine = hits[name]
    watched = frames.slos[frames.slos["service"] == name]
    return {
        "service": name,
        "runs": len({run for run, _, _ in mine}),
        "runs_now": len({run for run, _, period in mine if period == frames.last}),
        "faults": sorted({fault for _, fault, _ in mine}),
        "slos": sorted({str(slo) for slo in watched["slo"]}),
    }


def _faults(now: pd.DataFrame) -> list[Json]:
    made: list[Json] = []
    for fault, group in now.groupby("fault", sort=True):
        made.append(
            {
                "fault": fault,
                "injections": len(group),
                "runs": int(group["run"].nunique()),
                "left": int((group["status"] == "left").sum()),
            }
        )
    made.sort(key=lambda row: (-row["runs"], row["fault"]))
    return made


def _targets(now: pd.DataFrame) -> Json:
    """How wide a run reached: targets hit by one run."""
    each = now.groupby("run")["target"].nunique()
    return {
        "mean": round(float(each.mean()), 2) if len(each) else None,
        "most": int(each.max()) if len(each) else None,
        "run": str(each.idxmax()) if len(each) else "",
    }


def _experiments(frames: Frames, past: Past, known: Known) -> Json:
    end = frames.periods[-1].end
    seen = {one.experiment: one for one in past.experiments}
    never = [e for e in known.experiments if e.name not in seen]
    stale = [_stale(one, end) for one in past.experiments if _is_stale(one, end, known)]
    stale.sort(key=lambda row: (row["last_met_at"] or "", row["experiment"]))
    return {
        "experiments_known": len({*seen, *(e.name for e in known.experiments)}),
        "experiments_never": [
            {"experiment": e.name, "title": e.title, "valid": e.valid}
            for e in sorted(never, key=lambda e: e.name)
        ],
        "stale": stale[: MOST["stale"]],
        "stale_more": max(0, len(stale) - MOST["stale"]),
        "stale_days": round(STALE_SECONDS / 86400),
    }


def _is_stale(one: ExperimentPast, end: float, known: Known) -> bool:
    """Without a success for long, and still of interest: in the catalogue, or run not long ago."""
    if one.last_met_at is not None and one.last_met_at >= end - STALE_SECONDS:
        return False
    offered = any(e.name == one.experiment for e in known.experiments)
    return offered or one.last_at >= end - 3 * STALE_SECONDS


def _stale(one: ExperimentPast, end: float) -> Json:
    return {
        "experiment": one.experiment,
        "title": one.title,
        "runs": one.runs,
        "last_met_at": None if one.last_met_at is None else iso_time(one.last_met_at),
        "days": None if one.last_met_at is None else int((end - one.last_met_at) // 86400),
        "last_run": one.last_run,
        "last_at": iso_time(one.last_at),
        "last_outcome": one.last_outcome,
        "why": _why(one, end),
    }


def _why(one: ExperimentPast, end: float) -> str:
    reason: Any = f": {one.last_reason}" if one.last_reason else ""
    if one.last_outcome == "met":
        days = int((end - one.last_at) // 86400)
        return f"it was not run for {days} days"
    return f"its newest run is {one.last_outcome}{reason}"
