"""The application: every resource, every hook, in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from flask import Flask

from sloguard.web import hooks, pages, problems
from sloguard.web.access.auditing import Auditor
from sloguard.web.access.browsers import LARGEST_FORM
from sloguard.web.access.exposure import is_https
from sloguard.web.access.gate import Gate
from sloguard.web.access.proxies import Proxies
from sloguard.web.answers import Packer, Shelf
from sloguard.web.api.health import PROBES, Remembered
from sloguard.web.endpoints import Resource
from sloguard.web.envelope import Envelope
from sloguard.web.identity import anybody
from sloguard.web.openapi import document
from sloguard.web.parts import EXTENSION, Parts, Service
from sloguard.web.resources import RESOURCES
from sloguard.web.telemetry import Telemetry
from sloguard.web.watching import Watcher


class Application(Flask):
    """Flask without coroutines: to find out for each function of each request that it is none costs time."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """All of them are plain functions."""
        return func


#: Finished charts, in bytes.
_PICTURES = 32 << 20


def create_app(parts: Parts, resources: Sequence[Resource] = RESOURCES) -> Flask:
    """The WSGI application. It reads and writes the store, queues jobs, and carries out no run itself."""
    serve = parts.settings.serve
    app = Application("sloguard.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = serve.body_limit
    app.config["MAX_FORM_MEMORY_SIZE"] = LARGEST_FORM
    app.url_map.redirect_defaults = False
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    telemetry = Telemetry(parts.store)
    gate = Gate(
        serve,
        parts.identify,
        {e.name: str(e.scope) for resource in resources for e in resource.endpoints},
        Auditor(parts.store, parts.now),
        uncounted=PROBES,
        monotonic=parts.monotonic,
    )
    service = Service(
        parts=parts,
        watcher=Watcher(
            parts.store.newest_event,
            most=parts.most_waiting,
            stopping=parts.stopping,
            counted=telemetry.waiting.track_inprogress,
        ),
        telemetry=telemetry,
        pictures=Shelf(_PICTURES),
        prometheus=Remembered(parts.prometheus),
        # Made when it is first asked for: nobody waits for it at the start.
        openapi=cache(lambda: document(resources, with_security=parts.identify is not anybody)),
        gate=gate,
    )
    app.extensions[EXTENSION] = service
    problems.register(app)
    gate.browsers.register(app)
    hooks.register(app, service, Packer())
    pages.join(app)
    for resource in resources:
        app.register_blueprint(resource.blueprint)
    app.wsgi_app = Envelope(  # type: ignore[method-assign]  # as Flask's documentation does it
        app.wsgi_app, observe=telemetry.observe, https=is_https(serve), log=serve.access_log
    )
    if serve.trusted_proxies or serve.proxy_user_header:
        app.wsgi_app = Proxies(serve, app.wsgi_app)  # type: ignore[method-assign]  # the same
    return app
