"""Whether an injection is still what people have agreed to."""

from __future__ import annotations

from sloguard.core.model import Activity, ActivityStatus
from sloguard.engine.session import Session
from sloguard.faults.base import Plan


def targets_of(plan: Plan) -> frozenset[str]:
    """By the names that people see."""
    return frozenset(injection.shown for injection in plan.injections)


def beyond_approval(session: Session, activity: Activity, plan: Plan) -> str:
    """Why a fault may not be injected as it is planned now; empty where it may.

    Until the first action has been carried out it has to hit what was approved. After it, targets may be others
    by name (a killed pod has a successor), and never more.
    """
    approved = (session.approved or {}).get(activity.key)
    if approved is None:
        return ""
    targets = targets_of(plan)
    others = sorted(targets - approved)
    if not others:
        return ""
    if len(targets) > len(approved):
        return (
            f"not as approved: it would hit {len(targets)} targets, {len(approved)} were approved"
        )
    if _moved(session):
        session.say(
            "warning",
            f"{activity.name}: hits {', '.join(others[:5])}, which had other names when it was approved",
        )
        return ""
    return f"not as approved: it would hit {', '.join(others[:5])}, {_named(approved)} approved"


def _named(approved: frozenset[str]) -> str:
    names = sorted(approved)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{', '.join(names[:5])}{more} {'was' if len(names) == 1 else 'were'}"


def _moved(session: Session) -> bool:
    """Whether the run itself may have changed what there is."""
    return bool(session.injected) or any(
        r.section == "method"
        and r.activity.kind == "action"
        and r.status is ActivityStatus.SUCCEEDED
        for r in session.records
    )
