"""The OpenAPI document, and a page to read it."""

from __future__ import annotations

import msgspec
from flask import Response, render_template

from sloguard.ports.service import Scope
from sloguard.web.answers import lasting, tag_of, unchanged
from sloguard.web.endpoints import JSON, Answer, Resource
from sloguard.web.identity import PUBLIC
from sloguard.web.openapi import problem_kinds
from sloguard.web.parts import service
from sloguard.web.shaping import API

resource = Resource("documents", about="This document, and a page to read it.")

_CSP = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@resource.get(
    f"{API}/openapi.json",
    scope=Scope.READ,
    answers=[
        Answer(description="The OpenAPI 3.1 document.", headers={"ETag": "changes with it"}),
        Answer(status=304, description="You have it already."),
    ],
)
def openapi() -> Response:
    """This document."""
    body = msgspec.json.encode(service().openapi())
    tag = tag_of(body)
    return unchanged(tag) or lasting(body, JSON, tag)


@resource.get(
    f"{API}/docs",
    scope=Scope.READ,
    answers=[Answer(description="A page for people.", media=("text/html",))],
)
def page() -> Response:
    """The document as a page to read; nothing in it comes from elsewhere."""
    text = render_template("api.html", api=service().openapi(), problems=problem_kinds())
    made = Response(text, mimetype="text/html")
    made.headers["Content-Security-Policy"] = _CSP
    made.headers["Cache-Control"] = "private, no-cache"
    return made


@resource.get(
    f"{API}/docs.css",
    scope=PUBLIC,
    answers=[
        Answer(description="The style of that page.", media=("text/css",)),
        Answer(status=304, description="You have it already."),
    ],
)
def style() -> Response:
    """The style of the page."""
    body = _style()
    tag = tag_of(body)
    return unchanged(tag) or lasting(body, "text/css", tag)


def _style() -> bytes:
    from importlib.resources import files

    return files("sloguard.web").joinpath("static/api.css").read_bytes()
