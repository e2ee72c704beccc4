"""sloguard's own faults in the method: plan, write down, inject; the undo is ``undo``'s."""

from __future__ import annotations

import importlib
import math
import os
import threading
from collections.abc import Mapping
from typing import Any

from sloguard.core.events import FaultPlanned
from sloguard.core.model import Activity, Json
from sloguard.engine.approved import beyond_approval
from sloguard.engine.ledger import Injected
from sloguard.engine.loop import Work
from sloguard.engine.session import STOPPED_WITHIN, Session, Stopped
from sloguard.faults.base import (
    Context,
    Fault,
    FaultError,
    FaultFunction,
    Injection,
    Plan,
    at_once,
)
from sloguard.ports import OutsideError
from sloguard.providers.result import Result, seconds


def fault_of(provider: Mapping[str, Any]) -> Fault | None:
    """The fault behind a python provider; None for anything else, also for what cannot be imported.

    Imports the provider's module, so it is called beside the loop.
    """
    if provider.get("type") != "python":
        return None
    try:
        module = importlib.import_module(str(provider.get("module")))
    except Exception:  # noqa: BLE001 - calling it as any other activity tells what is wrong with it
        return None
    found = getattr(module, str(provider.get("func")), None)
    return found.fault if isinstance(found, FaultFunction) else None


def context_of(session: Session, stop: threading.Event) -> Context:
    """What a fault may use. The same seed at preflight and at injection: the same choice."""
    return Context(
        stop=stop,
        note=lambda text: session.say("info", text),
        seed=session.seed,
        run=session.run,
        cluster=session.ports.clusters,
        silences=session.ports.silences,
        now=session.now,
        folder=os.path.dirname(session.experiment.source),
    )


def lasting(
    session: Session, provider: Mapping[str, Any], fault: Fault, stop: threading.Event
) -> Result:
    """A fault as a declared rollback: what it sets is there to stay, with no record of it anywhere. Blocking."""
    refusal = session.ports.check(provider)
    arguments = provider.get("arguments") or {}
    if refusal or not isinstance(arguments, Mapping):
        return Result(error=refusal or "arguments: expected a mapping of names to values")
    context = context_of(session, stop)
    context.lasting = True
    try:
        return Result(at_once(fault, arguments, context))
    except (FaultError, OutsideError) as error:
        return Result(error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a fault raises, it is not as it was to be
        return Result(error=f"{type(error).__name__}: {error}")


def plan_of(session: Session, fault: Fault, provider: Mapping[str, Any]) -> Plan:
    """Look, touch nothing; raises FaultError. Blocking."""
    arguments = provider.get("arguments") or {}
    if not isinstance(arguments, Mapping):
        raise FaultError(f"{fault.name}: arguments: expected a mapping of names to values")
    plan = fault.plan(arguments, context_of(session, threading.Event()))
    if not plan.injections:
        raise FaultError(f"{fault.name}: there is nothing to inject it into")
    return plan


def injecting(
    session: Session,
    activity: Activity,
    provider: Mapping[str, Any],
    fault: Fault,
    stop: threading.Event,
) -> Work[Result]:
    """Plan afresh, then each injection: durable intent, injection, mark. The first failure ends it."""
    outputs: list[Json] = []
    try:
        plan = yield from session.attempt(lambda: plan_of(session, fault, provider), activity.name)
        yield FaultPlanned(
            session.now(),
            activity.name,
            fault.name,
            tuple(i.shown for i in plan.injections),
            plan.spared,
            plan.summary,
        )
        beyond = beyond_approval(session, activity, plan)
        if beyond:
            return Result(error=beyond)
        locks = sorted({i.lock for i in plan.injections if i.lock})
        session.ports.locks.acquire(locks, holder(session))
        for injection in plan.injections:
            yield from session.pause(injection.delay)
            module = str(provider.get("module") or "")
            made = injection.of or fault
            entry = Injected.planned(session.run, activity.key, made, module, injection)
            entry.stop = stop
            outputs.append((yield from _inject(session, entry, injection, provider)))
    except Stopped:
        raise
    except OutsideError as error:
        return Result(outputs or None, str(error))
    except Exception as error:  # noqa: BLE001 - whatever a fault raises, it was not injected as planned
        text = str(error) if isinstance(error, FaultError) else f"{type(error).__name__}: {error}"
        return Result(outputs or None, text)
    return Result(outputs)


def holder(session: Session) -> str:
    """How a lock's holder is named to others."""
    return f"run {session.run} ({session.experiment.title})"


def _inject(
    session: Session, entry: Injected, injection: Injection, provider: Mapping[str, Any]
) -> Work[Json]:
    ledger, fault = session.ports.ledger, entry.fault()
    context = context_of(session, entry.stop)
    context.save = lambda record: entry.save(ledger, record)
    # Known here before it is written there: from now on nothing ends this run without undoing it.
    session.injected.append(entry)
    try:
        ledger.intend(entry.intent)
    except Exception as error:
        session.injected.remove(entry)
        raise FaultError(f"not injected, as the ledger could not be written: {error}") from error
    began = session.now()
    entry.task = session.begin(
        lambda: fault.inject(injection, context), entry.stop, f"{fault.name} {injection.target}"
    )
    for label, names in injection.removes.items():
        session.removed[label] = session.removed.get(label, frozenset()) | names
    yield from _ended(session, entry, provider)
    output = entry.task.result()
    entry.injected_at = began
    if isinstance(output, Mapping):
        entry.said = session.masker.text(str(output.get("said") or ""))
    session.keep(lambda: ledger.mark(entry.intent.id, "injected"), f"injected {injection.target}")
    yield session.tell(entry.told("injected"))
    return output


def _ended(session: Session, entry: Injected, provider: Mapping[str, Any]) -> Work[None]:
    """Wait for the injection; stop it where the run ends or its own timeout has passed."""
    task, limit = entry.task, seconds(provider)
    if task is None:
        return
    try:
        if (yield from session.until(task.done, math.inf if limit is None else limit)):
            return
    except Stopped:
        entry.stop.set()
        yield from session.until(task.done, STOPPED_WITHIN, stoppable=False)
        raise
    entry.stop.set()
    yield from session.until(task.done, session.options.stop_grace, stoppable=False)
    raise FaultError(f"{entry.intent.fault}: timed out after {limit:g}s")
