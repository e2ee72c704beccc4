"""A plan as people see it before they agree to it, and the hash by which it is known."""

from __future__ import annotations

from typing import Any

from sloguard.core.model import Activity, Json
from sloguard.core.people import digest_of
from sloguard.core.text import format_duration
from sloguard.engine.approved import targets_of
from sloguard.engine.session import Session
from sloguard.engine.undo import by_hand

#: More targets of one action are counted, not named.
_MOST_SHOWN = 50


def shown_plan(session: Session) -> dict[str, Json]:
    """What will happen, for people: ``actions`` (name, kind, does, targets, spared, known: whether what it will
    hit could be told), ``rollbacks``, ``phases``, ``guards``, and ``steady``: the steady state as found. Masked."""
    experiment = session.experiment
    phases = experiment.phases
    shown: dict[str, Json] = session.masker.data(
        {
            "actions": [_action(session, activity) for activity in experiment.method],
            "rollbacks": [activity.name for activity in experiment.rollbacks],
            "phases": {
                "before": format_duration(phases.before),
                "during": format_duration(phases.during),
                "after": format_duration(phases.after),
            },
            "guards": [f"{guard.name} {guard.objective.text}" for guard in experiment.guards],
            "steady": [
                {"name": one.name, "verdict": str(one.verdict), "reason": one.reason}
                for one in session.gate
            ]
            + [
                {"name": one.name, "verdict": str(one.verdict), "reason": one.reason}
                for one in session.probes
            ],
        }
    )
    return shown


def _action(session: Session, activity: Activity) -> dict[str, Any]:
    plan = session.plans.get(activity.key)
    made: dict[str, Any] = {
        "name": activity.name,
        "kind": activity.kind,
        "background": activity.background,
        "does": by_hand(activity.provider),
    }
    if plan is None:
        return made
    targets = [injection.shown for injection in plan.injections]
    return {
        **made,
        "does": plan.summary or made["does"],
        "targets": targets[:_MOST_SHOWN],
        "count": len(targets),
        "spared": [list(pair) for pair in plan.spared[:_MOST_SHOWN]],
    }


def plan_digest(session: Session) -> str:
    """A hash of what will be done and to what: the same as long as neither the experiment nor its targets change."""
    experiment = session.experiment
    activities = (*experiment.method, *experiment.rollbacks)
    phases = experiment.phases
    return digest_of(
        session.masker.data(
            {
                "title": experiment.title,
                "activities": [
                    [a.key, a.name, a.kind, a.background, dict(a.provider)] for a in activities
                ],
                "targets": {key: sorted(targets_of(p)) for key, p in session.plans.items()},
                "configuration": dict(experiment.configuration),
                "phases": [phases.before, phases.during, phases.after],
                "guards": [[g.name, dict(g.queries), g.objective.text] for g in experiment.guards],
            }
        )
    )
