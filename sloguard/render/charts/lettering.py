"""Any text -> text that the bundled fonts can draw, and how wide it will be.

Only the DejaVu fonts that come with matplotlib are used, so that a picture is the same everywhere.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from sloguard.render.units import shorten_middle

if TYPE_CHECKING:
    from matplotlib.font_manager import FontProperties
    from matplotlib.ft2font import FT2Font

Face = Literal["regular", "bold", "mono"]
_FILES: dict[Face, str] = {
    "regular": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "mono": "DejaVuSansMono.ttf",
}
FAMILIES: dict[Face, str] = {
    "regular": "DejaVu Sans",
    "bold": "DejaVu Sans",
    "mono": "DejaVu Sans Mono",
}

#: Signs that stand in for characters without a glyph until the SVG is written: the fonts have them,
#: and labels hardly ever do (one that does is stood in for as well).
_STAND_INS = range(0x2801, 0x2900)
_JOINERS = "\u200c\u200d"
_NO_GLYPH = "\u25a1"


@lru_cache(maxsize=8)
def _font(face: Face) -> FT2Font:
    from matplotlib import get_data_path
    from matplotlib.ft2font import FT2Font

    font = FT2Font(f"{get_data_path()}/fonts/ttf/{_FILES[face]}")
    font.set_size(1000, 72)
    return font


@lru_cache(maxsize=64)
def properties(face: Face, size: float) -> FontProperties:
    """matplotlib's description of a bundled font; never looked up among the system's."""
    from matplotlib import get_data_path
    from matplotlib.font_manager import FontProperties

    return FontProperties(
        family=FAMILIES[face],
        fname=f"{get_data_path()}/fonts/ttf/{_FILES[face]}",
        size=size,
        weight="bold" if face == "bold" else "normal",
    )


@lru_cache(maxsize=8192)
def _advance(character: str, face: Face) -> float:
    """The width of a character at size 1; NaN would be as wide as a blank box."""
    from matplotlib.ft2font import LoadFlags

    glyph = _font(face).load_char(ord(character), flags=LoadFlags.NO_HINTING)
    return float(glyph.linearHoriAdvance) / 65536 / 1000


@lru_cache(maxsize=8192)
def _has_glyph(character: str, face: Face) -> bool:
    return bool(_font(face).get_char_index(ord(character)))


class Lettering:
    """The texts of one picture.

    ``keep``: characters without a glyph are drawn by signs that ``restore`` turns back (SVG: the
    reader's own fonts will show them); otherwise they are written as escapes (``\\u30b5``), which still
    tell two names apart.
    """

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._stand_in: dict[str, str] = {}

    def clean(self, text: str, face: Face = "regular") -> str:
        """One line of characters that can be drawn with this face."""
        if text.isascii() and text.isprintable():
            return text
        return "".join(self._drawable(character, face) for character in text)

    def restore(self, text: str) -> str:
        """The text with its own characters again."""
        table = {ord(sign): character for character, sign in self._stand_in.items()}
        return text.translate(table) if table else text

    def _drawable(self, character: str, face: Face) -> str:
        code = ord(character)
        category = unicodedata.category(character)
        if character not in _JOINERS and category in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            # Includes the marks that reverse the direction of all that follows.
            return character.encode("unicode_escape", "backslashreplace").decode("ascii")
        if character not in _JOINERS and code not in _STAND_INS and _has_glyph(character, face):
            return character
        if self._keep:
            return self._stood_in(character)
        joins = character in _JOINERS or category == "Mn"
        return "" if joins else character.encode("unicode_escape").decode("ascii")

    def _stood_in(self, character: str) -> str:
        if character not in self._stand_in:
            if len(self._stand_in) >= len(_STAND_INS):
                return _NO_GLYPH
            self._stand_in[character] = chr(_STAND_INS[len(self._stand_in)])
        return self._stand_in[character]

    @staticmethod
    def width(text: str, size: float, face: Face = "regular") -> float:
        """Of a clean text, in pixels."""
        return sum(_advance(character, face) for character in text) * size

    def fit(self, text: str, room: float, size: float, face: Face = "regular") -> str:
        """A clean text that is no wider than ``room``, shortened in its middle; '' if nothing fits."""
        return self.shorten(self.clean(text, face), room, size, face)

    def shorten(self, text: str, room: float, size: float, face: Face = "regular") -> str:
        """The same of a text that is clean already (cleaning twice would garble stand-ins)."""
        if self.width(text, size, face) <= room:
            return text
        short, long = 0, len(text)
        while short < long:
            tried = (short + long + 1) // 2
            if self.width(shorten_middle(text, tried), size, face) <= room:
                short = tried
            else:
                long = tried - 1
        return shorten_middle(text, short) if short > 1 else ""

    def wrap(self, text: str, room: float, size: float, lines: int) -> list[str]:
        """At most ``lines`` clean lines; what is left over shortens the last one."""
        words = self.clean(" ".join(text.split())).split(" ")
        made: list[str] = []
        while words and words != [""]:
            if len(made) == lines - 1:
                made.append(_cut(self, " ".join(words), room, size))
                break
            taken = 1
            while taken < len(words) and self.width(" ".join(words[: taken + 1]), size) <= room:
                taken += 1
            made.append(self.shorten(" ".join(words[:taken]), room, size))
            words = words[taken:]
        return made


def _cut(lettering: Lettering, text: str, room: float, size: float) -> str:
    """A sentence is cut at its end, unlike a name."""
    if lettering.width(text, size) <= room:
        return text
    kept = len(text)
    while kept and lettering.width(text[:kept].rstrip() + "…", size) > room:
        kept -= 1
    return text[:kept].rstrip() + "…"
