"""A sheet of CSS pixels (y grows downwards) over a matplotlib Figure.

No Axes: ticks, labels and shading are placed by the layout, which keeps a picture at a few dozen
artists and every position computable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sloguard.core.arrays import Floats
from sloguard.render.charts.backend import DPI
from sloguard.render.charts.lettering import Face, Lettering, properties
from sloguard.render.charts.style import Dash

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

Anchor = Literal["left", "center", "right"]


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the picture that has a name of its own, and a text to be read aloud or on hover."""

    name: str
    title: str = ""


@dataclass(slots=True)
class Canvas:
    """Collects artists; later ones are drawn over earlier ones."""

    width: float
    height: float
    background: str
    lettering: Lettering
    parts: list[Part] = field(default_factory=list)
    _order: int = 0
    figure: Figure = field(init=False)
    _transform: Any = field(init=False)

    def __post_init__(self) -> None:
        from matplotlib.figure import Figure
        from matplotlib.transforms import Affine2D

        size = (self.width / DPI, self.height / DPI)
        self.figure = Figure(figsize=size, dpi=DPI, facecolor=self.background)
        flipped = Affine2D().scale(1 / DPI, -1 / DPI).translate(0, self.height / DPI)
        self._transform = flipped + self.figure.dpi_scale_trans

    def _add(self, artist: Artist, part: Part | None) -> None:
        self._order += 1
        artist.set_zorder(self._order)
        artist.set_transform(self._transform)
        if part is not None:
            artist.set_gid(f"part-{len(self.parts)}")
            self.parts.append(part)
        self.figure.add_artist(artist)

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str | None = None,
        *,
        edge: str | None = None,
        hatch: str = "",
        alpha: float | None = None,
        part: Part | None = None,
    ) -> None:
        """A box; ``edge`` is also the colour of its hatch."""
        from matplotlib.patches import Rectangle

        style: dict[str, Any] = {"facecolor": fill or "none", "edgecolor": edge or "none"}
        if hatch:
            style |= {"hatch": hatch, "linewidth": 0.0}
        elif edge:
            style["linewidth"] = 1.0
        self._add(Rectangle((x, y), width, height, alpha=alpha, **style), part)

    def badge(self, x: float, y: float, width: float, height: float, fill: str) -> None:
        """A box with round corners."""
        from matplotlib.patches import BoxStyle, FancyBboxPatch

        made: Any = BoxStyle  # untyped in matplotlib's stubs
        round_corners = made("Round", pad=0, rounding_size=4)
        self._add(
            FancyBboxPatch(
                (x, y), width, height, boxstyle=round_corners, facecolor=fill, edgecolor="none"
            ),
            None,
        )

    def line(
        self,
        xs: Sequence[float] | Floats,
        ys: Sequence[float] | Floats,
        colour: str,
        width: float = 1.0,
        dash: Dash = None,
        *,
        part: Part | None = None,
    ) -> None:
        """A line; NaN breaks it."""
        from matplotlib.lines import Line2D

        drawn = Line2D(
            xs, ys, color=colour, linewidth=width, solid_joinstyle="round", solid_capstyle="butt"
        )
        if dash:
            drawn.set_linestyle((0, tuple(d / width for d in dash)))
        self._add(drawn, part)

    def lines(
        self,
        each: Sequence[Floats],
        colour: str,
        width: float = 1.0,
        *,
        alpha: float = 1.0,
        part: Part | None = None,
    ) -> None:
        """Many lines (points x 2) of one look."""
        from matplotlib.collections import LineCollection

        if each:
            drawn = LineCollection(each, colors=colour, linewidths=width, alpha=alpha)
            self._add(drawn, part)

    def polygons(
        self, each: Sequence[Floats], fill: str, *, alpha: float = 1.0, part: Part | None = None
    ) -> None:
        """Filled areas (points x 2)."""
        from matplotlib.collections import PolyCollection

        if each:
            self._add(PolyCollection(each, facecolors=fill, edgecolors="none", alpha=alpha), part)

    def marks(
        self,
        xs: Sequence[float] | Floats,
        ys: Sequence[float] | Floats,
        marker: str,
        size: float,
        colour: str,
        *,
        hollow: str | None = None,
        part: Part | None = None,
    ) -> None:
        """One sign at each place; ``hollow``: the colour inside it."""
        from matplotlib.lines import Line2D

        if len(xs):
            drawn = Line2D(
                xs,
                ys,
                linestyle="none",
                marker=marker,
                markersize=size,
                markeredgecolor=colour,
                markerfacecolor=hollow or colour,
                markeredgewidth=1.3 if hollow else 0.0,
            )
            self._add(drawn, part)

    def text(
        self,
        x: float,
        middle: float,
        text: str,
        size: float,
        colour: str,
        *,
        anchor: Anchor = "left",
        face: Face = "regular",
        part: Part | None = None,
    ) -> None:
        """A clean text (see Lettering), centred vertically on ``middle`` by the height of its capitals."""
        from sloguard.render.charts.words import Words

        if text:
            drawn = Words(
                x,
                middle + 0.36 * size,
                text,
                self.lettering.width(text, size, face),
                color=colour,
                fontproperties=properties(face, size),
                horizontalalignment=anchor,
            )
            self._add(drawn, part)


def segments(*each: tuple[float, float, float, float]) -> list[Floats]:
    """Straight lines (x0, y0, x1, y1) for ``Canvas.lines``."""
    return [np.array([[x0, y0], [x1, y1]]) for x0, y0, x1, y1 in each]
