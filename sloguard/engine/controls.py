"""Chaos Toolkit's python controls: hooks before and after the experiment, hypothesis, method, rollbacks
and each activity.

A control is a module with functions of agreed names. It gets ``context``, its own arguments, and what
else its signature asks for. What a control raises is noted and ends nothing, but for the Chaos
Toolkit's ``InterruptExecution``, known by its name, which ends the run.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from sloguard.core.masking import Masker
from sloguard.core.model import Activity
from sloguard.engine.hooks import HookThread
from sloguard.engine.live import Live
from sloguard.engine.loop import Work
from sloguard.engine.session import NotStarted, Session, Stopped
from sloguard.providers.python import import_module
from sloguard.providers.result import Refused, interrupts
from sloguard.spec.substitution import substitute

log = logging.getLogger(__name__)

Level = Literal["experiment", "hypothesis", "method", "rollback", "activity"]
Scope = Literal["before", "after"]
Declared = Mapping[str, Any]


class Controls:
    """The controls of one run. Hooks run one after another, beside the loop, within a deadline."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._live = Live(session.experiment)
        self._document = self._live.document
        self._everywhere = list(session.options.toolkit.controls)
        self._top = [*self._everywhere, *session.experiment.controls]
        self._missing: set[str] = set()
        self._open = True
        self._thread = HookThread()

    def current(self, activity: Activity) -> Activity:
        """The activity as the controls have left it."""
        return self._live.current(activity)

    def left_out(self, activity: Activity) -> str:
        """Why it is not carried out; empty where it is."""
        if self._session.options.toolkit.leaves_out(activity):
            return "left out of this dry run"
        return "a control took it out of the run" if self._live.taken_out(activity) else ""

    def configure(self) -> Work[None]:
        """Call every control's ``configure_control``, once per name."""
        controls = self._all()
        if controls:
            yield from self._run(
                "configuring the controls",
                lambda: self._configure(controls),
                stoppable=True,
            )

    def cleanup(self) -> Work[None]:
        """Call every control's ``cleanup_control``, once per name."""
        controls = self._all()
        if controls:
            yield from self._run(
                "cleaning up the controls",
                lambda: self._clean(controls),
                stoppable=False,
            )
            self._thread.close()

    def apply(
        self,
        level: Level,
        scope: Scope,
        *,
        activity: Activity | None = None,
        state: Any = None,
        stoppable: bool = True,
    ) -> Work[None]:
        """Call the hooks of one place. Raises Stopped where one interrupts a run that can be stopped."""
        controls = [c for c in self._at(level, activity) if c.get("scope") in (None, scope)]
        if not controls:
            return
        context = self._context(level, activity)
        name = f"{scope}_{level}_control"
        self._open = level != "experiment"
        yield from self._run(
            f"the {scope}-{level} controls",
            lambda: self._apply(controls, name, context, state),
            stoppable=stoppable,
        )

    # Which.

    def _at(self, level: Level, activity: Activity | None) -> list[Declared]:
        """The automatic ones of the experiment, then the place's own; a name is never doubled."""
        if level == "experiment":
            return list(self._top)
        own_top = self._session.experiment.controls
        automatic = [*(c for c in own_top if c.get("automatic", True)), *self._everywhere]
        if level in ("method", "rollback"):
            return automatic
        declared = list(activity.controls) if activity else self._of_hypothesis()
        own = [c for c in declared if "provider" in c]
        own += [found for c in declared if (found := self._followed(c)) is not None]
        names = {c.get("name") for c in own}
        return [c for c in automatic if c.get("name") not in names] + own

    def _followed(self, control: Declared) -> Declared | None:
        if "ref" not in control:
            return None
        return next((c for c in self._top if c.get("name") == control["ref"]), None)

    def _of_hypothesis(self) -> list[Declared]:
        hypothesis = self._session.experiment.declared.get("steady-state-hypothesis") or {}
        return list(hypothesis.get("controls") or [])

    def _all(self) -> list[Declared]:
        experiment = self._session.experiment
        activities = (*experiment.probes, *experiment.method, *experiment.rollbacks)
        found = [*self._top, *self._of_hypothesis(), *(c for a in activities for c in a.controls)]
        named = {c["name"]: c for c in reversed(found) if "provider" in c and c.get("name")}
        return list(reversed(named.values()))

    def _context(self, level: Level, activity: Activity | None) -> dict[str, Any]:
        if activity is not None:
            return self._live.entry(activity)
        if level == "hypothesis":
            found: dict[str, Any] = self._document.get("steady-state-hypothesis") or {}
            return found
        return self._document

    # How. Everything below runs beside the loop.

    def _run(self, what: str, work: Any, *, stoppable: bool) -> Work[None]:
        session = self._session
        thread = self._thread
        task = session.loop.submit(lambda: thread.do(work), what)
        timeout = session.options.control_timeout
        try:
            in_time = yield from session.until(task.done, timeout, stoppable=stoppable)
        finally:
            if not task.done():
                # Whatever hangs there keeps its thread; the other hooks get a new one.
                thread.close()
                self._thread = HookThread()
        if not in_time:
            session.say("warning", f"{what} took longer than {timeout:g}s and were left behind")
            return
        self._take_over()
        try:
            task.result()
        except Exception as error:
            if not interrupts(error):
                raise
            reason = f"a control interrupted the run: {error}"
            if not stoppable:
                session.say("warning", f"{reason}; too late, the run is being undone")
                # After the experiment nothing is left to be interrupted.
                session.interrupted_late |= self._open
                return
            session.ask(reason)
            raise Stopped(reason) from error

    def _take_over(self) -> None:
        """A control may have changed the experiment, and have found secrets."""
        session = self._session
        session.masker = Masker.of(session.experiment.secrets)
        for text in self._live.news():
            session.say("warning", text)

    def _apply(
        self, controls: Sequence[Declared], name: str, context: dict[str, Any], state: Any
    ) -> None:
        for control in controls:
            self._guarded(
                control,
                name,
                lambda function, control=control: function(
                    context=context, **self._arguments(function, control, state=state)
                ),
            )

    def _configure(self, controls: Sequence[Declared]) -> None:
        for control in controls:
            self._look_for(control)
            self._guarded(
                control,
                "configure_control",
                # Here they are given as they are written, in the Chaos Toolkit too.
                lambda function, control=control: function(
                    **self._arguments(function, control, filled=False)
                ),
            )

    def _clean(self, controls: Sequence[Declared]) -> None:
        for control in controls:
            self._guarded(control, "cleanup_control", lambda function: function())

    def _look_for(self, control: Declared) -> None:
        """One that is not there is told once, and not called. Raises NotStarted for one that does not fit."""
        provider, name = control.get("provider") or {}, str(control.get("name"))
        if provider.get("type") != "python":
            return
        try:
            module = import_module(provider.get("module"))
        except Refused as error:
            self._missing.add(name)
            log.debug("control %s cannot be imported", name, exc_info=True)
            self._session.say("warning", f"control {name} is not called: {error}")
            return
        fits = getattr(module, "validate_control", None)
        if fits is None:
            return
        try:
            fits(copy.deepcopy(dict(control)))
        except BaseException as error:
            text = self._session.masker.text(
                f"control {name}: {str(error) or type(error).__name__}"
            )
            raise NotStarted(text) from error

    def _guarded(self, control: Declared, name: str, call: Any) -> None:
        """Call a hook if the control has it; note what it raises."""
        provider = control.get("provider") or {}
        if provider.get("type") != "python" or control.get("name") in self._missing:
            return
        try:
            function = getattr(import_module(provider.get("module")), name, None)
            if function is not None:
                call(function)
        except BaseException as error:  # a control's code may do anything, SystemExit included
            if interrupts(error) and name != "cleanup_control":
                raise
            log.debug("control %s: %s failed", control.get("name"), name, exc_info=True)
            self._session.say(
                "warning",
                f"control {control.get('name')}: {name} failed: {type(error).__name__}: {error}",
            )

    def _arguments(
        self, function: Any, control: Declared, *, filled: bool = True, **more: Any
    ) -> dict[str, Any]:
        """The control's own arguments, and of the run what the hook's signature names."""
        session, experiment = self._session, self._session.experiment
        given = copy.deepcopy(dict(control["provider"].get("arguments") or {}))
        values = (experiment.configuration, experiment.secrets) if filled else ({}, {})
        arguments = dict(substitute(given, *values))
        offered = {
            "secrets": experiment.secrets,
            "configuration": experiment.configuration,
            "experiment": self._document,
            "extensions": self._document.get("extensions"),
            "settings": copy.deepcopy(dict(session.options.toolkit.settings)),
            "event_registry": None,
            **more,
        }
        names = inspect.signature(function).parameters
        arguments.update({k: v for k, v in offered.items() if k in names})
        return arguments
