"""An SLO over the timeline of a run, as a picture: SVG, PNG or PDF bytes.

``chart`` draws from what the judge gave, ``chart_document`` from a stored answer; both make a
``ChartModel`` of it (``charts.build``), which ``draw`` lays out and paints. Safe to call from several
threads. numpy and matplotlib are imported with the first call, not with this package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from sloguard.core.model import Timeline
    from sloguard.core.results import SloResult
    from sloguard.core.series import SloEvidence, Surroundings
    from sloguard.render.charts.model import AlertSpan, ChartModel

Format = Literal["svg", "png", "pdf"]
Theme = Literal["light", "dark"]
FORMATS: tuple[Format, ...] = ("svg", "png", "pdf")
THEMES: tuple[Theme, ...] = ("light", "dark")
DEFAULT_SIZE = (1200, 640)


def chart(
    evidence: SloEvidence,
    result: SloResult | None,
    timeline: Timeline,
    *,
    format: Format = "svg",
    theme: Theme = "light",
    alerts: Sequence[AlertSpan | Mapping[str, Any]] = (),
    title: str = "",
    size: tuple[int, int] = DEFAULT_SIZE,
    scale: float = 1.0,
    surroundings: Surroundings | None = None,
) -> bytes:
    """The picture of one SLO; ``result`` None: nothing was judged.

    ``title``: whose picture it is (the experiment, the run), shown beside the SLO's name. ``size``:
    width and height in CSS pixels; ``scale``: pixels of a PNG for each of them. ``alerts``: spans, or
    mappings as Alertmanager gives them. Raises ChartError for a format, theme or size there is none of.
    """
    from sloguard.render.charts.build import model_of

    model = model_of(
        evidence, result, timeline, alerts=alerts, title=title, surroundings=surroundings
    )
    return draw(model, format=format, theme=theme, size=size, scale=scale)


def chart_document(
    document: Mapping[str, Any],
    evidence: SloEvidence,
    *,
    format: Format = "svg",
    theme: Theme = "light",
    alerts: Sequence[AlertSpan | Mapping[str, Any]] | None = None,
    title: str | None = None,
    size: tuple[int, int] = DEFAULT_SIZE,
    scale: float = 1.0,
    surroundings: Surroundings | None = None,
) -> bytes:
    """The same from a stored answer (the JSON document) and the stored samples of one of its SLOs.

    ``alerts`` and ``title`` default to the document's. Raises ChartError where the document has no
    timeline.
    """
    from sloguard.render.charts.build import model_of_document

    model = model_of_document(
        document, evidence, alerts=alerts, title=title, surroundings=surroundings
    )
    return draw(model, format=format, theme=theme, size=size, scale=scale)


def draw(
    model: ChartModel,
    *,
    format: Format = "svg",
    theme: Theme = "light",
    size: tuple[int, int] = DEFAULT_SIZE,
    scale: float = 1.0,
) -> bytes:
    """Lay out and paint. The same model gives the same bytes (with one version of matplotlib)."""
    from sloguard.render.charts.paint import paint

    return paint(model, format=format, theme=theme, size=size, scale=scale)
