"""A small picture of an experiment's last verdict, for a README or a dashboard."""

from __future__ import annotations

from html import escape

from flask import Response

from sloguard.ports.service import Scope
from sloguard.web.answers import lasting, tag_of, unchanged
from sloguard.web.api.finding import known_experiment
from sloguard.web.endpoints import Answer, Resource
from sloguard.web.parts import service
from sloguard.web.problems import Problem
from sloguard.web.shaping import API

resource = Resource("badges", API, about="Pictures to embed.")

#: White text on each has a contrast of 4.5 or more.
_COLOURS = {
    "met": "#1a7f37",
    "deviated": "#c4281c",
    "not-restored": "#8b1a10",
    "inconclusive": "#8a5a00",
    "aborted": "#6e5494",
}
_OTHER = "#57606a"
_HEIGHT = 20
_CHARACTER = 6.6


@resource.get(
    "/badge/<experiment>.svg",
    scope=Scope.READ,
    answers=[
        Answer(
            description="The badge.",
            media=("image/svg+xml",),
            headers={"ETag": "changes with the verdict"},
        ),
        Answer(status=304, description="You have it already."),
    ],
    problems=["unknown-experiment"],
)
def badge(experiment: str) -> Response:
    """The last outcome of an experiment as a badge (SVG); `no runs` where there is none yet."""
    here = service()
    found = here.store.latest_runs(experiment)
    if not found and not known_experiment(here, experiment):
        raise Problem(
            "unknown-experiment", f"there is neither an experiment '{experiment}' nor a run of it"
        )
    outcome = found[0].outcome if found else "no runs"
    tag = tag_of(experiment, outcome)
    made = unchanged(tag) or lasting(drawn(experiment, outcome), "image/svg+xml", tag)
    # A picture for the pages of others, as long as they are of the same organisation.
    made.headers["Cross-Origin-Resource-Policy"] = "same-site"
    return made


def drawn(label: str, outcome: str) -> bytes:
    """The picture: what on the left, how it went on the right."""
    left, right = (round(len(text) * _CHARACTER + 12) for text in (label, outcome))
    colour = _COLOURS.get(outcome, _OTHER)
    name, told = escape(label), escape(outcome)
    width = left + right
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}" role="img" '
        f'aria-label="{name}: {told}"><title>{name}: {told}</title>'
        f'<clipPath id="r"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#r)"><rect width="{left}" height="{_HEIGHT}" fill="#24292f"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{colour}"/></g>'
        '<g fill="#fff" text-anchor="middle" '
        'font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">'
        f'<text x="{left / 2}" y="14" textLength="{left - 12}">{name}</text>'
        f'<text x="{left + right / 2}" y="14" textLength="{right - 12}">{told}</text></g></svg>'
    ).encode()
