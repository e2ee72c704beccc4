"""How long a run can take at most, so that whoever carries it out may end what hangs, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sloguard.core.model import Activity, Experiment
from sloguard.engine.options import Options

#: An activity that says of itself how long it may take has a number under one of these names.
_NAMED = ("timeout", "duration", "seconds", "wait", "patience")
#: One that says nothing, seconds.
UNKNOWN_SECONDS = 3600.0
#: What sloguard's own functions take at most beside the time that they are given: looking, waiting for what they did.
_OWN_SECONDS = 300.0
#: Beginning, reading, looking before, the last samples, judging, and writing it down while the store is away.
MARGIN_SECONDS = 1800.0
#: Of a job that breaks nothing: a window is judged, or a run once more.
JUDGING_SECONDS = 3600.0


def longest(experiment: Experiment, options: Options) -> float:
    """Seconds from the start of a run's process to its end, undoing included; generous."""
    phases = experiment.phases
    method = _together(experiment.method)
    undo = max(options.undo_patience, options.undo_attempts * options.undo_timeout)
    rollbacks = options.rollback_attempts * options.rollback_timeout * len(experiment.rollbacks)
    probes = 2 * _together(experiment.probes)
    # The settings can want one too, whatever the experiment says.
    approval = options.approval_within
    if experiment.approval is not None:
        approval = max(approval, experiment.approval.within or 0.0)
    return (
        approval
        + phases.before
        + max(phases.during, method)
        + phases.after
        + probes
        + undo * max(len(experiment.method), 1)
        + rollbacks
        + options.metrics_patience
        + MARGIN_SECONDS
    )


def _together(activities: Sequence[Activity]) -> float:
    """One after the other; what runs in the background is waited for too."""
    return sum(
        _seconds(activity.pause_before) + _of(activity) + _seconds(activity.pause_after)
        for activity in activities
    )


def _of(activity: Activity) -> float:
    provider = activity.provider
    given = provider.get("arguments")
    arguments: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    found = [_number(place.get(name)) for place in (provider, arguments) for name in _NAMED]
    named = [seconds for seconds in found if seconds is not None]
    own = str(provider.get("module", "")).startswith(("sloguard.faults", "sloguard.probes"))
    if own or activity.runs_as:
        return sum(named) + _OWN_SECONDS
    return max(named, default=UNKNOWN_SECONDS)


def _number(value: Any) -> float | None:
    """As experiments write lengths: ``30``, ``30s``, ``5m``; None for what is none, or not known yet."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and value[:-1].replace(".", "", 1).isdigit():
        scale = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(value[-1])
        return None if scale is None else float(value[:-1]) * scale
    return None


def _seconds(value: float | str) -> float:
    found = _number(value)
    return UNKNOWN_SECONDS if found is None else found
