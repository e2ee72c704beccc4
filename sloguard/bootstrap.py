"""The one place where ports meet adapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sloguard.adapters.prometheus import Prometheus
    from sloguard.adapters.store import Store
    from sloguard.core.model import Activity, Experiment
    from sloguard.engine.options import Options
    from sloguard.engine.ports_bundle import Ports
    from sloguard.ports import Cluster, Clusters
    from sloguard.settings import Settings

#: Guards and the live picture must not wait for a slow server: they ask again soon enough.
LIVE_DEADLINE = 2.0


def open_metrics(settings: Settings, *, deadline: float | None = None) -> Prometheus:
    """The Prometheus of the settings; nothing is sent yet. ``deadline`` (s) in place of the setting.

    Raises MetricsError for settings that do not fit together.
    """
    from sloguard.adapters.prometheus import Prometheus
    from sloguard.adapters.prometheus_settings import PrometheusSettings
    from sloguard.ports import MetricsError

    known = {field.name for field in fields(PrometheusSettings)}
    group = settings.prometheus
    given = {f.name: getattr(group, f.name) for f in fields(group) if f.name in known}
    if deadline is not None:
        given["deadline"] = min(deadline, group.deadline)
        given["connect_timeout"] = min(deadline, group.connect_timeout)
        given["retries"] = 0
    try:
        return Prometheus(PrometheusSettings(**given))
    except ValueError as error:
        raise MetricsError(str(error)) from error


def open_clusters(settings: Settings) -> Clusters:
    """The clusters that the kubeconfig of the settings knows, by context; read when first asked for."""
    made: list[Clusters] = []

    def cluster(context: str | None) -> Cluster:
        # The Kubernetes client takes long to load, and most runs never ask.
        from sloguard.adapters.kubernetes import KubernetesClusters
        from sloguard.adapters.kubernetes_config import KubernetesSettings

        if not made:
            group = settings.kubernetes
            given = {f.name: getattr(group, f.name) for f in fields(group)}
            given["in_cluster"] = {"auto": None, "always": True, "never": False}[group.in_cluster]
            made.append(KubernetesClusters(KubernetesSettings(**given)))
        return made[0](context)

    return cluster


def provide_clusters(settings: Settings) -> Clusters:
    """These clusters, from now on also to functions that are called plainly, such as probes."""
    from sloguard.ports import ambient

    clusters = open_clusters(settings)
    ambient.provide(clusters)
    return clusters


def open_store(settings: Settings) -> Store:
    """The store of the settings, made or migrated if need be. Raises StoreError."""
    from sloguard.adapters.store import Store

    return Store(settings.store.url)


def ports(settings: Settings, store: Store, *, metrics: bool = True) -> Ports:
    """Everything that a run needs of the outside. ``metrics`` False: the experiment asks none."""
    from sloguard.adapters.clock import SystemClock
    from sloguard.adapters.kubernetes_locks import CombinedLocks, LeaseLocks
    from sloguard.adapters.locks import FileLocks
    from sloguard.engine.ports_bundle import Ports

    clusters = provide_clusters(settings)
    return Ports(
        metrics=open_metrics(settings) if metrics else None,
        live=open_metrics(settings, deadline=LIVE_DEADLINE) if metrics else None,
        clock=SystemClock(),
        ledger=store,
        locks=CombinedLocks(FileLocks(settings.store.locks), LeaseLocks(clusters)),
        clusters=clusters,
    )


def options(settings: Settings, **more: Any) -> Options:
    """The engine's options from the settings, and what a caller chooses."""
    from sloguard.engine.options import Options

    known = {field.name for field in fields(Options)}
    group = settings.runs
    chosen = {f.name: getattr(group, f.name) for f in fields(group) if f.name in known}
    chosen["fallback_step"] = settings.prometheus.scrape_interval
    chosen["concurrency"] = min(settings.prometheus.concurrency, 4)
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

    from sloguard.engine.aliases import Drivers, resolved
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
