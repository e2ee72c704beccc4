"""The one place where ports meet adapters."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sloguard.adapters.alertmanager import Alertmanager
    from sloguard.adapters.grafana_http import Grafana
    from sloguard.adapters.prometheus import Prometheus
    from sloguard.adapters.store import Store
    from sloguard.core.model import Activity, Experiment
    from sloguard.engine.options import Options
    from sloguard.engine.ports_bundle import Ports
    from sloguard.ports import Cluster, Clusters
    from sloguard.ports.alerts import AlertSource
    from sloguard.ports.outbox import Channel
    from sloguard.service.alerting import AlertDesk, StoredAlerts
    from sloguard.service.announcing import Announcer, Writer
    from sloguard.service.catalogue import Catalogue
    from sloguard.service.jobs import JobDesk
    from sloguard.service.notices import Notices
    from sloguard.service.outbox import Courier
    from sloguard.service.report_schedule import ReportSchedule, ReportWriter
    from sloguard.service.reporting import ReportDesk
    from sloguard.service.running import Service
    from sloguard.service.windows import WindowDesk
    from sloguard.service.worker import Bench
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


def catalogue(settings: Settings) -> Catalogue:
    """The experiments and sets of SLOs that a service of these settings offers. Raises ServiceError."""
    from sloguard.service.catalogue import Catalogue

    group = settings.serve
    return Catalogue(
        group.experiments,
        allow=group.allow,
        slos=group.slos,
        scrape_interval=settings.prometheus.scrape_interval,
    )


def job_desk(settings: Settings, store: Store, known: Catalogue) -> JobDesk:
    """Where runs are asked for."""
    from sloguard.service.jobs import JobDesk

    return JobDesk(
        jobs=store,
        runs=store,
        catalogue=known,
        new_id=new_run_id,
        most=settings.serve.max_queue,
        targets=settings.serve.targets,
    )


def window_desk(settings: Settings, store: Store, known: Catalogue) -> WindowDesk:
    """Where windows are opened and closed. Raises OutsideError."""
    import functools

    from sloguard.service.announcing import tell_window
    from sloguard.service.windows import WindowDesk

    return WindowDesk(
        windows=store,
        catalogue=known,
        new_id=new_run_id,
        longest=settings.serve.window_max,
        # Two scrapes, and a moment for the answer to be there.
        settle=2 * settings.prometheus.scrape_interval + 2.0,
        told=functools.partial(tell_window, store.put, writers(settings)),
    )


def writers(settings: Settings) -> list[Writer]:
    """What makes messages of a run's events, one a kind of channel that is set up. Raises OutsideError."""
    found: list[Writer] = []
    if settings.grafana.url:
        found.append(_marks(settings))
    notices = open_notices(settings)
    if notices is not None:
        found.append(notices)
    toolkit = toolkit_notifications(settings)
    if toolkit:
        from sloguard.notifiers.chaostoolkit import numbered
        from sloguard.service.toolkit_notices import ToolkitNotices

        found.append(ToolkitNotices(numbered(toolkit)))
    return found


def open_notices(settings: Settings) -> Notices | None:
    """What makes messages for people; None where no channel is set up."""
    if not settings.channels:
        return None
    from sloguard.service.notices import Notices, rule_of

    rules = [rule_of(channel) for channel in settings.channels]
    return Notices(rules, base_url=settings.serve.base_url)


def toolkit_notifications(settings: Settings) -> Sequence[Mapping[str, Any]]:
    """The notifications of the Chaos Toolkit's settings, as far as they are to be sent."""
    group = settings.notify
    file = group.chaostoolkit_settings or Path("~/.chaostoolkit/settings.yaml").expanduser()
    if not group.chaostoolkit or not file.is_file():
        return ()
    from sloguard.notifiers.chaostoolkit import read_notifications

    return read_notifications(file)


def notifiers(settings: Settings, store: Store | None = None) -> list[Channel]:
    """The channels that tell people; without a ``store`` they have no charts and no verdicts to send."""
    found: list[Channel] = []
    if settings.channels:
        from sloguard.notifiers.base import no_picture
        from sloguard.notifiers.building import build
        from sloguard.notifiers.pictures import Pictures
        from sloguard.notifiers.reports import Reports, no_files

        pictures = no_picture if store is None else Pictures(store)
        files = no_files if store is None else Reports(store, settings.serve.base_url)
        found += [
            build(
                channel,
                illustrate=pictures,
                documents=lambda run: _document(store, run),
                attach=files,
            )
            for channel in settings.channels
        ]
    toolkit = toolkit_notifications(settings)
    if toolkit:
        from sloguard.notifiers.chaostoolkit import ToolkitChannel

        found += [
            ToolkitChannel(number, channel, lambda event, run: _toolkit_payload(store, event, run))
            for number, channel in enumerate(toolkit, 1)
        ]
    return found


