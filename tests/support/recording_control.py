"""A control of the Chaos Toolkit's kind that writes down how it was called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: (hook, name of the context, state, what else it was given)
calls: list[tuple[str, Any, Any, dict[str, Any]]] = []
#: hook -> what it raises.
raises: dict[str, BaseException] = {}
#: hook -> what it does first.
before: dict[str, Callable[[], object]] = {}


class InterruptExecution(Exception):
    """Known by its name."""


def _noted(hook: str, context: Any = None, state: Any = None, **given: Any) -> None:
    name = None
    if isinstance(context, dict):
        name = context.get("name") or context.get("title")
    calls.append((hook, name, state, given))
    if hook in before:
        before[hook]()
    if hook in raises:
        raise raises[hook]


def configure_control(experiment: Any, configuration: Any, secrets: Any, colour: str = "") -> None:
    _noted("configure", experiment, configuration=configuration, secrets=secrets, colour=colour)


def cleanup_control() -> None:
    _noted("cleanup")


def before_experiment_control(context: Any, configuration: Any, **kwargs: Any) -> None:
    _noted("before_experiment", context, configuration=configuration, kwargs=kwargs)


def after_experiment_control(context: Any, state: Any, **kwargs: Any) -> None:
    _noted("after_experiment", context, state)


def before_hypothesis_control(context: Any, **kwargs: Any) -> None:
    _noted("before_hypothesis", context)


def after_hypothesis_control(context: Any, state: Any, **kwargs: Any) -> None:
    _noted("after_hypothesis", context, state)


def before_method_control(context: Any, experiment: Any, **kwargs: Any) -> None:
    _noted("before_method", context, experiment=experiment)


def after_method_control(context: Any, state: Any, **kwargs: Any) -> None:
    _noted("after_method", context, state)


def before_rollback_control(context: Any, **kwargs: Any) -> None:
    _noted("before_rollback", context)


def after_rollback_control(context: Any, state: Any, **kwargs: Any) -> None:
    _noted("after_rollback", context, state)


def before_activity_control(context: Any, secrets: Any, **kwargs: Any) -> None:
    _noted("before_activity", context, secrets=secrets)


def after_activity_control(context: Any, state: Any, **kwargs: Any) -> None:
    _noted("after_activity", context, state)
