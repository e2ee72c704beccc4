"""matplotlib, loaded late and quietly, and kept to one picture at a time.

Only its object API is used (a Figure and a canvas for each picture, never pyplot), so nothing outlives
a picture. Its settings and its font cache are global, hence the lock.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Held while anything of matplotlib is at work.
LOCK = threading.RLock()

#: Coordinates are CSS pixels, one to a point: a figure of 72 dots an inch has one dot for each.
DPI = 72

_SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sloguard",
    "pdf.fonttype": 42,
    "text.hinting": "no_hinting",
    "text.usetex": False,
    "path.simplify": True,
    "path.simplify_threshold": 0.2,
    "hatch.linewidth": 0.6,
}


def load() -> None:
    """Import matplotlib; without a writable home, with a cache in the temporary directory instead.

    It reports a missing cache directory and the building of its font list as warnings; neither is news
    to somebody who asked for a picture.
    """
    with LOCK:
        _load()


@lru_cache(maxsize=1)
def _load() -> bool:
    with _quiet(), _cache_directory():
        import matplotlib
        import matplotlib.backends.backend_agg
        import matplotlib.figure
        import matplotlib.font_manager

        matplotlib.get_configdir()
        matplotlib.get_cachedir()
    return True


@contextmanager
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _cache_directory() -> Iterator[None]:
    """MPLCONFIGDIR for the time of the import, where matplotlib would find no place of its own."""
    if os.environ.get("MPLCONFIGDIR") or all(_writable(path) for path in _own_places()):
        yield
        return
    os.environ["MPLCONFIGDIR"] = _private_directory()
    try:
        yield
    finally:
        # What sloguard starts later is not to inherit it.
        os.environ.pop("MPLCONFIGDIR", None)


def _own_places() -> tuple[Path, ...]:
    home = Path(os.path.expanduser("~"))
    return (
        Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config") / "matplotlib",
        Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "matplotlib",
    )


def _writable(path: Path) -> bool:
    nearest = next((p for p in (path, *path.parents) if p.exists()), None)
    return nearest is not None and nearest.is_dir() and os.access(nearest, os.W_OK)


def _private_directory() -> str:
    """One for each user, so that the font list is built once; a new one if that one is not ours."""
    shared = Path(tempfile.gettempdir()) / f"sloguard-matplotlib-{os.getuid()}"
    try:
        shared.mkdir(mode=0o700, exist_ok=True)
        found = shared.lstat()
    except OSError:
        return tempfile.mkdtemp(prefix="sloguard-matplotlib-")
    ours = found.st_uid == os.getuid() and not found.st_mode & 0o022
    if ours and shared.is_dir() and not shared.is_symlink():
        return str(shared)
    return tempfile.mkdtemp(prefix="sloguard-matplotlib-")


@lru_cache(maxsize=1)
def _settings() -> dict[str, Any]:
    """matplotlib's own defaults wherever a user's matplotlibrc says otherwise, then ours."""
    import matplotlib

    default, current = matplotlib.rcParamsDefault, matplotlib.rcParams
    # Reading 'backend' would load pyplot.
    names = [name for name in default if not name.startswith("backend")]
    differing = {n: default[n] for n in names if current[n] != default[n]}
    return differing | _SETTINGS


@contextmanager
def drawing() -> Iterator[None]:
    """The one place in which matplotlib works: loaded, locked, with our settings."""
    load()
    with LOCK:
        import matplotlib

        # matplotlib's stub lists the keys one by one; ours are made at run time.
        with matplotlib.rc_context(rc=_settings()):  # type: ignore[arg-type]
            yield


# The canvases have no types in matplotlib's stubs, hence Any for them.


def svg_bytes(figure: Figure) -> bytes:
    """The figure as matplotlib's SVG; no date, no name of a program."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    out = io.BytesIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(out, metadata=nothing)
    return out.getvalue()


def png_bytes(figure: Figure, scale: float) -> bytes:
    """The figure as PNG, ``scale`` pixels for each of its units."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(DPI * scale)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    # Opaque: the background is part of the picture, and three bytes compress faster than four.
    image = Image.frombuffer("RGBA", (width, height), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
    out = io.BytesIO()
    image.convert("RGB").save(out, format="png", compress_level=4, dpi=(96 * scale, 96 * scale))
    return out.getvalue()


def pdf_bytes(figure: Figure, title: str) -> bytes:
    """The figure as one page of PDF; no date."""
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    out = io.BytesIO()
    metadata = {"CreationDate": None, "Creator": None, "Producer": None, "Title": title}
    canvas: Any = FigureCanvasPdf(figure)
    canvas.print_pdf(out, metadata=metadata)
    return out.getvalue()
