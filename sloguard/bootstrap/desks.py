"""What the service offers, and where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sloguard.bootstrap.running import new_run_id
from sloguard.bootstrap.telling import writers

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.service.alerting import AlertDesk
    from sloguard.service.catalogue import Catalogue
    from sloguard.service.jobs import JobDesk
    from sloguard.service.windows import WindowDesk
    from sloguard.settings import Settings


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


def alert_desk(settings: Settings, store: Store) -> AlertDesk:
    """What works off alerts that Alertmanager has sent."""
    from sloguard.service.alerting import AlertDesk, retention_seconds

    group = settings.alerts
    return AlertDesk(
        store,
        retention=retention_seconds(group.retention_days),
        most_refused=group.refused_kept,
        late=_late(settings, store),
    )


def _late(settings: Settings, store: Store) -> Callable[[str, Mapping[str, Any]], None]:
    """What marks a run in Grafana once more when alerts came after its end."""
    from sloguard.service.marks import CHANNEL, late_marks

    def tell(run: str, document: Mapping[str, Any]) -> None:
        if settings.grafana.url:
            store.put(late_marks(store.messages(channel=CHANNEL, stream=run), document))

    return tell
