"""The method: activities in order, background ones beside them, held open for as long as declared."""

from __future__ import annotations

from sloguard.core.model import ActivityStatus
from sloguard.engine.activities import Activities, journal_run
from sloguard.engine.controls import Controls
from sloguard.engine.loop import Background, Work
from sloguard.engine.session import Session, Stopped


def playing(session: Session, activities: Activities, controls: Controls) -> Work[None]:
    """Carry the method out. Raises Stopped, once every activity has been stopped and recorded.

    As in the Chaos Toolkit, an activity that fails does not keep the next one from being carried out.
    """
    session.method_begun = session.method_hooks_open = True
    if session.watcher is not None:
        session.watcher.start_guarding()
    background = Background()
    try:
        yield from controls.apply("method", "before")
        if not any(a.kind == "action" for a in session.experiment.method):
            yield from session.mark_fault()
        for activity in session.experiment.method:
            work = activities.carry_out(activity, "method")
            if activity.background:
                background.start(work)
                yield from background.pump(Stopped)
            else:
                yield from background.alongside(work, Stopped)
        yield from background.alongside(session.until(lambda: not background.busy), Stopped)
        yield from _hold(session)
    except Stopped:
        # Each background activity sees the same stop, ends its work and is recorded.
        while background.busy:
            yield from background.pump(Stopped)
            if background.busy:
                yield None
        raise
    finally:
        background.close()
    session.method_hooks_open = False
    state = [journal_run(r) for r in session.records if r.section == "method"]
    yield from controls.apply("method", "after", state=state)
    session.method_end = session.now()


def _hold(session: Session) -> Work[None]:
    """Keep the fault for as long as declared. Where no action did anything, there is nothing to keep."""
    if session.fault is None or _all_failed(session):
        return
    until = session.fault + during(session)
    yield from session.pause(until - session.now())


def _all_failed(session: Session) -> bool:
    actions = [r for r in session.records if r.section == "method" and r.activity.kind == "action"]
    return bool(actions) and all(r.status is not ActivityStatus.SUCCEEDED for r in actions)


def during(session: Session) -> float:
    """The least length of ``during``."""
    return session.experiment.phases.during if _asked_for(session, "during") else 0.0


def after(session: Session) -> float:
    """The most length of ``after``."""
    return session.experiment.phases.after if _asked_for(session, "after") else 0.0


def _asked_for(session: Session, phase: str) -> bool:
    """Whether a phase's length counts.

    An experiment without SLOs and guards, as every plain Chaos Toolkit file is, has nothing to be watched
    for; there only the lengths count that it declares itself, not the defaults.
    """
    experiment = session.experiment
    declared = experiment.declared.get("phases")
    named = isinstance(declared, dict) and phase in declared
    return bool(experiment.slos or experiment.guards) or named
