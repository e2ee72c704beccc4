"""Activities that name a driver of the Chaos Toolkit and run on sloguard's own functions.

Experiments for chaosk8s and chaosistio name functions of these drivers. Where sloguard has one of its own
that does the same, that one is called in its place: a fault is planned, written down and undone as any
other, and no driver has to be installed. ``--use-drivers`` calls the drivers themselves. What sloguard has
no function for is called on the driver where that is installed.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sloguard.core.model import Activity, Experiment
from sloguard.engine.driver_names import DRIVERS, TABLE, Alias
from sloguard.engine.drivers import Drivers, broken, can_be_found, driver_of
from sloguard.providers.result import Refused
from sloguard.spec.substitution import fill_provider

#: Beside the other extensions of an experiment that is kept, so that recovery takes the same functions.
_EXTENSION = "sloguard"
_USE = "use-drivers"
#: How chaosk8s may be told where a cluster is, and by whom it is asked.
_CREDENTIALS = (
    "KUBERNETES_HOST",
    "KUBERNETES_API_KEY",
    "KUBERNETES_USERNAME",
    "KUBERNETES_CERT_FILE",
)
#: The one function that asks no cluster.
_LOOKS_AT_LOGS = "should_be_found_in_logs"


def alias_of(module: Any, func: Any) -> Alias | None:
    """What stands in for a driver's function; None where sloguard has nothing that does."""
    return TABLE.get((str(module), str(func)))


def resolved(
    provider: Mapping[str, Any],
    secrets: Mapping[str, Any],
    drivers: Drivers,
    *,
    rollback: bool = False,
) -> dict[str, Any]:
    """What is to be called for a provider, after substitution; the provider itself where no driver is meant.

    ``rollback``: it is a declared rollback, so that what it sets is there to stay. Raises Refused where the
    arguments are not the driver's, or where the driver cannot be called.
    """
    package = driver_of(provider)
    if not package:
        return dict(provider)
    alias = None if drivers.wanted else alias_of(provider.get("module"), provider.get("func"))
    if alias is not None and alias.target_in(rollback):
        return _own(alias, provider, secrets, drivers, rollback)
    problem = refusal(provider, drivers, rollback=rollback)
    if problem:
        raise Refused(problem)
    return dict(provider)


def refusal(provider: Mapping[str, Any], drivers: Drivers, *, rollback: bool = False) -> str:
    """Why a driver's function cannot be called, and what to do; empty where it can. Calls nothing."""
    package = driver_of(provider)
    if not package:
        return ""
    module, func = str(provider.get("module")), str(provider.get("func"))
    alias = None if drivers.wanted else alias_of(module, func)
    if alias is not None and alias.target_in(rollback):
        return _misfit(alias, provider)
    if not can_be_found(package, drivers):
        distribution = DRIVERS[package]
        if drivers.wanted:
            return f"{package} is not installed: pip install {distribution}, or run without --use-drivers"
        return _unknown(module, func, alias, distribution)
    return broken(package, drivers)


