"""A control that notes every hook, and does what its arguments say."""

from __future__ import annotations

from typing import Any

import compat_functions
from chaoslib.exceptions import InterruptExecution


def _hook(where: str, context: Any, given: dict[str, Any]) -> None:
    name = context.get("name") or context.get("title")
    label = given.get("label")
    compat_functions.calls.append(f"{where} {name}" + (f" ({label})" if label else ""))
    only = given.get("only")
    if only is not None and name != only:
        return
    if where == given.get("raises"):
        raise ValueError(f"the control fails at {where}")
    if where == given.get("interrupts"):
        raise InterruptExecution(f"the control interrupts at {where}")
    for key, value in (given.get("changes") or {}).items():
        if where == given.get("when", "before activity"):
            _change(context, key.split("."), value)


def _change(holder: Any, way: list[str], value: Any) -> None:
    for step in way[:-1]:
        holder = holder[int(step)] if isinstance(holder, list) else holder[step]
    if isinstance(holder, list):
        holder[int(way[-1])] = value
    else:
        holder[way[-1]] = value


def configure_control(configuration: Any = None, secrets: Any = None, **given: Any) -> None:
    label = given.get("label")
    compat_functions.calls.append(
        f"configure {sorted(configuration or {})}" + (f" ({label})" if label else "")
    )
    if given.get("raises") == "configure":
        raise ValueError("the control fails at configure")
    if given.get("adds"):
        configuration.update(given["adds"])


def cleanup_control() -> None:
    compat_functions.calls.append("cleanup")


def before_experiment_control(context: Any, **given: Any) -> None:
    _hook("before experiment", context, given)


def after_experiment_control(context: Any, state: Any, **given: Any) -> None:
    compat_functions.calls.append(
        f"journal {len(state['run'])} run, {len(state['rollbacks'])} rolled back"
    )
    _hook("after experiment", context, given)


def before_hypothesis_control(context: Any, **given: Any) -> None:
    _hook("before hypothesis", context, given)


def after_hypothesis_control(context: Any, state: Any, **given: Any) -> None:
    compat_functions.calls.append(f"hypothesis met: {state and state['steady_state_met']}")
    _hook("after hypothesis", context, given)


def before_method_control(context: Any, **given: Any) -> None:
    _hook("before method", context, given)


def after_method_control(context: Any, state: Any, **given: Any) -> None:
    compat_functions.calls.append(f"method: {[run['status'] for run in state or []]}")
    _hook("after method", context, given)


def before_rollback_control(context: Any, **given: Any) -> None:
    _hook("before rollback", context, given)


def after_rollback_control(context: Any, state: Any, **given: Any) -> None:
    compat_functions.calls.append(f"rollbacks: {[run['status'] for run in state or []]}")
    _hook("after rollback", context, given)


def before_activity_control(context: Any, **given: Any) -> None:
    _hook("before activity", context, given)


def after_activity_control(context: Any, state: Any, **given: Any) -> None:
    run = state or {}
    compat_functions.calls.append(f"{run.get('status')}: {run.get('output')}")
    _hook("after activity", context, given)
