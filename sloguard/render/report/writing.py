"""A model -> HTML and Markdown. Every text of the model is one of others: escaped wherever it stands."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sloguard.render.report.words import FILTERS, GLOBALS, moments

if TYPE_CHECKING:
    from jinja2 import Environment

Model = Mapping[str, Any]
#: Pictures by name: SVG as text.
Pictures = Mapping[str, str]
_RUN_LINK = re.compile(r' href="/runs/[^"]*"')


def body_of(model: Model, pictures: Pictures) -> str:
    """The report as HTML without head and style; links lead to ``/runs/ID`` of the service."""
    return _written(model, f"{model['kind']}.html", pictures, _html())


def page_of(model: Model, body: str, base_url: str = "") -> str:
    """A whole page that needs nothing else: one file. ``base_url``: where the service is, so that runs can
    be followed; without one nothing is a link."""
    if base_url:
        body = body.replace(' href="/runs/', f' href="{escape(base_url.rstrip("/"))}/runs/')
    else:
        body = _RUN_LINK.sub("", body)
    template = _html().get_template("page.html")
    return template.render(model=model, body=body, style=style())


def markdown_of(model: Model) -> str:
    """The report as Markdown, without pictures; ends with a newline."""
    return re.sub(r"\n{3,}", "\n\n", _written(model, f"{model['kind']}.md", {}, _plain())).strip() + "\n"  # fmt: skip


def style() -> str:
    """The style of ``body_of``: everything in it is inside of ``.report``."""
    return _style()


@cache
def _style() -> str:
    place = files("sloguard.render.report").joinpath("templates").joinpath("report.css")
    return place.read_text("utf-8")


def _written(model: Model, name: str, pictures: Pictures, environment: Environment) -> str:
    local = environment.overlay()
    local.filters = {**environment.filters, "at": moments(str(model.get("time_zone") or "UTC"))}
    sources = {key: data_uri(svg) for key, svg in pictures.items()}
    return local.get_template(name).render(**model, model=model, pictures=sources)


def data_uri(svg: str) -> str:
    """A picture inside a page; as such it can neither load nor run anything."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode("ascii")


@cache
def _html() -> Environment:
    return _environment(autoescape=True)


@cache
def _plain() -> Environment:
    return _environment(autoescape=False)


def _environment(*, autoescape: bool) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    place = str(files("sloguard.render.report").joinpath("templates"))
    made = Environment(
        loader=FileSystemLoader(place),
        # In Markdown the filter ``md`` does what this does in HTML.
        autoescape=autoescape,  # noqa: S701 - on for HTML, see above
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # One overlay a report: a cache for each would only be thrown away.
        cache_size=0,
    )
    made.filters.update(FILTERS)
    made.globals.update(GLOBALS)
    return made
