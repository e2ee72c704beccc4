"""A control of the settings: it notes what it is given of them."""

from __future__ import annotations

from typing import Any

import compat_functions


def configure_control(settings: Any, configuration: Any) -> None:
    compat_functions.calls.append(f"configured with {sorted(settings)} {sorted(configuration)}")


def before_experiment_control(context: Any, settings: Any, experiment: Any) -> None:
    compat_functions.calls.append(
        f"{settings['anything']} {experiment['title'] == context['title']}"
    )


def after_activity_control(context: Any, state: Any) -> None:
    compat_functions.calls.append(f"after {context['name']}: {state['status']}")
