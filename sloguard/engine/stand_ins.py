"""Looking through a file for activities that name drivers, before anything of it is carried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sloguard.core.model import Activity, Experiment
from sloguard.engine.aliases import (
    drivers_for,
    in_rollbacks,
    refusal,
    resolved,
    stands_in,
    tolerance_provider,
)
from sloguard.engine.drivers import Drivers, driver_of
from sloguard.providers.result import Refused
from sloguard.spec.substitution import fill_provider, texts_variables


@dataclass(frozen=True, slots=True)
class Looked:
    """What will be called for an activity that names a driver, or why nothing can be.

    ``place``: the activity's path in the document. ``function``: the driver's.
    """

    place: str
    activity: str
    function: str
    runs_as: str = ""
    problem: str = ""


def looked_at(experiment: Experiment, wanted: bool) -> Iterator[Looked]:
    """Every activity of a file that names a driver; nothing where the drivers themselves are wanted.

    Looks at names and arguments alone: calls nothing and imports no driver.
    """
    drivers = drivers_for(experiment, wanted)
    if drivers.wanted:
        return
    for activity in (*experiment.probes, *experiment.method, *experiment.rollbacks):
        judging = tolerance_provider(activity)
        for provider in (activity.provider, *([judging] if judging is not None else ())):
            found = _look(activity, provider, experiment, drivers)
            if found is not None:
                yield found


def _look(
    activity: Activity, provider: Mapping[str, Any], experiment: Experiment, drivers: Drivers
) -> Looked | None:
    filled = fill_provider(provider, experiment.configuration, experiment.secrets)
    if not driver_of(filled):
        return None
    rollback, problem = in_rollbacks(activity), ""
    if any(texts_variables(filled.get("arguments"))):
        # What is filled in only when it runs cannot be judged now; the names can.
        problem = refusal(filled, drivers, rollback=rollback)
    else:
        try:
            resolved(filled, experiment.secrets, drivers, rollback=rollback)
        except Refused as error:
            problem = str(error)
    own = stands_in(filled, drivers, rollback=rollback)
    if not own and not problem:
        return None  # the driver itself is there, and is called
    section = "steady-state-hypothesis.probes" if activity.key.startswith("hypothesis") else ""
    place = f"{section}{activity.key.removeprefix('hypothesis')}" if section else activity.key
    function = f"{filled.get('module')}.{filled.get('func')}"
    return Looked(place, activity.name, function, own, problem)
