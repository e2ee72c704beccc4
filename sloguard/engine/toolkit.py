"""What a run does as ``chaos run`` does it, where that is asked for: its controls for all experiments, its dry
runs, its policy of rollbacks, and the end that it would have come to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sloguard.core.model import (
    Activity,
    ActivityStatus,
    Experiment,
    FaultRecord,
    Outcome,
    PhaseName,
    Verdict,
)
from sloguard.core.outcome import ProbeResult

Status = Literal["completed", "failed", "interrupted"]
Dry = Literal["", "probes", "actions", "activities", "pause"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """``compat``: exit codes and rollbacks are those of ``chaos run``. ``dry``: what is left out of the run.
    ``controls``: those of all experiments; ``settings``: the Chaos Toolkit's, which controls are given."""

    compat: bool = False
    dry: Dry = ""
    controls: tuple[Mapping[str, Any], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def leaves_out(self, activity: Activity) -> bool:
        """Whether a dry run does not carry it out."""
        return self.dry in ("activities", f"{activity.kind}s")


@dataclass(frozen=True, slots=True)
class Ending:
    """How ``chaos run`` would have ended: its journal's ``status`` and ``deviated``."""

    status: Status
    deviated: bool = False

    @property
    def exit_code(self) -> int:
        """0, or 1 for whatever is not a completed run that held."""
        return int(self.deviated or self.status != "completed")


def ending_of(
    before: Sequence[ProbeResult],
    last: Sequence[ProbeResult],
    *,
    refused: bool = False,
    interrupted: bool = False,
    failed_fast: bool = False,
) -> Ending:
    """``before``, ``last``: the probes as they were asked before and after the method, in order.

    ``refused``: the run did not begin for a reason that is not a probe's. As there, the first probe that is
    not met decides: one that failed makes the run ``failed``, one out of tolerance does not.
    """
    if interrupted:
        return Ending("interrupted")
    first = _first_unmet(before)
    if first is not None:
        return Ending(_status(first))
    if refused:
        return Ending("failed")
    first = _first_unmet(last)
    if first is not None:
        return Ending(_status(first), deviated=True)
    return Ending("failed" if failed_fast else "completed")


def _first_unmet(results: Sequence[ProbeResult]) -> ProbeResult | None:
    asked = (r for r in results if r.record.status is not ActivityStatus.SKIPPED)
    return next((r for r in asked if r.verdict is not Verdict.MET), None)


def _status(result: ProbeResult) -> Status:
    return "completed" if result.record.status is ActivityStatus.SUCCEEDED else "failed"


def rollback_strategy(experiment: Experiment) -> str:
    """The declared one; ``always`` where something of sloguard's own may stop the method, which to the Chaos
    Toolkit is an interruption, after which it would roll nothing back."""
    declared = experiment.runtime.get("rollbacks")
    found = declared.get("strategy") if isinstance(declared, Mapping) else None
    strategy = str(found or "default")
    if strategy in ("default", "deviated") and can_stop(experiment):
        return "always"
    return strategy


def can_stop(experiment: Experiment) -> bool:
    """Whether a guard, an alert or an error budget may end the method early."""
    budget = experiment.budget
    spent = budget is not None and bool(budget.guards)
    return bool(experiment.guards or experiment.alerts.abort_on) or spent


def rolls_back(strategy: str, ending: Ending) -> bool:
    """Whether the declared rollbacks are carried out, as in the Chaos Toolkit."""
    if strategy == "deviated":
        return ending.deviated
    if strategy == "default":
        return ending.status not in ("failed", "interrupted")
    return strategy == "always"


def not_rolled_back(rollbacks: Sequence[Activity], strategy: str) -> FaultRecord:
    """What is left behind where the policy says no."""
    names = ", ".join(activity.name for activity in rollbacks)
    return FaultRecord(
        id="rollbacks",
        fault="the method",
        target="what its actions have changed",
        status="left",
        detail=f"the rollbacks ({names}) were not carried out: the strategy is '{strategy}'",
        by_hand="carry these rollbacks out by hand, or run with --rollback-strategy always next time",
    )


def exit_as_there(
    experiment: Experiment, ending: Ending, outcome: Outcome, faults: Sequence[FaultRecord]
) -> dict[str, Any]:
    """JSON of the end that a run with ``--compat`` comes to: ``exit_code`` and why."""
    left = [f for f in faults if f.status == "left" and f.fault not in ("rollback", "the method")]
    if left:
        code, why = 1, f"{left[0].fault} on {left[0].target} could not be undone"
    elif judged(experiment):
        code = int(outcome is not Outcome.MET)
        why = f"there is more to judge than probes, and the verdict is {outcome}"
    else:
        code = ending.exit_code
        why = f"chaos run would say {'deviated' if ending.deviated else ending.status}"
    return {"exit_code": code, "status": ending.status, "deviated": ending.deviated, "why": why}


def judged(experiment: Experiment) -> bool:
    """Whether there is anything to judge that the Chaos Toolkit knows nothing of."""
    other = experiment.guards or experiment.alerts.declared or experiment.budget is not None
    return bool(experiment.slos or other)


def of_phase(results: Sequence[ProbeResult], phase: PhaseName) -> list[ProbeResult]:
    """The results of one phase, in the order in which they were asked."""
    return [result for result in results if result.phase is phase]
