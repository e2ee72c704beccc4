"""Search: experiments by their words, services by the series that were judged and by what faults have hit."""

from __future__ import annotations

import re

from flask import Response
from pydantic import Field

from sloguard.core.text import format_series
from sloguard.ports.service import Scope
from sloguard.web.api.finding import stored_run
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.pages.experiments import matches
from sloguard.web.pages.forms import PageQuery, see
from sloguard.web.pages.rendering import page
from sloguard.web.parts import service
from sloguard.web.schemas import RUN_PATTERN

resource = Resource("search-pages", "/search", documented=False)
HTML = [Answer(description="A page.", media=("text/html",))]
_RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]+")
_MOST = 50


class Wanted(PageQuery):
    """What is looked for."""

    q: str | None = Field(None, max_length=200, description="A service, an experiment, a run's id.")


@resource.get("", scope=Scope.READ, query=Wanted, answers=HTML)
def search(query: Wanted) -> Response:
    """What fits a text: a run by its id, experiments, series by their labels, what was hit, runs by their title."""
    here = service()
    text = (query.q or "").strip()
    if not text:
        return page("search", section="", q="", asked=False)
    if _RUN.fullmatch(text) and re.fullmatch(RUN_PATTERN, text) and stored_run(here, text):
        return see(f"/runs/{text}")
    entries = [entry for entry in here.parts.catalogue.entries() if matches(entry, text)][:_MOST]
    series = here.store.series_like(text, _MOST)
    return page(
        "search",
        section="",
        q=text,
        asked=True,
        entries=entries,
        recent=here.store.recent_runs([entry.name for entry in entries], 8),
        series=[(format_series(one.slo, tuple(one.labels.items())), one) for one in series],
        targets=here.store.targets_like(text, _MOST),
        runs=here.store.runs_like(text, 20),
    )
