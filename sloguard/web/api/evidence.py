"""What a verdict stands on: charts, journal, samples."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Literal

import msgspec
from flask import Response
from pydantic import Field

from sloguard.core.history import StoredRun
from sloguard.ports.service import Scope
from sloguard.render.charts import DEFAULT_SIZE
from sloguard.web.answers import json_answer, lasting, tag_of, unchanged
from sloguard.web.api.finding import ended_run
from sloguard.web.endpoints import JSON, Answer, Query, Resource
from sloguard.web.parts import Service, service
from sloguard.web.problems import Problem
from sloguard.web.schemas import JournalShape
from sloguard.web.shaping import API

resource = Resource("evidence", API, about="What a verdict stands on.")

#: Drawing takes a processor for itself: more at once only makes everybody wait longer.
_DRAWING = threading.BoundedSemaphore(2)
_SIZES = {"wide": DEFAULT_SIZE, "narrow": (560, 600)}
_MEDIA = {"svg": "image/svg+xml", "png": "image/png"}
PARQUET = "application/vnd.apache.parquet"
_ETAG = {"ETag": "changes with the content"}


class ChartQuery(Query):
    """Which picture."""

    slo: str | None = Field(None, description="Of this SLO; else the worst one.", max_length=300)
    theme: Literal["light", "dark"] = Field("light", description="Its colours.")
    shape: Literal["wide", "narrow"] = Field("wide", description="For a page, or for a phone.")
    scale: float = Field(1.0, ge=0.5, le=4, description="Pixels of a PNG for each CSS pixel.")


@resource.get(
    "/runs/<run>/chart.<any(svg,png):format>",
    scope=Scope.READ,
    query=ChartQuery,
    answers=[
        Answer(description="The picture.", media=tuple(_MEDIA.values()), headers=_ETAG),
        Answer(status=304, description="You have it already."),
    ],
    problems=["unknown-run", "no-evidence"],
)
def chart(run: str, format: Literal["svg", "png"], query: ChartQuery) -> Response:
    """An SLO over the timeline of a run: phases, fault, objective, breaches, recovery."""
    here = service()
    scale = query.scale if format == "png" else 1.0
    which = (query.slo or "", format, query.theme, query.shape, str(scale))
    tag = _tag(here, run, which)
    picture = here.pictures.get(tag)
    if picture is not None:
        return unchanged(tag) or lasting(picture, _MEDIA[format], tag)
    stored = ended_run(here, run)
    if stored.document is None or stored.timeline is None:
        detail = f"run '{stored.id}' is {stored.state} and has no timeline to draw"
        raise Problem("no-evidence", detail, state=stored.state)
    slo = _drawn(here, stored, query.slo)
    tag = tag or _tag(here, stored.id, which)
    size = _SIZES[query.shape]
    return unchanged(tag) or lasting(
        here.pictures.get(tag) or _draw(here, stored, slo, format, query.theme, size, scale, tag),
        _MEDIA[format],
        tag,
    )


def _tag(here: Service, run: str, which: tuple[str, ...]) -> str:
    """Of a picture of the run as it was judged; empty where no ended run has exactly this id.

    What is asked for counts, not what is chosen for it: a picture that was drawn is then found at once.
    """
    known = here.store.answer(run)
    if known is None or known.ended_at is None or known.document is None:
        return ""
    return tag_of(known.document, run, *which)


_WORST_FIRST = {"deviated": 0, "inconclusive": 1, "met": 2}


def _drawn(here: Service, stored: StoredRun, wanted: str | None) -> str:
    """The SLO to draw."""
    kept = here.store.evidence_names(stored.id)
    if wanted is not None:
        if wanted in kept:
            return wanted
        names = ", ".join(kept) or "none"
        raise Problem(
            "no-evidence", f"no samples of an SLO '{wanted}' are kept; there are: {names}"
        )
    if not kept:
        raise Problem("no-evidence", "no samples of this run are kept")
    declared = (stored.document or {}).get("slos") or ()
    worst = sorted(
        (slo for slo in declared if slo["name"] in kept),
        key=lambda slo: _WORST_FIRST.get(slo["verdict"], 3),
    )
    return str(worst[0]["name"]) if worst else kept[0]


def _draw(
    here: Service,
    stored: StoredRun,
    slo: str,
    format: Literal["svg", "png"],
    theme: Literal["light", "dark"],
    size: tuple[int, int],
    scale: float,
    tag: str,
) -> bytes:
    from sloguard.render.charts import chart_document

    with _DRAWING:
        found = here.store.evidence(stored.id, slo)
        if not found:
            raise Problem("no-evidence", f"the samples of '{slo}' are gone")
        picture = chart_document(
            stored.document or {},
            found[0],
            format=format,
            theme=theme,
            size=size,
            scale=scale,
            surroundings=stored.surroundings,
        )
    here.pictures.put(tag, picture)
    return picture


@resource.get(
    "/runs/<run>/journal",
    scope=Scope.READ,
    answers=[
        Answer(description="The journal.", model=JournalShape, headers=_ETAG),
        Answer(status=304, description="You have it already."),
    ],
    problems=["unknown-run", "no-evidence"],
)
def journal(run: str) -> Response:
    """The run as a Chaos Toolkit journal, with sloguard's document under `sloguard`.

    What people noted stands under `sloguard-observations`; a note that comes later changes its ETag.
    """
    from sloguard.render.journal import journal_of

    here = service()
    stored = ended_run(here, run)
    notes = here.store.notes_of(stored.id)
    made = journal_of(stored, here.store.events(stored.id), notes)
    if stored.ended_at is None:
        return json_answer(made)
    body = msgspec.json.encode(made)
    tag = tag_of(body)
    return unchanged(tag) or lasting(body, JSON, tag)


@resource.get(
    "/runs/<run>/samples.<any(csv,parquet):form>",
    scope=Scope.READ,
    answers=[
        Answer(
            description="The samples, one a row: time, slo, role, labels, value.",
            media=("text/csv", PARQUET),
        )
    ],
    problems=["unknown-run", "no-evidence", "not-installed"],
)
def samples(run: str, form: Literal["csv", "parquet"]) -> Response:
    """The samples that were judged, as Prometheus gave them, streamed SLO by SLO."""
    here = service()
    stored = ended_run(here, run)
    if not here.store.evidence_names(stored.id):
        raise Problem("no-evidence", "no samples of this run are kept", state=stored.state)
    pieces, media = _samples(here, stored.id, form)
    made = Response(pieces, mimetype=media)
    made.headers["Content-Disposition"] = f'attachment; filename="{stored.id}.{form}"'
    made.headers["Cache-Control"] = "no-store"
    return made


def _samples(here: Service, run: str, form: str) -> tuple[Iterator[str] | Iterator[bytes], str]:
    found = here.store.each_evidence(run)
    if form == "csv":
        from sloguard.render.export import samples_csv

        return samples_csv(found), "text/csv"
    from sloguard.render.parquet import NotInstalled, samples_parquet

    try:
        return samples_parquet(found), PARQUET
    except NotInstalled as error:
        raise Problem("not-installed", str(error)) from None
