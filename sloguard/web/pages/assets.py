"""Styles, scripts and pictures of the pages. Their address names their content, so they are kept for good."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

from flask import Response

from sloguard.render.report.writing import style
from sloguard.web.answers import lasting, tag_of, unchanged
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.identity import PUBLIC
from sloguard.web.problems import Problem

resource = Resource("assets", "/static", documented=False)

_MEDIA = {
    "site.css": "text/css",
    "report.css": "text/css",
    "site.js": "text/javascript",
    "live.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


@cache
def _contents() -> dict[str, bytes]:
    place = files("sloguard.web").joinpath("static")
    ours = {name: place.joinpath(name) for name in _MEDIA if name != "report.css"}
    # Reports look alike here and in files of their own.
    return {
        "report.css": style().encode(),
        **{name: path.read_bytes() for name, path in ours.items()},
    }


@cache
def _revision() -> str:
    """Of all together, since they name each other."""
    digest = hashlib.blake2b(digest_size=8)
    for name, content in sorted(_contents().items()):
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()


def asset(name: str) -> str:
    """Where a file of the pages is."""
    return f"/static/{_revision()}/{name}"


@resource.get(
    "/<revision>/<name>", scope=PUBLIC, answers=[Answer(description="The file.", media=())]
)
def file(revision: str, name: str) -> Response:
    """A style, a script or a picture of the pages."""
    if name not in _MEDIA:
        raise Problem("not-found", "there is no such file")
    content = _contents()[name]
    tag = tag_of(content)
    made = unchanged(tag) or lasting(content, _MEDIA[name], tag)
    if revision == _revision():
        made.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return made
