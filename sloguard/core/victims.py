"""Who suffered from what: each series in breach beside the victims that were hit before it.

By time alone, which is no proof of a cause. A point may hold what happened within the query's lookback, so
all that was hit within that counts together; where nothing was, what was hit last before the breach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sloguard.core.model import FaultRecord, PhaseName, Timeline, Verdict
from sloguard.core.text import iso_time

Document = dict[str, Any]


def victims(
    faults: Sequence[FaultRecord], slos: Sequence[Document], timeline: Timeline | None
) -> list[Document]:
    """Every target that was hit, in order, with the series that suffered under the fault or after it.

    ``slos``: as the answer's JSON has them. A series suffers where it deviates, and also where a breach stayed
    within what is tolerated: its ``verdict`` tells. ``after_seconds``: from the hit to the first breach; None
    where nobody knows, because it went dark or breached only after the fault.
    """
    hit = sorted((f for f in faults if f.injected_at is not None), key=lambda f: f.injected_at or 0)
    made: list[Document] = [
        {
            "fault": fault.fault,
            "target": fault.target,
            "at": iso_time(fault.injected_at or 0.0),
            "suffered": [],
        }
        for fault in hit
    ]
    if timeline is None or not hit:
        return made
    times = [fault.injected_at or 0.0 for fault in hit]
    for slo in slos:
        for series in slo["series"]:
            verdict = _suffering(series)
            if verdict is None:
                continue
            first = series["phases"][PhaseName.DURING]["first_breach_seconds"]
            at = None if first is None else timeline.fault + float(first)
            step, lookback = float(slo["step_seconds"] or 0), float(slo["lookback_seconds"] or 0)
            for index in _blamed(times, at, step, lookback):
                made[index]["suffered"].append(
                    {
                        "slo": slo["name"],
                        "labels": series["labels"],
                        "verdict": verdict,
                        "after_seconds": None if at is None else _since(times[index], at),
                        "reason": series["reason"],
                    }
                )
    return made


def _suffering(series: Mapping[str, Any]) -> str | None:
    """How it fared under the fault and after it; None where it did not suffer."""
    phases = [series["phases"][name] for name in (PhaseName.DURING, PhaseName.AFTER)]
    if any(phase["verdict"] == Verdict.DEVIATED for phase in phases):
        return str(Verdict.DEVIATED)
    return series["verdict"] if phases[0]["breach_seconds"] else None


def _blamed(
    times: Sequence[float], at: float | None, step: float, lookback: float
) -> Sequence[int]:
    if at is None:
        return range(len(times))
    # A point stands for a step, so a hit within it may be in it.
    before = [index for index, time in enumerate(times) if time <= at + step]
    if not before:
        return [0]
    near = [index for index in before if times[index] >= at - max(lookback, step)]
    return near or before[-1:]


def _since(hit: float, breach: float) -> float:
    seconds = round(max(breach - hit, 0.0), 3)
    return int(seconds) if seconds.is_integer() else seconds
