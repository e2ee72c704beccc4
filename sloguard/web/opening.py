"""The application of the settings, for one process of a server."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sloguard import bootstrap
from sloguard.web.app import create_app
from sloguard.web.parts import Parts

if TYPE_CHECKING:
    from flask import Flask

    from sloguard.settings import Settings


def open_web(
    settings: Settings, *, stopping: Callable[[], bool] = lambda: False, most_waiting: int = 16
) -> Flask:
    """The application over the store of the settings. Raises OutsideError."""
    store, known = bootstrap.open_store(settings), bootstrap.catalogue(settings)
    prometheus = bootstrap.open_metrics(settings, deadline=bootstrap.LIVE_DEADLINE)
    return create_app(
        Parts(
            store=store,
            catalogue=known,
            jobs=bootstrap.job_desk(settings, store, known),
            windows=bootstrap.window_desk(settings, store, known),
            settings=settings,
            prometheus=prometheus.clock_offset,
            stopping=stopping,
            most_waiting=most_waiting,
        )
    )
