"""``sloguard chart``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sloguard.cli.common import config_option, fail, settings_from, store_option, the_store
from sloguard.cli.pictures import file_name, save

if TYPE_CHECKING:
    from sloguard.adapters.store import Store
    from sloguard.settings import Settings


@click.command("chart")
@click.argument("run", default="latest")
@click.option("--slo", help="Only this SLO.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="x.png, x.svg or x.pdf; or a directory (default: charts/RUN).",
)
@click.option("--theme", type=click.Choice(["light", "dark"]), help="Colours.")
@click.option(
    "--scale",
    type=click.FloatRange(0, 8, min_open=True),
    help="Pixels of a PNG for each of its CSS pixels.",
)
@store_option
@config_option
def command(run: str, slo: str | None, output: Path | None, theme: str | None, scale: float | None, **flags: Any) -> None:  # fmt: skip
    """Draw the SLOs of a run: phases, fault, thresholds, breaches, recovery.

    RUN is an id, a unique beginning of one, or latest.

    \b
      sloguard chart latest -o charts
      sloguard chart 20261121T0315 --slo error-ratio -o error-ratio.png --theme dark
    """
    from dataclasses import replace

    from sloguard.ports import OutsideError

    settings = settings_from(flags["config"], store=flags["store"])
    charts = settings.charts
    charts = replace(charts, theme=theme or charts.theme, scale=scale or charts.scale)
    one_file = None
    if output is not None and output.suffix.lstrip(".") in ("svg", "png", "pdf"):
        one_file, charts = output, replace(charts, format=output.suffix.lstrip("."))
    elif output is not None and output.suffix and not output.is_dir():
        fail(f"{output}: a chart is .svg, .png or .pdf; a name without an ending is a directory")
    settings = replace(settings, charts=charts)
    store = the_store(settings)
    try:
        found = store.run_id(run)
        paths = draw_run(store, found, output or Path("charts", found), settings, slo, one_file)
    except OutsideError as error:
        fail(str(error))
    if not paths:
        what = f"SLO '{slo}'" if slo else "samples"
        fail(f"run {found} has no {what} to draw; sloguard runs show {found} says what it has")
    for path in paths:
        click.echo(str(path))


def draw_run(
    store: Store,
    run: str,
    directory: Path,
    settings: Settings,
    slo: str | None = None,
    one_file: Path | None = None,
) -> list[Path]:
    """Write a picture of every SLO of a stored run (or of one); the paths. Raises StoreError."""
    from sloguard.render.charts import chart_document

    stored = store.run(run)
    if stored.document is None or stored.timeline is None:
        return []
    charts = settings.charts
    written: list[Path] = []
    for evidence in store.each_evidence(run, slo):
        name = f"{file_name(evidence.slo.name)}.{charts.format}"
        path = directory / name if one_file is None else one_file
        if one_file is not None and written:
            # Several SLOs and one name: the others stand beside it.
            path = one_file.with_name(f"{one_file.stem}-{name}")
        picture = chart_document(
            stored.document,
            evidence,
            format=charts.format,  # type: ignore[arg-type]  # one of the choices of the setting
            theme=charts.theme,  # type: ignore[arg-type]  # as above
            scale=charts.scale,
            surroundings=stored.surroundings,
        )
        if save(path, picture):
            written.append(path)
    return written
