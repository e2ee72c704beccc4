"""One activity, from its controls and pauses to its record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from sloguard.core.events import ActivityEnded, ActivityStarted, Section
from sloguard.core.model import Activity, ActivityRecord, ActivityStatus, Json, PhaseName
from sloguard.core.objective import ObjectiveError, parse_duration
from sloguard.core.text import iso_time
from sloguard.engine.controls import Controls
from sloguard.engine.injection import fault_of, injecting, lasting
from sloguard.engine.loop import Work
from sloguard.engine.session import STOPPED_WITHIN, Session, Stopped
from sloguard.host.marks import ACTIVITY, RUN
from sloguard.providers.calls import failed_action
from sloguard.providers.result import Refused, Result, one_line, seconds, timed_out
from sloguard.spec.substitution import substitute

#: Whether an output is within a tolerance. Called beside the loop.
Hold = Callable[[Json], bool]


class Activities:
    """Carries activities out for one run."""

    def __init__(self, session: Session, controls: Controls) -> None:
        self._session, self._controls = session, controls

    def current(self, activity: Activity) -> Activity:
        """The activity as the controls have left it."""
        return self._controls.current(activity)

    def carry_out(
        self,
        activity: Activity,
        section: Section,
        *,
        phase: PhaseName | None = None,
        stoppable: bool = True,
        timeout: float | None = None,
        hold: Hold | None = None,
    ) -> Work[ActivityRecord]:
        """Controls, pause, the activity itself, pause, controls; its record is kept before it is told.

        ``hold`` says whether an output is within its tolerance. ``timeout`` ends the activity itself. Raises Stopped where ``stoppable`` and the run has to end;
        an activity under way has then been stopped and recorded as aborted.
        """
        session, controls = self._session, self._controls
        yield from controls.apply("activity", "before", activity=activity, stoppable=stoppable)
        out = controls.left_out(activity)
        activity = controls.current(activity)
        if not out:
            yield from self._pause(activity, activity.pause_before, stoppable=stoppable)
        if section == "method" and activity.kind == "action":
            yield from session.mark_fault()
        if out:
            record = yield from self._left_out(activity, section, phase, out)
        else:
            record = yield from self._performed(activity, section, phase, stoppable, timeout, hold)
            yield from self._pause(activity, activity.pause_after, stoppable=stoppable)
        yield from controls.apply(
            "activity", "after", activity=activity, state=journal_run(record), stoppable=stoppable
        )
        return record

    def _pause(self, activity: Activity, declared: Json, *, stoppable: bool) -> Work[None]:
        experiment = self._session.experiment
        if self._session.options.toolkit.dry == "pause":
            return
        try:
            value = substitute(declared, experiment.configuration, experiment.secrets)
            seconds = parse_duration(value or 0)
        except ObjectiveError as error:
            self._session.say("warning", f"{activity.name}: its pause was left out: {error}")
            return
        yield from self._session.pause(seconds, stoppable=stoppable)

    def _performed(
        self,
        activity: Activity,
        section: Section,
        phase: PhaseName | None,
        stoppable: bool,
        timeout: float | None,
        hold: Hold | None,
    ) -> Work[ActivityRecord]:
        session, stop = self._session, threading.Event()
        start, at = session.now(), phase or session.phase
        stopped: Stopped | None = None
        met: bool | None = None
        result: Result
        refused = self._begin(activity, section)
        try:
            yield ActivityStarted(start, activity, section, at)
            if refused:
                result = Result(error=refused)
            else:
                result = yield from self._result(activity, section, stop, stoppable, timeout)
                if hold is not None and result.error is None:
                    output = result.output
                    met = yield from session.attempt(lambda: hold(output), activity.name)
        except Stopped as error:
            stopped, result = error, Result(error=f"stopped: {error}", aborted=True)
        finally:
            # Whoever closes this generator half-way must not leave the activity going on.
            stop.set()
        record = self._recorded(activity, section, at, start, result, met)
        yield ActivityEnded(record.end, record)
        if result.interrupts or (result.leaves and session.options.toolkit.compat):
            stopped = self._interrupted(activity, result, stoppable=stoppable) or stopped
        if stopped is not None:
            raise stopped
        return record

    def _interrupted(
        self, activity: Activity, result: Result, *, stoppable: bool
    ) -> Stopped | None:
        """A function has asked the whole run to end, as functions of the Chaos Toolkit may from 1.45 on."""
        session = self._session
        reason = session.masker.text(f"{activity.name} interrupted the run: {result.error}")
        if not stoppable:
            session.say("warning", f"{reason}; too late, the run is being undone")
            return None
        session.ask(reason)
        return Stopped(reason)

    def skip(self, activity: Activity, section: Section, why: str) -> Work[ActivityRecord]:
        """Record that it was not carried out, and why."""
        return (yield from self._left_out(activity, section, None, why))

    def _left_out(
        self,
        activity: Activity,
        section: Section,
        phase: PhaseName | None,
        why: str,
    ) -> Work[ActivityRecord]:
        """The record of what is taken out of the run."""
        session, now = self._session, self._session.now()
        at = phase or session.phase
        record = ActivityRecord(
            activity=activity,
            section=section,
            status=ActivityStatus.SKIPPED,
            start=now,
            end=now,
            error=why,
            phase=at,
        )
        session.records.append(record)
        yield ActivityStarted(now, activity, section, at)
        yield ActivityEnded(now, record)
        return record

    def _begin(self, activity: Activity, section: Section) -> str:
        """Write down that it begins. What cannot be written down is not begun, unless it is an undo."""
        session = self._session
        if section not in ("method", "rollbacks"):
            return ""
        kept = session.keep(
            lambda: session.ports.ledger.begin(session.run, activity.key), activity.name
        )
        return "" if kept or section == "rollbacks" else "the ledger could not be written"

    def _result(
        self,
        activity: Activity,
        section: Section,
        stop: threading.Event,
        stoppable: bool,
        timeout: float | None,
    ) -> Work[Result]:
        session, experiment = self._session, self._session.experiment
        try:
            provider = session.provider_of(activity)
        except Refused as error:
            return Result(error=one_line(error))
        if section == "method":
            found = yield from session.attempt(lambda: fault_of(provider), activity.name)
            if found is not None:
                return (yield from injecting(session, activity, provider, found, stop))
        environment = {**experiment.environment, RUN: session.run, ACTIVITY: activity.key}
        limit = float("inf") if timeout is None else timeout
        if section == "rollbacks" and str(provider.get("module")).startswith("sloguard.faults."):
            try:
                limit = min(limit, seconds(provider) or limit)
            except Refused as error:
                return Result(error=one_line(error))

        def work() -> Result:
            # Its module is imported here, so that one that hangs is given up in time.
            fault = fault_of(provider) if section == "rollbacks" else None
            if fault is not None:
                return lasting(session, provider, fault, stop)
            return session.ports.call(
                provider,
                configuration=experiment.configuration,
                secrets=experiment.secrets,
                stop=stop,
                environment=environment,
            )

        task = session.begin(work, stop, activity.name)
        try:
            in_time = yield from session.until(task.done, limit, stoppable=stoppable)
        except Stopped:
            stop.set()
            yield from session.until(task.done, STOPPED_WITHIN, stoppable=False)
            raise
        if not in_time:
            stop.set()
            yield from session.until(task.done, session.options.stop_grace, stoppable=False)
            return timed_out(limit)
        try:
            return task.result()
        except Exception as error:  # noqa: BLE001 - a call that breaks is an activity that failed
            return Result(error=f"{type(error).__name__}: {error}")

    def _recorded(
        self,
        activity: Activity,
        section: Section,
        phase: PhaseName,
        start: float,
        result: Result,
        met: bool | None,
    ) -> ActivityRecord:
        session = self._session
        status, error = ActivityStatus.SUCCEEDED, result.error
        if error is None and activity.kind == "action":
            error = failed_action(activity.provider, result.output)
        if error is not None:
            status = ActivityStatus.ABORTED if result.aborted else ActivityStatus.FAILED
        if section in ("method", "rollbacks"):
            session.keep(
                lambda: session.ports.ledger.finish(session.run, activity.key, str(status)),
                activity.name,
            )
        record = ActivityRecord(
            activity=activity,
            section=section,
            status=status,
            start=start,
            end=session.now(),
            output=session.masker.data(result.output),
            error=None if error is None else session.masker.text(error),
            tolerance_met=met,
            unreachable=result.unreachable,
            phase=phase,
        )
        session.records.append(record)
        return record


def journal_run(record: ActivityRecord) -> dict[str, Any]:
    """A record as the Chaos Toolkit hands it to controls."""
    declared: Mapping[str, Any] = record.activity.declared
    made: dict[str, Any] = {
        "activity": dict(declared),
        "output": record.output,
        "status": str(record.status),
        "start": iso_time(record.start),
        "end": iso_time(record.end),
        "duration": round(record.end - record.start, 3),
    }
    if record.error is not None:
        made["exception"] = [record.error]
    if record.tolerance_met is not None:
        made["tolerance_met"] = record.tolerance_met
    elif record.section == "hypothesis" and record.status is not ActivityStatus.SUCCEEDED:
        made["tolerance_met"] = False
    return made