def _document(store: Store | None, run: str) -> Mapping[str, Any] | None:
    """A run's verdict; None as long as there is none."""
    from sloguard.ports import OutsideError

    try:
        return None if store is None else store.run(run).document
    except OutsideError:
        return None


def _toolkit_payload(store: Store | None, event: str, run: str) -> Any:
    """The experiment when a run begins, its journal once it has ended; None as long as it is not kept."""
    from sloguard.ports import OutsideError
    from sloguard.render.journal import journal_of

    try:
        stored = None if store is None else store.run(run)
        if stored is None or store is None:
            return None
        if event == "run-started":
            return stored.declared
        return None if stored.ended_at is None else journal_of(stored, store.events(run))
    except OutsideError:
        return None


def tell_people(settings: Settings, event: str, *, about: str, headline: str, reason: str) -> None:
    """Have channels that ask for it by name told of a command, such as validate-failed: kept in the store,
    and delivered for a moment. Never raises: what goes wrong is logged."""
    import logging
    import time

    from sloguard.ports import OutsideError

    if not any(event in channel.events for channel in settings.channels):
        return
    notices = open_notices(settings)
    if notices is None:
        return
    try:
        store = open_store(settings)
        said = notices.said(event, time.time(), about=about, headline=headline, reason=reason)
        if store.put(list(said)):
            made = courier(settings, store)
            if made is not None:
                made.start()
                made.flush(settings.outbox.flush)
                made.stop(0.5)
    except OutsideError as error:
        logging.getLogger(__name__).warning("%s is not told: %s", event, error)


def _marks(settings: Settings) -> Writer:
    from sloguard.ports import OutsideError
    from sloguard.service.marks import Marks, phase_named, place_named

    group = settings.grafana
    try:
        return Marks(
            phases=[phase_named(name) for name in group.phases],
            places=[place_named(text) for text in group.dashboards],
            base_url=settings.serve.base_url,
            tags=group.tags,
        )
    except ValueError as error:
        raise OutsideError(str(error)) from error


def open_grafana(settings: Settings) -> Grafana:
    """The Grafana of the settings; nothing is sent yet. Raises OutsideError."""
    from sloguard.adapters.grafana_http import Grafana, GrafanaAccess
    from sloguard.ports import OutsideError

    known = {field.name for field in fields(GrafanaAccess)}
    group = settings.grafana
    given = {f.name: getattr(group, f.name) for f in fields(group) if f.name in known}
    try:
        return Grafana(GrafanaAccess(**given))
    except ValueError as error:
        raise OutsideError(str(error)) from error


def channels(settings: Settings, store: Store | None = None) -> list[Channel]:
    """Who delivers messages, as far as set up; without a ``store`` nothing of a run can be sent along.
    Raises OutsideError."""
    found: list[Channel] = notifiers(settings, store)
    if settings.grafana.url:
        from sloguard.adapters.grafana import GrafanaChannel

        tags_length = settings.grafana.tags_length
        found.append(GrafanaChannel(open_grafana(settings), tags_length=tags_length))
    return found


def announcers(
    settings: Settings, store: Store, *, told: Callable[[], object] = lambda: None
) -> Callable[..., Announcer] | None:
    """Makes consumers of runs' events that keep messages, each with the arguments of Announcer; None where
    nobody is to be told. Raises OutsideError."""
    import functools

    found = writers(settings)
    if not found:
        return None
    from sloguard.service.announcing import Announcer

    return functools.partial(Announcer, store.put, found, told=told)


def courier(settings: Settings, store: Store, *, always: bool = False) -> Courier | None:
    """What delivers messages; None where there is no channel, unless ``always``: it still tidies up.
    Raises OutsideError."""
    found = channels(settings, store)
    if not found and not always:
        return None
    from sloguard.service.outbox import Courier, Persistence

    group = settings.outbox
    persistence = Persistence(
        most=group.longest_pause, age=group.give_up_after, keep=group.keep_days * 86400.0
    )
    return Courier(store, found, persistence=persistence)


def bench(settings: Settings, store: Store, known: Catalogue) -> Bench:
    """What a worker of the service works with. Raises ServiceError, MetricsError."""
    from sloguard.adapters.clock import SystemClock
    from sloguard.service.urls import UrlRules
    from sloguard.service.worker import Bench

    return Bench(
        store=store,
        catalogue=known,
        ports=lambda metrics: ports(settings, store, metrics=metrics),
        metrics=lambda: open_metrics(settings),
        clock=SystemClock(),
        options=lambda **more: options(settings, **more),
        allow_url=UrlRules(settings.serve.allow_urls),
        announcers=announcers(settings, store),
        alert_sources=lambda: alert_sources(settings, store),
    )


