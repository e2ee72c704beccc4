"""Charts written beside a verdict."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sloguard.core.model import Timeline
    from sloguard.core.results import SloResult
    from sloguard.core.series import Surroundings
    from sloguard.render.charts import Format, Theme


def write_charts(
    directory: Path,
    slos: Iterable[SloResult],
    timeline: Timeline,
    *,
    title: str,
    format_: Format = "svg",
    theme: Theme = "light",
    scale: float = 1.0,
    surroundings: Surroundings | None = None,
) -> list[Path]:
    """A picture of every SLO; one that cannot be written is said on stderr and loses nothing else."""
    from sloguard.render.charts import chart

    written = []
    for slo in slos:
        path = directory / f"{file_name(slo.name)}.{format_}"
        picture = chart(
            slo.evidence,
            slo,
            timeline,
            format=format_,
            theme=theme,
            title=title,
            scale=scale,
            surroundings=surroundings,
        )
        if save(path, picture):
            written.append(path)
    return written


def save(path: Path, picture: bytes) -> bool:
    """Write one picture whole or not at all."""
    from sloguard.render.files import write_atomically

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, picture)
    except OSError as error:
        click.echo(f"sloguard: {path} could not be written: {error.strerror}", err=True)
        return False
    return True


def file_name(name: str) -> str:
    """An SLO's name as a file's name: nothing of it reaches another directory."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-")[:80] or "slo"
