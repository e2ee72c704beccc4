"""A control whose hooks ask for everything that can be asked for, one per module as people write them."""

from __future__ import annotations

import threading
from typing import Any

import compat_functions

_here = threading.local()


def configure_control(
    experiment: Any, configuration: Any, secrets: Any, settings: Any, **given: Any
) -> None:
    _here.configured = True
    compat_functions.calls.append(f"asked with {sorted(experiment)[:2]} {sorted(secrets)}")


def before_activity_control(
    context: Any,
    experiment: Any,
    configuration: Any,
    secrets: Any,
    extensions: Any,
    settings: Any,
    colour: str = "none",
) -> None:
    names = [activity["name"] for activity in experiment["method"]]
    same = any(activity is context for activity in experiment["method"])
    compat_functions.calls.append(
        f"{context['name']} of {names}, live: {same}, {configuration['shade']}, {colour}, "
        f"{sorted(secrets)}, {extensions}, same thread: {getattr(_here, 'configured', False)}"
    )
