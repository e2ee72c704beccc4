"""After the rollbacks: watch until recovery has held, or until the declared time is up.

The samples that allowed an early end are held for the verdict, unless they are many: then the verdict reads
the same window once more.
"""

from __future__ import annotations

import math
from dataclasses import replace

from sloguard.core.events import PhaseStarted
from sloguard.core.judge import judge_slo
from sloguard.core.model import PhaseName
from sloguard.core.series import SloEvidence, Surroundings
from sloguard.engine.alert_sources import other_sources
from sloguard.engine.alert_waiting import looking_on, undecided
from sloguard.engine.evidence import Collected, collecting
from sloguard.engine.holding import Held
from sloguard.engine.loop import Work
from sloguard.engine.queries import Queries
from sloguard.engine.session import Session
from sloguard.ports import Metrics

#: ``hold`` where it is not declared, in steps.
_HOLD_STEPS = 3
#: Between two looks at whether ``after`` may end, at least this, seconds.
_LOOK = 2.0


def watching(session: Session) -> Work[Collected | None]:
    """Set the mark ``end``. Gives the evidence up to it where ``after`` ended early.

    The end is then the time up to which recovery was seen to have held, so that the verdict stands on
    the very evidence that allowed the end.
    """
    restored = session.restored
    if restored is None:
        return None
    until = round(restored + session.experiment.phases.after, 3)
    yield PhaseStarted(restored, PhaseName.AFTER, until)
    metrics, queries = session.ports.metrics, session.queries
    look_at = _earliest(session) if metrics is not None and queries is not None else math.inf
    while (now := session.now()) < until:
        if now >= look_at and metrics is not None and queries is not None:
            end = round(now - queries.delay(session.experiment.slos, session.options), 3)
            collected, held = yield from _settled(session, metrics, queries, end)
            if collected is not None and undecided(session, collected.alerts, end) is None:
                session.end = end
                return None if held.let_go else replace(collected, evidence=held.all())
            look_at = session.now() + _pace(session, queries)
        yield from session.until(lambda: False, min(look_at, until) - session.now())
    session.end = yield from looking_on(session, until)
    return None


def _earliest(session: Session) -> float:
    """When evidence up to ``restored`` + L + hold can be had; never, where that is not an early end."""
    experiment, queries, options = session.experiment, session.queries, session.options
    restored = session.restored
    if queries is None or restored is None or not options.end_early or not experiment.slos:
        return math.inf
    window = experiment.phases.during + experiment.phases.after
    latest = 0.0
    for slo in experiment.slos:
        lookback = queries.lookback(slo, window=window, fault=session.fault).seconds
        if lookback is None:
            return math.inf
        hold = slo.after.hold
        step = queries.step(slo, options)
        latest = max(latest, lookback + (hold if hold is not None else _HOLD_STEPS * step))
    return restored + latest + queries.delay(experiment.slos, options)


def _pace(session: Session, queries: Queries) -> float:
    steps = [queries.step(slo, session.options) for slo in session.experiment.slos]
    return max(_LOOK, *steps)


def _settled(
    session: Session, metrics: Metrics, queries: Queries, end: float
) -> Work[tuple[Collected | None, Held]]:
    """What was read up to ``end``, if every series is judged and recovered there, none dark or idle.

    The first SLO that has not recovered ends the look: nothing more is asked.
    """
    timeline = session.timeline(end)
    held, unsettled = Held(session.options.held_samples), False
    if timeline is None:
        return None, held
    declared = session.experiment.phases.after

    def take(evidence: SloEvidence, surroundings: Surroundings) -> Work[None]:
        nonlocal unsettled
        unsettled = unsettled or not judge_slo(evidence, timeline, surroundings, declared).settled
        held.add(evidence)
        yield from ()

    collected = yield from collecting(
        session.loop,
        session.experiment.slos,
        queries,
        timeline,
        metrics,
        session.options,
        removed=session.removed,
        give_up=lambda: session.stop is not None or unsettled,
        sources=other_sources(session),
        take=take,
    )
    session.check()
    return None if unsettled else collected, held
