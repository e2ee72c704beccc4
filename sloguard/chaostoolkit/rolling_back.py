"""Whether anything may stop the method early, and that all is rolled back where it does."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger("chaostoolkit")


def can_stop(experiment: Mapping[str, Any], slos: str) -> bool:
    """Whether anything may end the method early: a guard, an alert, a budget; here, or in the file of SLOs."""
    alerts, budget = experiment.get("alerts"), experiment.get("budget")
    if experiment.get("abort-when"):
        return True
    if isinstance(alerts, Mapping) and alerts.get("abort_on"):
        return True
    if isinstance(budget, Mapping) and budget.get("abort_when"):
        return True
    if not slos:
        return False
    from sloguard.documents.problems import DocumentError
    from sloguard.spec import parse_slos

    try:
        other = parse_slos(slos)
    except (DocumentError, OSError):
        # The next hook says so, and interrupts.
        return False
    return bool(other.alerts.abort_on) or (other.budget is not None and other.budget.guards)


def roll_back_always() -> Any:
    """By default an interrupted run is not rolled back, and a guard interrupts: ask for it in time."""
    from chaoslib.run import RunEventHandler

    class RollBack(RunEventHandler):  # type: ignore[misc]  # chaoslib has no types
        def running(self, *_told: Any, **_more: Any) -> None:
            settings = _told[-1] if _told else _more["settings"]
            rollbacks = settings.setdefault("runtime", {}).setdefault("rollbacks", {})
            if rollbacks.get("strategy", "default") in ("default", "deviated"):
                log.info("sloguard: there are guards, so rollbacks are played whatever happens")
                rollbacks["strategy"] = "always"

    return RollBack()
