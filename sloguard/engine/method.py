"""The method: activities in order, background ones beside them, held open for as long as declared."""

from __future__ import annotations

from sloguard.core.model import ActivityStatus, PhaseName
from sloguard.engine.activities import Activities, journal_run
from sloguard.engine.controls import Controls
from sloguard.engine.loop import Background, Work
from sloguard.engine.session import Session, Stopped
from sloguard.engine.stepping import Stepping
from sloguard.engine.strategy import asking, asking_at_the_end, asks


def playing(session: Session, activities: Activities, controls: Controls) -> Work[None]:
    """Carry the method out. Raises Stopped, once every activity has been stopped and recorded.

    As in the Chaos Toolkit, an activity that fails does not keep the next one from being carried out.
    """
    session.method_begun = session.method_hooks_open = True
    if session.watcher is not None:
        session.watcher.start_guarding()
    if session.alert_watch is not None:
        session.alert_watch.start_guarding()
    background, probing = Background(), Background()
    over: list[bool] = []
    if session.experiment.probes and asks(session.experiment, PhaseName.DURING):
        probing.start(asking(session, activities, controls, lambda: bool(over)))
    try:
        yield from controls.apply("method", "before")
        yield from probing.alongside(_activities(session, activities, background), Stopped)
        over.append(True)
        yield from probing.alongside(session.until(lambda: not probing.busy), Stopped)
    except Stopped:
        # Each of these sees the same stop, ends its work and is recorded.
        for others in (background, probing):
            yield from others.alongside(_none_busy(others), Stopped)
        raise
    finally:
        background.close()
        probing.close()
    session.method_hooks_open = False
    state = [journal_run(r) for r in session.records if r.section == "method"]
    yield from controls.apply("method", "after", state=state)
    yield from asking_at_the_end(session, activities, controls)
    session.method_end = session.now()


def _activities(session: Session, activities: Activities, background: Background) -> Work[None]:
    if not any(a.kind == "action" for a in session.experiment.method):
        yield from session.mark_fault()
    stepping = Stepping(session)
    for activity in session.experiment.method:
        skipped = yield from background.alongside(stepping.before(activity), Stopped)
        if skipped is not None:
            yield from activities.skip(activity, "method", skipped)
            continue
        work = activities.carry_out(activity, "method")
        if activity.background:
            background.start(work)
            yield from background.pump(Stopped)
        else:
            yield from background.alongside(work, Stopped)
    yield from background.alongside(session.until(lambda: not background.busy), Stopped)
    yield from _hold(session)
    yield from stepping.before_undoing()


def _none_busy(others: Background) -> Work[None]:
    while others.busy:
        yield None


def _hold(session: Session) -> Work[None]:
    """Keep the fault for as long as declared. Where no action did anything, there is nothing to keep."""
    if session.fault is None or _all_failed(session):
        return
    until = session.fault + session.experiment.phases.during
    yield from session.pause(until - session.now())


def _all_failed(session: Session) -> bool:
    actions = [r for r in session.records if r.section == "method" and r.activity.kind == "action"]
    return bool(actions) and all(r.status is not ActivityStatus.SUCCEEDED for r in actions)
