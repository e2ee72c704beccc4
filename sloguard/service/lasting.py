"""How long a run can take at most, so that whoever carries it out may end what hangs, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sloguard.core.model import Activity, Experiment
from sloguard.core.objective import ObjectiveError, parse_duration
from sloguard.engine.options import Options
from sloguard.spec.substitution import fill_provider, substitute

#: An activity that says of itself how long it may take has a number under one of these names.
_NAMED = (
    "timeout",
    "duration",
    "seconds",
    "wait",
    "patience",
    "grace",
    "start_within",
    "back_within",
    "request_timeout",
)
#: One that says nothing, seconds.
UNKNOWN_SECONDS = 3600.0
#: What sloguard's own functions take at most beside the time that they are given: looking, waiting for what they did.
_OWN_SECONDS = 300.0
#: Beginning, reading, looking before, the last samples, judging, and writing it down while the store is away.
MARGIN_SECONDS = 1800.0
#: Of a run whose experiment cannot be read here: its worker may find it under another name all the same.
UNKNOWN_RUN_SECONDS = 86400.0
#: Of a job that breaks nothing: a window is judged, or a run once more.
JUDGING_SECONDS = 3600.0


def longest(experiment: Experiment, options: Options) -> float:
    """Seconds from the start of a run's process to its end, undoing included; generous."""
    experiment = _filled(experiment)
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
        + undo * max(sum(_injections(activity) for activity in experiment.method), 1.0)
        + rollbacks
        + options.metrics_patience
        + MARGIN_SECONDS
    )


def _filled(experiment: Experiment) -> Experiment:
    """With the values of its configuration, of which lengths are made as often as not."""

    def fill(activities: Sequence[Activity]) -> tuple[Activity, ...]:
        known = experiment.configuration, experiment.secrets
        return tuple(
            replace(
                activity,
                provider=fill_provider(activity.provider, *known),
                pause_before=substitute(activity.pause_before, *known),
                pause_after=substitute(activity.pause_after, *known),
            )
            for activity in activities
        )

    return replace(experiment, method=fill(experiment.method), probes=fill(experiment.probes))


def _together(activities: Sequence[Activity]) -> float:
    """One after the other; what runs in the background is waited for too."""
    return sum(
        _seconds(activity.pause_before) + _of(activity) + _seconds(activity.pause_after)
        for activity in activities
    )


def _of(activity: Activity) -> float:
    provider = activity.provider
    its = provider.get("arguments")
    arguments: Mapping[str, Any] = its if isinstance(its, Mapping) else {}
    given = [place.get(name) for place in (provider, arguments) for name in _NAMED]
    found = [_number(value) for value in given]
    named = [seconds for seconds in found if seconds is not None]
    own = str(provider.get("module", "")).startswith(("sloguard.faults", "sloguard.probes"))
    if own or activity.runs_as:
        # A text that is no length may become one only when the run begins.
        unread = any(isinstance(value, str) and _number(value) is None for value in given)
        unknown = UNKNOWN_SECONDS if unread else 0.0
        return sum(named) + unknown + _OWN_SECONDS + _repeated(arguments)
    return max(named, default=UNKNOWN_SECONDS)


def _repeated(arguments: Mapping[str, Any]) -> float:
    """Of what draws one fault after the other: the pauses between them."""
    if arguments.get("every") is None:
        return 0.0
    return _seconds(arguments["every"]) * _times(arguments)


def _injections(activity: Activity) -> float:
    """How often it injects at most, by what it declares: each of these has to be undone."""
    arguments = activity.provider.get("arguments")
    return _times(arguments) if isinstance(arguments, Mapping) else 1.0


def _times(arguments: Mapping[str, Any]) -> float:
    try:
        return max(float(arguments.get("times") or 1), 1.0)
    except (TypeError, ValueError):
        return 1.0  # the function itself refuses it


def _number(value: Any) -> float | None:
    """As experiments write lengths: ``30``, ``30s``, ``1h30m``; None for what is none, or not known yet."""
    try:
        return parse_duration(value)
    except ObjectiveError:
        return None


def _seconds(value: float | str) -> float:
    found = _number(value)
    return UNKNOWN_SECONDS if found is None else found
