"""A control that keeps actions from being carried out."""

from typing import Any

from chaoslib.types import Dry


def before_activity_control(context: Any, **_: Any) -> None:
    """Mark actions as dry."""
    if context["type"] == "action":
        context["dry"] = Dry.ACTIONS


def after_activity_control(context: Any, **_: Any) -> None:
    """Take the mark away again."""
    context.pop("dry", None)
