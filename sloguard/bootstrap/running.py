"""What a run needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from sloguard.bootstrap.outside import (
    LIVE_DEADLINE,
    open_alertmanager,
    open_metrics,
    provide_clusters,
)

if TYPE_CHECKING:
    from sloguard.adapters.alertmanager import Alertmanager
    from sloguard.adapters.store import Store
    from sloguard.core.model import Activity, Experiment
    from sloguard.engine.options import Options
    from sloguard.engine.ports_bundle import Ports
    from sloguard.settings import Settings


def ports(settings: Settings, store: Store, *, metrics: bool = True) -> Ports:
    """Everything that a run needs of the outside. ``metrics`` False: the experiment asks none."""
    from sloguard.adapters.clock import SystemClock
    from sloguard.adapters.kubernetes_locks import CombinedLocks, LeaseLocks
    from sloguard.adapters.locks import FileLocks
    from sloguard.engine.ports_bundle import Ports

    clusters = provide_clusters(settings)
    alertmanager = _usable_alertmanager(settings, needed=metrics)
    return Ports(
        metrics=open_metrics(settings) if metrics else None,
        live=open_metrics(settings, deadline=LIVE_DEADLINE) if metrics else None,
        clock=SystemClock(),
        ledger=store,
        locks=CombinedLocks(FileLocks(settings.store.locks), LeaseLocks(clusters)),
        clusters=clusters,
        alert_sources=[store] if alertmanager is None else [store, alertmanager],
        silences=alertmanager,
    )


def _usable_alertmanager(settings: Settings, *, needed: bool) -> Alertmanager | None:
    """That of the settings. What is wrong with these must not stand before an undo."""
    import logging

    from sloguard.ports.silences import AlertsError

    try:
        return open_alertmanager(settings)
    except AlertsError as error:
        if needed:
            raise
        logging.getLogger(__name__).warning("%s", error)
        return None


def options(settings: Settings, **more: Any) -> Options:
    """The engine's options from the settings, and what a caller chooses."""
    from sloguard.engine.options import Options

    known = {field.name for field in fields(Options)}
    group = settings.runs
    chosen = {f.name: getattr(group, f.name) for f in fields(group) if f.name in known}
    chosen["fallback_step"] = settings.prometheus.scrape_interval
    chosen["concurrency"] = settings.prometheus.concurrency
    chosen["approval_within"] = settings.approvals.within
    chosen["approval_minimum"] = settings.approvals.minimum
    return Options(**{**chosen, **more})


def new_run_id() -> str:
    """A run's name: sortable by time, never the same twice."""
    import time

    from sloguard.adapters.store.ids import new_run_id as made

    return made(time.time())


def run_probe(
    activity: Activity,
    configuration: Mapping[str, Any],
    secrets: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    *,
    use_drivers: bool = False,
) -> Any:
    """The value of a probe that a configuration entry asks for; raises ValueError with the reason.

    ``environment``: what variable files add to it. ``use_drivers``: see the setting of this name.
    """
    import threading

    from sloguard.engine.aliases import resolved
    from sloguard.engine.drivers import Drivers
    from sloguard.providers.calls import call
    from sloguard.providers.result import Refused
    from sloguard.spec import substitute

    try:
        provider = resolved(
            substitute(activity.provider, configuration, secrets), secrets, Drivers(use_drivers)
        )
    except Refused as error:
        raise ValueError(str(error)) from None
    result = call(
        provider,
        configuration=configuration,
        secrets=secrets,
        stop=threading.Event(),
        environment=dict(environment or {}),
    )
    if result.error:
        raise ValueError(result.error)
    return result.output


def loader() -> Callable[[str | Mapping[str, Any], Mapping[str, Any]], Experiment]:
    """Reads an experiment, a file or as it was kept, as recovery needs it; raises SpecError."""
    from sloguard.spec import load

    def read(source: str | Mapping[str, Any], variables: Mapping[str, Any]) -> Experiment:
        return load(source, variables=variables, run_probe=run_probe)

    return read
