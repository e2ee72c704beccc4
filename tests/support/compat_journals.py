"""What two runs of the same experiment have in common, and where they differ."""

from __future__ import annotations

from typing import Any

#: A chaoslib journal's end as one of sloguard's outcomes.
_NEVER = "crashed"


def story(ran: dict[str, Any]) -> dict[str, Any]:
    """A run as values by their paths (``run[0].output``), from its journal; without times and versions."""
    journal = ran["journal"]
    told: dict[str, Any] = {"verdict": _verdict(ran), "calls": ran["calls"]}
    if not isinstance(journal, dict):
        return {**told, "journal": journal}
    told["title"] = journal["experiment"]["title"]
    states = journal["steady_states"]
    checks = {"before": states["before"], "after": _after_method(states)}
    for when, state in checks.items():
        told[f"{when}.met"] = state and state["steady_state_met"]
        told |= _runs(when, (state or {}).get("probes") or [])
    for section in ("run", "rollbacks"):
        told |= _runs(section, journal[section])
    return told


def _after_method(states: dict[str, Any]) -> Any:
    """The hypothesis while the fault is still there: sloguard asks once more after the rollbacks."""
    return states["during"][-1] if states["during"] else states["after"]


def _runs(section: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for index, run in enumerate(runs):
        at = f"{section}[{index}]"
        told[f"{at}.activity"] = run["activity"]
        told[f"{at}.status"] = run.get("status")
        told[f"{at}.output"] = run["output"]
        told[f"{at}.failed"] = bool(run.get("exception"))
        if "tolerance_met" in run:
            told[f"{at}.tolerance_met"] = run["tolerance_met"]
    return told


def _verdict(ran: dict[str, Any]) -> str:
    journal = ran["journal"]
    if ran["crash"]:
        return _NEVER
    if not isinstance(journal, dict):
        return "refused" if journal is None else "no journal"
    ours = journal.get("sloguard")
    if isinstance(ours, dict):
        return str(ours["outcome"])
    before = journal["steady_states"]["before"]
    if journal["status"] in ("interrupted", "aborted"):
        return "aborted"
    if before and not before["steady_state_met"]:
        return "not-started"
    return "deviated" if journal["deviated"] else "met"


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Path -> what the Chaos Toolkit has there and what sloguard has; ``…`` where there is nothing."""
    return {
        path: (theirs.get(path, ...), ours.get(path, ...))
        for path in [*theirs, *(p for p in ours if p not in theirs)]
        if theirs.get(path, ...) != ours.get(path, ...)
    }
