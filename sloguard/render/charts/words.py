"""A line of text whose width is already known: drawn without matplotlib's own layout.

Laying a text out costs matplotlib as much as drawing it; the layout of a picture has measured it before.
"""

from __future__ import annotations

from typing import Any

from matplotlib.colors import to_rgba
from matplotlib.text import Text

_SHARE = {"left": 0.0, "center": 0.5, "right": 1.0}


class Words(Text):
    """One line, not rotated, no markup; ``width`` in the units of its transform."""

    def __init__(self, x: float, baseline: float, text: str, width: float, **style: Any) -> None:
        super().__init__(x, baseline, text, verticalalignment="baseline", **style)
        self._width = width

    def draw(self, renderer: Any) -> None:
        """Straight to the renderer, from the left end of the baseline."""
        x, y = self.get_unitless_position()
        left = x - self._width * _SHARE[self.get_horizontalalignment()]
        at, baseline = self.get_transform().transform((left, y))
        if renderer.flipy():
            baseline = renderer.get_canvas_width_height()[1] - baseline
        renderer.open_group("text", self.get_gid())
        # The last but one argument: plain text. A '$' in a label is a dollar, never mathematics.
        gc = renderer.new_gc()
        gc.set_foreground(to_rgba(self.get_color()), isRGBA=True)
        renderer.draw_text(
            gc, at, baseline, self.get_text(), self.get_fontproperties(), 0.0, False, mtext=self
        )
        gc.restore()
        renderer.close_group("text")
        self.stale = False