def service(
    settings: Settings, store: Store, known: Catalogue, *, config: Path | None = None
) -> Service:
    """What takes jobs and gives them to workers; ``config``: the settings file that a flag names."""
    import socket
    import sys

    from sloguard.service.executor import Dispatcher, LocalExecutor
    from sloguard.service.running import Service
    from sloguard.service.starting import Janitor, Retention

    group, environ = settings.serve, child_environ(settings, config)
    command = (sys.executable, "-m", "sloguard", "worker")
    logs = settings.store.locks.parent / "jobs" if settings.store.locks else Path("jobs")
    # The same after a restart, so that what still runs counts.
    name = socket.gethostname()
    janitor = Janitor(
        store,
        window_desk(settings, store, known),
        name=f"{name}:{os.getpid()}",
        recovery=(*command, "recover"),
        environ=environ,
        retention=Retention(
            days=group.retention_days or None,
            runs=group.retention_runs or None,
            audit_days=group.audit_days or None,
        ),
        logs=logs,
    )
    made: list[Service] = []
    dispatcher = Dispatcher(
        store,
        LocalExecutor((*command, "job"), logs, environ),
        name=name,
        limit=group.concurrency,
        ended=lambda: made[0].ended(),
    )
    made.append(
        Service(
            dispatcher,
            janitor,
            alert_desk(settings, store),
            courier=courier(settings, store, always=True),
            reports=report_schedule(settings, store, known, name=f"{name}:{os.getpid()}"),
        )
    )
    return made[0]


def report_desk(settings: Settings, store: Store, known: Catalogue | None = None) -> ReportDesk:
    """What makes reports. ``known``: the experiments that there are; else those of the settings.

    Raises ServiceError for directories' permissions that there are not.
    """
    from sloguard.service.reporting import ReportDesk, known_of

    group = settings.serve
    offered = known or (catalogue(settings) if group.experiments else None)
    return ReportDesk(store, known=lambda: known_of(offered), new_id=new_run_id)


def report_writers(settings: Settings) -> list[ReportWriter]:
    """What makes messages of a report that is there, one a kind of channel that is set up."""
    import time

    notices = open_notices(settings)
    if notices is None:
        return []
    return [lambda ready: notices.report(ready, time.time())]


def report_schedule(
    settings: Settings, store: Store, known: Catalogue, *, name: str
) -> ReportSchedule:
    """What makes the report of each week, and forgets old ones. Raises OutsideError."""
    from sloguard.ports import OutsideError
    from sloguard.render.report import ReportError
    from sloguard.service.report_schedule import ReportSchedule, Rhythm, page_link
    from sloguard.settings.reports import DAYS

    group, rhythm = settings.reports, None
    if group.weekly != "off":
        try:
            rhythm = Rhythm.of(DAYS.index(group.weekly), group.at, group.time_zone, group.weeks)
        except ReportError as error:
            raise OutsideError(f"the settings of reports do not fit: {error}") from error
    return ReportSchedule(
        report_desk(settings, store, known),
        store,
        name=name,
        rhythm=rhythm,
        put=store.put,
        writers=report_writers(settings),
        link=page_link(settings.serve.base_url),
        retention_days=group.retention_days,
    )


def alert_desk(settings: Settings, store: Store) -> AlertDesk:
    """What works off alerts that Alertmanager has sent."""
    from sloguard.service.alerting import AlertDesk, retention_seconds

    group = settings.alerts
    return AlertDesk(
        store,
        retention=retention_seconds(group.retention_days),
        most_refused=group.refused_kept,
    )


def stored_alerts(settings: Settings, store: Store) -> StoredAlerts:
    """Alerts as webhooks have brought them: a ports.AlertSource."""
    from sloguard.service.alerting import StoredAlerts

    return StoredAlerts(store, settings.alerts.stale_after)


def child_environ(settings: Settings, config: Path | None = None) -> dict[str, str]:
    """An environment in which a process of ours reads the same settings, flags and all.

    Flags may hold credentials, and the command line of a process is for everybody to see.
    """
    from sloguard.settings import describe, find_file
    from sloguard.settings.reading import CONFIG_VARIABLE

    environ = dict(os.environ)
    file = config or find_file(os.environ)
    if file is not None:
        environ[CONFIG_VARIABLE] = str(file.absolute())
    for setting in describe():
        if settings.origins.get(setting.name) == "command line":
            value = getattr(getattr(settings, setting.group), setting.key)
            environ[setting.env] = _as_text(value)
    return environ


def _as_text(value: Any) -> str:
    """As the environment gives it."""
    if isinstance(value, Mapping):
        return ",".join(f"{key}={text}" for key, text in value.items())
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value)
