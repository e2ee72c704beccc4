"""Looking before breaking. Nothing here touches a target.

Every check is told; all that speak against the run are named together. Later activities may need what
an action of the method has made, so behind such an action a plan that does not fit yet, or a program's
file that is not there yet, is a warning. A driver that is missing never is: a rollback that cannot be
called has to be known before anything is broken.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Sequence

from sloguard.core.events import Event, Note
from sloguard.core.model import Activity, Guard, Slo
from sloguard.core.series import Vector
from sloguard.core.text import format_duration, format_series, format_value
from sloguard.engine.alert_checks import checking_alerts
from sloguard.engine.aliases import refusal, tolerance_provider, unread_credentials
from sloguard.engine.findings import Findings
from sloguard.engine.guard import Unreadable, Values, breaches, shown
from sloguard.engine.injection import fault_of, holder, plan_of
from sloguard.engine.loop import Work
from sloguard.engine.permission import Permission, asking, permitted
from sloguard.engine.queries import Queries, look_up
from sloguard.engine.session import NotStarted, Session, Stopped
from sloguard.faults.base import FaultError, NotNow, Plan
from sloguard.ports import Held, Metrics, MetricsError, OutsideError
from sloguard.providers.result import Refused, one_line

#: A clock that is known less well than this blurs the marks.
_VAGUE_CLOCK = 1.0
#: Further apart, and logs of this machine do not fit the times of a verdict.
_OTHER_CLOCK = 5.0


def preflight(session: Session) -> Work[None]:
    """Raises NotStarted with everything that speaks against the run, Stopped where it is aborted."""
    found = Findings(session)
    experiment, metrics = session.experiment, session.ports.metrics
    if metrics is not None:
        yield from _prometheus(found, metrics)
    elif experiment.slos or experiment.guards:
        yield found.bad(
            "prometheus",
            "the experiment has SLOs or guards, and no Prometheus is configured; give --prometheus URL",
        )
    yield from checking_alerts(found)
    yield from _activities(found)
    permissions = yield from asking(found)
    yield from _faults(found, permissions)
    if found.against:
        raise NotStarted("; ".join(found.against))


def _prometheus(found: Findings, metrics: Metrics) -> Work[None]:
    session, experiment = found.session, found.session.experiment
    if not experiment.slos and not experiment.guards and not experiment.alerts.declared:
        return
    try:
        offset = yield from session.attempt(metrics.clock_offset, "clock offset")
        session.loop.offset = offset.seconds
        queries = yield from session.attempt(
            lambda: look_up(experiment.slos, experiment.guards, metrics), "queries"
        )
    except MetricsError as error:
        yield found.bad("prometheus", str(error))
        return
    session.queries = queries
    text = f"Prometheus's clock is {offset.seconds:+.3f}s from the local one, ±{offset.uncertainty:.3f}s"
    if abs(offset.seconds) > _OTHER_CLOCK:
        text += "; all times are told on Prometheus's"
    odd = offset.uncertainty > _VAGUE_CLOCK or abs(offset.seconds) > _OTHER_CLOCK
    yield (found.odd if odd else found.good)("clock", text)
    for problem in queries.problems:
        yield found.odd("prometheus", problem)
    for slo in experiment.slos:
        yield from _lookback(found, slo, queries)
        yield from _data(found, slo, metrics)
    for guard in experiment.guards:
        yield from _guard(found, guard, metrics, queries)


def _lookback(found: Findings, slo: Slo, queries: Queries) -> Iterator[Event]:
    phases = found.session.experiment.phases
    name = f"slo {slo.name}"
    look = queries.lookback(slo, window=phases.during + phases.after)
    if look.refused:
        yield found.bad(name, look.problem)
    elif look.seconds is None:
        yield found.odd(name, f"it will be inconclusive: {look.problem}")
    elif look.seconds >= phases.during > 0:
        shown = format_duration(look.seconds)
        yield found.odd(
            name,
            f"lookback {shown} is not shorter than the {format_duration(phases.during)} of the fault: "
            "without a breach it will be inconclusive; shorten the range or lengthen phases.during",
        )
    elif look.seconds >= phases.after > 0:
        shown = format_duration(look.seconds)
        yield found.odd(
            name,
            f"lookback {shown} is not shorter than the {format_duration(phases.after)} of after: "
            "it will be inconclusive; shorten the range or lengthen phases.after",
        )


def _data(found: Findings, slo: Slo, metrics: Metrics) -> Work[None]:
    """Each query parses there; the query or total has data, unless Prometheus is too young to tell."""
    session, name = found.session, f"slo {slo.name}"
    now = session.now()
    try:
        answers = yield from session.attempt(
            lambda: {role: metrics.instant(q, now) for role, q in slo.queries.items()}, name
        )
    except MetricsError as error:
        yield found.bad(name, str(error))
        return
    role = "total" if slo.is_pair else "query"
    series = len(answers[role].samples)
    if series:
        yield found.good(name, f"{series} series")
    elif (yield from _young(session, metrics)):
        yield found.odd(name, "no data yet; Prometheus has not been there for long")
    else:
        yield found.bad(name, f"no data: the {role} {slo.queries[role]} answers with no series")


def _young(session: Session, metrics: Metrics) -> Work[bool]:
    """Whether Prometheus has no history as long as ``before``."""
    then = session.now() - max(session.experiment.phases.before, 1.0)
    try:
        past: Vector = yield from session.attempt(lambda: metrics.instant("count(up)", then), "up")
        today: Vector = yield from session.attempt(lambda: metrics.instant("count(up)"), "up")
    except MetricsError:
        return False
    return bool(today.samples) and not past.samples


def _guard(found: Findings, guard: Guard, metrics: Metrics, queries: Queries) -> Work[None]:
    """A guard that is in breach already, or cannot be read, cannot protect anything."""
    session, name = found.session, f"guard {guard.name}"
    now = session.now()
    pair = "total" in guard.queries
    try:
        answers = yield from session.attempt(
            lambda: {role: metrics.instant(q, now) for role, q in guard.queries.items()}, name
        )
        values = Values(pair, queries.guards[guard.name].same_metric).of(answers)
    except (MetricsError, Unreadable) as error:
        yield found.bad(name, f"it cannot be read: {error}")
        return
    bad = breaches(guard.objective, values)
    if bad:
        labels, value = next(iter(bad.items()))
        unit = "%" if pair else guard.objective.unit
        yield found.bad(
            name,
            f"{format_series(guard.name, shown(labels))} is {format_value(value, unit)}, not "
            f"{guard.objective.text}, before anything was broken",
        )
    elif values:
        yield found.good(name, f"{len(values)} series, all {guard.objective.text}")
    else:
        yield found.odd(name, "no value at present, so nothing that could trip it")


def _activities(found: Findings) -> Work[None]:
    """Every provider could be called: modules import, functions exist, arguments fit."""
    session, experiment = found.session, found.session.experiment
    made_before = False
    for activity in (*experiment.probes, *experiment.method, *experiment.rollbacks):
        problem = yield from session.attempt(
            functools.partial(_uncallable, session, activity),
            activity.name,
        )
        if problem:
            later = made_before and _may_be_made(activity)
            say = found.odd if later else found.bad
            yield say(f"{activity.kind} {activity.name}", problem)
        elif activity.runs_as:
            name = f"{activity.kind} {activity.name}"
            yield found.good(name, _stand_in(activity))
            unread = unread_credentials(activity.provider, experiment.secrets)
            if unread:
                yield found.odd(name, _unread(unread))
        if activity.kind == "action" and activity in experiment.method:
            made_before = True


def _unread(names: Sequence[str]) -> str:
    return (
        f"its secrets {', '.join(names)} are for the driver alone: the cluster is reached by sloguard's "
        "settings kubernetes.*, that is by a kubeconfig; with --use-drivers by these"
    )


def _stand_in(activity: Activity) -> str:
    named = f"{activity.provider.get('module')}.{activity.provider.get('func')}"
    return f"{named} runs as {activity.runs_as}"


def _may_be_made(activity: Activity) -> bool:
    """Whether an action before it could make what is missing: a program in a file, but no driver."""
    path = activity.provider.get("path")
    return activity.provider.get("type") == "process" and os.sep in str(path)


def _faults(found: Findings, permissions: Sequence[Permission]) -> Work[None]:
    """What each of sloguard's faults would hit now; and nobody else's run on the same targets."""
    session, experiment = found.session, found.session.experiment
    keys = {f"experiment:{experiment.title}"}
    plans: list[Plan] = []
    session.plans.clear()
    made_before = False
    if any(one.final for one in permissions):
        return
    for activity in experiment.method:
        if activity.kind != "action":
            continue
        name = f"action {activity.name}"
        try:
            plan = yield from session.attempt(functools.partial(_planned, session, activity), name)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001 - a plan that breaks is a reason not to start
            text = (
                str(error)
                if isinstance(error, FaultError | OutsideError)
                else f"{type(error).__name__}: {error}"
            )
            later = made_before and not isinstance(error, NotNow)
            yield (found.odd if later else found.bad)(name, text)
            plan = None
        else:
            made_before = made_before or plan is None
        if plan is not None:
            plans.append(plan)
            session.plans[activity.key] = plan
            keys.update(i.lock for i in plan.injections if i.lock)
            yield found.good(name, _told(plan))
    yield from permitted(found, permissions, plans)
    if found.against:
        return
    yield from _lock(found, keys)


def _lock(found: Findings, keys: set[str]) -> Iterator[Event]:
    session = found.session
    try:
        session.ports.locks.acquire(sorted(keys), holder(session))
    except Held as error:
        yield found.bad("locks", f"another run is on it: {error}")
    except OutsideError as error:
        yield found.bad("locks", f"the locks could not be taken: {error}")
    else:
        yield Note(session.now(), "info", f"seed {session.seed}")


def _planned(session: Session, activity: Activity) -> Plan | None:
    """The plan of a fault of sloguard's; None for any other action. Blocking."""
    try:
        provider = session.provider_of(activity)
    except Refused:
        return None  # told where it was looked whether it can be called
    fault = fault_of(provider)
    if fault is None:
        return None
    return plan_of(session, fault, provider)


def _uncallable(session: Session, activity: Activity) -> str | None:
    """Why an activity could not be called, or a tolerance of it; None where nothing speaks against it."""
    try:
        provider = session.provider_of(activity)
    except Refused as error:
        return one_line(error)
    judging = tolerance_provider(activity)
    problem = refusal(judging, session.drivers) if judging is not None else ""
    return problem or session.ports.check(provider)


def _told(plan: Plan) -> str:
    targets = ", ".join(i.shown for i in plan.injections)
    text = f"{plan.summary}: {targets}" if plan.summary else targets
    if plan.spared:
        text += "; spared: " + ", ".join(f"{name} ({why})" for name, why in plan.spared)
    return text
