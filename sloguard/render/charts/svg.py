"""matplotlib's SVG -> one that reads aloud, says what its parts are, and can stand beside others.

``<title>`` and ``<desc>`` for the whole, a ``data-part`` (and a title on hover) for each named part, no
ids that would clash when several pictures are put into one page, sizes in CSS pixels.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from sloguard.render.charts.canvas import Part
from sloguard.render.charts.lettering import Lettering

_HEAD = re.compile(r"\A.*?<svg ([^>]*)>", re.DOTALL)
_PART = re.compile(r'<g id="part-(\d+)">')
_OTHER_IDS = re.compile(r'<g id="[A-Za-z0-9]+_\d+">')
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
#: It would speak to every element of a page into which the picture is put.
_STYLE = re.compile(r"\s*<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>")
_UNIT = re.compile(r'(width|height)="([0-9.]+)pt"')
_FAMILY = re.compile(r"; font-family: 'DejaVu Sans'(?=[;\"])")
_MONO = re.compile(r"font-family: 'DejaVu Sans Mono'")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: Verdana has the widths of DejaVu Sans, where a reader's system does not have that.
_SANS = "font-family: 'DejaVu Sans', Verdana, sans-serif"
_FIXED = "font-family: 'DejaVu Sans Mono', Menlo, Consolas, monospace"


def finished(
    raw: bytes, parts: Sequence[Part], title: str, description: str, lettering: Lettering
) -> bytes:
    """The final document; the same input gives the same bytes."""
    text = raw.decode()
    mark = "c" + hashlib.sha256(raw + title.encode(errors="replace")).hexdigest()[:10]
    text = _METADATA.sub("", text, count=1)
    # First: what follows puts in texts that never were stood in for.
    text = lettering.restore(text)
    text = _PART.sub(lambda found: _open(parts[int(found[1])]), text)
    text = _OTHER_IDS.sub("<g>", text)
    text = _STYLE.sub("", text, count=1)
    text = _FAMILY.sub("", text)
    text = _MONO.sub(_FIXED, text)
    head = _HEAD.match(text)
    if head is None:  # pragma: no cover - matplotlib always opens its root this way
        raise RuntimeError("matplotlib wrote an SVG without a root")
    attributes = _UNIT.sub(r'\1="\2"', head[1])
    root = (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        f'<svg {attributes} role="img" aria-labelledby="{mark}-t {mark}-d" '
        f'style="{_SANS}; stroke-linejoin: round; stroke-linecap: butt">\n'
        f' <title id="{mark}-t">{_safe(title)}</title>\n <desc id="{mark}-d">{_safe(description)}</desc>'
    )
    return (root + text[head.end() :]).encode()


def _open(part: Part) -> str:
    title = f"<title>{_safe(part.title)}</title>" if part.title else ""
    return f"<g data-part={quoteattr(part.name)}>{title}"


def _safe(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))
