"""A control that has an activity carried out once more."""

import copy
from typing import Any


def after_activity_control(context: Any, experiment: Any, **_: Any) -> None:
    """Put a copy behind the activity, once."""
    if context["name"] == "act" and "again" not in context:
        more = {**copy.deepcopy(context), "again": True}
        experiment["method"].insert(1, more)
