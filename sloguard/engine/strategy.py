"""The Chaos Toolkit's hypothesis strategies: when the probes are asked, and which phases there are.

Under a fault SLOs are watched anyhow; ``before-method-only`` and its kin say which of ``before`` and
``after`` there is at all. ``skip`` leaves nothing to be judged, and so proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sloguard.core.model import ActivityStatus, Experiment, PhaseName, Phases, Verdict
from sloguard.core.objective import parse_duration
from sloguard.core.outcome import ProbeResult
from sloguard.engine.activities import Activities
from sloguard.engine.controls import Controls
from sloguard.engine.gate import asking_all, hypothesis
from sloguard.engine.loop import Work
from sloguard.engine.session import Session, Stop, Stopped

#: How long the probes rest under a fault where the experiment does not say, seconds, as in the Chaos Toolkit.
FREQUENCY = 1.0

_BEFORE = {"default", "before-method-only", "continuously"}
_DURING = {"during-method-only", "continuously"}
_AFTER = {"default", "after-method-only", "continuously"}


def strategy_of(experiment: Experiment) -> str:
    """The declared strategy, ``default`` if there is none."""
    found = _declared(experiment).get("strategy")
    # The Chaos Toolkit takes its own old misspelling to this day.
    return {"continously": "continuously", None: "default"}.get(found, str(found))


def frequency_of(experiment: Experiment) -> float:
    """The rest between two looks under a fault, seconds."""
    found = _declared(experiment).get("frequency")
    return FREQUENCY if found is None else parse_duration(found)


def fails_fast(experiment: Experiment) -> bool:
    """Whether the first look that is not met under a fault ends the method."""
    return _declared(experiment).get("fail_fast") is True


def _declared(experiment: Experiment) -> Mapping[str, Any]:
    found = experiment.runtime.get("hypothesis")
    return found if isinstance(found, Mapping) else {}


def asks(experiment: Experiment, phase: PhaseName) -> bool:
    """Whether the probes are asked in a phase."""
    phases = {PhaseName.BEFORE: _BEFORE, PhaseName.DURING: _DURING, PhaseName.AFTER: _AFTER}
    return strategy_of(experiment) in phases[phase]


def as_asked(experiment: Experiment) -> Experiment:
    """The experiment with the phases that there are; one that is not there has length 0.

    Not there is what the strategy leaves out. And an experiment without SLOs and guards, as every plain
    Chaos Toolkit file is, has nothing to be watched for: there only the lengths count that it declares
    itself, not the defaults.
    """
    strategy = strategy_of(experiment)
    if strategy == "skip":
        experiment = replace(experiment, slos=(), probes=())
    phases = experiment.phases
    watched = bool(experiment.slos or experiment.guards)
    declared = experiment.declared.get("phases")
    named = set(declared) if isinstance(declared, Mapping) else set()
    return replace(
        experiment,
        phases=Phases(
            before=phases.before if strategy in _BEFORE else 0.0,
            during=phases.during if watched or "during" in named else 0.0,
            after=phases.after if strategy in _AFTER and (watched or "after" in named) else 0.0,
        ),
    )


def asking(
    session: Session, activities: Activities, controls: Controls, over: Callable[[], bool]
) -> Work[None]:
    """Ask the probes again and again under the fault. Of each probe the first that is not met counts."""
    found: dict[str, ProbeResult] = {}
    fast = fails_fast(session.experiment)

    def keep(result: ProbeResult) -> None:
        # One that was stopped with the run says nothing about the target.
        if result.record.status is ActivityStatus.ABORTED:
            return
        key = result.record.activity.key
        known = found.get(key)
        if known is None or known.verdict is Verdict.MET:
            found[key] = result
        others = [p for p in session.probes if p.phase is not PhaseName.DURING]
        session.probes[:] = [*others, *found.values()]
        asked = result.record.status is not ActivityStatus.SKIPPED
        if fast and asked and result.verdict is not Verdict.MET and session.stop is None:
            session.failed_fast = True
            session.stop = Stop("guard", f"fail-fast: {result.name}: {result.reason}")

    while not over():
        yield from asking_all(session, activities, controls, PhaseName.DURING, keep)
        yield from session.until(over, frequency_of(session.experiment))


def asking_at_the_end(session: Session, activities: Activities, controls: Controls) -> Work[None]:
    """Ask the probes once more when the method is over and the fault still there.

    That is when the Chaos Toolkit asks for the last time: what the rollbacks mend is no excuse. Where
    nothing will be undone and nothing waited for, asking ``after`` asks the same, and this is left out.
    """
    experiment, compat = session.experiment, session.options.toolkit.compat
    undone = bool(experiment.rollbacks) or any(not entry.over for entry in session.injected)
    if not asks(experiment, PhaseName.AFTER):
        return
    if not (undone or experiment.phases.after > 0 or compat):
        return
    earlier = {r.record.activity.key: r for r in session.probes if r.phase is PhaseName.DURING}
    others = [r for r in session.probes if r.phase is not PhaseName.DURING]
    if compat:
        # The last look, and so the Chaos Toolkit's ``after``.
        session.asked_last = yield from hypothesis(session, activities, controls, PhaseName.AFTER)
        return
    session.asked_last = yield from hypothesis(session, activities, controls, PhaseName.DURING)
    for result in session.asked_last:
        known = earlier.get(result.record.activity.key)
        if known is None or known.verdict is Verdict.MET:
            earlier[result.record.activity.key] = result
    session.probes[:] = [*others, *earlier.values()]


def asking_after_failing_fast(
    session: Session, activities: Activities, controls: Controls
) -> Work[None]:
    """To the Chaos Toolkit a look that failed fast ends the method, and no more than that."""
    if not (session.failed_fast and session.options.toolkit.compat):
        return
    failed = session.set_aside()
    try:
        yield from asking_at_the_end(session, activities, controls)
    except Stopped:
        session.failed_fast = False
    finally:
        session.take_up(failed)
