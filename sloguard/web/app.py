"""The application: every resource, every hook, in one place."""

from __future__ import annotations

from functools import cache

from flask import Flask

from sloguard.web import hooks, problems
from sloguard.web.answers import Packer, Shelf
from sloguard.web.api.health import Remembered
from sloguard.web.identity import anybody
from sloguard.web.openapi import document
from sloguard.web.parts import EXTENSION, Parts, Service
from sloguard.web.resources import RESOURCES
from sloguard.web.telemetry import Telemetry
from sloguard.web.watching import Watcher

#: Finished charts, in bytes.
_PICTURES = 32 << 20


def create_app(parts: Parts) -> Flask:
    """The WSGI application. It reads and writes the store, queues jobs, and carries out no run itself."""
    app = Flask("sloguard.web", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = parts.settings.serve.body_limit
    app.url_map.redirect_defaults = False
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    telemetry = Telemetry(parts.store)
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
        openapi=cache(lambda: document(RESOURCES, with_security=parts.identify is not anybody)),
    )
    app.extensions[EXTENSION] = service
    problems.register(app)
    scopes = {e.name: str(e.scope) for resource in RESOURCES for e in resource.endpoints}
    hooks.register(app, service, scopes, Packer())
    for resource in RESOURCES:
        app.register_blueprint(resource.blueprint)
    return app
