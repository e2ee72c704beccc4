"""A report as PDF, by WeasyPrint, from the same HTML: A4, with page numbers."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sloguard.render.report import ReportError

#: What to do about each of the two things that may be missing.
NO_EXTRA = (
    "PDF needs WeasyPrint: pip install 'sloguard[pdf]'; or take --format html, which prints as well"
)
NO_PANGO = (
    "PDF needs Pango, which is not on this machine: apt-get install libpango-1.0-0 libpangoft2-1.0-0 "
    "(Debian, Ubuntu), dnf install pango (Fedora), brew install pango (macOS); or take --format html, "
    "which prints as well"
)


class NotInstalled(ReportError):
    """What makes PDFs is not there; the text says what to install."""


def pdf_of(page: str) -> bytes:
    """The page (``writing.page_of``) as PDF. It loads nothing: what is no data in the page stays away.

    Raises NotInstalled.
    """
    made: bytes = laid_out(page).write_pdf()
    return made


def laid_out(page: str) -> Any:
    """The pages as WeasyPrint lays them out (a ``weasyprint.Document``). Raises NotInstalled."""
    weasyprint = _weasyprint()
    from weasyprint.text.fonts import FontConfiguration

    fonts = FontConfiguration()
    fetcher = _only_ours()
    letters = weasyprint.CSS(string=_letters(), font_config=fonts, url_fetcher=fetcher)
    document = weasyprint.HTML(string=page, base_url="about:blank", url_fetcher=fetcher)
    return document.render(stylesheets=[letters], font_config=fonts)


def _weasyprint() -> Any:
    # What it thinks of CSS that is there for browsers is of no use to anybody who wants a report.
    for name in ("weasyprint", "weasyprint.progress", "fontTools"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        import weasyprint
    except ModuleNotFoundError as error:
        raise NotInstalled(NO_EXTRA) from error
    except OSError as error:
        raise NotInstalled(NO_PANGO) from error
    return weasyprint


def _fonts() -> dict[str, Path]:
    from matplotlib import get_data_path

    place = Path(get_data_path(), "fonts", "ttf")
    return {
        "normal 400": place / "DejaVuSans.ttf",
        "normal 700": place / "DejaVuSans-Bold.ttf",
        "italic 400": place / "DejaVuSans-Oblique.ttf",
    }


def _letters() -> str:
    """The fonts of the charts, which come with matplotlib: the same pages on every machine."""
    faces = []
    for look, path in _fonts().items():
        style, weight = look.split()
        faces.append(
            f'@font-face {{ font-family: "DejaVu Sans"; font-style: {style}; font-weight: {weight}; '
            f'src: url("{path.as_uri()}"); }}'
        )
    mono = _fonts()["normal 400"].with_name("DejaVuSansMono.ttf")
    faces.append(f'@font-face {{ font-family: "DejaVu Sans Mono"; src: url("{mono.as_uri()}"); }}')
    return "\n".join(faces) + (
        '\n.report { font-family: "DejaVu Sans", sans-serif !important; }'
        '\n.report code, .report pre { font-family: "DejaVu Sans Mono", monospace !important; }'
    )


def _only_ours() -> Any:
    """Data of the page and the fonts; no file of this machine, no address."""
    allowed = {path.as_uri() for path in _fonts().values()}
    allowed.add(_fonts()["normal 400"].with_name("DejaVuSansMono.ttf").as_uri())
    from weasyprint.urls import URLFetcher

    class Ours(URLFetcher):  # type: ignore[misc]  # it has no types
        def fetch(self, url: str, headers: Any = None) -> Any:
            if not url.startswith("data:") and url not in allowed:
                raise ValueError("a report loads nothing")
            return super().fetch(url, headers)

    return Ours(allowed_protocols=("data", "file"))
