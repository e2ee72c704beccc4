"""Problems as pages, for those who look with a browser; programs get problem+json."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from flask import Response, request

from sloguard.web.pages.rendering import page
from sloguard.web.problems import MEDIA_TYPE

if TYPE_CHECKING:
    from flask import Flask

_KEPT = ("WWW-Authenticate", "Retry-After", "Allow", "Set-Cookie")


def register(app: Flask) -> None:
    """Must be registered before what compresses and completes answers."""
    app.after_request(as_page)


def wants_page() -> bool:
    """Whether the request comes from somebody who reads pages."""
    accepted = request.accept_mimetypes
    return "text/html" in request.headers.get("Accept", "") and (
        accepted["text/html"] > accepted["application/json"]
        and accepted["text/html"] > accepted[MEDIA_TYPE]
    )


def as_page(response: Response) -> Response:
    """The same answer, drawn, where it is a problem and a page is wanted."""
    if response.status_code < 400 or response.mimetype != MEDIA_TYPE or not wants_page():
        return response
    problem = msgspec.json.decode(response.get_data())
    made = page("problem", status=response.status_code, section="", problem=problem)
    for name in _KEPT:
        for value in response.headers.getlist(name):
            made.headers.add(name, value)
    made.headers["Cache-Control"] = "no-store"
    made.headers["Vary"] = "Accept, Accept-Encoding"
    return made
