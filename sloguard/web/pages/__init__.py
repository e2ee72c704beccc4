"""Pages for people: drawn on the server, whole without a script, nothing from elsewhere."""

from __future__ import annotations

from flask import Flask

from sloguard.web.pages import errors, rendering


def join(app: Flask) -> None:
    """Give the templates their words, and draw problems for browsers.

    After the hooks: what is registered last sees an answer first, before it is packed.
    """
    rendering.prepare(app)
    errors.register(app)
