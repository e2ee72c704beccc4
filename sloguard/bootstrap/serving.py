"""What the service is put together from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sloguard.bootstrap.desks import alert_desk, window_desk
from sloguard.bootstrap.executing import dispatcher, orphan_watch
from sloguard.bootstrap.outside import alert_sources, open_metrics
from sloguard.bootstrap.people import approval_needed, stored_approvals
from sloguard.bootstrap.processes import child_environ
from sloguard.bootstrap.reporting import report_schedule
from sloguard.bootstrap.running import options, ports
from sloguard.bootstrap.telling import announcers, courier

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.service.catalogue import Catalogue
    from sloguard.service.running import Service
    from sloguard.service.worker import Bench
    from sloguard.settings import Settings


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
        approvals=lambda job: stored_approvals(
            settings,
            store,
            requester=job.requested_by,
            run=job.id,
            keeps="; it keeps its place among the runs under way",
        ),
        approval=lambda experiment: approval_needed(settings, experiment),
    )


def service(
    settings: Settings, store: Store, known: Catalogue, *, config: Path | None = None
) -> Service:
    """What takes jobs and gives them to workers; ``config``: the settings file that a flag names."""
    import socket
    import sys

    from sloguard.service.running import Service
    from sloguard.service.starting import Janitor, Retention

    group, environ = settings.serve, child_environ(settings, config)
    command = (sys.executable, "-m", "sloguard", "worker")
    logs = settings.store.locks.parent / "jobs" if settings.store.locks else Path("jobs")
    name = f"{socket.gethostname()}:{os.getpid()}"
    made: list[Service] = []
    takes, followed, gone = dispatcher(
        settings, store, known, environ=environ, logs=logs, ended=lambda: made[0].ended()
    )
    janitor = Janitor(
        store,
        window_desk(settings, store, known),
        name=name,
        recovery=(*command, "recover"),
        environ=environ,
        retention=Retention(
            days=group.retention_days or None,
            runs=group.retention_runs or None,
            audit_days=group.audit_days or None,
        ),
        logs=logs,
        followed=followed,
        gone=gone,
    )
    made.append(
        Service(
            takes,
            janitor,
            alert_desk(settings, store),
            courier=courier(settings, store, always=True),
            reports=report_schedule(settings, store, known, name=name),
            orphans=orphan_watch(settings, store, name=name, mended=janitor.try_again),
        )
    )
    return made[0]
