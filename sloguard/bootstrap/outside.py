"""Whom sloguard asks and changes: Prometheus, Alertmanager, clusters, the store."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sloguard.adapters.alertmanager import Alertmanager
    from sloguard.adapters.prometheus import Prometheus
    from sloguard.adapters.store import Store
    from sloguard.ports import Cluster, Clusters
    from sloguard.ports.alerts import AlertSource
    from sloguard.service.alerting import StoredAlerts
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


def open_alertmanager(settings: Settings) -> Alertmanager | None:
    """That of the settings, or None; nothing is sent yet. Raises AlertsError for what does not fit."""
    group = settings.alertmanager
    if not group.url:
        return None
    from sloguard.adapters.alertmanager import Alertmanager
    from sloguard.adapters.prometheus_settings import PrometheusSettings
    from sloguard.ports.silences import AlertsError

    known = {field.name for field in fields(PrometheusSettings)} - {"url"}
    given = {f.name: getattr(group, f.name) for f in fields(group) if f.name in known}
    try:
        return Alertmanager([PrometheusSettings(url=url, **given) for url in group.url])
    except ValueError as error:
        raise AlertsError(str(error).replace("Prometheus", "Alertmanager")) from error


def open_store(settings: Settings) -> Store:
    """The store of the settings, made or migrated if need be. Raises StoreError."""
    from sloguard.adapters.store import Store

    return Store(settings.store.url)


def alert_sources(settings: Settings, store: Store) -> list[AlertSource]:
    """Who knows of alerts beside Prometheus: webhooks that came, and Alertmanager where one is set."""
    found = open_alertmanager(settings)
    return [stored_alerts(settings, store), *([] if found is None else [found])]


def kept_alerts(settings: Settings) -> list[AlertSource]:
    """The same where nothing is kept: with the store only if there is one already. Raises OutsideError."""
    from sloguard.adapters.store.database import store_url

    url = store_url(settings.store.url)
    if url.get_backend_name() != "sqlite" or Path(url.database or "").exists():
        return alert_sources(settings, open_store(settings))
    found = open_alertmanager(settings)
    return [] if found is None else [found]


def stored_alerts(settings: Settings, store: Store) -> StoredAlerts:
    """Alerts as webhooks have brought them: a ports.AlertSource."""
    from sloguard.service.alerting import StoredAlerts

    return StoredAlerts(store, settings.alerts.stale_after)
