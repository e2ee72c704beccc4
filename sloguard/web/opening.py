"""The application of the settings, for one process of a server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sloguard import bootstrap
from sloguard.telemetry import traces
from sloguard.web.access.auditing import Auditor
from sloguard.web.access.authentication import Authenticator
from sloguard.web.access.exposure import wants_auth
from sloguard.web.access.limits import Attempts
from sloguard.web.app import create_app
from sloguard.web.identity import anybody
from sloguard.web.parts import Parts
from sloguard.web.tracing import trace_requests

if TYPE_CHECKING:
    from flask import Flask

    from sloguard.adapters.store import Store
    from sloguard.settings import Settings


def open_web(
    settings: Settings, *, stopping: Callable[[], bool] = lambda: False, most_waiting: int = 16
) -> Flask:
    """The application over the store of the settings. Raises OutsideError."""
    store, known = bootstrap.open_store(settings), bootstrap.catalogue(settings)
    prometheus = bootstrap.open_metrics(settings, deadline=bootstrap.LIVE_DEADLINE)
    logins = authenticator(settings, store) if wants_auth(settings.serve) else None
    app = create_app(
        Parts(
            store=store,
            catalogue=known,
            jobs=bootstrap.job_desk(settings, store, known),
            windows=bootstrap.window_desk(settings, store, known),
            settings=settings,
            backlog=bootstrap.backlog_desk(settings, store, known),
            prometheus=prometheus.clock_offset,
            identify=logins or anybody,
            logins=logins,
            stopping=stopping,
            most_waiting=most_waiting,
        )
    )
    tracing = traces.start("web")
    if tracing is not None:
        trace_requests(app, tracing)
    return app


def authenticator(
    settings: Settings,
    store: Store,
    *,
    now: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> Authenticator:
    """What knows tokens and sessions. Raises ServiceError for settings that do not fit."""
    return Authenticator(store, settings.serve, Attempts(monotonic), Auditor(store, now))
