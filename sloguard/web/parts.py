"""What the web application is put together from. Tests hand in fakes; ``bootstrap`` the real ones."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flask import current_app

from sloguard.web.identity import Identify, anybody

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.service.backlog import BacklogDesk
    from sloguard.service.catalogue import Catalogue
    from sloguard.service.jobs import JobDesk
    from sloguard.service.windows import WindowDesk
    from sloguard.settings import Settings
    from sloguard.web.access.authentication import Authenticator
    from sloguard.web.access.gate import Gate
    from sloguard.web.answers import Shelf
    from sloguard.web.api.health import Remembered
    from sloguard.web.openapi import Json
    from sloguard.web.telemetry import Telemetry
    from sloguard.web.watching import Watcher

EXTENSION = "sloguard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Everything that the views use.

    ``store``: runs, jobs, windows and the rest. ``catalogue``: experiments and sets of SLOs.
    ``jobs`` and ``windows``: where requests for work are handed in.
    ``backlog``: the hypotheses, where there are some.
    ``prometheus``: asks Prometheus whether it is there; raises OutsideError. ``identify``: see
    ``identity``; ``logins``: what knows tokens, where a browser may log in with one. ``now``: seconds since
    the epoch, UTC; ``monotonic``: seconds, for limits. ``stopping``: whether the server is about to
    end, so that long requests end soon. ``most_waiting``: requests of one process that may wait at once.
    ``heartbeat``: so long a stream may be silent before proxies think that nobody is there, seconds.
    """

    store: Store
    catalogue: Catalogue
    jobs: JobDesk
    windows: WindowDesk
    settings: Settings
    prometheus: Callable[[], object]
    backlog: BacklogDesk | None = None
    identify: Identify = anybody
    logins: Authenticator | None = None
    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    stopping: Callable[[], bool] = field(default=lambda: False)
    most_waiting: int = 16
    heartbeat: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts, and what one process of the application makes of them."""

    parts: Parts
    watcher: Watcher
    telemetry: Telemetry
    pictures: Shelf
    prometheus: Remembered
    openapi: Callable[[], Json]
    gate: Gate

    @property
    def store(self) -> Store:
        """Runs and the rest."""
        return self.parts.store


def service() -> Service:
    """Of the request in hand."""
    found: Service = current_app.extensions[EXTENSION]
    return found