def _unknown(module: str, func: str, alias: Alias | None, distribution: str) -> str:
    if alias is not None:
        where = "in the method" if alias.rollback_target else "in rollbacks"
        text = f"{module}.{func}: sloguard has no function of its own for it {where}"
        return f"{text}{alias.hint}; or install the driver that has: pip install {distribution}"
    known = [name for part, name in TABLE if part == module]
    near = difflib.get_close_matches(func, known, n=1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    if not known:
        parts = sorted({part for part, _ in TABLE})
        close = difflib.get_close_matches(module, parts, n=1, cutoff=0.8)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
    return (
        f"{module}.{func}: sloguard has no function of its own for it{hint}; "
        f"else install the driver that has: pip install {distribution}"
    )


def _own(
    alias: Alias,
    provider: Mapping[str, Any],
    secrets: Mapping[str, Any],
    drivers: Drivers,
    rollback: bool,
) -> dict[str, Any]:
    problem = _misfit(alias, provider)
    if problem:
        raise Refused(problem)
    try:
        arguments = dict(alias.mapping(**dict(provider.get("arguments") or {})))
    except ValueError as error:
        raise Refused(f"{alias.name}: {error}") from None
    if rollback and alias.in_rollbacks is not None:
        arguments = dict(alias.in_rollbacks(arguments))
    context = _context(provider, secrets, drivers.environ)
    if context and alias.func != _LOOKS_AT_LOGS:
        arguments["cluster"] = context
    module, _, func = alias.target_in(rollback).rpartition(".")
    kept = {k: v for k, v in provider.items() if k not in ("secrets", "arguments")}
    return {**kept, "module": module, "func": func, "arguments": arguments}


def _misfit(alias: Alias, provider: Mapping[str, Any]) -> str:
    """Why arguments are not the driver's; empty where they are, or where they are not known yet."""
    given = provider.get("arguments")
    if given is None or isinstance(given, str):
        given = {}
        if isinstance(provider.get("arguments"), str):
            return ""  # a variable, filled in later
    if not isinstance(given, Mapping):
        return f"{alias.name}: arguments: expected a mapping of names to values"
    signature = inspect.signature(alias.mapping)
    try:
        signature.bind(**given)
    except TypeError as error:
        known = list(signature.parameters)
        unknown = [name for name in given if name not in known]
        near = difflib.get_close_matches(str(unknown[0]), known, n=1) if unknown else []
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return (
            f"{alias.name}: {error}{hint} (it takes: {', '.join(known)}; {alias.target} takes more)"
        )
    return ""


def _context(
    provider: Mapping[str, Any], secrets: Mapping[str, Any], environ: Mapping[str, str]
) -> str:
    """The kubeconfig's context that the driver would take: of its secrets, else of the environment."""
    listed = provider.get("secrets") or []
    for name in [listed] if isinstance(listed, str) else listed:
        group = secrets.get(name)
        if isinstance(group, Mapping) and group.get("KUBERNETES_CONTEXT"):
            return str(group["KUBERNETES_CONTEXT"])
    return environ.get("KUBERNETES_CONTEXT", "")


def unread_credentials(provider: Mapping[str, Any], secrets: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of secrets that a provider lists for its driver, and that sloguard's own functions do not read."""
    listed = provider.get("secrets") or []
    groups = [secrets.get(name) for name in ([listed] if isinstance(listed, str) else listed)]
    given = {key for group in groups if isinstance(group, Mapping) for key in group if group[key]}
    return tuple(name for name in _CREDENTIALS if name in given)


# Experiments.


def in_rollbacks(activity: Activity) -> bool:
    """Whether an activity is a declared rollback."""
    return activity.key.startswith("rollbacks")


def provider_of(activity: Activity, experiment: Experiment, drivers: Drivers) -> dict[str, Any]:
    """What is called for an activity, variables filled in; raises Refused where nothing can be."""
    filled = fill_provider(activity.provider, experiment.configuration, experiment.secrets)
    return resolved(filled, experiment.secrets, drivers, rollback=in_rollbacks(activity))


def stands_in(provider: Mapping[str, Any], drivers: Drivers, *, rollback: bool = False) -> str:
    """The dotted name of sloguard's own function that is called for a provider; empty where none is."""
    if not driver_of(provider) or drivers.wanted:
        return ""
    alias = alias_of(provider.get("module"), provider.get("func"))
    return alias.target_in(rollback) if alias is not None else ""


def named(experiment: Experiment, drivers: Drivers) -> Experiment:
    """The experiment, each activity with the name of the function of sloguard's that stands in for it.

    Where drivers are wanted, the document says so from now on, for whoever finishes the run.
    """

    def one(activity: Activity) -> Activity:
        own = stands_in(activity.provider, drivers, rollback=in_rollbacks(activity))
        return replace(activity, runs_as=own) if own else activity

    made = replace(
        experiment,
        probes=tuple(map(one, experiment.probes)),
        method=tuple(map(one, experiment.method)),
        rollbacks=tuple(map(one, experiment.rollbacks)),
    )
    if not drivers.wanted or wants_drivers(made):
        return made
    mark = {"name": _EXTENSION, _USE: True}
    declared = {**made.declared, "extensions": [*(made.declared.get("extensions") or ()), mark]}
    return replace(made, declared=declared, extensions=(*made.extensions, mark))


def wants_drivers(experiment: Experiment) -> bool:
    """Whether the document asks for drivers: ``extensions: [{name: sloguard, use-drivers: true}]``."""
    return any(
        one.get("name") == _EXTENSION and one.get(_USE) is True for one in experiment.extensions
    )


def drivers_for(experiment: Experiment, wanted: bool) -> Drivers:
    """As the caller and the document ask."""
    return Drivers(wanted=wanted or wants_drivers(experiment))


def tolerance_provider(activity: Activity) -> Mapping[str, Any] | None:
    """The provider of a tolerance that is a probe itself."""
    tolerance = activity.tolerance
    if not isinstance(tolerance, Mapping) or tolerance.get("type") != "probe":
        return None
    provider = tolerance.get("provider")
    return provider if isinstance(provider, Mapping) else None
